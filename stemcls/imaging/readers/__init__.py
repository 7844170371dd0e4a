"""Read image and microscope files of every supported format into fields."""

from stemcls.imaging.readers.read import describe_file, list_images, list_unread, read_field
from stemcls.imaging.readers.table import READERS, Reader, missing_package

__all__ = [
    "READERS", "Reader", "describe_file", "list_images", "list_unread", "missing_package",
    "read_field",
]  # fmt: skip
