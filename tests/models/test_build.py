"""The graph: flat, built-in layers only, taps and normalisation as the table says."""

import keras
import numpy as np
import pytest

from stemcls.config.experiment import ModelConfig
from stemcls.errors import InputError
from stemcls.models.backbones import BACKBONES
from stemcls.models.build import add_head, build_extractor, head_of, resizing_note
from stemcls.models.inference import dihedral, predict, view_numbers
from stemcls.models.pooling import block_widths
from stemcls.training.trainable import backbone_layers, last_block

RNG = np.random.default_rng(0)


def untrained(backbone="TinyCNN", crop_px=32, channels=3, white=255.0, **settings):
    config = ModelConfig(backbone=backbone, weights="none", **settings)
    size_px = crop_px if isinstance(crop_px, tuple) else (crop_px, crop_px)
    return build_extractor(config, size_px, channels, white)


def test_deep_and_shallow_pixels_of_the_same_brightness_give_the_same_features():
    crops = RNG.integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    shallow = untrained(white=255.0)
    deep = untrained(white=65535.0)
    deep.set_weights(shallow.get_weights())
    assert np.allclose(
        shallow.predict(crops, verbose=0),
        deep.predict(crops.astype(np.uint16) * 257, verbose=0), atol=1e-5,
    )


def test_the_imagenet_normalisation_is_the_one_of_keras():
    crops = RNG.integers(0, 256, (2, 32, 32, 3)).astype("float32")
    extractor = untrained("DenseNet121")
    ours = keras.Model(extractor.input, extractor.get_layer("normalisation").output)
    theirs = keras.applications.densenet.preprocess_input(crops.copy())
    assert np.allclose(ours.predict(crops, verbose=0), theirs, atol=1e-5)


def test_the_head_shares_its_weights_with_the_model():
    model = add_head(untrained(), ModelConfig(), 2, RNG.normal(3, 2, (50, 64)), seed=0)
    head = head_of(model)
    head.get_layer("logits").set_weights([np.full((64, 2), 0.5), np.zeros(2)])
    assert (np.asarray(model.get_layer("logits").kernel) == 0.5).all()


def test_feature_scaling_makes_mean_0_and_variance_1():
    features = RNG.normal(5, 3, (500, 64)).astype("float32")
    model = add_head(untrained(), ModelConfig(), 2, features, seed=0)
    scaled = np.asarray(model.get_layer("feature_scaling")(features))
    assert np.abs(scaled.mean(axis=0)).max() < 1e-3
    assert np.abs(scaled.std(axis=0) - 1).max() < 1e-3


@pytest.mark.parametrize(
    ("settings", "crop_px", "channels", "text"),
    [
        ({"backbone": "DensNet121"}, 32, 3, "no backbone 'DensNet121'; did you mean 'DenseNet121'"),
        ({"backbone": "InceptionV3", "input_px": 64}, 96, 3, "needs at least 75 px.* is 64; give"),
        ({"weights": "nowhere.h5"}, 32, 3, "nowhere.h5 does not exist; expected imagenet, none"),
        ({"backbone": "TinyCNN"}, 32, 3, "TinyCNN has no pretrained weights; .*--weights none"),
        ({"backbone": "DenseNet121", "alpha": 0.5, "weights": "none"}, 32, 3, "takes no --alpha"),
        ({"stride": (12,), "weights": "none"}, 32, 3, "cannot be tapped at stride 12; one of 4"),
    ],
)
def test_what_cannot_be_built_is_explained(settings, crop_px, channels, text):
    with pytest.raises(InputError, match=text):
        build_extractor(ModelConfig(**settings), (crop_px, crop_px), channels, 255.0)


def test_a_failed_download_says_what_to_do(monkeypatch, tmp_path):
    from dataclasses import replace

    monkeypatch.setenv("STEMCLS_CACHE", str(tmp_path))

    def refuse(**arguments):
        raise Exception("URL fetch failure on https://example.invalid/w.h5: None -- no network")

    row = replace(BACKBONES["MobileNetV2"], construct=refuse)
    monkeypatch.setitem(BACKBONES, "MobileNetV2", row)
    told = r"could not be downloaded .*example\.invalid.*stemcls weights import.*--weights FILE"
    with pytest.raises(InputError, match=told):
        build_extractor(ModelConfig(), (32, 32), 3, 255.0)


def test_small_crops_are_enlarged_to_what_the_backbone_takes():
    config = ModelConfig(backbone="TinyCNN", weights="none")
    extractor = build_extractor(config, (12, 12), 1, 255.0)
    assert extractor.get_layer("resizing").output.shape == (None, 16, 16, 1)
    told = resizing_note(config, (12, 12))
    assert told == (
        "crops of 12x12 px are resized to 16x16 px inside the model, the least that TinyCNN takes"
    )
    assert resizing_note(config, (16, 16)) is None
    asked = ModelConfig(backbone="TinyCNN", input_px=48)
    told = resizing_note(asked, (16, 16))
    assert told.endswith("to 48x48 px inside the model, as --input-px says")


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "tiny.weights.h5"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save_weights(path)
    told = r"tiny\.weights\.h5 does not fit MobileNet with alpha 0\.25"
    with pytest.raises(InputError, match=told):
        build_extractor(
            ModelConfig(backbone="MobileNet", alpha=0.25, weights=str(path)), (32, 32), 3, 255.0
        )


