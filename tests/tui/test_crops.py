"""The crops of a store as pictures: found, read, filtered and paged, by keyboard alone."""

from __future__ import annotations

import numpy as np
from textual.widgets import Select

from stemcls.store.cropstore import CropStore
from tui import crops
from tui.app import StemclsApp
from tui.crops import Choice, qualities_of, read_crops, rows_of
from tui.pixels import as_rgb, fitted, levels_of, stretched
from tui.screens.crops import CropsScreen
from tui.screens.picture import PictureScreen
from tui.widgets.datasets import DatasetsPane
from tui.widgets.gallery import Gallery
from tui.widgets.pictures import Picture

from .driven_store import write_blobs
from .driving import until

SIZE = (80, 24)


def test_filters_leave_the_rows_that_they_name(tmp_path) -> None:
    store = CropStore.open(write_blobs(tmp_path / "a.h5"))
    assert rows_of(store, Choice(order="as stored")).tolist() == list(range(30))
    mixed = rows_of(store, Choice())
    assert sorted(mixed) == list(range(30))
    assert mixed.tolist() != list(range(30))
    beta = rows_of(store, Choice(label="beta", group="donor-1", order="as stored"))
    assert beta.tolist() == [0, 12, 24]
    assert qualities_of(store) == [
        f"{name}: {end} tenth" for name in ("brightness", "focus", "radius")
        for end in ("lowest", "highest")
    ]
    dark = rows_of(store, Choice(quality="brightness: lowest tenth"))
    assert {int(row) % 3 for row in dark} == {0}
    assert {int(row) % 3 for row in rows_of(store, Choice(quality="focus: highest tenth"))} == {0}


def test_contrast_is_of_the_page_of_each_crop_or_as_stored(tmp_path) -> None:
    store = CropStore.open(write_blobs(tmp_path / "a.h5"))
    rows = np.array([1, 2])
    stored = read_crops(store, rows, "none")
    np.testing.assert_array_equal(stored, store.read(rows))
    alone = read_crops(store, rows, "crop")
    assert [int(crop.max()) for crop in alone] == [255, 255]
    together = read_crops(store, rows, "page")
    assert together[0].min() == 0
    assert together[1].min() > 0, "the brighter field stays brighter than the other one"


def test_deep_and_two_channel_pixels_become_red_and_green() -> None:
    deep = np.zeros((4, 6, 2), np.uint16)
    deep[..., 1] = np.linspace(0, 4000, 24).reshape(4, 6)
    shown = as_rgb(stretched(deep, levels_of(deep)))
    assert shown.shape == (4, 6, 3)
    assert shown[..., 1].max() == 255
    assert not shown[..., [0, 2]].any()
    assert fitted((64, 64), 40, 10, (1, 2)) == (20, 10)
    assert fitted((64, 128), 20, 20, (1, 2)) == (20, 5)


async def test_the_gallery_by_keyboard_alone(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(crops, "PAGE", 20)
    monkeypatch.setattr("tui.screens.crops.PAGE", 20)
    path = write_blobs(tmp_path / "datasets" / "blobs.h5")
    async with StemclsApp(tmp_path).run_test(size=SIZE, notifications=True) as pilot:
        await until(pilot, "blobs.h5")
        await pilot.press("c")
        text = await until(pilot, "30 of 30 crops, page 1 of 2, contrast: page")
        await until(pilot, "centre x ")
        screen = pilot.app.screen
        assert isinstance(screen, CropsScreen)
        first = int(rows_of(CropStore.open(path), Choice())[0])
        assert f"crop {first}: " in text or f"crop {first}: " in await until(pilot, "crop ")
        assert "▀▀▀▀" in text
        await pilot.press("right")
        second = int(rows_of(CropStore.open(path), Choice())[1])
        text = await until(pilot, f"crop {second}: ")
        assert f"field-{second % 3}.tif, centre x {3 * second} y {2 * second} px" in text
        await pilot.press("n")
        await until(pilot, "page 2 of 2")
        await pilot.press("left")
        await until(pilot, "page 1 of 2")
        gallery = screen.query_one(Gallery)
        await until(pilot, lambda _: gallery.index == 19)
        # Filter by class: open, go down twice to beta, take it.
        await pilot.press("c", "down", "down", "enter")
        text = await until(pilot, "8 of 30 crops")
        assert screen.query_one("#label", Select).value == "beta"
        await pilot.press("escape", "x")
        await until(pilot, "contrast: crop")
        await pilot.press("end", "enter")
        await until(pilot, lambda _: isinstance(pilot.app.screen, PictureScreen))
        text = await until(pilot, ": beta, donor donor-")
        assert pilot.app.screen.query_one(Picture).size.height > 15
        assert "radius 9 px" in text
        await pilot.press("escape")
        await until(pilot, "8 of 30 crops")
        path.unlink()
        await until(pilot, "was deleted; esc goes back")
        await pilot.press("escape")
        await until(pilot, "No crop stores in")


async def test_going_to_another_store_closes_the_gallery_of_the_first(tmp_path) -> None:
    _, second = (write_blobs(tmp_path / "datasets" / f"{name}.h5") for name in "ab")
    app = StemclsApp(tmp_path)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await until(pilot, "b.h5")
        await pilot.press("c")
        await until(pilot, "a.h5   30 of 30 crops")
        await pilot.press("8")
        await until(pilot, "theme")
        await pilot.press("1")
        await until(pilot, "a.h5   30 of 30 crops")
        app.go("datasets", store=second)
        await until(pilot, lambda text: "crops, page" not in text and "73.3%" in text)
        assert app.screen.query_one(DatasetsPane).selected.path == second


async def test_fields_and_the_default_split_of_a_store(tmp_path) -> None:
    write_blobs(tmp_path / "datasets" / "blobs.h5")
    async with StemclsApp(tmp_path).run_test(size=SIZE, notifications=True) as pilot:
        await until(pilot, "blobs.h5")
        await pilot.press("]")
        text = await until(pilot, "blobs.h5: 3 fields")
        line = next(line for line in text.splitlines() if "field-2.tif" in line)
        assert line.split()[1:7] == ["10", "4", "120", "-", "-", "-"]
        await pilot.press("]")
        text = await until(pilot, "train: donor-")
        counts = next(line for line in text.splitlines() if line.split()[:1] == ["crops"]).split()
        assert counts[1:] == ["10", "10", "10"]
        await pilot.press("[", "[", "enter")
        await until(pilot, "73.3%")


async def test_pictures_can_be_off(tmp_path, home) -> None:
    (home / "config" / "stemcls").mkdir(parents=True, exist_ok=True)
    (home / "config" / "stemcls" / "tui.toml").write_text('pictures = "off"\ntoured = true\n')
    write_blobs(tmp_path / "datasets" / "blobs.h5")
    async with StemclsApp(tmp_path).run_test(size=SIZE, notifications=True) as pilot:
        await until(pilot, "blobs.h5")
        await pilot.press("c")
        text = await until(pilot, "centre x ")
        assert "▀" not in text
        assert text.count("alpha") + text.count("beta") >= 30
