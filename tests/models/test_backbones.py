"""Every row of the table: the published network on raw pixels, flat, tapped where it says."""

import functools
import re
from pathlib import Path

import keras
import numpy as np
import pytest

from stemcls.config.experiment import ModelConfig
from stemcls.errors import InputError
from stemcls.explain.graph import LEAST_EDGE, backbone_layer
from stemcls.explain.probe import open_probe
from stemcls.models.backbones import BACKBONES, backbone_named
from stemcls.models.build import add_head, build_extractor, extractor_of, stem_kernel
from stemcls.models.portable import KNOWN, OF_ALL, OLDEST_KERAS, plain

from .published import published, quick_weights

DOCS = Path(__file__).parents[2] / "docs" / "backbones.md"
PREPROCESSING = {
    "MobileNetV2": "mobilenet_v2", "MobileNetV3": "mobilenet_v3", "MobileNet": "mobilenet",
    "EfficientNetV2": "efficientnet_v2", "DenseNet": "densenet", "InceptionV3": "inception_v3",
    "ResNet18": "densenet", "ResNet34": "densenet", "ResNet\\d+V2": "resnet_v2",
    "ResNet": "resnet", "Xception": "xception", "VGG16": "vgg16", "VGG19": "vgg19",
    "ConvNeXt": "convnext", "TinyCNN": "mobilenet",
}
NORMALISE_INSIDE = {
    "MobileNetV3": "MobileNetV3Small", "EfficientNetV2B": "EfficientNetV2B0",
    "EfficientNetV2S": "EfficientNetV2S", "ConvNeXt": "ConvNeXtTiny",
}
# A shortcut passes their stride-8 tap by: a class activation map takes the sum before it.
PASSED_BY = ("ResNet50V2", "ResNet101V2", "ResNet152V2", "Xception")


@pytest.fixture(autouse=True)
def quickly():
    with quick_weights():
        yield


@functools.cache
def normalising_part(name):
    """Return the first layers of a network of keras.applications that normalises inside."""
    whole = getattr(keras.applications, name)(include_top=False, weights=None)
    inside = (keras.layers.Rescaling, keras.layers.Normalization)
    last = [layer for layer in whole.layers[1:4] if isinstance(layer, inside)][-1]
    return keras.Model(whole.input, last.output)


def as_keras_does_it(name, network, crops):
    """Return pooled features by `keras.applications` and its own `preprocess_input`."""
    module = next(value for key, value in PREPROCESSING.items() if re.match(key, name))
    pixels = getattr(keras.applications, module).preprocess_input(crops.astype("float32"))
    family = next((one for one in NORMALISE_INSIDE if name.startswith(one)), None)
    if family:
        pixels = normalising_part(NORMALISE_INSIDE[family])(pixels)
    # Networks of keras.applications wrap their input in a list.
    network = keras.Model(network.inputs[0], network.outputs[0])
    return np.asarray(keras.ops.mean(network(pixels, training=False), axis=(1, 2)))


