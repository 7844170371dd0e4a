"""Read image and microscope files of every supported format into fields."""

from stemcls.imaging.readers.read import (
    count_pixels,
    dataset_files,
    describe_file,
    read_field,
)
from stemcls.imaging.readers.table import (
    READERS,
    Reader,
    is_image_folder,
    missing_package,
    suffix_of,
)

__all__ = [
    "READERS", "Reader", "count_pixels", "dataset_files", "describe_file", "is_image_folder",
    "missing_package", "read_field", "suffix_of",
]  # fmt: skip
