"""Draws docs/pipeline.png: the stages of facelink, run on a few made-up people.

Everything in the picture is what the stages give. A small LinkGCN is trained on
other made-up people first. The people shown are picked for two who look alike:
the cosine threshold that suits this set best joins them, and the model tells them
apart. Run it from the root of the repository; it takes about a minute.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.manifold import TSNE

from facelink.link_prediction import predict_likelihoods, predict_links, similarity_links
from facelink.links import Links
from facelink.merging.merge import merge_links
from facelink.metrics import bcubed_scores
from facelink.models.link_gcn import LinkGCN, LinkGCNConfig
from facelink.neighbors.graph import NeighborGraph
from facelink.neighbors.search import find_neighbors
from facelink.subgraphs import PivotSubgraph, SubgraphBuilder, SubgraphSettings
from facelink.synthetic import SyntheticFaces, SyntheticSettings, make_faces
from facelink.training.face_sets import FaceSet
from facelink.training.settings import TrainingSettings
from facelink.training.trainer import train_link_gcn

OUT = Path(__file__).with_name("pipeline.png")

N_FEATURES = 32
PEOPLE = SyntheticSettings(
    n_faces=8_000,
    n_features=N_FEATURES,
    spread=0.8,
    max_faces_per_person=30,
    singleton_share=0.2,
    size_exponent=1.2,
    family_share=0.5,
    family_similarity=0.6,
    max_modes=1,
    junk_share=0.0,
    spectrum_decay=0.0,
)
SUBGRAPHS = SubgraphSettings((10, 3), 3)
MODEL = LinkGCNConfig(N_FEATURES, (128, 128, 64, 64), subgraphs=SUBGRAPHS)
TRAINING = TrainingSettings(
    subgraphs=SUBGRAPHS,
    epochs=6,
    batch_size=32,
    optimizer="adamw",
    learning_rate=2e-3,
    schedule="cosine",
)
TRAINING_SEED, SHOWN_SEED = 1, 2

N_OTHERS, N_ALONE = 6, 3
"""People shown beside the two who look alike: with several faces, and with one."""

COSINES = np.round(np.arange(0.3, 0.9, 0.01), 2)
"""Thresholds to find the best one among."""

BLUE, ORANGE, RED, INK, GREY, PALE = (
    "#0072B2",
    "#E69F00",
    "#D55E00",
    "#222222",
    "#8A8F98",
    "#D9DCE1",
)
LABEL_COLORS = ("#009E73", "#CC79A7", "#56B4E9", "#B8A800", "#7B5AA6", "#8C5A3C", "#404B5A")
"""With blue, orange and red: Okabe and Ito's colours, told apart by colour-blind readers."""


def main() -> None:
    """Train, pick, run the stages, draw."""
    mpl.use("Agg")
    model = trained_model()
    scene = next(iter(scenes(model)))
    figure = draw(scene)
    figure.savefig(OUT, dpi=100, metadata={"Software": None})
    plt.close(figure)


def trained_model() -> LinkGCN:
    """A model of made-up people who are not shown."""
    known = make_faces(PEOPLE, seed=TRAINING_SEED)
    with tempfile.TemporaryDirectory() as folder:
        train_link_gcn([FaceSet("known", known.features, known.labels)], MODEL, TRAINING, folder)
        return LinkGCN.from_pretrained(folder)


@dataclass(frozen=True, eq=False)
class Scene:
    """What the stages made of the people shown; N faces.

    Parameters
    ----------
    points : float (N, 2)
        Projection of the features.
    twins : int64 (2,)
        The two people who look alike.
    cosine : float
        The threshold that suits this set best and yet joins them.
    likelihoods : float32 (k1,)
        Of the pivot's links, nearest first.
    """

    points: NDArray[np.floating]
    labels_true: NDArray[np.int64]
    twins: NDArray[np.int64]
    cosine: float
    graph: NeighborGraph
    subgraph: PivotSubgraph
    likelihoods: NDArray[np.float32]
    links: Links
    threshold: float
    labels_pred: NDArray[np.int64]


def scenes(model: LinkGCN) -> Iterator[Scene]:
    """Scenes in which the best cosine threshold joins two people and the model joins nobody."""
    faces = make_faces(PEOPLE, seed=SHOWN_SEED)
    for twins, features, labels in candidates(faces):
        graph = find_neighbors(features, SUBGRAPHS.n_neighbors, "exact")
        by_cosine = similarity_links(graph, SUBGRAPHS.k_at_hop[0])
        cosine = best_cosine(by_cosine, labels)
        if not are_joined(twins, labels, by_threshold(by_cosine, cosine)):
            continue
        links = predict_links(model, features, graph, SUBGRAPHS)
        threshold = model.config.initial_threshold
        merged = merge_links(links, initial_threshold=threshold)
        if bcubed_scores(labels, merged.labels).fscore < 1:
            continue
        pivot = pivot_between(twins, labels, graph)
        yield Scene(
            projected(features),
            labels,
            twins,
            cosine,
            graph,
            SubgraphBuilder(graph, SUBGRAPHS).build([pivot])[0],
            predict_likelihoods(model, features, graph, SUBGRAPHS, pivots=np.array([pivot]))[0],
            links,
            threshold,
            merged.labels,
        )


