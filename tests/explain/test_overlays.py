"""Pictures are written for every kind of crop and every class name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stemcls.display.colours import as_colours
from stemcls.errors import InputError
from stemcls.explain.explain import Explanation
from stemcls.explain.overlays import slug, write_overlays


def explanation(n: int) -> Explanation:
    heat = np.zeros((n, 16, 16), dtype=np.float32)
    heat[:, :4, 12:] = 1
    return Explanation(
        heatmaps=heat, targets=np.zeros(n, dtype=np.int64),
        probabilities=np.full((n, 2), 0.5, dtype=np.float32), layer="conv", method="gradcam",
    )


@pytest.mark.parametrize(
    ("channels", "dtype"), [(1, np.uint8), (3, np.uint8), (2, np.uint16), (4, np.uint16)]
)
def test_crops_of_any_kind_give_one_picture_each(
    tmp_path: Path, channels: int, dtype: type
) -> None:
    random = np.random.default_rng(0)
    crops = random.integers(0, np.iinfo(dtype).max, (1, 16, 16, channels), dtype=dtype)
    (path,) = write_overlays(
        explanation(1), crops, tmp_path / "new", [7], [None], ["MPP"], [0.75]
    )
    assert Path(path).name == "row-000007_unlabelled_as_MPP.png"
    assert Path(path).read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in (tmp_path / "new").iterdir()] == [Path(path).name]


def test_class_names_make_safe_file_names_that_stay_apart(tmp_path: Path) -> None:
    crops = np.zeros((2, 16, 16, 1), dtype=np.uint8)
    paths = write_overlays(
        explanation(2), crops, tmp_path, [1, 2], ["Lin⁻/../$x$", "干细胞"], ["干细胞", "_a"],
        [0.5, 1.0],
    )
    assert [Path(path).name for path in paths] == [
        "row-000001_Lin-x_as_class.png", "row-000002_class_as_a.png",
    ]
    assert all(Path(path).parent == tmp_path and Path(path).is_file() for path in paths)


def test_slugs_have_a_bounded_length() -> None:
    assert len(slug("x" * 500)) == 40
    assert slug("Zelle größer") == "Zelle-groer"


def test_eight_bit_crops_are_shown_as_they_are_and_deeper_ones_stretched() -> None:
    np.testing.assert_allclose(as_colours(np.full((1, 2, 2, 1), 51, np.uint8)), 0.2, atol=1e-6)
    ramp = np.arange(1000, 2024, dtype=np.uint16).reshape(1, 32, 32, 1)
    shown = as_colours(ramp)
    assert shown.shape == (1, 32, 32, 3)
    assert shown.min() == 0
    assert shown.max() == 1


def test_arguments_of_different_length_are_refused(tmp_path: Path) -> None:
    crops = np.zeros((2, 16, 16, 1), dtype=np.uint8)
    with pytest.raises(InputError, match="for each of 2 heat maps, found"):
        write_overlays(explanation(2), crops, tmp_path, [1], ["a", "b"], ["a", "b"], [0.1, 0.2])
    with pytest.raises(InputError, match="1 different rows"):
        write_overlays(explanation(2), crops, tmp_path, [1, 1], ["a", "b"], ["a", "b"], [0, 0])
