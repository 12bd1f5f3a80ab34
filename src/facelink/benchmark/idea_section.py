"""The paper's idea as a section of the report: one neighbourhood, linked in three ways."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelink.benchmark.document import Figure, Section, Table
from facelink.benchmark.drawing import GREY, INK, PALE, PALETTE, RIGHT, WRONG, draw
from facelink.benchmark.idea import N_SHOWN, IdeaExample, MethodLinks, find_idea_example
from facelink.models.loading import LinkModel
from facelink.synthetic import SyntheticSettings, make_faces
from facelink.training.face_sets import FaceSet

_MADE_UP = SyntheticSettings(
    n_faces=2_000, n_features=128, spread=1.1, family_share=0.3, family_similarity=0.55
)

_LEAST_DISTANCE = 0.2
"""Between two faces of the drawing, whose longer side is 2."""

_MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def idea_section(
    faces: FaceSet | None = None, model: LinkModel | None = None, seed: int = 0
) -> Section:
    """Find a neighbourhood that shows the idea, and draw it.

    Parameters
    ----------
    faces
        Where to look; made-up faces by default.
    model
        Judges the links; the context model by default.
    seed
        Of the made-up faces.
    """
    if faces is None:
        made = make_faces(_MADE_UP, seed=seed)
        faces = FaceSet("made-up faces", made.features, made.labels)
    example = find_idea_example(faces, model)
    return Section(
        "The idea: links judged in context",
        _text(faces.name, example),
        (idea_table(example),),
        (idea_figure(example),),
    )


def idea_table(example: IdeaExample) -> Table:
    """Mistakes of each method, here and on average."""
    rows = (
        (
            method.name,
            f"{method.threshold:.2f}",
            str(method.n_false),
            str(method.n_missed),
            f"{method.mean_errors:.2f}",
        )
        for method in example.methods
    )
    return Table(
        "idea",
        "Mistakes in the neighbourhood drawn, and on average over all neighbourhoods",
        ("links by", "threshold", "false links", "missed links", "mistakes on average"),
        tuple(rows),
        "The thresholds of the cosine and of shared neighbours are the best for this collection by "
        "its own labels; the model's is 0.5 everywhere.",
    )


def idea_figure(example: IdeaExample) -> Figure:
    """Draw the neighbourhood once for each method."""
    places = neighborhood_layout(example.features)
    caption = (
        "One face (ringed) and the faces nearest to it, one mark for each person, linked in three "
        "ways. Blue: right links; orange: false ones; dotted: links of one person that are missed."
    )

    def paint(sheet: Any) -> None:
        panels = sheet.subplots(1, len(example.methods))
        for axes, method in zip(panels, example.methods, strict=True):
            _draw_links(axes, places, example.labels, method)
            _draw_faces(axes, places, example.labels)
            axes.set_title(f"{method.name}\n{method.n_false} false, {method.n_missed} missed")
        shown = ((RIGHT, "-", "right"), (WRONG, "-", "false"), (GREY, ":", "missed"))
        handles = [
            panels[0].plot([], [], color=color, linestyle=line, label=f"{label} link")[0]
            for color, line, label in shown
        ]
        sheet.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)

    return draw("idea-neighborhood", caption, (8.4, 3.6), paint)


def neighborhood_layout(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Places (n, 2) of faces: their two principal components, moved apart where they meet."""
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    directions = np.linalg.svd(centred, full_matrices=False)[2][:2]
    places: NDArray[np.float64] = (
        centred @ (directions * np.sign(directions.sum(axis=1, keepdims=True))).T
    )
    places /= np.abs(places).max() or 1.0
    for _ in range(200):
        between = places[:, None] - places[None]
        distances = np.linalg.norm(between, axis=2)
        np.fill_diagonal(distances, np.inf)
        push = np.clip(_LEAST_DISTANCE - distances, 0, None) / 2
        if not push.any():
            break
        places += ((push / np.maximum(distances, 1e-9))[:, :, None] * between).sum(axis=1) / 2
    return places


def _text(name: str, example: IdeaExample) -> str:
    cosine, shared, _ = (method.mean_errors for method in example.methods)
    usual = "fewer" if shared < cosine else "no fewer"
    return (
        f"After the paper's figure 1: a face of {name} and its {N_SHOWN} nearest, linked by a "
        "threshold on the cosine, by the neighbours that two faces share (Jaccard index), and by "
        "the link model.\n\n"
        f"This neighbourhood was picked to show the idea. In {example.n_alike:,} of all "
        f"{example.n_pivots:,} neighbourhoods each method makes fewer mistakes than the one "
        "before; of those where the model makes fewest, it is the one in which the cosine both "
        "links most strangers and misses most links. On average, shared neighbours make "
        f"{usual} mistakes than the cosine here: see the table's last column."
    )


def _draw_links(
    axes: Any, places: NDArray[np.float64], labels: NDArray[np.int64], method: MethodLinks
) -> None:
    for first, second in zip(*np.triu_indices(len(labels), 1), strict=True):
        is_same, is_linked = labels[first] == labels[second], method.is_linked[first, second]
        ends = places[[first, second]].T
        if is_linked:
            axes.plot(*ends, color=RIGHT if is_same else WRONG, linewidth=1.0, alpha=0.75, zorder=2)
        elif is_same:
            axes.plot(*ends, color=GREY, linewidth=0.9, linestyle=":", zorder=1)


def _draw_faces(axes: Any, places: NDArray[np.float64], labels: NDArray[np.int64]) -> None:
    """One marker for each person, the pivot's first and filled; people met once are pale."""
    people, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    several = [
        person for _, person, size in sorted(zip(first, people, sizes, strict=True)) if size > 1
    ]
    for person in people:
        mask = labels == person
        style = {"color": PALE, "marker": "o"}
        if person in several:
            rank = several.index(person)
            color = INK if person == labels[0] else PALETTE[(rank + 2) % len(PALETTE)]
            style = {"color": color, "marker": _MARKERS[rank % len(_MARKERS)]}
        axes.scatter(*places[mask].T, s=48, edgecolors=GREY, linewidths=0.7, zorder=3, **style)
    axes.scatter(*places[0], s=130, facecolors="none", edgecolors=INK, linewidths=1.3, zorder=4)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.margins(0.08)
