"""What differs from the images of training is converted and said, refused, or warned of."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from stemcls.errors import InputError
from stemcls.models.saved import ModelCard
from stemcls.models.seen import Seen, contrast_of
from stemcls.models.storecheck import check_store, fit_store
from stemcls.prediction.inputs import load_sample

from .conftest import card_of, discs, store_of, write

CASES = Path(__file__).parents[2] / ".." / "shared" / "cases"


def crops(path: Path, card: ModelCard, **options: object) -> np.ndarray:
    sample = load_sample(path, card, None, "auto", **options)
    return sample.read(np.arange(sample.n))


def image(path: Path, card: ModelCard) -> np.ndarray:
    """Return what crops are cut from; a level's difference moves the centres of some by a pixel."""
    found = load_sample(path, card, None, "auto").image
    assert found is not None
    return found.astype(int)


def kinds(path: Path, card: ModelCard, **options: object) -> list[str]:
    return [one.kind for one in load_sample(path, card, None, "auto", **options).notices]


def two_channels(seed: int) -> np.ndarray:
    return np.stack([discs(seed), 255 - discs(50 + seed)])


def trained(folder: Path, make, n: int = 4, **settings: object):
    """Return the card of a model of n fields, the store, and the path of the first field."""
    paths = [make(folder / "src" / "ab"[number % 2] / f"{number}.ome.tif", number)
             for number in range(n)]
    store = store_of(folder / "src", folder / "s.h5", **settings)
    return card_of(store), store, paths[0]


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """Return what was trained on Hoechst and GFP."""
    def make(path, seed):
        return write(path, two_channels(seed), ("Hoechst", "GFP"))

    return trained(tmp_path_factory.mktemp("named"), make)


@pytest.fixture(scope="module")
def grey(tmp_path_factory):
    """Return what was trained on 8-bit grey fields of 0.5 um a pixel."""
    return trained(
        tmp_path_factory.mktemp("grey"),
        lambda path, seed: write(path, discs(seed), ("DIC",), 0.5),
    )


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """Return what was trained on 16-bit fields, each scaled by its own range."""
    return trained(
        tmp_path_factory.mktemp("deep"),
        lambda path, seed: write(path, discs(seed).astype(np.uint16) * 16, ("DIC",)),
    )


@pytest.mark.parametrize(
    ("order", "names", "said"),
    [
        ([0, 1], ("Hoechst", "GFP"), []),
        ([1, 0], ("GFP", "Hoechst"), ["channels-reordered"]),
        ([1, 0], ("gfp", "HOECHST"), ["channels-reordered"]),
        ([0, 1], ("hoechst ", "G-F-P"), []),
        ([1, 1, 0], ("GFP", "Phase", "Hoechst"), ["channels-reordered"]),
        ([1, 1, 1, 1, 0], ("GFP", "a", "b", "c", "Hoechst"), ["channels-reordered"]),
    ],
)
def test_channels_are_put_in_the_order_of_training_by_name(tmp_path, named, order, names, said):
    card, _, first = named
    path = write(tmp_path / "f.ome.tif", two_channels(0)[order], names)
    np.testing.assert_array_equal(image(path, card), image(first, card))
    assert [kind for kind in kinds(path, card) if kind != "empty-slice"] == said
    notes = set(load_sample(path, card, None, "auto").notes)
    assert notes == ({"channels put in the order of training"} if said else {""})


@pytest.mark.parametrize("names", [("DAPI", "FITC"), ("GFP", "mCherry"), ()])
def test_channels_that_no_name_matches_are_refused_until_the_user_says_which(
    tmp_path, named, names
):
    card, _, first = named
    path = write(tmp_path / "f.ome.tif", two_channels(0)[[1, 0]], names)
    with pytest.raises(InputError, match=r"learned from Hoechst, GFP.*--channels 1,2") as refused:
        crops(path, card)
    assert ", ".join(names) in str(refused.value)
    np.testing.assert_array_equal(crops(path, card, channels="2,1"), crops(first, card))
    with pytest.raises(InputError, match=r"names 1 slice.*learned from 2: Hoechst, GFP"):
        crops(path, card, channels="2")


