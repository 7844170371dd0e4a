"""Write a small file of every format that can be written, from planes (C, Y, X) of uint16.

LIF, OIF, OIB and OIR are written byte by byte from the layout that their readers document; they
show that our adapters pass on what the package reads, not that a microscope's own file is read.
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile

from stemcls.imaging.readers import READERS, missing_package

PLANES = np.random.default_rng(0).integers(1, 4096, (2, 40, 52), dtype=np.uint16)
PIXEL_SIZE_UM = 0.25
CHANNELS = ("DIC", "GFP")
ACQUIRED = "2024-05-01T12:30:00"


def skip_without_package(suffix: str) -> None:
    """End a test where the package that reads a format cannot be had."""
    problem = missing_package(READERS[suffix])
    if problem:
        pytest.skip(problem)


def write_ome_tiff(path: Path, planes: np.ndarray) -> None:
    metadata = {
        "axes": "CYX", "Channel": {"Name": list(CHANNELS)},
        "PhysicalSizeX": PIXEL_SIZE_UM, "PhysicalSizeY": PIXEL_SIZE_UM,
        "AcquisitionDate": ACQUIRED,
        "Plane": {
            "PositionX": [0.5, 0.5], "PositionY": [-1.25, -1.25],
            "PositionXUnit": ["mm", "mm"], "PositionYUnit": ["mm", "mm"],
        },
    }  # fmt: skip
    tifffile.imwrite(path, planes, ome=True, metadata=metadata)


def write_czi(path: Path, planes: np.ndarray) -> None:
    from pylibCZIrw import czi

    path.unlink(missing_ok=True)
    with czi.create_czi(str(path)) as file:
        for number, plane in enumerate(planes):
            file.write(plane[..., None], plane={"C": number, "T": 0, "Z": 0})
        file.write_metadata(
            path.name, channel_names=dict(enumerate(CHANNELS)),
            scale_x=PIXEL_SIZE_UM * 1e-6, scale_y=PIXEL_SIZE_UM * 1e-6,
        )


def write_lif(path: Path, planes: np.ndarray) -> None:
    count, rows, columns = planes.shape
    line, plane = columns * 2, rows * columns * 2
    channels = "".join(
        f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="16" '
        f'NameOfMeasuredQuantity="" Min="0" Max="65535" Unit="" LUTName="{name}" '
        f'IsLUTInverted="0" BytesInc="{number * plane}" BitInc="0"/>'
        for number, name in enumerate(CHANNELS[:count])
    )
    dimensions = "".join(
        f'<DimensionDescription DimID="{identity}" NumberOfElements="{length}" Origin="0" '
        f'Length="{(length - 1) * PIXEL_SIZE_UM * 1e-6!r}" Unit="m" BytesInc="{step}" BitInc="0"/>'
        for identity, length, step in ((1, columns, 2), (2, rows, line))
    )
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="lif" UniqueID="a"><Children>'
        '<Element Name="field" UniqueID="b"><Data><Image><ImageDescription>'
        f"<Channels>{channels}</Channels><Dimensions>{dimensions}</Dimensions>"
        "</ImageDescription></Image></Data>"
        f'<Memory Size="{planes.nbytes}" MemoryBlockID="MemBlock_1"/></Element>'
        "</Children></Element></LMSDataContainerHeader>"
    )
    name = "MemBlock_1"
    path.write_bytes(
        struct.pack("<IIBI", 0x70, 2 * len(xml) + 5, 0x2A, len(xml)) + xml.encode("utf-16-le")
        + struct.pack("<IIBQBI", 0x70, 2 * len(name) + 14, 0x2A, planes.nbytes, 0x2A, len(name))
        + name.encode("utf-16-le") + planes.astype("<u2").tobytes()
    )


def _oif_settings(planes: np.ndarray) -> bytes:
    count, rows, columns = planes.shape
    lines = [
        "[ProfileSaveInfo]", 'Name="stemcls test"', 'Version="1.0"',
        "[Acquisition Parameters Common]", f"ImageCaputreDate='{ACQUIRED.replace('T', ' ')}'",
        "[Reference Image Parameter]", f"ImageHeight={rows}", f"ImageWidth={columns}",
        f"WidthConvertValue={PIXEL_SIZE_UM}", f"HeightConvertValue={PIXEL_SIZE_UM}",
        'WidthUnit="um"', 'HeightUnit="um"', "ValidBitCounts=12",
    ]  # fmt: skip
    for number, name in enumerate(CHANNELS[:count], 1):
        lines += [f"[GUI Channel {number} Parameters]", "CH Activate=1", f'DyeName="{name}"']
    return b"\xff\xfe" + "\r\n".join(lines).encode("utf-16-le")


def _tiff_bytes(plane: np.ndarray) -> bytes:
    import io

    buffer = io.BytesIO()
    tifffile.imwrite(buffer, plane, metadata=None)
    return buffer.getvalue()


def write_oif(path: Path, planes: np.ndarray) -> None:
    path.write_bytes(_oif_settings(planes))
    folder = path.with_name(path.name + ".files")
    folder.mkdir(exist_ok=True)
    for number, plane in enumerate(planes, 1):
        (folder / f"s_C{number:03}.tif").write_bytes(_tiff_bytes(plane))


def write_oib(path: Path, planes: np.ndarray) -> None:
    """Write the OIF's parts as streams of a compound document (version 3, no mini streams)."""
    streams = {"Stream00000": _oif_settings(planes)}
    lines = ["[OibSaveInfo]", "MainFileName=Stream00000", "Stream00000=main.oif"]
    for number, plane in enumerate(planes, 1):
        streams[f"Stream{number:05}"] = _tiff_bytes(plane)
        lines.append(f"Stream{number:05}=Storage00001/s_C{number:03}.tif")
    streams["OibInfo.txt"] = b"\xff\xfe" + "\r\n".join(lines).encode("utf-16-le")
    sector, end, free = 512, 0xFFFFFFFE, 0xFFFFFFFF
    directory_sectors = -(-(len(streams) + 1) * 128 // sector)
    fat = [0xFFFFFFFD, *range(2, 1 + directory_sectors), end]
    body = b""
    entries = [_entry("Root Entry", 5, child=1)]
    for number, (name, data) in enumerate(streams.items(), 1):
        start, count = len(fat), max(1, -(-len(data) // sector))
        fat += [*range(start + 1, start + count), end]
        body += data.ljust(count * sector, b"\0")
        right = number + 1 if number < len(streams) else free
        entries.append(_entry(name, 2, right=right, start=start, size=len(data)))
    assert len(fat) <= sector // 4
    directory = b"".join(entries).ljust(directory_sectors * sector, b"\0")
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + struct.pack(
        "<16sHHHHHHIIIIIIIIII", b"", 0x3E, 3, 0xFFFE, 9, 6, 0, 0, 0, 1, 1, 0, 0, end, 0, end, 0
    )
    header += struct.pack("<109I", 0, *[free] * 108)
    table = struct.pack(f"<{sector // 4}I", *fat, *[free] * (sector // 4 - len(fat)))
    path.write_bytes(header + table + directory + body)


def _entry(
    name: str, kind: int, right: int = 0xFFFFFFFF, child: int = 0xFFFFFFFF,
    start: int = 0xFFFFFFFE, size: int = 0,
) -> bytes:  # fmt: skip
    text = (name + "\0").encode("utf-16-le")
    return struct.pack(
        "<64sHBBIII16sIQQIQ", text, len(text), kind, 1, 0xFFFFFFFF, right, child, b"", 0, 0, 0,
        start, size,
    )  # fmt: skip


def write_oir(path: Path, planes: np.ndarray) -> None:
    count, rows, columns = planes.shape
    guids = [f"0000000{number}-aaaa-bbbb-cccc-00000000000{number}" for number in range(count)]
    channels = "".join(
        f'<channel id="{guid}" order="{number}"><name>{name}</name></channel>'
        for number, (guid, name) in enumerate(zip(guids, CHANNELS, strict=False))
    )
    image = (
        '<?xml version="1.0"?><lsmimage:properties xmlns:lsmimage="l">'
        f"<creationDateTime>{ACQUIRED}.123+09:00</creationDateTime>"
        f"<length><x>{PIXEL_SIZE_UM}</x><y>{PIXEL_SIZE_UM}</y></length>{channels}"
        "</lsmimage:properties>"
    ).encode()
    frame = (
        f'<?xml version="1.0"?><frame><width>{columns}</width><height>{rows}</height>'
        "<depth>2</depth><bitCounts>12</bitCounts><colorType>GrayScale</colorType></frame>"
    ).encode()
    blocks = [(0, image), (1, frame)]
    for guid, plane in zip(guids, planes, strict=True):
        uid = f"z001t001_0_1_{guid}_0".encode()
        blocks += [(3, struct.pack("<III", 0, 0, len(uid)) + uid)]
        blocks += [(4, plane.astype("<u2").tobytes())]
    body, offsets, position = b"", [], 96
    for kind, payload in blocks:
        offsets.append(position)
        block = struct.pack("<II", len(payload), kind) + payload
        body += block
        position += len(block)
    index = struct.pack(f"<I{len(offsets)}Q", 0xFFFFFFFF, *offsets)
    size = position + len(index)
    head = b"OLYMPUSRAWFORMAT" + struct.pack("<IIIIQQ", 12, 0, 1, 2, size, position)
    path.write_bytes(head.ljust(96, b"\0") + body + index)


def write_poir(path: Path, planes: np.ndarray) -> None:
    inner = path.with_name("inner.oir")
    write_oir(inner, planes)
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(inner, "field.oir")
    inner.unlink()


WRITERS = {
    ".ome.tif": write_ome_tiff,
    ".ome.tiff": write_ome_tiff,
    ".czi": write_czi,
    ".lif": write_lif,
    ".oif": write_oif,
    ".oib": write_oib,
    ".oir": write_oir,
    ".poir": write_poir,
}
