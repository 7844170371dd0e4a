"""The bank of features: computed once, shared, the same as the slow way, never trusted blindly."""

import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest

from stemcls.config.experiment import ModelConfig
from stemcls.interruption import Interruption
from stemcls.models.build import build_extractor
from stemcls.models.inference import dihedral
from stemcls.runs import Run
from stemcls.store.cropstore import CropStore
from stemcls.training.featurecache import FeatureCache
from stemcls.training.features import cache_folder, describe, make_bank
from stemcls.training.journal import Journal

CONFIG = ModelConfig(backbone="TinyCNN", weights="none")
ROWS = np.arange(0, 160, 2)


class Counted:
    """An extractor that counts how many crops it was given."""

    def __init__(self, extractor):
        self._extractor, self.crops = extractor, 0
        self.output_shape, self.get_weights = extractor.output_shape, extractor.get_weights

    def predict(self, crops, **options):
        self.crops += len(crops)
        return self._extractor.predict(crops, **options)


@pytest.fixture(scope="module")
def extractor():
    keras.utils.set_random_seed(0)
    return build_extractor(CONFIG, (24, 24), 3, 255.0)


@pytest.fixture
def store(striped_store):
    return CropStore.open(striped_store)


@pytest.fixture
def journal(tmp_path):
    return Journal(Run.create(tmp_path, "features"))


@pytest.fixture
def make(store, journal, tmp_path):
    def bank(extractor, rows=ROWS, views=2, config=CONFIG, folder=tmp_path / "features"):
        return make_bank(
            extractor, config, store, store.read, rows, views, FeatureCache(folder), journal,
            Interruption(),
        )

    return bank


def test_the_bank_holds_what_the_backbone_says_of_each_view(make, extractor, store):
    bank = make(extractor, views=8)
    for view in range(8):
        crops = np.ascontiguousarray(dihedral(store.read(ROWS), view))
        slow = extractor.predict(crops, verbose=0)
        assert np.abs(bank.read(ROWS, view) - slow).max() < 1e-5
    some = ROWS[[7, 3, 40]]
    assert np.array_equal(bank.read(some, 1), np.asarray(bank.views[1])[[7, 3, 40]])


def test_a_second_run_and_more_views_compute_only_what_is_missing(make, extractor):
    counted = Counted(extractor)
    first = make(counted)
    assert counted.crops == 2 * len(ROWS)
    again = make(counted, rows=ROWS[::-1])
    assert counted.crops == 2 * len(ROWS)
    assert np.array_equal(first.views[1], again.views[1])
    make(counted, views=4)
    assert counted.crops == 4 * len(ROWS)


def test_whatever_changes_the_features_changes_their_key(extractor, store, tmp_path):
    known = describe(extractor, CONFIG, store, ROWS)
    assert describe(extractor, replace(CONFIG, dense=(8,), dropout=0.5), store, ROWS) == known
    keras.utils.set_random_seed(1)
    other = build_extractor(CONFIG, (24, 24), 3, 255.0)
    different = [
        describe(other, CONFIG, store, ROWS),
        describe(extractor, replace(CONFIG, stride=(16,)), store, ROWS),
        describe(extractor, replace(CONFIG, input_px=48), store, ROWS),
        describe(extractor, CONFIG, store, ROWS[:-1]),
    ]
    store.verified_hash = "another"
    different.append(describe(extractor, CONFIG, store, ROWS))
    assert all(entry != known for entry in different)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text"])
def test_a_damaged_file_is_computed_again_and_that_is_said(
    damage, make, extractor, tmp_path, journal, caplog
):
    counted = Counted(extractor)
    good = np.array(make(counted, views=1).views[0])
    (path,) = (tmp_path / "features").rglob("view-0.npy")
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    path.write_bytes({
        "cut": content[:-100], "flipped": content, "empty": b"", "text": b"no features at all",
    }[damage])
    bank = make(counted, views=1)
    assert np.array_equal(bank.views[0], good)
    assert counted.crops == 2 * len(ROWS)
    assert "view-0.npy is damaged" in caplog.text
    assert "is damaged" in (journal.run.path / "log.txt").read_text()
    make(counted, views=1)
    assert counted.crops == 2 * len(ROWS)


def test_where_nothing_can_be_kept_the_run_goes_on_and_says_so(make, extractor, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    bank = make(extractor, views=1, folder=tmp_path / "file")
    assert bank.views[0].shape == (len(ROWS), 64)
    assert "features are not kept for later runs" in caplog.text


def test_what_a_killed_process_left_is_cleared_away(make, extractor, tmp_path):
    make(extractor, views=1)
    (path,) = (tmp_path / "features").rglob("view-0.npy")
    path.unlink()
    (path.parent / ".view-0.abcd.part.npy").write_bytes(b"half")
    make(extractor, views=1)
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "about.json", "view-0.lock", "view-0.npy"
    ]


TWO_AT_ONCE = """
import sys, time
from pathlib import Path
import numpy as np
from stemcls.training.featurecache import FeatureCache
folder = Path(sys.argv[1])
(folder / f"ready-{sys.argv[2]}").touch()
while len([*folder.glob("ready-*")]) < 2:
    time.sleep(0.01)
def blocks():
    (folder / f"made-{sys.argv[2]}").touch()
    for _ in range(4):
        time.sleep(0.1)
        yield np.ones((5, 3), np.float32)
view = FeatureCache(folder).view("x", {}, 0, (20, 3), blocks, lambda: None, print)
assert view.sum() == 60
"""


def test_two_processes_that_want_the_same_compute_it_once(tmp_path):
    both = [
        subprocess.Popen([sys.executable, "-c", TWO_AT_ONCE, str(tmp_path), str(number)])
        for number in range(2)
    ]
    assert [process.wait(60) for process in both] == [0, 0]
    assert len([*tmp_path.glob("made-*")]) == 1


def test_a_reader_from_memory_and_one_from_files_agree(make, extractor):
    bank = make(extractor, views=4)
    rows = ROWS[10:30]
    positions = np.random.default_rng(0).permutation(4 * len(rows))
    roomy, tight = bank.reader(rows, 4, 1e9), bank.reader(rows, 4, 1.0)
    assert np.array_equal(roomy(positions), tight(positions))
    assert np.array_equal(roomy(np.array([20])), bank.read(rows[:1], 1))


def test_folds_share_the_folder_of_their_workspace(tmp_path):
    root = tmp_path / "saved_models"
    assert cache_folder(root / "run") == root / ".features"
    assert cache_folder(root / "run" / "folds" / "fold-1") == root / ".features"
