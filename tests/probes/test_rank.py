"""Backbones are ranked on groups left out, and the fastest of the nearly best is chosen."""

import pytest

from stemcls.config.experiment import ModelConfig, SplitConfig
from stemcls.errors import InputError
from stemcls.interruption import Interruption
from stemcls.probes.rank import Ranked, candidates, fastest_of_the_best, rank
from stemcls.store.cropstore import CropStore


def ranked(name, score, seconds, ci=(0.8, 0.956)):
    return Ranked(name, 1.0, "imagenet", score, ci, seconds, 10)


def test_the_fastest_within_one_standard_error_of_the_best_is_chosen():
    # The interval is 0.156 wide, four times a standard error of 0.04.
    rows = [ranked("best", 0.9, 9.0), ranked("near", 0.87, 2.0), ranked("far", 0.85, 1.0)]
    assert fastest_of_the_best(rows).name == "near"
    assert fastest_of_the_best([ranked("best", 0.9, 9.0, None), rows[1]]).name == "best"


def test_every_network_is_scored_on_the_same_crops(striped_store, tmp_path):
    store = CropStore.open(striped_store)
    models = [
        ModelConfig(backbone="TinyCNN", weights="none", pooling=pooling)
        for pooling in ("mean", "rings")
    ]
    rows = list(rank(store, models, SplitConfig(), 0, tmp_path, Interruption()))
    assert [row.name for row in rows] == ["TinyCNN", "TinyCNN"]
    for row in rows:
        assert 0 <= row.score_ci[0] <= row.score <= row.score_ci[1] <= 1
        assert row.seconds > 0
        assert row.parameters > 1000
    assert (tmp_path / "saved_models" / ".features").is_dir()


def test_without_any_weights_it_says_where_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("STEMCLS_CACHE", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(InputError, match="`stemcls weights list` says"):
        candidates()
    assert candidates(files={"MobileNet": "some.h5"}) == [
        ModelConfig(backbone="MobileNet", weights="some.h5")
    ]
    (narrow,) = candidates(files={"MobileNet:0.25": "some.h5"})
    assert narrow.alpha == 0.25
    with pytest.raises(InputError, match=r"expected a backbone, or backbone:alpha"):
        candidates(files={"MobileNet:wide": "some.h5"})
    with pytest.raises(InputError, match="there is no backbone 'MobileNett'"):
        candidates(("MobileNett",))
