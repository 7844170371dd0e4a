"""Read image and microscope files of every supported format into fields."""

from stemcls.imaging.readers.read import count_pixels, describe_file, read_field
from stemcls.imaging.readers.table import READERS, Reader, missing_package, suffix_of

__all__ = [
    "READERS", "Reader", "count_pixels", "describe_file", "missing_package", "read_field",
    "suffix_of",
]  # fmt: skip
