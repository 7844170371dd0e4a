"""Weights of torchvision and timm give what torch gives, and nothing unsafe or unfit is loaded."""

import re

import h5py
import keras
import numpy as np
import pytest

from stemcls.errors import InputError
from stemcls.models.backbones import BACKBONES
from stemcls.models.weights.load import load_file

torch = pytest.importorskip("torch")

from .published import quick_weights  # noqa: E402
from .torch_networks import NETWORKS, random_network  # noqa: E402


def tensors_of(network):
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


def empty(name, edge=64):
    with quick_weights():
        return BACKBONES[name].construct(input_tensor=keras.Input((edge, edge, 3)), weights=None)


def write(path, tensors):
    if path.suffix == ".safetensors":
        pytest.importorskip("safetensors.numpy").save_file(
            {name: np.ascontiguousarray(values) for name, values in tensors.items()}, path
        )
    elif path.suffix == ".npz":
        np.savez(path, **tensors)
    else:
        with h5py.File(path, "w") as file:
            for name, values in tensors.items():
                file[name] = values
    return path


@pytest.fixture(scope="module")
def resnet18():
    return random_network("ResNet18")


@pytest.fixture(scope="module")
def refusing():
    """A ResNet18 for files that it must refuse: in the end no weight has changed."""
    network = empty("ResNet18", 32)
    before = network.get_weights()
    yield network
    for now, then in zip(network.get_weights(), before, strict=True):
        assert np.array_equal(now, then)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_with_torch_weights_gives_what_torch_gives(name, tmp_path):
    theirs = random_network(name)
    ours = empty(name, 70)
    # Networks of keras.applications wrap their input in a list.
    ours = keras.Model(ours.inputs[0], ours.outputs[0])
    load_file(ours, name, write(tmp_path / "weights.npz", tensors_of(theirs)))
    pixels = np.random.default_rng(0).normal(size=(2, 70, 70, 3)).astype("float32")
    with torch.no_grad():
        expected = theirs(torch.from_numpy(pixels.transpose(0, 3, 1, 2))).numpy()
    found = np.asarray(ours(pixels, training=False)).transpose(0, 3, 1, 2)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".h5"])
def test_every_format_holds_the_same_weights(suffix, resnet18, tmp_path):
    network = empty("ResNet18")
    load_file(network, "ResNet18", write(tmp_path / f"w{suffix}", tensors_of(resnet18)))
    kernel = resnet18.state_dict()["layer2.0.downsample.0.weight"].numpy()
    layer = network.get_layer("conv3_block1_0_conv")
    assert np.array_equal(np.asarray(layer.kernel), kernel.transpose(2, 3, 1, 0))


def test_the_names_of_torchvisions_own_densenet_files_are_understood(tmp_path):
    # Written in 2017 as denselayer1.norm.1.weight; torchvision renames them when it loads them.
    layer_of = BACKBONES["DenseNet161"].torch_layer
    assert layer_of("features.denseblock2.denselayer3.norm.1") == "conv3_block3_0_bn"
    assert layer_of("features.denseblock2.denselayer3.conv.2") == "conv3_block3_2_conv"
    assert layer_of("features.transition2.norm") == "pool3_bn"


def test_keras_own_format_is_taken_too(tmp_path):
    one, other = empty("ResNet18", 32), empty("ResNet18", 32)
    one.set_weights([values + 1 for values in one.get_weights()])
    one.save_weights(tmp_path / "one.weights.h5")
    load_file(other, "ResNet18", tmp_path / "one.weights.h5")
    for ours, theirs in zip(other.get_weights(), one.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


def test_a_pickle_is_refused_with_the_line_that_converts_it(resnet18, refusing, tmp_path):
    path = tmp_path / "resnet18.pth"
    torch.save(resnet18.state_dict(), path)
    with pytest.raises(InputError, match="is a pickle, which can run code") as told:
        load_file(refusing, "ResNet18", path)
    # The line does what it says.
    program = re.search(r'python -c "(.*)"', str(told.value))[1]
    pytest.importorskip("safetensors.torch")
    written = tmp_path / "resnet18.safetensors"
    exec(program.replace("'resnet18.pth'", repr(str(path))).replace(
        "'resnet18.safetensors'", repr(str(written))))
    load_file(empty("ResNet18", 32), "ResNet18", written)


def changed(tensors, **changes):
    kept = {name: values for name, values in tensors.items() if name not in changes}
    return kept | {name: values for name, values in changes.items() if values is not None}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"layer1.0.conv1.weight": None}, "has nothing for conv2_block1_1_conv/kernel"),
        ({"conv1.weight": np.zeros((64, 1, 7, 7), "float32")},
         r"layer conv1_conv takes kernel \(7, 7, 3, 64\), the file's conv1.weight is \(7, 7, 1, 6"),
        ({"layer1.0.conv3.weight": np.zeros((1, 1, 1, 1), "float32")},
         "has layer1.0.conv3.weight, which the backbone lacks"),
        ({"conv1.0.weight": np.zeros((1, 1, 1, 1), "float32")},
         r"has conv1\.0\.weight, which the backbone lacks"),
    ],
)  # fmt: skip
def test_weights_of_another_network_name_what_differs(changes, told, resnet18, refusing, tmp_path):
    path = write(tmp_path / "w.npz", changed(tensors_of(resnet18), **changes))
    with pytest.raises(InputError, match=told):
        load_file(refusing, "ResNet18", path)


def test_a_network_that_differs_from_torchvisions_takes_none_of_its_weights(resnet18, tmp_path):
    path = write(tmp_path / "w.npz", tensors_of(resnet18))
    with pytest.raises(InputError, match="MobileNet takes only those of Keras"):
        load_file(empty("MobileNet", 32), "MobileNet", path)


@pytest.mark.parametrize("name", ["cut.npz", "cut.safetensors", "cut.h5", "cut.weights.h5"])
def test_a_file_that_was_cut_off_is_refused(name, refusing, tmp_path):
    path = tmp_path / name
    if name.endswith("weights.h5"):
        refusing.save_weights(path)
    else:
        write(path, {"conv1.weight": np.zeros((64, 3, 7, 7), "float32"), "x.y": np.zeros(9999)})
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match="cut off"):
        load_file(refusing, "ResNet18", path)


def test_arrays_of_objects_are_not_unpickled(refusing, tmp_path):
    np.savez(tmp_path / "evil.npz", **{"conv1.weight": np.array([{}], dtype=object)})
    with pytest.raises(InputError, match=r"is no \.npz file of weights.*allow_pickle=False"):
        load_file(refusing, "ResNet18", tmp_path / "evil.npz")


def test_what_is_no_weights_file_is_named(refusing, tmp_path):
    (tmp_path / "notes.txt").write_text("no")
    (tmp_path / "fake.h5").write_text("no")
    for name, told in (
        ("notes.txt", "expected one that ends in .h5"),
        ("fake.h5", "it is not HDF5, or was cut off"),
        ("gone.h5", "does not exist"),
    ):
        with pytest.raises(InputError, match=told):
            load_file(refusing, "ResNet18", tmp_path / name)