@pytest.mark.parametrize(
    ("backbone", "alpha", "name"),
    [
        ("MobileNetV2", 1.0, "mobilenet_v2_1.0_224_no_top.weights.h5"),
        ("MobileNet", 0.25, "mobilenet_2_5_224_tf_no_top.h5"),
    ],
)
def test_pretrained_features_are_those_of_keras_applications(shared_data, backbone, alpha, name):
    path = str(shared_data / "weights" / name)
    config = ModelConfig(
        backbone=backbone, alpha=alpha, weights=path, stride=(32,), input_px=0
    )
    grey = RNG.integers(0, 256, (2, 64, 64, 1)).astype(np.uint8)
    ours = build_extractor(config, (64, 64), 1, 255.0).predict(grey, verbose=0)
    application = getattr(keras.applications, backbone)(
        include_top=False, weights=path, input_shape=(64, 64, 3), alpha=alpha, pooling="avg"
    )
    theirs = application.predict(np.repeat(grey, 3, axis=3) / 127.5 - 1, verbose=0)
    assert np.abs(ours - theirs).max() < 1e-4 * theirs.max()


def test_the_eight_views_are_the_symmetries_of_the_square():
    crop = RNG.integers(0, 256, (1, 5, 5, 1))
    views = {dihedral(crop, view).tobytes() for view in range(8)}
    assert len(views) == 8
    assert (dihedral(crop, 0) == crop).all()
    assert (dihedral(crop, 1) == crop[:, ::-1, ::-1]).all()


def test_crops_that_are_not_square_have_four_views():
    crop = np.arange(24).reshape(1, 4, 6, 1)
    views = {dihedral(crop, view).tobytes() for view in view_numbers((4, 6), 8)}
    assert len(views) == 4
    assert view_numbers((4, 6), 2) == (0, 1)
    assert view_numbers((4, 4), 8) == tuple(range(8))
    with pytest.raises(ValueError, match="no view 2"):
        dihedral(crop, 2)


def test_a_network_of_wide_crops_keeps_their_proportions():
    extractor = untrained("TinyCNN", crop_px=(45, 60), input_px=90)
    assert extractor.input_shape == (None, 45, 60, 3)
    assert extractor.get_layer("resizing").output.shape[1:3] == (90, 120)


def test_averaging_views_makes_predictions_blind_to_turns():
    model = add_head(untrained(), ModelConfig(), 3, None, seed=0)
    crops = RNG.integers(0, 256, (6, 32, 32, 3)).astype(np.uint8)
    rows = np.arange(6)
    plain = predict(model, crops.__getitem__, rows, views=8)
    turned = np.ascontiguousarray(np.rot90(crops, axes=(1, 2)))
    assert np.allclose(plain, predict(model, turned.__getitem__, rows, views=8), atol=1e-5)
    once = predict(model, crops.__getitem__, rows)
    assert np.allclose(once, model.predict(crops, verbose=0), atol=1e-6)


def test_crops_of_another_shape_are_refused():
    model = add_head(untrained(), ModelConfig(), 3, None, seed=0)
    crops = np.zeros((2, 16, 16, 1), np.uint8)
    with pytest.raises(InputError, match="crops of 32x32 px with 3 channels, these are 16x16"):
        predict(model, crops.__getitem__, np.arange(2))


def test_several_taps_give_the_features_of_each_side_by_side():
    crops = RNG.integers(0, 256, (3, 32, 32, 3)).astype("float32")
    both = untrained("MobileNet", alpha=0.25, stride=(16, 8))
    inner = keras.Model(
        both.input,
        [both.get_layer(BACKBONES["MobileNet"].taps[stride]).output for stride in (8, 16)],
    )
    shallow, deep = (np.asarray(maps).mean(axis=(1, 2)) for maps in inner(crops))
    found = np.asarray(both(crops))
    assert np.allclose(found, np.concatenate([shallow, deep], axis=1), atol=1e-6)
    model = add_head(both, ModelConfig(), 2, found, seed=0)
    assert np.allclose(np.asarray(head_of(model)(found)), np.asarray(model(crops)), atol=1e-6)
    assert not [layer for layer in backbone_layers(model) if layer.name.startswith("pooling")]
    edges = {layer.output.shape[1] for layer in last_block(model)}
    assert edges == {2}  # 32 px at stride 16


def test_strides_left_open_are_the_last_of_random_weights_and_three_of_pretrained(tmp_path):
    names = [layer.name for layer in untrained("MobileNet", stride=()).layers]
    assert names[-2:] == ["conv_pw_13_relu", "pooling"]
    path = tmp_path / "mobilenet.weights.h5"
    keras.applications.MobileNet(
        (32, 32, 3), alpha=0.25, include_top=False, weights=None
    ).save_weights(path)
    config = ModelConfig(backbone="MobileNet", alpha=0.25, weights=str(path))
    extractor = build_extractor(config, (24, 24), 3, 255.0)
    assert extractor.get_layer("resizing").output.shape[1:3] == (96, 96)
    # Maps at stride 4, 8 and 16 of 96 px, each as its mean and those of three rings.
    assert block_widths(extractor) == [4 * 32, 4 * 64, 4 * 128]
    assert [layer.name for layer in extractor.layers if layer.name.endswith("_rings")] == [
        "pooling_1_rings", "pooling_2_rings", "pooling_3_rings"
    ]
    edges = [extractor.get_layer(f"pooling_{n}").input.shape[1] for n in (1, 2, 3)]
    assert edges == [24, 12, 6]