def test_colour_and_grey_are_not_taken_for_each_other(tmp_path, grey, named):
    rgb = np.stack([discs(0), discs(1), discs(2)], axis=-1)
    colour = tmp_path / "rgb.png"
    cv2.imwrite(str(colour), rgb)
    single = tmp_path / "grey.png"
    cv2.imwrite(str(single), discs(0))
    with pytest.raises(InputError, match=r"red, green, blue, the model learned from DIC"):
        crops(colour, grey[0])
    with pytest.raises(InputError, match=r"learned from Hoechst, GFP: a grey image"):
        crops(single, named[0])
    for number in range(3):
        folder = tmp_path / "src" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{number}.png"), np.roll(rgb, number, axis=-1))
    photo = card_of(store_of(tmp_path / "src", tmp_path / "rgb.h5"))
    with pytest.raises(InputError, match="a grey image has not the colours"):
        crops(single, photo)
    built_grey = card_of(store_of(tmp_path / "src", tmp_path / "grey.h5", channels="grey"))
    assert len(crops(single, built_grey)) == len(crops(colour, built_grey)) == 9
    # One channel without a name can be no other, but nobody can tell.
    assert "channels-unnamed" in kinds(single, grey[0])


def test_8_bit_fields_are_scaled_as_the_16_bit_ones_of_training(tmp_path, deep):
    card, _, first = deep
    assert card.training.scale == "own"
    path = write(tmp_path / "f.ome.tif", discs(0), ("DIC",))
    assert np.abs(image(path, card) - image(first, card)).max() <= 2
    assert kinds(path, card) == ["bit-depth"]
    assert set(load_sample(path, card, None, "auto").notes) == {
        "other bit depth than in training: rescaled"
    }


@pytest.mark.parametrize("gain", [257, 16, 64])
def test_16_bit_fields_become_the_8_bit_of_training_where_their_brightness_tells_how(
    tmp_path, grey, gain
):
    card, _, first = grey
    pixels = discs(0).astype(np.uint16) * gain
    path = write(tmp_path / "f.ome.tif", pixels, ("DIC",), 0.5)
    # The field's brightest pixel must need the depth that its values were spread over.
    pixels[0, 0] = 255 * gain
    tifffile.imwrite(path, pixels, ome=True, metadata={
        "axes": "YX", "Channel": {"Name": "DIC"}, "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5,
    })
    assert np.abs(image(path, card) - image(first, card))[2:].max() <= 2
    assert kinds(path, card) == ["bit-depth"]


@pytest.mark.parametrize(
    "pixels",
    [
        discs(0).astype(np.uint16) * 3 + 9000, discs(0).astype(np.float32) / 255,
        discs(0, 20, 5).astype(np.uint16) * 257,
    ],
)
def test_a_depth_that_nothing_explains_is_refused(tmp_path, grey, pixels):
    path = write(tmp_path / "f.ome.tif", pixels, ("DIC",), 0.5)
    with pytest.raises(InputError, match=r"those of training uint8.*export it as uint8"):
        crops(path, grey[0])


def test_one_range_for_all_is_carried_over_to_another_depth(tmp_path):
    def make(path, seed):
        return write(path, discs(seed).astype(np.uint16) * 257, ("DIC",))

    card, _, first = trained(tmp_path, make, scale="store")
    path = write(tmp_path / "f.ome.tif", discs(0), ("DIC",))
    assert np.abs(image(path, card) - image(first, card)).max() <= 1
    assert kinds(path, card) == ["bit-depth"]


def test_a_scale_that_cannot_be_checked_is_said_and_another_refused(tmp_path, grey):
    card = grey[0]
    unknown = write(tmp_path / "unknown.ome.tif", discs(0), ("DIC",))
    assert kinds(unknown, card) == ["pixel-size-unknown"]
    assert kinds(unknown, card, pixel_size_um=0.5) == []
    near = write(tmp_path / "near.ome.tif", discs(0), ("DIC",), 0.51)
    assert kinds(near, card) == []
    other = write(tmp_path / "other.ome.tif", discs(0), ("DIC",), 0.6)
    with pytest.raises(InputError, match=r"0\.6 um a pixel, the model was trained on 0\.5"):
        crops(other, card)


