"""TinyCNN: trains from scratch on a CPU in a minute."""

from __future__ import annotations

from typing import Any


def tiny_cnn(input_tensor: Any, weights: None = None) -> Any:
    """Build four blocks of two 3x3 convolutions, 16 to 64 channels, stride 8."""
    import keras

    del weights  # there are none to load
    x = input_tensor
    for block, channels in enumerate((16, 32, 48, 64), start=1):
        for half in ("a", "b"):
            name = f"block{block}{half}"
            x = keras.layers.Conv2D(
                channels, 3, padding="same", use_bias=False, kernel_initializer="he_normal",
                name=f"{name}_conv",
            )(x)
            x = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
            x = keras.layers.ReLU(name=f"{name}_relu")(x)
        if block < 4:
            x = keras.layers.MaxPooling2D(name=f"block{block}_pool")(x)
    return keras.Model(input_tensor, x, name="tiny_cnn")