def shapes_of(model, edge):
    """Return the shape of every layer's output for crops of another edge than it was built for."""
    shapes = {id(model.input): (1, edge, edge, 3)}
    for layer in model.layers[1:]:
        taken = keras.tree.map_structure(lambda tensor: shapes[id(tensor)], layer.input)
        shapes[id(layer.output)] = layer.compute_output_shape(taken)
    return {layer.name: shapes[id(layer.output)] for layer in model.layers}


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_is_the_published_one_flat_and_tapped_where_it_says(name):
    row, edge = BACKBONES[name], BACKBONES[name].least_px
    network = published(name, edge)
    deepest = row.taps[max(row.taps)]
    ours = extractor_of(network, row, [deepest], (edge, edge), 3, 255.0, keep_weights=True)
    crops = np.random.default_rng(1).integers(0, 256, (2, edge, edge, 3)).astype(np.uint8)

    theirs = as_keras_does_it(name, network, crops)
    difference = np.abs(np.asarray(ours(crops, training=False)) - theirs).max()
    assert difference <= 1e-5 * max(1.0, np.abs(theirs).max())

    assert all(type(layer).__module__.startswith("keras.src.layers") for layer in ours.layers)
    assert "keras.src" not in str(ours.get_config())
    assert len(ours.operations) == len(ours.layers)
    for layer in plain(keras.saving.serialize_keras_object(ours))["config"]["layers"]:
        kind = layer["class_name"]
        assert kind in KNOWN, f"{kind}: look up what Keras {OLDEST_KERAS} knows of it"
        assert set(layer["config"]) <= KNOWN[kind] | OF_ALL, "an older Keras would refuse it"

    shapes = shapes_of(ours, 224)
    # Inception and Xception do not pad, so their maps are a little smaller.
    strides = [2 ** round(np.log2(224 / shapes[tap][1])) for tap in row.taps.values()]
    assert strides == list(row.taps)
    assert line_of(name, network.count_params()) in DOCS.read_text(encoding="utf-8").splitlines()

    classifier = open_probe(add_head(ours, ModelConfig(backbone=name), 2, None, 0)).model
    explained = backbone_layer(classifier, name)
    assert min(classifier.get_layer(explained).output.shape[1:3]) >= LEAST_EDGE
    fine = edge >= 8 * LEAST_EDGE
    assert (explained == row.taps[8]) == (fine and name not in PASSED_BY)


def line_of(name, parameters):
    row = BACKBONES[name]
    taps = ", ".join(f"{stride}: `{layer}`" for stride, layer in row.taps.items())
    return f"| {name} | {parameters:,} | {row.least_px} | {taps} |"


def test_the_docs_list_no_other_backbone():
    rows = re.findall(r"^\| (\w+) \| [\d,]+ \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == list(BACKBONES)


@pytest.mark.parametrize("name", ["MobileNet", "ResNet18", "ResNet50"])
def test_equal_channels_are_seen_as_grey_is_seen_in_colour(name):
    row = BACKBONES[name]
    network = published(name, 32)
    grey = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 1)).astype(np.uint8)

    def features(n_channels):
        extractor = extractor_of(network, row, [row.taps[8]], (32, 32), n_channels, 255.0, True)
        return np.asarray(extractor(np.repeat(grey, n_channels, axis=3), training=False))

    in_colour = features(3)
    for channels in (1, 2, 5):
        assert np.abs(features(channels) - in_colour).max() <= 1e-5 * np.abs(in_colour).max()


def test_the_stem_sums_or_shares_the_colours_of_a_kernel():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 4))
    symmetric, caffe = (BACKBONES[name].normalisation for name in ("MobileNet", "VGG16"))
    total = kernel.sum(axis=2)
    assert np.allclose(stem_kernel(kernel, 1, symmetric)[:, :, 0], total)
    four = stem_kernel(kernel, 4, symmetric)
    assert four.shape == (3, 3, 4, 4)
    # The mean over red, green and blue, times 3 / n.
    assert np.allclose(four, kernel.mean(axis=2, keepdims=True) * 3 / 4)
    assert np.array_equal(stem_kernel(kernel, 3, caffe), kernel[:, :, ::-1])
    assert stem_kernel(kernel, 2, caffe).shape == (3, 3, 6, 4)


def test_random_weights_are_fresh_and_take_any_number_of_channels():
    config = ModelConfig(backbone="ResNet18", weights="none")
    extractor = build_extractor(config, (40, 40), 7, 255.0)
    assert extractor.get_layer("conv1_conv").kernel.shape == (7, 7, 7, 64)
    assert extractor.get_layer("normalisation").mean.shape[-1] == 7


def test_layer_names_do_not_depend_on_what_was_built_before():
    config = ModelConfig(backbone="MobileNetV3Small", weights="none")
    first, second = (build_extractor(config, (32, 32), 3, 255.0) for _ in range(2))
    assert [layer.name for layer in first.layers] == [layer.name for layer in second.layers]


def test_an_unknown_backbone_is_told_the_nearest():
    with pytest.raises(InputError, match="no backbone 'ResNet-34'; did you mean 'ResNet34'"):
        backbone_named("ResNet-34")
