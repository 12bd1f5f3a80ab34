"""Draws docs/pipeline.png, the stages of facelink on a few made-up people.

Everything in it is what the stages gave: see pipeline_scene.py. Run it from the
root of the repository (``python docs/draw_pipeline.py``); it takes about a minute.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from numpy.typing import NDArray
from pipeline_scene import Scene, make_scene
from sklearn.manifold import TSNE

from facelink.neighbors.graph import MISSING

Places = NDArray[np.float64]
"""Points (N, 2) in a panel, which is 1 high."""

OUT = Path(__file__).with_name("pipeline.png")

WIDTH, HEIGHT, DPI = 16.0, 4.2, 100
"""Of the picture, in inches, and dots per inch."""

PANEL_WIDTH, PANEL_HEIGHT, TOP = 2.72, 2.36, 0.80
"""Inches of a panel; share of the height below the titles."""

SPACING = 0.056
"""Least distance of two faces, as a share of the panel's height."""

INK, GREY, PALE, EDGE = "#1F2328", "#6E7781", "#D8DCE2", "#AEB4BC"
BLUE, LIGHT_BLUE, ORANGE, RED = "#0072B2", "#56B4E9", "#E69F00", "#D55E00"
OTHERS = ("#009E73", "#CC79A7", LIGHT_BLUE, "#7A5195", "#8C6D1F", "#4D4D4D", "#A6D854")
"""Colours of the people found, after blue and orange; Okabe and Ito's come first."""

LIKELIHOOD_COLORS = mpl.colormaps["viridis"]

FACE = 44.0
"""Size of a face's mark."""

ZOOMED: dict[str, Any] = {"zorder": 4, "edgecolor": RED, "linewidth": 1.8, "linestyle": (0, (4, 2))}
"""Line around the part that the panels of the pivot show."""


def main() -> None:
    """Run the stages and draw."""
    mpl.use("Agg")
    figure = draw(make_scene())
    figure.savefig(OUT, dpi=DPI, metadata={"Software": None})
    plt.close(figure)


@dataclass(frozen=True, eq=False)
class Sketch:
    """One panel, the scene, and where its faces lie, (N, 2)."""

    axes: Axes
    scene: Scene
    places: Places

    def zoom(self) -> None:
        """Show the part of the panel around the pivot only."""
        low, high = surroundings(self.scene, self.places)
        proportion = PANEL_WIDTH / PANEL_HEIGHT
        height = max(high[1] - low[1], (high[0] - low[0]) / proportion)
        middle = (low + high) / 2
        self.axes.set_xlim(*(middle[0] + height * proportion * np.array([-0.5, 0.5])))
        self.axes.set_ylim(*(middle[1] + height * np.array([-0.5, 0.5])))

    def dots(self, faces: Any = slice(None), **style: Any) -> None:
        """Mark faces, chosen by ids or by a mask."""
        style = {"s": FACE, "edgecolors": "white", "linewidths": 0.7, "zorder": 3, **style}
        self.axes.scatter(*self.places[faces].T, **style)

    def lines(self, pairs: NDArray[np.integer], **style: Any) -> None:
        """Join pairs of faces, (L, 2)."""
        style = {"zorder": 2, "capstyle": "round", **style}
        self.axes.add_collection(LineCollection(list(self.places[pairs]), **style))

    def star(self) -> None:
        """Mark the pivot."""
        pivot = [self.scene.pivot.instance]
        self.dots(pivot, s=620, marker="*", c=RED, linewidths=1.0, zorder=6)


