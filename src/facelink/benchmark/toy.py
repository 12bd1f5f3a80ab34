"""A toy example of what graph convolutions do, after the paper's figure 4.

Source: L-GCN (arXiv 1903.11306), figure 4: two-dimensional features of one
pivot's neighbourhood, two graph convolutions of width 2, and what becomes of
the features while the network learns. The paper trains on the neighbourhood
that it shows. Here other faces of the same people are trained on, and what is
measured and drawn has not been seen.

Faces live in a space of more dimensions, where their neighbours are found. The
network sees two of them, in which the pivot's person and the others overlap.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from facelink.models.config import LinkGCNConfig
from facelink.models.layers import LinkInput
from facelink.models.link_gcn import LinkGCN
from facelink.neighbors.search import find_neighbors
from facelink.subgraphs import SubgraphBatch, SubgraphBuilder, SubgraphSettings, order_by_need

STAGES = ("input", "layer 1", "layer 2")
"""Where a node's two values are taken."""

ITERATIONS = (0, 20, 60, 200)
"""Steps of training after which they are."""

_WIDTHS = (2, 2)
_N_DIMENSIONS, _N_SEEN = 16, 2
_N_OTHERS, _N_OWN, _N_EACH = 8, 30, 10
"""Other people; faces of the pivot's person, and of each of the others."""

_OFFSET, _SCATTER, _NOISE = 0.35, 0.35, 0.6
"""Of people's centres in the two dimensions seen, and of faces in every dimension."""

_SUBGRAPHS = SubgraphSettings((60, 5), 5)
_N_STARTS, _LEARNING_RATE = 5, 0.03
"""Random starts, of which the one with the least loss is kept: units of so narrow a network may
begin without gradient."""


@dataclass(frozen=True, eq=False)
class Neighborhood:
    """A pivot's subgraph of n nodes with the features that the network sees.

    Parameters
    ----------
    inputs
        What the network reads; all nodes are computed in every layer.
    is_same : bool (n,)
        Whether a node is a face of the pivot's person.
    is_one_hop : bool (n,)
        Whether it is a neighbour of the pivot, or only of its neighbours.
    """

    inputs: LinkInput
    is_same: NDArray[np.bool_]
    is_one_hop: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ToyPanel:
    """What the nodes' two values are at one place and time.

    Parameters
    ----------
    iteration : int
        Steps of training before.
    stage : str
        One of `STAGES`.
    values : float32 (n, 2)
        Of each node of the neighbourhood that is drawn.
    accuracy : float
        Share in [0, 1] of its 1-hop nodes that lie on the right side of the
        straight line that fits the neighbourhood trained on best.
    tightness : float
        Root mean square distance of the 1-hop positives from their centre,
        divided by the distance between the centres of positives and negatives;
        the smaller, the closer they are together.
    """

    iteration: int
    stage: str
    values: NDArray[np.float32]
    accuracy: float
    tightness: float


@dataclass(frozen=True, eq=False)
class ToyExample:
    """The neighbourhood that was not trained on, and its panels, iteration by iteration.

    Parameters
    ----------
    neighborhood
        The one drawn and measured.
    panels
        One for each iteration and stage.
    without_edges
        The last iteration's panels of a network that is trained alike but has
        no edges, so that nothing but its layers is at work.
    """

    neighborhood: Neighborhood
    panels: tuple[ToyPanel, ...]
    without_edges: tuple[ToyPanel, ...]


def make_toy_example(seed: int = 0) -> ToyExample:
    """Make two neighbourhoods of the same people, train on one and look at the other.

    The same seed gives the same example; torch's own random state is left as it was.
    """
    random = np.random.default_rng(seed)
    centres = _centres(random)
    trained_on, shown = _neighborhood(random, centres), _neighborhood(random, centres)
    panels = _panels(trained_on, shown, ITERATIONS, seed)
    apart = _panels(_without_edges(trained_on), _without_edges(shown), ITERATIONS[-1:], seed)
    return ToyExample(shown, panels, apart)


def _centres(random: np.random.Generator) -> NDArray[np.float64]:
    """Centres (people, dimensions), the pivot's person first; near each other where seen."""
    centres = random.normal(size=(1 + _N_OTHERS, _N_DIMENSIONS))
    centres[:, :_N_SEEN] *= _SCATTER
    centres[0, :_N_SEEN] = -_OFFSET
    centres[1:, :_N_SEEN] += _OFFSET
    return centres


def _neighborhood(random: np.random.Generator, centres: NDArray[np.float64]) -> Neighborhood:
    """Draw faces of these people, with a typical face of the first as pivot."""
    people = np.repeat(np.arange(len(centres)), [_N_OWN, *[_N_EACH] * _N_OTHERS])
    noise = _NOISE * random.normal(size=(len(people), _N_DIMENSIONS))
    noise[0] *= 0.5
    faces = centres[people] + noise
    rows = (faces / np.linalg.norm(faces, axis=1, keepdims=True)).astype(np.float32)
    graph = find_neighbors(rows, _SUBGRAPHS.n_neighbors)
    batch = SubgraphBuilder(graph, _SUBGRAPHS).build([0])
    seen = np.ascontiguousarray(faces[:, :_N_SEEN], dtype=np.float32)
    inputs = _inputs(batch, seen)
    nodes = order_by_need(batch, len(_WIDTHS)).nodes
    is_one_hop = np.arange(len(nodes)) < batch.n_one_hop[0]
    return Neighborhood(inputs, people[nodes] == 0, is_one_hop)


