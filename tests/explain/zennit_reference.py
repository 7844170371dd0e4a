"""Small networks twice, in Keras and in PyTorch with the same weights: our LRP beside zennit's."""

from __future__ import annotations

import importlib.util
import sys
import types
from typing import Any

import numpy as np

EDGE = 18
PRESETS = ("epsilon", "epsilon-plus", "epsilon-alpha2-beta1", "epsilon-gamma-box")


def import_zennit() -> Any:
    """Import zennit, which looks for two classes of torchvision that are of no use here."""
    try:
        import torchvision.models.resnet  # noqa: F401
    except ImportError:
        resnet = types.ModuleType("torchvision.models.resnet")
        for kind in ("Bottleneck", "BasicBlock"):
            setattr(resnet, kind, type(kind, (), {}))
        sys.modules[resnet.__name__] = resnet
        for name in ("torchvision", "torchvision.models"):
            sys.modules.setdefault(name, types.ModuleType(name))
    import zennit.canonizers
    import zennit.composites
    import zennit.layer
    import zennit.rules
    import zennit.types

    return zennit


def compare() -> dict[str, np.ndarray]:
    """Return `lrp:ours:NETWORK:PRESET` and `lrp:zennit:...`, (N, H, W, C) each, on torch.

    Nothing where zennit is not installed.
    """
    if importlib.util.find_spec("zennit") is None:
        return {}
    from stemcls.explain.lrp.relevance import relevance
    from stemcls.explain.probe import open_probe

    crops = np.random.default_rng(0).integers(0, 256, (3, EDGE, EDGE, 3), dtype=np.uint8)
    targets = np.array([0, 2, 1])
    found = {}
    for name, (build, twin) in NETWORKS.items():
        model = build()
        _draw_weights(model)
        probe, module = open_probe(model), twin(model)
        for preset in PRESETS:
            found[f"lrp:ours:{name}:{preset}"] = relevance(probe, crops, targets, preset).pixels
            found[f"lrp:zennit:{name}:{preset}"] = _by_zennit(module, crops, targets, preset)
    return found


def straight() -> Any:
    """Convolutions with a bias or a BatchNorm to be folded, both poolings, two Dense layers."""
    import keras
    from keras import layers

    inputs = keras.Input((EDGE, EDGE, 3))
    x = layers.Rescaling(2 / 255, -1)(inputs)
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(x)
    x = layers.MaxPooling2D(2, name="most")(x)
    x = layers.Conv2D(6, 3, use_bias=False, name="middle")(x)
    x = layers.BatchNormalization(epsilon=1e-9, name="middle_norm")(x)
    x = layers.Activation("silu", name="bent")(x)
    x = layers.AveragePooling2D(2, strides=1, name="mean")(x)
    x = layers.Conv2D(4, 2, strides=2, activation="relu6", name="last")(x)
    x = layers.GlobalAveragePooling2D(name="pooling")(x)
    x = layers.Dense(5, activation="relu", name="dense")(x)
    return keras.Model(inputs, layers.Dense(3, name="logits")(x))


def straight_twin(model: Any) -> Any:
    from torch import nn

    return nn.Sequential(
        _convolution(model, "first", padding=1), nn.ReLU(), nn.MaxPool2d(2),
        _convolution(model, "middle"), _batch_norm(model, "middle_norm"), nn.SiLU(),
        nn.AvgPool2d(2, 1), _convolution(model, "last", stride=2), nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), _linear(model, "dense"), nn.ReLU(),
        _linear(model, "logits"),
    )


def winding() -> Any:
    """A shortcut, a concatenation, depthwise and separable layers, BatchNorm ahead of a ReLU."""
    import keras
    from keras import layers

    inputs = keras.Input((EDGE, EDGE, 3))
    x = layers.Rescaling(2 / 255, -1)(inputs)
    x = layers.ZeroPadding2D(1)(x)
    x = layers.Conv2D(6, 3, strides=2, name="first")(x)
    y = layers.BatchNormalization(name="ahead")(layers.MaxPooling2D(2, strides=1)(x))
    y = layers.ZeroPadding2D(((0, 1), (0, 1)))(layers.ReLU()(y))
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(y)
    x = layers.Add()([x, y])
    x = layers.LeakyReLU(negative_slope=0.1)(x)
    y = layers.SeparableConv2D(4, 3, padding="same", activation="relu", name="separable")(x)
    x = layers.Concatenate()([x, y])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(3, name="logits")(x))


def winding_twin(model: Any) -> Any:
    import torch
    from torch import nn

    zennit = import_zennit()

    class Winding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = _convolution(model, "first", stride=2, padding=1)
            self.most, self.rectify = nn.MaxPool2d(2, 1), nn.ReLU()
            self.ahead = _batch_norm(model, "ahead")
            self.depthwise = _depthwise(model, "depthwise", "kernel")
            self.sum, self.leaky = zennit.layer.Sum(), nn.LeakyReLU(0.1)
            self.inner = _depthwise(model, "separable", "depthwise_kernel")
            self.outer = _pointwise(model, "separable")
            self.rectify_again = nn.ReLU()
            self.pooling, self.flat = nn.AdaptiveAvgPool2d(1), nn.Flatten()
            self.logits = _linear(model, "logits")

        def forward(self, x: Any) -> Any:
            x = self.first(x)
            y = self.rectify(self.ahead(self.most(x)))
            y = self.depthwise(nn.functional.pad(y, (0, 1, 0, 1)))
            x = self.leaky(self.sum(torch.stack([x, y], dim=-1)))
            y = self.rectify_again(self.outer(self.inner(x)))
            return self.logits(self.flat(self.pooling(torch.cat([x, y], dim=1))))

    return Winding().eval()


