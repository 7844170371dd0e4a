"""Embeddings: separation has known values, and a run is shown before and after training."""

from __future__ import annotations

import json
import re
import sys

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from stemcls.config.probes import EmbedConfig
from stemcls.errors import InputError
from stemcls.probes.embed import crops_to_show
from stemcls.probes.embedding import LAYOUTS, purities, reduced, separation
from stemcls.runs import Run


def _two_clusters(n: int = 60, away: float = 50.0):
    random = np.random.default_rng(0)
    labels = np.arange(n) % 2
    return random.normal(size=(n, 6)) + away * labels[:, None], labels


def test_far_clusters_have_purity_1_and_the_silhouette_of_scikit_learn() -> None:
    points, labels = _two_clusters()
    found = separation(points, labels, np.arange(60) // 6, 5, 0)
    assert found["purity"] == found["purity_other_groups"] == 1.0
    assert found["silhouette"] == pytest.approx(silhouette_score(points, labels))
    low, high = found["silhouette_ci"]
    assert low <= found["silhouette"] <= high


def test_labels_without_meaning_have_the_purity_of_chance_whatever_their_sizes() -> None:
    random = np.random.default_rng(0)
    points = random.normal(size=(900, 3))
    labels = (random.uniform(size=900) < 0.1).astype(int)
    found = separation(points, labels, np.arange(900) // 9, 30, 0)
    assert found["purity_chance"] == 0.5
    assert found["purity"] == pytest.approx(0.5, abs=0.05)


def test_neighbours_of_the_same_group_do_not_count_among_other_groups() -> None:
    # Each group is a tight knot; a crop's neighbours in other groups are of the other class.
    group = np.repeat(np.arange(4), 5)
    labels = group % 2
    points = np.array([[0.0], [1.0], [10.0], [11.0]])[group] + 0.01 * np.arange(20)[:, None]
    assert purities(points, labels, 3).mean() == 1.0
    assert purities(points, labels, 3, group).mean() == 0.0
    assert np.isnan(purities(points, labels, 3, np.zeros(20, int))).all()


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_layouts_keep_far_clusters_apart_and_repeat(method: str) -> None:
    points, labels = _two_clusters(40)
    components = reduced(points.astype(np.float32), 0)
    one, again = (LAYOUTS[method](components, 5.0, 0) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    assert one.shape == (40, 2)
    assert silhouette_score(one, labels) > 0.5


def test_features_that_never_vary_do_not_break_the_layout() -> None:
    assert reduced(np.ones((10, 4), np.float32), 0).shape == (10, 2)


@pytest.fixture(scope="module")
def embedded(trained_workspace, invoke, tmp_path_factory):
    """The command run once on a finished run: its document and its folder."""
    out = tmp_path_factory.mktemp("embed") / "out"
    run = next((trained_workspace / "saved_models").glob("tiny-*"))
    done = invoke("embed", run, "--methods", "pca", "--json", "--out", out)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), out


def test_a_run_is_shown_at_every_level_before_and_after_training(embedded) -> None:
    document, _ = embedded
    shown = [(space["stage"], space["layer"]) for space in document["spaces"]]
    assert shown == [
        ("raw", "pixels"), ("before", "pooling"), ("before", "logits"), ("after", "pooling"),
        ("after", "logits"),
    ]
    assert document["missing"] == {}
    scores = {key: space["purity"] for key, space in zip(shown, document["spaces"], strict=True)}
    assert scores["after", "logits"] > scores["raw", "pixels"]


def test_the_page_needs_no_network_and_its_data_can_be_read(embedded) -> None:
    document, out = embedded
    assert {path.name for path in out.iterdir()} == {
        "embedding.html", "embedding.png", "embedding.svg", "embedding.json", "coordinates.csv",
    }
    page = (out / "embedding.html").read_text(encoding="utf-8")
    outside = r"(src|href)\s*=|https?:|@import|fetch\("
    assert not re.search(outside, page.replace("sprite.src = data.sprite", ""))
    data = json.loads(re.search(r'application/json">(.*?)</script>', page, re.DOTALL)[1])
    assert len(data["panels"]) == len(document["spaces"])
    assert len(data["panels"][0]["points"]) == len(data["rows"]) == document["n"]
    assert data["classes"] == ["along x", "quer/süß"]


def test_a_browser_draws_the_points_and_shows_the_crop_under_the_pointer(embedded, browse) -> None:
    _, out = embedded
    shown = browse(out / "embedding.html", """(() => {
        const painted = () => {
            const copy = document.createElement("canvas").getContext("2d");
            [copy.canvas.width, copy.canvas.height] = [plot.width, plot.height];
            copy.drawImage(plot, 0, 0);
            const seen = copy.getImageData(0, 0, plot.width, plot.height).data;
            return data.colours.slice(0, 2).map(hex => {
                const [r, g, b] = [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16));
                let n = 0;
                for (let i = 0; i < seen.length; i += 4)
                    n += Math.abs(seen[i] - r) + Math.abs(seen[i + 1] - g)
                        + Math.abs(seen[i + 2] - b) < 12 && seen[i + 3] > 150;
                return n;
            });
        };
        const found = {all: painted()};
        get("space").selectedIndex = data.panels.length - 1;
        get("space").onchange();
        const [x, y] = at(panel().points[0]), box = plot.getBoundingClientRect();
        plot.onmousemove({clientX: box.left + x, clientY: box.top + y});
        found.tip = get("text").textContent;
        found.crop = get("crop").getContext("2d").getImageData(56, 56, 1, 1).data[3];
        get("legend").children[0].click();
        found.second = painted();
        get("by").value = "group";
        get("by").onchange();
        found.groups = get("legend").children.length;
        found.numbers = get("numbers").textContent;
        return found;
    })()""")
    assert min(shown["all"]) > 100
    assert shown["second"][0] == 0 < shown["second"][1]
    assert re.match(r"row \d+\n(along x|quer/süß)\ndonor \d", shown["tip"])
    assert shown["crop"] == 255
    assert shown["groups"] == 2
    assert shown["numbers"].startswith("silhouette 0.")


def test_another_store_gives_its_crops_of_the_runs_classes(
    trained_run, striped_store, foreign_store
) -> None:
    run = Run(trained_run)
    shown = crops_to_show(run, striped_store, EmbedConfig(crops=50))
    assert len(shown.rows) == 50
    assert shown.group_names[shown.groups[0]].startswith("donor")
    assert shown.classes == ("along x", "quer/süß")
    stranger = foreign_store([0, 1, 0, 1]).path
    with pytest.raises(InputError, match="no crop of the run's classes"):
        crops_to_show(run, stranger, EmbedConfig())


def test_umap_that_is_not_installed_says_how_to_get_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(InputError, match=r"pip install 'stemcls\[umap\]'"):
        LAYOUTS["umap"](np.zeros((20, 4)), 5.0, 0)