def draw(scene: Scene) -> Figure:
    """One row of panels, a stage each."""
    figure: Figure = plt.figure(figsize=(WIDTH, HEIGHT), facecolor="white")
    stages = (
        ("Features", "features.py", draw_features),
        ("Neighbours", "neighbors/", draw_neighbors),
        ("Pivot subgraph", "subgraphs.py", draw_subgraph),
        ("Link likelihoods", "link_prediction.py", draw_likelihoods),
        ("People", "merging/", draw_people),
    )
    places = placed(scene)
    for number, (title, module, draw_stage) in enumerate(stages):
        axes = panel(figure, number, len(stages))
        caption = draw_stage(Sketch(axes, scene, places))
        center = (number + 0.5) / len(stages)
        texts: tuple[tuple[float, str, dict[str, Any]], ...] = (
            (0.935, f"{number + 1}  {title}", {"fontsize": 17, "fontweight": "bold"}),
            (0.850, module, {"fontsize": 13, "family": "DejaVu Sans Mono", "color": GREY}),
            (0.095, caption, {"fontsize": 13.5, "linespacing": 1.3}),
        )
        for height, text, style in texts:
            figure.text(center, height, text, ha="center", va="center", **{"color": INK, **style})
        if number:
            arrow(figure, number / len(stages))
    return figure


def panel(figure: Figure, number: int, n_panels: int) -> Axes:
    """Axes without a frame, wide as 1.15 and high as 1."""
    left = (number + 0.5) / n_panels - PANEL_WIDTH / WIDTH / 2
    bottom = TOP - PANEL_HEIGHT / HEIGHT
    axes = figure.add_axes((left, bottom, PANEL_WIDTH / WIDTH, PANEL_HEIGHT / HEIGHT))
    axes.set_xlim(0, PANEL_WIDTH / PANEL_HEIGHT)
    axes.set_ylim(0, 1)
    axes.set_axis_off()
    return axes


def arrow(figure: Figure, x: float) -> None:
    """Point from one title to the next."""
    figure.add_artist(
        FancyArrowPatch(
            (x - 0.008, 0.935),
            (x + 0.008, 0.935),
            arrowstyle="-|>",
            mutation_scale=16,
            linewidth=1.8,
            color=EDGE,
            transform=figure.transFigure,
        )
    )


def placed(scene: Scene) -> Places:
    """Places of the faces in a panel, (N, 2): a t-SNE of the features, drawn out to be seen."""
    projection = TSNE(perplexity=15, metric="cosine", init="pca", random_state=0)
    places = projection.fit_transform(scene.features).astype(np.float64)
    for _ in range(300):
        places = push_apart(fitted(places))
    return fitted(places)


def fitted(places: Places) -> Places:
    """Scale to the panel, with a margin."""
    low, high = places.min(axis=0), places.max(axis=0)
    room = np.array([PANEL_WIDTH / PANEL_HEIGHT, 1.0])
    scaled: Places = SPACING / 2 + (places - low) / (high - low) * (room - SPACING)
    return scaled


def push_apart(places: Places) -> Places:
    """Move faces that are nearer than `SPACING` a little away from each other."""
    apart = places[:, None] - places[None]
    distance = np.linalg.norm(apart, axis=2) + 1e-9
    push = np.clip(SPACING - distance, 0, None) / distance
    np.fill_diagonal(push, 0)
    moved: Places = places + 0.25 * (push[:, :, None] * apart).sum(axis=1)
    return moved


def surroundings(scene: Scene, places: Places) -> tuple[Places, Places]:
    """Lower left and upper right corner of the pivot's subgraph, with a margin."""
    shown = places[np.append(scene.subgraph.nodes, scene.pivot.instance)]
    return shown.min(axis=0) - 0.6 * SPACING, shown.max(axis=0) + 0.6 * SPACING