NETWORKS = {"straight": (straight, straight_twin), "winding": (winding, winding_twin)}


def _by_zennit(module: Any, crops: np.ndarray, targets: np.ndarray, preset: str) -> np.ndarray:
    import torch

    zennit = import_zennit()
    rules, types_ = zennit.rules, zennit.types
    convolution, first = {
        "epsilon": (rules.Epsilon(), rules.Epsilon()),
        "epsilon-plus": (rules.ZPlus(), rules.ZPlus()),
        "epsilon-alpha2-beta1": (rules.AlphaBeta(2, 1), rules.AlphaBeta(2, 1)),
        "epsilon-gamma-box": (rules.Gamma(0.25), rules.ZBox(-1.0, 1.0)),
    }[preset]
    composite = zennit.composites.SpecialFirstLayerMapComposite(
        layer_map=[
            (types_.Activation, rules.Pass()), (types_.AvgPool, rules.Norm()),
            (zennit.layer.Sum, rules.Norm()), (types_.BatchNorm, rules.Epsilon()),
            (types_.Convolution, convolution), (torch.nn.Linear, rules.Epsilon()),
        ],
        first_map=[(types_.Convolution, first)],
        canonizers=[zennit.canonizers.SequentialMergeBatchNorm()],
    )
    scaled = torch.from_numpy(crops.astype(np.float32).transpose(0, 3, 1, 2)) * (2 / 255) - 1
    scaled.requires_grad_()
    with composite.context(module) as modified, torch.enable_grad():
        logits = modified(scaled)
        chosen = torch.nn.functional.one_hot(torch.from_numpy(targets), 3)
        (found,) = torch.autograd.grad(logits, scaled, grad_outputs=logits.detach() * chosen)
    return found.numpy().transpose(0, 2, 3, 1)


def _draw_weights(model: Any, seed: int = 1) -> None:
    """Give every layer weights of some size, BatchNorm statistics and biases too."""
    random = np.random.default_rng(seed)
    for layer in model.layers:
        drawn = []
        for variable in layer.weights:
            name, shape = variable.path.rsplit("/", 1)[-1], tuple(variable.shape)
            if name in ("gamma", "moving_variance"):
                drawn.append(random.uniform(0.5, 1.5, shape))
            elif len(shape) == 1:
                drawn.append(random.normal(0, 0.3, shape))
            else:
                fan_in = np.prod(shape[:-1]) if "depthwise" not in layer.name else 9
                drawn.append(random.normal(0, 1.4 / np.sqrt(fan_in), shape))
        layer.set_weights(drawn)


def _convolution(model: Any, name: str, stride: int = 1, padding: int = 0) -> Any:
    from torch import nn

    values = _weights(model, name)
    out, inner, *edges = values["kernel"].permute(3, 2, 0, 1).shape
    made = nn.Conv2d(inner, out, tuple(edges), stride, padding, bias="bias" in values)
    return _filled(made, values["kernel"].permute(3, 2, 0, 1), values.get("bias"))


def _depthwise(model: Any, name: str, kernel: str) -> Any:
    from torch import nn

    values = _weights(model, name)
    weight = values[kernel].permute(2, 3, 0, 1)
    bias = values.get("bias") if kernel == "kernel" else None
    made = nn.Conv2d(
        len(weight), len(weight), 3, padding=1, groups=len(weight), bias=bias is not None
    )
    return _filled(made, weight, bias)


def _pointwise(model: Any, name: str) -> Any:
    from torch import nn

    values = _weights(model, name)
    weight = values["pointwise_kernel"].permute(3, 2, 0, 1)
    return _filled(nn.Conv2d(weight.shape[1], weight.shape[0], 1), weight, values["bias"])


def _linear(model: Any, name: str) -> Any:
    from torch import nn

    values = _weights(model, name)
    made = nn.Linear(*values["kernel"].shape)
    return _filled(made, values["kernel"].T, values["bias"])


def _batch_norm(model: Any, name: str) -> Any:
    from torch import nn

    values = _weights(model, name)
    made = nn.BatchNorm2d(len(values["gamma"]), eps=model.get_layer(name).epsilon).eval()
    made.running_mean, made.running_var = values["moving_mean"], values["moving_variance"]
    return _filled(made, values["gamma"], values["beta"])


def _filled(made: Any, weight: Any, bias: Any) -> Any:
    made.weight.data = weight.contiguous()
    if bias is not None:
        made.bias.data = bias
    return made


def _weights(model: Any, name: str) -> dict[str, Any]:
    import torch

    layer = model.get_layer(name)
    return {
        variable.path.rsplit("/", 1)[-1]: torch.from_numpy(values.copy())
        for variable, values in zip(layer.weights, layer.get_weights(), strict=True)
    }
