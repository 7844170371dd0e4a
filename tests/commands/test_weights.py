"""`stemcls weights` knows what is here and whether it is whole, and keeps what fits."""

import hashlib
import inspect
import json
import shutil

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from stemcls.cli import app
from stemcls.config.experiment import ModelConfig
from stemcls.errors import InputError, StemclsError
from stemcls.models.backbones import BACKBONES
from stemcls.models.build import build_extractor
from stemcls.models.weights.published import PUBLISHED

from ..models.published import quick_weights

runner = CliRunner()


@pytest.fixture
def caches(tmp_path, monkeypatch):
    monkeypatch.setenv("STEMCLS_CACHE", str(tmp_path / "offline"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    (tmp_path / "keras" / "models").mkdir(parents=True)
    return tmp_path


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Weights of MobileNet 0.25, random, in the format that Keras writes; only read."""
    path = tmp_path_factory.mktemp("weights") / "mine.weights.h5"
    network = keras.applications.MobileNet(
        include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.25
    )
    network.save_weights(path)
    return path


def weights(*words):
    result = runner.invoke(app, ["weights", *map(str, words), "--json"])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return json.loads(result.stdout)


def row(document, backbone, alpha=1.0):
    rows = document["weights"]
    return next(one for one in rows if (one["backbone"], one["alpha"]) == (backbone, alpha))


def import_quarter(file, *more):
    return weights("import", file, "--backbone", "MobileNet", "--alpha", 0.25, *more)


def test_without_any_weights_the_list_says_where_they_are(caches):
    document = weights("list")
    assert {one["state"] for one in document["weights"]} == {"absent"}
    assert {one["backbone"] for one in document["weights"]} == set(BACKBONES) - {"TinyCNN"}
    dense = row(document, "DenseNet121")
    assert dense["url"].startswith("https://storage.googleapis.com/tensorflow/keras-applications/")
    assert "stemcls weights import FILE --backbone DenseNet121" in dense["how"]
    small = row(document, "ResNet18")
    assert "torch.load('resnet18-f37072fd.pth'" in small["how"]
    assert weights("verify")["weights"] == []


def test_the_files_and_checksums_are_those_that_keras_asks_for():
    for (name, alpha), published in PUBLISHED.items():
        assert alpha in (BACKBONES[name].alphas or (1.0,))
        if published.by_keras:
            # The V2 ResNets ask for their weights in the module of the first ones.
            owner = "ResNet50" if name.startswith("ResNet") else name
            source = inspect.getsource(inspect.getmodule(getattr(keras.applications, owner)))
            assert published.checksum in source
            assert published.url.rsplit("/", 2)[1] in source


def test_keras_is_asked_for_the_file_in_the_list(caches, monkeypatch):
    asked = {}

    def note(file, origin, file_hash=None, **more):
        asked.update(file=file, url=origin, checksum=file_hash or "")
        raise Exception("URL fetch failure on it: None -- no network")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", note)
    for name, alpha in (
        ("MobileNet", 0.25), ("MobileNetV2", 1.4), ("MobileNetV3Small", 0.75), ("VGG16", 1.0),
        ("EfficientNetV2B0", 1.0), ("ConvNeXtTiny", 1.0), ("ResNet50V2", 1.0), ("Xception", 1.0),
    ):
        with quick_weights(), pytest.raises(InputError, match="could not be downloaded"):
            build_extractor(ModelConfig(backbone=name, alpha=alpha), (32, 32), 3, 255.0)
        known = PUBLISHED[name, alpha]
        assert asked == {"file": known.file, "url": known.url, "checksum": known.checksum}


def test_what_was_imported_is_what_imagenet_means(caches, file):
    kept = import_quarter(file)
    assert kept["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert kept["published"] is None
    assert kept["parameters"] == 218_544
    state = row(weights("list"), "MobileNet", 0.25)
    assert (state["state"], state["cache"]) == ("ok", "offline")
    assert state["bytes"] == file.stat().st_size
    config = {"backbone": "MobileNet", "alpha": 0.25}
    ours, theirs = (
        build_extractor(ModelConfig(weights=which, **config), (32, 32), 3, 255.0).get_weights()
        for which in ("imagenet", str(file))
    )
    assert all(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_other_weights_are_not_replaced_silently(caches, file, tmp_path):
    import_quarter(file)
    import_quarter(file)  # the same again changes nothing
    other = tmp_path / "other.weights.h5"
    keras.applications.MobileNet(
        include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.25
    ).save_weights(other)
    with pytest.raises(InputError, match=r"has other weights of MobileNet already .*--replace"):
        import_quarter(other)
    assert import_quarter(other, "--replace")["source"] == "other.weights.h5"
    folder = caches / "offline" / "weights" / "MobileNet-0.25"
    assert len(list(folder.iterdir())) == 2


def test_what_does_not_fit_is_not_kept(caches, file):
    with pytest.raises(InputError, match=r"does not fit MobileNet with alpha 0\.5"):
        weights("import", file, "--backbone", "MobileNet", "--alpha", 0.5)
    assert not (caches / "offline").exists()


def test_a_changed_file_is_found_out_before_it_is_used(caches, file):
    path = caches / "offline" / "weights" / "MobileNet-0.25"
    import_quarter(file)
    kept = next(path.glob("*.h5"))
    kept.write_bytes(kept.read_bytes()[:-100])
    result = runner.invoke(app, ["weights", "verify", "--json"])
    assert isinstance(result.exception, StemclsError)
    assert "1 of 1 files are corrupt" in str(result.exception)
    document = json.loads(result.stdout)
    assert document["corrupt"] == 1
    assert "import it again" in document["weights"][0]["how"]
    with pytest.raises(InputError, match=r"are not what was imported.*--replace"):
        build_extractor(ModelConfig(backbone="MobileNet", alpha=0.25), (32, 32), 3, 255.0)


def test_files_that_keras_downloaded_are_checked(caches, file):
    models = caches / "keras" / "models"
    shutil.copy(file, models / PUBLISHED["MobileNet", 0.25].file)
    (models / PUBLISHED["MobileNet", 0.5].file).write_bytes(file.read_bytes()[:5000])
    shutil.copy(file, models / PUBLISHED["DenseNet121", 1.0].file)
    document = weights("list")
    assert row(document, "MobileNet", 0.25)["state"] == "unchecked"
    assert row(document, "MobileNet", 0.5)["state"] == "corrupt"
    dense = row(document, "DenseNet121")
    assert dense["state"] == "corrupt"
    assert dense["checksum"] == "md5:" + hashlib.md5(file.read_bytes()).hexdigest()


def test_a_right_checksum_is_ok(caches, monkeypatch):
    from dataclasses import replace

    content = b"as published"
    key = ("VGG16", 1.0)
    known = replace(PUBLISHED[key], checksum=hashlib.md5(content).hexdigest())
    monkeypatch.setitem(PUBLISHED, key, known)
    (caches / "keras" / "models" / known.file).write_bytes(content)
    assert row(weights("verify", "--backbone", "VGG16"), "VGG16")["state"] == "ok"


def test_a_damaged_download_without_checksum_is_explained(caches, file, monkeypatch):
    path = caches / "keras" / "models" / PUBLISHED["MobileNet", 0.25].file
    # Keras read KERAS_HOME when it was imported.
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: str(path))
    path.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"in Keras' cache cannot be loaded.*delete it"):
        build_extractor(ModelConfig(backbone="MobileNet", alpha=0.25), (32, 32), 3, 255.0)


def test_networks_that_keras_has_not_say_how_to_get_their_weights(caches):
    told = r"ResNet18 are not in the offline cache.*resnet18-f37072fd\.pth.*weights import"
    with pytest.raises(InputError, match=told):
        build_extractor(ModelConfig(backbone="ResNet18"), (32, 32), 3, 255.0)
    with pytest.raises(InputError, match=r"no ImageNet weights of MobileNet with alpha 0\.3; one"):
        build_extractor(ModelConfig(backbone="MobileNet", alpha=0.3), (32, 32), 3, 255.0)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["lst"], "weights cannot 'lst'; did you mean 'list'"),
        (["list", "x.h5"], "list takes no file"),
        (["import", "x.h5"], "import needs both"),
        (["list", "--backbone", "ResNet19"], "no backbone 'ResNet19'; did you mean"),
        (["import", "x.h5", "--backbone", "TinyCNN"], "TinyCNN has no ImageNet weights"),
        (["import", "x.h5", "--backbone", "VGG16", "--alpha", "0.5"], "VGG16 takes no --alpha"),
        (["import", "x.h5", "--backbone", "MobileNet", "--alpha", "0.3"], "alpha 0.25, 0.5"),
        (["import", "x.h5", "--backbone", "VGG16"], "x.h5 does not exist"),
        (["import", "x.h5", "--backbone", "VGG16", "--backend", "caffe"], "no backend 'caffe'"),
    ],
)
def test_wrong_words_are_explained(words, told, caches):
    result = runner.invoke(app, ["weights", *words])
    assert isinstance(result.exception, InputError)
    assert told in str(result.exception)


def test_people_get_a_table(caches, file):
    import_quarter(file)
    result = runner.invoke(app, ["weights", "list", "--backbone", "MobileNet"])
    assert result.exit_code == 0
    assert "(offline cache)" in result.stdout
    assert "MobileNet 0.25: imported from mine.weights.h5" in result.stderr
    assert "MobileNet 1: On a machine with a network download https://" in result.stderr
    assert "weights list --backbone NAME" in runner.invoke(app, ["weights"]).stderr


@pytest.mark.parametrize(
    ("backbone", "file", "told"),
    [
        ("VGG16", "mobilenet_2_5_224_tf_no_top.h5",
         r"layer block1_conv1 takes \[\(3, 3, 3, 64\), \(64,\)\], where the file has conv1 of"),
        ("ResNet18", "mobilenet_v2_1.0_224_no_top.weights.h5", "does not fit ResNet18: .*<Conv2D"),
    ],
)  # fmt: skip
def test_a_file_of_another_network_names_the_layer(caches, shared_data, backbone, file, told):
    with pytest.raises(InputError, match=told):
        weights("import", shared_data / "weights" / file, "--backbone", backbone)


def test_real_imagenet_weights_are_imported(caches, shared_data):
    folder = shared_data / "weights"
    kept = weights(
        "import", folder / "mobilenet_v2_1.0_224_no_top.weights.h5", "--backbone", "MobileNetV2"
    )
    assert kept["parameters"] == 2_257_984
    import_quarter(folder / "mobilenet_2_5_224_tf_no_top.h5")
    assert {one["state"] for one in weights("verify")["weights"]} == {"ok"}