def neighbor_pairs(scene: Scene) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Every face with each of its neighbours, (N·K, 2), and their cosine similarities."""
    rows, ranks = np.nonzero(scene.graph.indices != MISSING)
    pairs = np.stack((rows, scene.graph.indices[rows, ranks]), axis=1).astype(np.int64)
    return pairs, scene.graph.similarities[rows, ranks]


def draw_features(sketch: Sketch) -> str:
    """The two who look alike, and what a cosine threshold would join."""
    scene = sketch.scene
    pairs, cosines = neighbor_pairs(scene)
    people = scene.labels_true[pairs]
    is_wrong = np.isin(people, scene.alike).all(axis=1) & (people[:, 0] != people[:, 1])
    sketch.lines(pairs[is_wrong & (cosines >= scene.cosine)], colors=INK, linewidths=1.5)
    sketch.dots(c=EDGE)
    for person, color in zip(scene.alike, (BLUE, ORANGE), strict=True):
        sketch.dots(scene.labels_true == person, c=color)
    return "two people look alike: the best\ncosine threshold joins them"


def draw_neighbors(sketch: Sketch) -> str:
    """The neighbour graph."""
    pairs, _ = neighbor_pairs(sketch.scene)
    sketch.lines(pairs, colors=BLUE, linewidths=0.8, alpha=0.22)
    sketch.dots(c=INK, s=30)
    low, high = surroundings(sketch.scene, sketch.places)
    sketch.axes.add_patch(Rectangle(tuple(low), *(high - low), fill=False, clip_on=False, **ZOOMED))
    return f"each face and the {sketch.scene.graph.n_neighbors} faces\nmost similar to it"


def draw_subgraph(sketch: Sketch) -> str:
    """The pivot's nodes and edges."""
    subgraph = sketch.scene.subgraph
    edges = np.argwhere(subgraph.adjacency.toarray())
    sketch.zoom()
    sketch.dots(c=PALE, s=60, zorder=1)
    sketch.lines(subgraph.nodes[edges], colors=INK, linewidths=1.1, alpha=0.4)
    sketch.dots(subgraph.nodes[subgraph.hops == 2], c=LIGHT_BLUE, s=90)
    sketch.dots(subgraph.nodes[subgraph.hops == 1], c=BLUE, s=260, zorder=4)
    sketch.star()
    return "the pivot ★ is judged among its\nneighbours and their neighbours"


def draw_likelihoods(sketch: Sketch) -> str:
    """The pivot's links."""
    scene = sketch.scene
    pivot = scene.pivot.instance
    neighbors = scene.graph.indices[pivot, : scene.likelihoods.shape[1]]
    colors = LIKELIHOOD_COLORS(scene.likelihoods[pivot])
    sketch.zoom()
    sketch.dots(c=PALE, s=60, zorder=1)
    pairs = np.stack((np.full_like(neighbors, pivot), neighbors), axis=1)
    sketch.lines(pairs, colors=colors, linewidths=3.0)
    sketch.dots(neighbors, c=colors, s=260, edgecolors=INK, linewidths=0.9, zorder=4)
    sketch.star()
    color_bar(sketch.axes)
    return "LinkGCN: are pivot and\nneighbour one person?"


def color_bar(axes: Axes) -> None:
    """Scale of the likelihoods from 0 to 1."""
    inset = axes.inset_axes((0.3, -0.10, 0.4, 0.045))
    inset.imshow(np.linspace(0, 1, 128)[None], aspect="auto", cmap=LIKELIHOOD_COLORS)
    inset.set_axis_off()
    for place, text, side in ((-0.06, "0", "right"), (1.06, "1", "left")):
        style: dict[str, Any] = {"fontsize": 12, "color": INK, "ha": side, "va": "center_baseline"}
        inset.text(place, 0.5, text, transform=inset.transAxes, **style)


def draw_people(sketch: Sketch) -> str:
    """The groups found, and the links above the first threshold."""
    scene = sketch.scene
    links = scene.links
    sketch.lines(
        links.pairs[links.likelihoods >= scene.threshold], colors=EDGE, linewidths=0.6, alpha=0.6
    )
    sizes = np.bincount(scene.labels_pred)
    for label, color in group_colors(scene).items():
        sketch.dots(scene.labels_pred == label, c=color)
    sketch.dots(sizes[scene.labels_pred] == 1, c="white", edgecolors=GREY, linewidths=1.6)
    return "links above a rising threshold\njoin a person; ○ is alone"


def group_colors(scene: Scene) -> dict[int, str]:
    """Colour of each group of several faces; those of the two who look alike keep theirs."""
    sizes = np.bincount(scene.labels_pred)
    colors = {}
    for person, color in zip(scene.alike, (BLUE, ORANGE), strict=True):
        colors[int(np.bincount(scene.labels_pred[scene.labels_true == person]).argmax())] = color
    rest = (int(label) for label in np.flatnonzero(sizes > 1) if label not in colors)
    return colors | dict(zip(rest, OTHERS, strict=False))


if __name__ == "__main__":
    main()
