"""Sets of crops as arrays: NPZ of several makers, IDX as MNIST has it."""

from __future__ import annotations

import gzip
import pickle
import struct

import numpy as np
import pytest

from stemcls.errors import InputError
from stemcls.imaging.readers import arrays
from stemcls.imaging.readers.arrays import is_crop_arrays, read_crop_arrays

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 8, 9), dtype=np.uint8)
RGB = RNG.integers(0, 256, (6, 8, 9, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 1, 0, 2])


def idx(values: np.ndarray) -> bytes:
    lengths = struct.pack(f">{values.ndim}I", *values.shape)
    return bytes([0, 0, 0x08, values.ndim]) + lengths + values.astype(np.uint8).tobytes()


@pytest.mark.parametrize("images", [GREY, RGB, GREY.astype(np.uint16) * 9])
def test_an_npz_gives_images_labels_and_names(images, tmp_path):
    path = tmp_path / "crops.npz"
    np.savez_compressed(path, images=images, labels=LABELS, names=np.array(["B", "T4", "T8"]))
    found, labels, names = read_crop_arrays(path)
    assert np.array_equal(found, images)
    assert found.dtype == images.dtype
    assert labels.tolist() == LABELS.tolist()
    assert names == ("B", "T4", "T8")


def test_words_as_labels_and_other_layouts_are_understood(tmp_path):
    words = np.array(["T4", "B", "B", "T8", "T4", "B"])
    np.savez(tmp_path / "a.npz", x=np.moveaxis(RGB, 3, 1), y=words)
    found, labels, names = read_crop_arrays(tmp_path / "a.npz")
    assert np.array_equal(found, RGB)
    assert names == ("B", "T4", "T8")
    assert labels.tolist() == [1, 0, 0, 2, 1, 0]
    np.savez(
        tmp_path / "b.npz", train_images=GREY[:4], val_images=GREY[4:5], test_images=GREY[5:],
        train_labels=LABELS[:4, None], val_labels=LABELS[4:5, None], test_labels=LABELS[5:, None],
    )  # fmt: skip
    found, labels, names = read_crop_arrays(tmp_path / "b.npz")
    assert np.array_equal(found, GREY)
    assert labels.tolist() == LABELS.tolist()
    assert names == ("0", "1", "2")
    np.savez(tmp_path / "c.npz", images=GREY)
    assert read_crop_arrays(tmp_path / "c.npz")[1:] == (None, ())


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_are_read_with_the_labels_beside_them(packed, tmp_path):
    end = ".gz" if packed else ""
    path = tmp_path / f"train-images-idx3-ubyte{end}"
    write = gzip.compress if packed else bytes
    path.write_bytes(write(idx(GREY)))
    assert read_crop_arrays(path)[1] is None
    (tmp_path / f"train-labels-idx1-ubyte{end}").write_bytes(write(idx(LABELS)))
    found, labels, names = read_crop_arrays(path)
    assert np.array_equal(found, GREY)
    assert (labels.tolist(), names) == (LABELS.tolist(), ("0", "1", "2"))
    assert is_crop_arrays(path)
    assert not is_crop_arrays(tmp_path / "train-labels-idx1-ubyte")
    assert not is_crop_arrays(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"images": GREY, "labels": LABELS[:5]}, r"6 images, labels of the shape \(5,\)"),
        ({"images": GREY, "labels": LABELS - 1}, "labels are int64 from -1"),
        ({"images": GREY, "labels": LABELS / 2}, "labels are float64"),
        ({"images": GREY, "labels": LABELS, "names": np.array(["a"])}, "label 2 has no name"),
        ({"images": GREY / 255}, "images are float64, expected uint8 or uint16"),
        ({"images": GREY[0]}, r"the shape \(8, 9\), expected"),
        ({"pictures": GREY}, "it holds pictures, expected `images`"),
        ({"images": GREY, "labels": np.array([{}] * 6)}, "holds no arrays of crops"),
    ],
)
def test_arrays_that_are_no_crops_are_refused(content, reason, tmp_path):
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(InputError, match=reason):
        read_crop_arrays(tmp_path / "a.npz")


def test_damage_bombs_and_pickles_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, images=GREY, labels=LABELS)
    data = path.read_bytes()
    for content in (data[:-40], data[:60], b"", b"hello", pickle.dumps(GREY)):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"a\.npz holds no arrays of crops"):
            read_crop_arrays(path)
    images = tmp_path / "t-images-idx3-ubyte"
    whole = idx(GREY)
    packed = gzip.compress(whole)
    for content in (whole[:-1], whole + b"x", whole[:7], b"\0\0\x07\x01", packed[:-9]):
        images.write_bytes(content)
        with pytest.raises(InputError, match="holds no arrays of crops"):
            read_crop_arrays(images)
    images.write_bytes(whole[:4] + b"\xff" * 12 + whole[16:])
    with pytest.raises(InputError, match="GiB once read, more than half"):
        read_crop_arrays(images)
    path.write_bytes(data)
    monkeypatch.setattr(arrays, "free_memory_bytes", lambda: 2.0 * GREY.size)
    with pytest.raises(InputError, match="GiB once read, more than half"):
        read_crop_arrays(path)
    with pytest.raises(InputError, match="does not exist"):
        read_crop_arrays(tmp_path / "none.npz")
