"""Draw embeddings as a sheet of scatter plots, a row per space and a column per layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stemcls.evaluation.figures import COLOURS, fitted, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stemcls.probes.embed import Panel, Shown

MARKERS = "o^svDPX"


def draw_panels(document: dict[str, Any], shown: Shown, panels: list[Panel]) -> Figure:
    """Draw every panel; classes differ in colour and, for grey print, in marker.

    Args:
        document: Of `embed_run`, for silhouette and purity in the titles.
        shown: The crops.
        panels: In rows of one space each.
    """
    methods = list(dict.fromkeys(panel.method for panel in panels))
    spaces = document["spaces"]
    figure = new_figure(3.5 * len(methods) + 1.6, 2.9 * len(spaces) + 0.4)
    grid = figure.subplots(len(spaces), len(methods), squeeze=False)
    handles: list[Any] = []
    for panel, axes in zip(panels, grid.ravel(), strict=True):
        handles = []
        for label in range(len(shown.classes)):
            chosen = shown.labels == label
            handles.append(
                axes.scatter(
                    *panel.points[chosen].T, s=9, lw=0, alpha=0.75,
                    color=COLOURS[label % len(COLOURS)], marker=MARKERS[label % len(MARKERS)],
                )
            )
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlabel(panel.method, fontsize=7.5)
    for row, space in zip(grid, spaces, strict=True):
        row[0].set_title(
            f"{space['title']}\nsilhouette {space['silhouette']:.2f}, "
            f"purity {space['purity']:.2f}", fontsize=8.5, loc="left",
        )
    figure.legend(
        handles, [fitted(name, 24) for name in shown.classes], loc="outside right upper",
        frameon=False, fontsize=8.5,
    )
    return figure
