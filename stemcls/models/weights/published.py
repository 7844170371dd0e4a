"""The ImageNet weights that were published for each backbone: file, address, checksum."""

from __future__ import annotations

from dataclasses import dataclass

from stemcls.models.backbones import BACKBONES

KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"
TORCH = "https://download.pytorch.org/models"
_KERNELS = "weights_tf_dim_ordering_tf_kernels"


@dataclass(frozen=True)
class PublishedFile:
    """One file of weights without classifier.

    Attributes:
        file: Its name, as in Keras' cache.
        url: Where it is.
        checksum: MD5 (32 digits) or SHA-256 (64) as Keras has it; empty where Keras has none.
        by_keras: Keras downloads it; else it is torch's and is imported by hand.
    """

    file: str
    url: str
    checksum: str = ""
    by_keras: bool = True


def _of_keras(folder: str, file: str, checksum: str = "") -> PublishedFile:
    return PublishedFile(file, f"{KERAS}/{folder}/{file}", checksum)


def _of_torch(file: str) -> PublishedFile:
    return PublishedFile(file, f"{TORCH}/{file}", by_keras=False)


# Folder, stem of the file name and checksum, as in keras.applications; a test compares them.
_FILES = {
    "DenseNet121": ("densenet", "densenet121", "30ee3e1110167f948a6b9946edeeb738"),
    "DenseNet169": ("densenet", "densenet169", "b8c4d4c20dd625c148057b9ff1c1176b"),
    "DenseNet201": ("densenet", "densenet201", "c13680b51ded0fb44dff2d8f86ac8bb1"),
    "ResNet50": ("resnet", "resnet50", "4d473c1dd8becc155b73f8504c6f6626"),
    "ResNet101": ("resnet", "resnet101", "88cf7a10940856eca736dc7b7e228a21"),
    "ResNet152": ("resnet", "resnet152", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    "ResNet50V2": ("resnet", "resnet50v2", "fac2f116257151a9d068a22e544a4917"),
    "ResNet101V2": ("resnet", "resnet101v2", "c0ed64b8031c3730f411d2eb4eea35b5"),
    "ResNet152V2": ("resnet", "resnet152v2", "ed17cf2e0169df9d443503ef94b23b33"),
    "InceptionV3": ("inception_v3", "inception_v3", "bcbd6486424b2319ff4ef7d526e38f63"),
    "Xception": ("xception", "xception", "b0042744bf5b25fce3cb969f33bebb97"),
    "VGG16": ("vgg16", "vgg16", "6d6bbae143d832006294945121d1f1fc"),
    "VGG19": ("vgg19", "vgg19", "253f8cb515780f3b799900260a226db6"),
}

PUBLISHED: dict[tuple[str, float], PublishedFile] = {
    **{
        (name, 1.0): _of_keras(folder, f"{stem}_{_KERNELS}_notop.h5", checksum)
        for name, (folder, stem, checksum) in _FILES.items()
    },
    **{
        ("MobileNet", alpha): _of_keras("mobilenet", f"mobilenet_{text}_224_tf_no_top.h5")
        for alpha, text in ((0.25, "2_5"), (0.5, "5_0"), (0.75, "7_5"), (1.0, "1_0"))
    },
    **{
        ("MobileNetV2", alpha): _of_keras(
            "mobilenet_v2", f"mobilenet_v2_{_KERNELS}_{alpha}_224_no_top.h5"
        )
        for alpha in BACKBONES["MobileNetV2"].alphas
    },
    **{
        (f"MobileNetV3{size}", alpha): _of_keras(
            "mobilenet_v3",
            f"weights_mobilenet_v3_{size.lower()}_224_{alpha}_float_no_top_v2.h5",
            checksum,
        )
        for size, alpha, checksum in (
            ("Small", 0.75, "ebdb5cc8e0b497cd13a7c275d475c819"),
            ("Small", 1.0, "d3e8ec802a04aa4fc771ee12a9a9b836"),
            ("Large", 0.75, "40af19a13ebea4e2ee0c676887f69a2e"),
            ("Large", 1.0, "07fb09a5933dd0c8eaafa16978110389"),
        )
    },
    **{
        (f"EfficientNetV2{size}", 1.0): _of_keras(
            "efficientnet_v2", f"efficientnetv2-{size.lower()}_notop.h5", checksum
        )
        for size, checksum in (
            ("B0", "893217f2bb855e2983157299931e43ff"),
            ("B1", "0e80663031ca32d657f9caa404b6ec37"),
            ("S", "af0682fb74e8c54910f2d4393339c070"),
        )
    },
    **{
        (f"ConvNeXt{size}", 1.0): _of_keras(
            "convnext", f"convnext_{size.lower()}_notop.h5", checksum
        )
        for size, checksum in (
            ("Tiny", "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1"),
            ("Small", "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab"),
        )
    },
    ("ResNet18", 1.0): _of_torch("resnet18-f37072fd.pth"),
    ("ResNet34", 1.0): _of_torch("resnet34-b627a593.pth"),
    ("DenseNet161", 1.0): _of_torch("densenet161-8d451a50.pth"),
}


def published_file(name: str, alpha: float) -> PublishedFile | None:
    """Return what was published for a backbone at a width; None where nothing was."""
    return PUBLISHED.get((name, alpha if BACKBONES[name].alphas else 1.0))


def how_to_get(name: str, alpha: float) -> str:
    """Return what to do to have the ImageNet weights without a network here, as a sentence."""
    source = published_file(name, alpha)
    if source is None:
        return f"no ImageNet weights of {name} were published"
    width = f" --alpha {alpha:g}" if BACKBONES[name].alphas else ""
    command = f"stemcls weights import FILE --backbone {name}{width}"
    if source.by_keras:
        return (
            f"On a machine with a network download {source.url}, copy it here, and run: {command}"
        )
    converted = source.file.replace(".pth", ".safetensors")
    return (
        f"Where torch is installed download {source.url} and convert it once: "
        f"{conversion(source.file)}; then run: {command.replace('FILE', converted)}"
    )


def conversion(file: str) -> str:
    """Return the one line that turns a torch pickle into safetensors."""
    stem = file.rsplit(".", 1)[0]
    return (
        "python -c \"import torch, safetensors.torch as s; s.save_file({k: v.contiguous() for k, v "
        f"in torch.load('{file}', map_location='cpu', weights_only=True).items()}}, "
        f"'{stem}.safetensors')\""
    )