Candidate = tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]


def candidates(faces: SyntheticFaces) -> Iterator[Candidate]:
    """Two people who resemble each other with others who do not: (two people, features, labels)."""
    sizes = np.bincount(faces.labels)
    centers = np.zeros((len(sizes), N_FEATURES))
    np.add.at(centers, faces.labels, faces.features)
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    resemblance = centers @ centers.T
    medium = np.flatnonzero((sizes >= 10) & (sizes <= 18))
    alone = np.flatnonzero(sizes == 1)
    random = np.random.default_rng(SHOWN_SEED)
    for first in medium:
        for second in medium[(medium > first) & (abs(resemblance[first, medium] - 0.5) < 0.1)]:
            shown = [first, second]
            for person in random.permutation(medium):
                if len(shown) < 2 + N_OTHERS and (resemblance[person, shown] < 0.35).all():
                    shown.append(person)
            shown.extend(random.choice(alone, N_ALONE, replace=False))
            chosen = np.flatnonzero(np.isin(faces.labels, shown))
            yield np.array(shown[:2]), faces.features[chosen], faces.labels[chosen]


def best_cosine(by_cosine: Links, labels: NDArray[np.int64]) -> float:
    """The threshold with the best BCubed F."""
    scores = [
        bcubed_scores(labels, by_threshold(by_cosine, cosine)).fscore for cosine in COSINES.tolist()
    ]
    return float(COSINES[int(np.argmax(scores))])


def by_threshold(by_cosine: Links, cosine: float) -> NDArray[np.int64]:
    """Groups of faces joined by this cosine."""
    return merge_links(by_cosine, "threshold", initial_threshold=(1 + cosine) / 2).labels


def are_joined(
    twins: NDArray[np.int64], labels: NDArray[np.int64], labels_pred: NDArray[np.int64]
) -> bool:
    """Whether most faces of both people are in one group."""
    groups = [np.bincount(labels_pred[labels == person]).argmax() for person in twins]
    return bool(groups[0] == groups[1])


def pivot_between(
    twins: NDArray[np.int64], labels: NDArray[np.int64], graph: NeighborGraph
) -> int:
    """The face of the first person that has the most neighbours of either."""
    neighbors = labels[graph.indices[:, : SUBGRAPHS.k_at_hop[0]]]
    n_own, n_other = ((neighbors == person).sum(axis=1) for person in twins)
    balance = np.where(labels == twins[0], np.minimum(n_own, n_other), -1)
    return int(balance.argmax())


def projected(features: NDArray[np.float32]) -> NDArray[np.floating]:
    """Features in two dimensions, (N, 2)."""
    projection = TSNE(perplexity=12, metric="cosine", init="random", random_state=0)
    return np.asarray(projection.fit_transform(features))


def draw(scene: Scene) -> Figure:
    """One row of panels, a stage each."""
    plt.rcParams.update({"font.family": "DejaVu Sans", "text.color": INK})
    figure, panels = plt.subplots(1, 5, figsize=(16, 4.2))
    figure.subplots_adjust(left=0.005, right=0.995, top=0.80, bottom=0.17, wspace=0.10)
    for panel in panels:
        panel.set_xticks([])
        panel.set_yticks([])
        panel.set_aspect("equal")
        panel.spines[:].set_visible(False)
    draw_features(panels[0], scene)
    draw_neighbors(panels[1], scene)
    draw_subgraph(panels[2], scene)
    draw_likelihoods(panels[3], scene)
    draw_groups(panels[4], scene)
    return figure


def title(panel: Axes, number: int, name: str, module: str, caption: str) -> None:
    panel.text(
        0.5, 1.19, f"{number}  {name}", transform=panel.transAxes, ha="center", va="center",
        fontsize=16, fontweight="bold",
    )
    panel.text(
        0.5, 1.08, module, transform=panel.transAxes, ha="center", va="center", fontsize=12,
        family="DejaVu Sans Mono", color=GREY,
    )
    panel.text(
        0.5, -0.04, caption, transform=panel.transAxes, ha="center", va="top", fontsize=12.5,
        linespacing=1.25,
    )


def lines(panel: Axes, points: NDArray, pairs: NDArray, **style: object) -> None:
    panel.add_collection(LineCollection(list(points[pairs]), **style))


