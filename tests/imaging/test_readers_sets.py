"""OME-TIFF sets: a scene comes, pixels and metadata, from the member that holds it."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tifffile

from stemcls.config.imaging import ReadConfig
from stemcls.errors import InputError
from stemcls.imaging.readers import dataset_files, describe_file, read_field

OME = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
NAMES = ("s_Pos0.ome.tif", "s_Pos1.ome.tif", "s_Pos2.ome.tif")
UUIDS = tuple(f"urn:uuid:11111111-0000-0000-0000-00000000000{n}" for n in range(3))
SIZES_UM = (0.65, 0.325, 1.3)


def uuid(number: int) -> str:
    return f'<UUID FileName="{NAMES[number]}">{UUIDS[number]}</UUID>'


def image(number: int, data: str, planes: int = 2, kind: str = "C") -> str:
    sizes = {"Z": 1, "C": 1, "T": 1} | {kind: planes}
    lengths = " ".join(f'Size{axis}="{length}"' for axis, length in sizes.items())
    names = ("DIC", "GFP", "RFP")
    channels = "".join(
        f'<Channel ID="Channel:{number}:{c}" SamplesPerPixel="1" Name="{names[c]}{number}"/>'
        for c in range(sizes["C"])
    )
    return (
        f'<Image ID="Image:{number}" Name="Pos{number}"><Pixels ID="Pixels:{number}" '
        f'DimensionOrder="XYCZT" Type="uint8" SizeX="24" SizeY="16" {lengths} '
        f'PhysicalSizeX="{SIZES_UM[number]}" PhysicalSizeY="{SIZES_UM[number]}">'
        f"{channels}{data}</Pixels></Image>"
    )


def document(images: str, own: str = "") -> str:
    attribute = f'UUID="{own}"' if own else ""
    return f'<?xml version="1.0"?><OME {OME} {attribute}>{images}</OME>'


def stack(number: int, planes: int = 2) -> np.ndarray:
    rng = np.random.default_rng(number)
    return rng.integers(60 * number, 60 * number + 50, (planes, 16, 24), dtype=np.uint8)


def write(path, planes, xml, compression=None):
    tifffile.imwrite(
        path, planes, photometric="minisblack", description=xml.encode(), metadata=None, ome=False,
        compression=compression,
    )  # fmt: skip


@pytest.fixture(params=[None, "lzw"])
def positions(request, tmp_path):
    """Three files, a position each; every one has the OME-XML of all."""
    images = "".join(
        image(n, f'<TiffData IFD="0" PlaneCount="2">{uuid(n)}</TiffData>') for n in range(3)
    )
    for number, name in enumerate(NAMES):
        xml = document(images, UUIDS[number])
        write(tmp_path / name, stack(number), xml, request.param)
    return tmp_path


def test_every_member_gives_every_scene_with_its_own_pixels_and_metadata(positions):
    for name in NAMES:
        scenes = describe_file(positions / name)["scenes"]
        assert [scene["name"] for scene in scenes] == ["Pos0", "Pos1", "Pos2"]
        for number, scene in enumerate(scenes):
            for choice in (str(number), f"Pos{number}"):
                field = read_field(positions / name, ReadConfig(scene=choice))
                assert np.array_equal(field.pixels, stack(number))
                assert field.channels == (f"DIC{number}", f"GFP{number}")
                assert field.pixel_size_um == scene["pixel_size_um"] == SIZES_UM[number]
        assert dataset_files(positions / name) == tuple(positions / one for one in NAMES)


def test_a_renamed_file_alone_keeps_its_scene_pixel_size_and_channels(positions, tmp_path):
    (tmp_path / "other").mkdir()
    path = tmp_path / "other" / "HSC_01.tif"
    shutil.copy(positions / NAMES[1], path)
    field = read_field(path)
    assert np.array_equal(field.pixels, stack(1))
    assert (field.channels, field.pixel_size_um) == (("DIC1", "GFP1"), SIZES_UM[1])
    assert field.remarks[0].startswith("it is one file of a set of 3, and the others are not")
    assert dataset_files(path) == (path,)


def test_a_missing_member_is_named_and_the_others_are_read(positions):
    (positions / NAMES[1]).unlink()
    pixels = read_field(positions / NAMES[0], ReadConfig(scene="Pos2")).pixels
    assert np.array_equal(pixels, stack(2))
    with pytest.raises(InputError, match=r"Pos0\.ome\.tif cannot be read: s_Pos1\.ome\.tif, .*"):
        read_field(positions / NAMES[0], ReadConfig(scene="Pos1"))
    assert dataset_files(positions / NAMES[2]) == (positions / NAMES[0], positions / NAMES[2])


def test_swapped_members_are_told_by_their_uuid(positions):
    (positions / NAMES[0]).rename(positions / "x")
    (positions / NAMES[1]).rename(positions / NAMES[0])
    (positions / "x").rename(positions / NAMES[1])
    # What lies here is Pos1, whatever it is called; the other name holds another file now.
    pixels = read_field(positions / NAMES[0], ReadConfig(scene="Pos1")).pixels
    assert np.array_equal(pixels, stack(1))
    with pytest.raises(InputError, match=r"Pos0\.ome\.tif.* UUID is another"):
        read_field(positions / NAMES[2], ReadConfig(scene="Pos0"))


def test_a_set_without_uuids_goes_by_names(tmp_path):
    images = "".join(
        image(n, f'<TiffData IFD="0" PlaneCount="2"><UUID FileName="{NAMES[n]}"/></TiffData>')
        for n in range(2)
    )
    for number in range(2):
        write(tmp_path / NAMES[number], stack(number), document(images))
    for number in range(2):
        for name in NAMES[:2]:
            pixels = read_field(tmp_path / name, ReadConfig(scene=str(number))).pixels
            assert np.array_equal(pixels, stack(number))
    (tmp_path / NAMES[0]).rename(tmp_path / "renamed.ome.tif")
    with pytest.raises(InputError, match=r"nothing tells which of them it was; give it its old"):
        read_field(tmp_path / "renamed.ome.tif")


def test_one_plane_a_file_makes_one_scene_and_none_is_filled(tmp_path):
    data = "".join(
        f'<TiffData IFD="0" FirstC="{n}" PlaneCount="1">{uuid(n)}</TiffData>' for n in range(3)
    )
    for number, name in enumerate(NAMES):
        write(tmp_path / name, stack(0, 3)[number], document(image(0, data, 3), UUIDS[number]))
    for name in NAMES:
        assert np.array_equal(read_field(tmp_path / name).pixels, stack(0, 3))
    (tmp_path / NAMES[2]).unlink()
    assert read_field(tmp_path / NAMES[0], ReadConfig(channel="1")).pixels.shape == (1, 16, 24)
    with pytest.raises(InputError, match=r"s_Pos2\.ome\.tif, another file of .*, is missing"):
        read_field(tmp_path / NAMES[0])


def test_metadata_in_a_companion_file_are_followed(tmp_path):
    data = "".join(
        f'<TiffData IFD="0" FirstT="{n}" PlaneCount="1">{uuid(n)}</TiffData>' for n in range(2)
    )
    companion = tmp_path / "s.companion.ome"
    companion.write_text(document(image(0, data, 2, "T")))
    for number in range(2):
        only = f'<BinaryOnly MetadataFile="{companion.name}" UUID="urn:uuid:9"/>'
        write(tmp_path / NAMES[number], stack(0)[number], document(only, UUIDS[number]))
    field = read_field(tmp_path / NAMES[1])
    assert np.array_equal(field.pixels, stack(0))
    assert field.pixel_size_um == SIZES_UM[0]
    files = {companion, tmp_path / NAMES[0], tmp_path / NAMES[1]}
    assert set(dataset_files(tmp_path / NAMES[0])) == files
    companion.unlink()
    with pytest.raises(InputError, match=r"s\.companion\.ome, which has the OME-XML .* is missing"):
        read_field(tmp_path / NAMES[0])


@pytest.mark.parametrize("data", ["", "<TiffData/>", '<TiffData IFD="0"/>'])
def test_a_file_with_fewer_pages_than_its_xml_says_is_refused(data, tmp_path):
    write(tmp_path / "a.ome.tif", stack(0, 2), document(image(0, data, 3, "Z")))
    with pytest.raises(InputError, match=r"OME-XML says 3 planes, the file holds 2|no plane at"):
        read_field(tmp_path / "a.ome.tif")
    write(tmp_path / "b.ome.tif", stack(0, 3), document(image(0, "<TiffData/>", 3, "Z")))
    assert np.array_equal(read_field(tmp_path / "b.ome.tif").pixels, stack(0, 3))


def test_pages_of_another_size_than_the_xml_says_are_refused(tmp_path):
    write(tmp_path / "a.ome.tif", stack(0)[:, :8], document(image(0, "<TiffData/>")))
    with pytest.raises(InputError, match="OME-XML says 16x24 pixels, a page has 8x24"):
        read_field(tmp_path / "a.ome.tif")


def test_the_case_gives_each_scene_its_pixels(case):
    folder = case("ome-multifile-scene")
    for kind in ("src", "srclzw"):
        for name in ("set_Pos0.ome.tif", "set_Pos1.ome.tif"):
            for scene, mean in (("Pos0", 22), ("Pos1", 122)):
                field = read_field(folder / kind / "A" / name, ReadConfig(scene=scene))
                assert field.pixels[0].mean() == pytest.approx(mean, abs=1)
    field = read_field(folder / "renamed" / "HSC_01.ome.tif")
    assert (field.pixel_size_um, field.channels) == (0.65, ("DIC", "GFP"))
    assert field.pixels[0].mean() == pytest.approx(122, abs=1)


def test_a_set_is_listed_only_for_formats_that_have_one(tmp_path):
    for name in ("a.png", "b.tif", "c.nd2"):
        (tmp_path / name).write_bytes(b"nothing")
        assert dataset_files(tmp_path / name) == (tmp_path / name,)
    (tmp_path / "d.oif.files").mkdir()
    for name in ("d.oif", "d.oif.files/s_C001.tif"):
        (tmp_path / name).write_bytes(b"nothing")
    files = (tmp_path / "d.oif", tmp_path / "d.oif.files" / "s_C001.tif")
    assert dataset_files(tmp_path / "d.oif") == files