def _inputs(batch: SubgraphBatch, features: NDArray[np.float32]) -> LinkInput:
    """The network's input with all nodes needed everywhere, as all of them are drawn."""
    needed = order_by_need(batch, len(_WIDTHS))
    everywhere = (len(needed.nodes),) * len(needed.n_rows)
    return LinkInput.from_needed(replace(needed, n_rows=everywhere), features)


def _without_edges(neighborhood: Neighborhood) -> Neighborhood:
    """The same nodes, none of which sees another."""
    inputs = neighborhood.inputs
    none = type(inputs.adjacency).from_edges(
        np.zeros(len(inputs.nodes) + 1, dtype=np.int64), np.empty(0, dtype=np.int32)
    )
    n_edges = (0,) * len(inputs.n_edges)
    return replace(neighborhood, inputs=replace(inputs, adjacency=none, n_edges=n_edges))


def _panels(
    trained_on: Neighborhood, shown: Neighborhood, iterations: tuple[int, ...], seed: int
) -> tuple[ToyPanel, ...]:
    """Train from several starts; panels of the one whose loss ends lowest."""
    runs = [
        _train(trained_on, shown, iterations, _N_STARTS * seed + start)
        for start in range(_N_STARTS)
    ]
    _, panels = min(runs, key=lambda run: run[0])
    return panels


def _train(
    trained_on: Neighborhood, shown: Neighborhood, iterations: tuple[int, ...], seed: int
) -> tuple[float, tuple[ToyPanel, ...]]:
    """Train one network; its last loss, and the panels at these iterations."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LinkGCN(LinkGCNConfig(_N_SEEN, _WIDTHS, subgraphs=_SUBGRAPHS))
    optimizer = torch.optim.Adam(model.parameters(), lr=_LEARNING_RATE)
    one_hop = torch.from_numpy(np.flatnonzero(trained_on.is_one_hop))
    targets = torch.from_numpy(trained_on.is_same.astype(np.int64))[one_hop]
    panels: list[ToyPanel] = []
    loss = torch.tensor(torch.inf)
    for iteration in range(iterations[-1] + 1):
        if iteration in iterations:
            panels += _look(model, trained_on, shown, iteration)
        model.train()
        loss = functional.cross_entropy(model(trained_on.inputs)[one_hop], targets)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return float(loss.detach()), tuple(panels)


def _look(
    model: LinkGCN, trained_on: Neighborhood, shown: Neighborhood, iteration: int
) -> Iterator[ToyPanel]:
    """One panel for each stage."""
    known, unseen = _stage_values(model, trained_on), _stage_values(model, shown)
    for stage, fitted, values in zip(STAGES, known, unseen, strict=True):
        near, is_same = values[shown.is_one_hop], shown.is_same[shown.is_one_hop]
        side = _sides(fitted[trained_on.is_one_hop], trained_on.is_same[trained_on.is_one_hop])
        is_right = (near @ side[:-1] + side[-1] > 0) == is_same
        yield ToyPanel(iteration, stage, values, float(is_right.mean()), _tightness(near, is_same))


@torch.no_grad()
def _stage_values(model: LinkGCN, neighborhood: Neighborhood) -> list[NDArray[np.float32]]:
    """Values (n, 2) of all nodes: residuals after the input norm, then after each layer."""
    model.train()  # the norm takes the mean and variance of this neighbourhood
    inputs = neighborhood.inputs
    residuals = inputs.features[inputs.nodes] - inputs.features[inputs.pivots][inputs.owners]
    scale, shift = model.input_norm(inputs)
    stages = [(residuals * scale - shift).numpy()]
    hooks = [
        layer.register_forward_hook(lambda _layer, _inputs, output: stages.append(output.numpy()))
        for layer in model.layers
    ]
    model(inputs)
    for hook in hooks:
        hook.remove()
    return stages


def _sides(values: NDArray[np.float32], is_same: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights (3,) of the straight line between both kinds of points, by least squares.

    Both kinds weigh the same, however many points each has.
    """
    weights = np.sqrt(0.5 / np.where(is_same, is_same.mean(), 1 - is_same.mean()))[:, None]
    columns = np.column_stack([values, np.ones(len(values))])
    targets = np.where(is_same, 1.0, -1.0)
    line: NDArray[np.float64] = np.linalg.lstsq(
        weights * columns, weights[:, 0] * targets, rcond=None
    )[0]
    return line


def _tightness(values: NDArray[np.float32], is_same: NDArray[np.bool_]) -> float:
    own, other = values[is_same], values[~is_same]
    centre = own.mean(axis=0)
    spread = np.sqrt(((own - centre) ** 2).sum(axis=1).mean())
    distance = np.linalg.norm(centre - other.mean(axis=0))
    return float(spread / distance) if distance > 0 else float("inf")
