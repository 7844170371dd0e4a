"""A share of the images is drawn from every class and group alike."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from stemcls.config.imaging import BuildConfig
from stemcls.store.build import build_store
from stemcls.store.cropstore import CropStore
from stemcls.store.sources import Source
from stemcls.store.subsample import subsample

SOURCES = [
    Source(Path(f"{n}.png"), f"{n}.png", label, group)
    for n, (label, group) in enumerate(
        [("a", "d1")] * 40 + [("a", "d2")] * 20 + [("b", "d1")] * 10 + [("b", "d2")]
    )
]


def test_every_class_and_group_gives_its_share_and_at_least_one():
    drawn = subsample(SOURCES, 0.2, seed=3)
    counts = Counter((source.label, source.group) for source in drawn)
    assert counts == {("a", "d1"): 8, ("a", "d2"): 4, ("b", "d1"): 2, ("b", "d2"): 1}
    assert [SOURCES.index(source) for source in drawn] == sorted(
        SOURCES.index(source) for source in drawn
    )


def test_the_draw_is_random_but_repeatable():
    assert subsample(SOURCES, 0.5, seed=3) == subsample(SOURCES, 0.5, seed=3)
    assert subsample(SOURCES, 0.5, seed=3) != subsample(SOURCES, 0.5, seed=4)
    assert subsample(SOURCES, 1.0, seed=3) == SOURCES


def test_build_takes_the_share(crops_folder, tmp_path):
    config = BuildConfig(kind="crops", subsample=0.5, group=r"(d\d)_")
    document = build_store(crops_folder, tmp_path / "some.h5", config)
    assert document["classes"] == {"aged": 3, "young": 3}
    assert CropStore.open(tmp_path / "some.h5").config["subsample"] == 0.5