@pytest.mark.parametrize(
    ("pixels", "kind"),
    [
        (discs(7), None),
        (discs(8, 72, 58), None),
        (discs(7) // 2, "unusual-brightness"),
        (discs(7, 60, 190), "unusual-brightness"),
        (cv2.GaussianBlur(discs(7), (0, 0), 3.0), "unusual-focus"),
        (discs(7, radius=14), "unusual-size"),
        (130 - discs(7), "inverted-contrast"),
        (discs(7, 195), "clipped"),
    ],
)
def test_what_is_merely_unusual_is_a_warning_with_a_note(tmp_path, grey, pixels, kind):
    path = write(tmp_path / "f.ome.tif", np.clip(pixels, 0, 255), ("DIC",), 0.5)
    sample = load_sample(path, grey[0], None, "auto")
    found = [notice.kind for notice in sample.notices]
    assert (kind in found) if kind else not found
    assert all(sample.notes) if kind else not any(sample.notes)


def test_white_is_zero_is_inverted_before_it_is_compared(tmp_path, grey):
    card, _, first = grey
    path = tmp_path / "inverted.tif"
    tifffile.imwrite(path, 255 - discs(0), photometric="miniswhite", resolution=(20000, 20000),
                     resolutionunit="CENTIMETER")
    np.testing.assert_array_equal(crops(path, card), crops(first, card))
    assert "inverted-contrast" not in kinds(path, card)


def test_stores_are_compared_with_the_card_as_fields_are(tmp_path, named, grey, deep):
    card, _, first = named
    for number in range(3):
        write(tmp_path / "src" / "ab"[number % 2] / f"{number}.ome.tif",
              two_channels(number)[[1, 0]], ("GFP", "Hoechst"))
    swapped = store_of(tmp_path / "src", tmp_path / "s.h5")
    read, notices = fit_store(card, swapped)
    assert [one.kind for one in notices] == ["channels-reordered"]
    np.testing.assert_array_equal(read(np.arange(9)), crops(first, card))
    with pytest.raises(InputError, match=r"build it again with --channels 'Hoechst,GFP'"):
        check_store(card, swapped)
    assert check_store(card, named[1]) == []
    with pytest.raises(InputError, match=r"kept as they are.*build it again.*--scale field"):
        fit_store(deep[0], grey[1])
    write(tmp_path / "dark" / "a" / "0.ome.tif", discs(0) // 2, ("DIC",))
    write(tmp_path / "dark" / "a" / "1.ome.tif", discs(1), ("DIC",))
    dark = store_of(tmp_path / "dark", tmp_path / "d.h5")
    said = {one.kind: one for one in fit_store(grey[0], dark)[1]}
    assert set(said) == {"pixel-size-unknown", "unusual-brightness"}
    assert said["unusual-brightness"].paths == ("a/0.ome.tif",)
    notes = load_sample(dark.path, grey[0], None, "auto").notes
    assert ["brightness" in note for note in notes] == [True] * 9 + [False] * 9


def test_the_card_keeps_what_training_saw_and_older_cards_open(named, grey):
    seen = grey[0].seen
    assert (seen.slices, seen.photometric, seen.scale) == (("DIC",), "grey", "kept")
    assert seen.pixel_size_um == pytest.approx((0.5, 0.5))
    assert seen.brightness[0] < seen.brightness[1] < seen.brightness[2]
    assert seen.diameter_px[1] == pytest.approx(19, abs=2)
    assert (seen.n_fields, seen.edge) == (4, "reflect")
    assert Seen.of(json.loads(json.dumps(asdict(seen))) | {"later": 1}) == seen
    assert named[0].training.slices == ("Hoechst", "GFP")
    older = ModelCard(**{**vars(named[0]), "seen": Seen()})
    assert older.training.slices == ("Hoechst", "GFP")
    assert older.training.dtypes == ("uint8",)


def test_contrast_is_the_middle_beside_the_rim():
    bright = np.full((1, 24, 24, 2), 50, np.uint8)
    bright[:, 8:16, 8:16, 0] = 200
    bright[:, 8:16, 8:16, 1] = 10
    assert contrast_of(bright)[0, 0] > 1
    assert contrast_of(bright)[0, 1] < -1
    flat = np.full((1, 24, 24, 1), 50, np.uint8)
    assert contrast_of(flat)[0, 0] == 0


@pytest.mark.skipif(not CASES.is_dir(), reason="no ../shared/cases")
def test_the_swapped_channels_of_the_shared_case_are_put_right(tmp_path):
    script = (CASES / "channel-order-predict" / "make.py").read_text()
    (tmp_path / "make.py").write_text(script)
    subprocess.run([sys.executable, "make.py"], cwd=tmp_path, check=True)
    card = card_of(store_of(tmp_path / "src" / "train", tmp_path / "s.h5"))
    for name in ("A/0.ome.tif", "B/1.ome.tif"):
        straight, swapped = tmp_path / "src" / "train" / name, tmp_path / "src" / "swapped" / name
        np.testing.assert_array_equal(crops(swapped, card), crops(straight, card))
        assert "channels-reordered" in kinds(swapped, card)
