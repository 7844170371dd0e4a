"""Make a picture of a field in which a person can judge the cells that were found."""

from __future__ import annotations

import cv2
import numpy as np

from stemcls.imaging.composite import compose
from stemcls.imaging.field import Field

_MOST_SLICES = 4
_LEAST_LEVEL = 0.2  # of white, that the middle pixel of a dark field is lifted to
_LEAST_GAMMA = 0.4


def viewable(field: Field) -> np.ndarray:
    """Return (Y, X, 1 or 3) uint8: contrast stretched, and shadows lifted where most is dark.

    Colour photographs stay as they are. More than four slices are shown as their mean.
    """
    if field.channels == ("red", "green", "blue") and field.pixels.dtype == np.uint8:
        return compose(field)
    channels = "grey" if len(field.pixels) > _MOST_SLICES else "auto"
    image = compose(field, channels, "field")
    level = float(np.median(image[::4, ::4].max(axis=2))) / 255
    if level >= _LEAST_LEVEL:
        return image
    # Dim cells beside bright ones would be black, though the finder sees them.
    gamma = max(_LEAST_GAMMA, np.log(_LEAST_LEVEL) / np.log(max(level, 1 / 255)))
    curve = np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    return cv2.LUT(image, curve).reshape(image.shape)
