"""Maps of the same weights by tf-keras-vis and pytorch-grad-cam; .ci/references.txt lists them."""

from __future__ import annotations

import importlib.util
import sys
import types
import warnings
from typing import Any

import numpy as np


def by_tf_keras_vis(model: Any, crops: np.ndarray, targets: list[int]) -> dict[str, np.ndarray]:
    """Return raw maps of layer `maps`; nothing where tf-keras-vis is not installed."""
    if importlib.util.find_spec("tf_keras_vis") is None:
        return {}
    import keras

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports from places that SciPy has moved
        from tf_keras_vis.gradcam import Gradcam
        from tf_keras_vis.layercam import Layercam
        from tf_keras_vis.utils.scores import CategoricalScore

    logits = keras.Model(model.inputs, model.get_layer("logits").output)
    found = {}
    for name, kind in (("gradcam", Gradcam), ("layercam", Layercam)):
        found[name] = np.asarray(kind(logits, clone=False)(
            CategoricalScore(targets), crops.astype(np.float32), penultimate_layer="maps",
            seek_penultimate_conv_layer=False, expand_cam=False, normalize_cam=False,
        ))
    return found


def by_pytorch_grad_cam(model: Any, crops: np.ndarray, targets: list[int]) -> dict[str, np.ndarray]:
    """Return raw maps of layer `maps`; nothing where pytorch-grad-cam is not installed.

    The network is built anew of torch's own modules, with the weights of the Keras model.
    """
    if importlib.util.find_spec("pytorch_grad_cam") is None:
        return {}
    _stand_in_for_torchvision()
    import torch
    from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, LayerCAM, ScoreCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    network = _rebuilt(model)
    pixels = torch.tensor(crops.astype(np.float32)).permute(0, 3, 1, 2)
    pixels.requires_grad_(True)
    wanted = [ClassifierOutputTarget(target) for target in targets]
    kinds: dict[str, Any] = {
        "gradcam": GradCAM, "gradcam++": GradCAMPlusPlus, "layercam": LayerCAM
    }
    if model.get_layer("maps").output.shape[1:3] == model.input_shape[1:3]:
        kinds = {"scorecam": ScoreCAM}  # it enlarges maps in another way: here there is no need
    found = {}
    for name, kind in kinds.items():
        cam = kind(network, [network.maps])
        if name == "scorecam":
            sys.modules["pytorch_grad_cam.score_cam"].tqdm.tqdm = lambda steps: steps
        cam(pixels, wanted)
        activations = cam.activations_and_grads.activations[0].detach().numpy()
        gradients = [value.detach().numpy() for value in cam.activations_and_grads.gradients]
        raw = cam.get_cam_image(
            pixels, network.maps, wanted, activations, gradients[0] if gradients else None, False,
        )
        cam.activations_and_grads.release()
        found[name] = np.maximum(raw, 0)
    return found


def _rebuilt(model: Any) -> Any:
    import torch

    def convolution(name: str) -> Any:
        layer = model.get_layer(name)
        kernel, bias = layer.get_weights()
        made = torch.nn.Conv2d(*kernel.shape[2:], 3, stride=layer.strides[0])
        made.weight.data = torch.tensor(kernel.transpose(3, 2, 0, 1).copy())
        made.bias.data = torch.tensor(bias)
        # Keras pads a stride of 2 below and on the right alone.
        sides = (0, 1, 0, 1) if layer.strides[0] == 2 else (1, 1, 1, 1)
        return torch.nn.Sequential(torch.nn.ZeroPad2d(sides), made)

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = convolution("first"), convolution("maps")
            self.maps = torch.nn.ReLU()
            kernel, bias = model.get_layer("logits").get_weights()
            self.logits = torch.nn.Linear(*kernel.shape)
            self.logits.weight.data = torch.tensor(kernel.T.copy())
            self.logits.bias.data = torch.tensor(bias)

        def forward(self, pixels: Any) -> Any:
            x = torch.relu(self.first(pixels / 255))
            return self.logits(self.maps(self.second(x)).mean(dim=(2, 3)))

    return Network().eval()


def _stand_in_for_torchvision() -> None:
    """Let pytorch-grad-cam be imported: it names functions of torchvision that maps never call."""
    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is not None:
        return
    names = {
        "torchvision": (),
        "torchvision.transforms": ("Compose", "Normalize", "ToTensor"),
        "torchvision.transforms.functional": ("resize",),
    }
    for name, members in names.items():
        module = sys.modules[name] = types.ModuleType(name)
        for member in members:
            setattr(module, member, None)