def is_of(scene: Scene, person: int) -> NDArray[np.bool_]:
    return scene.labels_true == person


def draw_features(panel: Axes, scene: Scene) -> None:
    points = scene.points
    rows = np.repeat(np.arange(len(points)), scene.graph.n_neighbors)
    cols = scene.graph.indices.ravel()
    first, second = is_of(scene, scene.twins[0]), is_of(scene, scene.twins[1])
    wrong = first[rows] & second[cols] & (scene.graph.similarities.ravel() >= scene.cosine)
    wrong |= second[rows] & first[cols] & (scene.graph.similarities.ravel() >= scene.cosine)
    lines(panel, points, np.stack([rows, cols], 1)[wrong], colors=RED, linewidths=1.4, zorder=1)
    colors = np.where(first, BLUE, np.where(second, ORANGE, GREY))
    panel.scatter(*points.T, s=34, c=colors, edgecolors="white", linewidths=0.6, zorder=2)
    title(panel, 1, "Features", "features.py",
          f"two people look alike: cosine\n≥ {scene.cosine:.2f} would join them")


def draw_neighbors(panel: Axes, scene: Scene) -> None:
    points = scene.points
    k = scene.graph.n_neighbors
    rows = np.repeat(np.arange(len(points)), k)
    lines(panel, points, np.stack([rows, scene.graph.indices.ravel()], 1), colors=BLUE,
          linewidths=0.6, alpha=0.25, zorder=1)
    panel.scatter(*points.T, s=26, c=INK, edgecolors="white", linewidths=0.6, zorder=2)
    title(panel, 2, "Neighbours", "neighbors/", f"the {k} most similar faces\nof every face")


def draw_subgraph(panel: Axes, scene: Scene) -> None:
    points, sub = scene.points, scene.subgraph
    panel.scatter(*points.T, s=16, c=PALE, zorder=1)
    coo = sub.adjacency.tocoo()
    lines(panel, points, np.stack([sub.nodes[coo.row], sub.nodes[coo.col]], 1), colors=INK,
          linewidths=0.7, alpha=0.5, zorder=2)
    hop1 = sub.nodes[sub.hops == 1]
    hop2 = sub.nodes[sub.hops == 2]
    panel.scatter(*points[hop2].T, s=24, c="#56B4E9", edgecolors="white", linewidths=0.6, zorder=3)
    panel.scatter(*points[hop1].T, s=70, c=BLUE, edgecolors="white", linewidths=0.8, zorder=4)
    panel.scatter(*points[sub.pivot], s=230, marker="*", c=RED, edgecolors="white", linewidths=0.9, zorder=5)
    title(panel, 3, "Subgraph", "subgraphs.py", "a pivot's context: neighbours\nand their neighbours")


def draw_likelihoods(panel: Axes, scene: Scene) -> None:
    points, sub = scene.points, scene.subgraph
    panel.scatter(*points.T, s=16, c=PALE, zorder=1)
    hop1 = sub.nodes[sub.hops == 1]
    cmap = mpl.colormaps["cividis"]
    pairs = np.stack([np.full(len(hop1), sub.pivot), hop1], 1)
    lines(panel, points, pairs, colors=cmap(scene.likelihoods), linewidths=1.6, zorder=2)
    dots = panel.scatter(*points[hop1].T, s=70, c=scene.likelihoods, cmap=cmap, vmin=0, vmax=1,
                  edgecolors=INK, linewidths=0.7, zorder=4)
    panel.scatter(*points[sub.pivot], s=230, marker="*", c=RED, edgecolors="white", linewidths=0.9, zorder=5)
    title(panel, 4, "Link likelihoods", "models/link_gcn.py", "are pivot and neighbour\none person?")


def draw_groups(panel: Axes, scene: Scene) -> None:
    points = scene.points
    kept = scene.links.likelihoods >= scene.threshold
    lines(panel, points, scene.links.pairs[kept], colors=GREY, linewidths=0.5, alpha=0.5, zorder=1)
    sizes = np.bincount(scene.labels_pred)
    rest = iter(LABEL_COLORS)
    for label in np.argsort(-sizes, kind="stable"):
        members = scene.labels_pred == label
        if sizes[label] == 1:
            panel.scatter(*points[members].T, s=34, facecolors="white", edgecolors=GREY, linewidths=1.3, zorder=2)
            continue
        if (members & is_of(scene, scene.twins[0])).sum() * 2 > sizes[label]:
            color = BLUE
        elif (members & is_of(scene, scene.twins[1])).sum() * 2 > sizes[label]:
            color = ORANGE
        else:
            color = next(rest)
        panel.scatter(*points[members].T, s=34, c=color, edgecolors="white", linewidths=0.6, zorder=2)
    title(panel, 5, "People", "merging/", "links merged, one colour\nper person found")


if __name__ == "__main__":
    main()
