"""The paper's Table 1: what perfect links among the k nearest neighbours could reach."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from facelink.benchmark.document import Table
from facelink.benchmark.scored import percent
from facelink.neighbors.search import find_neighbors
from facelink.training.face_sets import FaceSet
from facelink.upper_bound import UpperBound, default_ks, upper_bound_by_k


@dataclass(frozen=True)
class CollectionBounds:
    """Upper bounds of one collection.

    Parameters
    ----------
    collection : str
        Its name.
    n_faces, n_people : int
        Its size.
    search : str
        How the neighbours were found; approximate ones lower the bound.
    bounds
        One for each k, ascending.
    """

    collection: str
    n_faces: int
    n_people: int
    search: str
    bounds: tuple[UpperBound, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "collection": self.collection,
            "n_faces": self.n_faces,
            "n_people": self.n_people,
            "search": self.search,
            "bounds": [bound.as_dict() for bound in self.bounds],
        }


def collection_bounds(
    collection: FaceSet, ks: Sequence[int] | None = None, method: str = "auto"
) -> CollectionBounds:
    """Bound a collection for several k with one neighbour search.

    Source: Table 1 of the paper.

    Parameters
    ----------
    collection
        At least 2 faces.
    ks
        Numbers of neighbours; by default 5, 10, 20, 40, 80 and 160, as far as every
        face has so many others.
    method
        How neighbours are found, as for `find_neighbors`.

    Raises
    ------
    InputError
        If a k is not one from 1 to N − 1, or the method is unknown.
    """
    chosen = sorted(default_ks(collection.n_faces) if ks is None else ks)
    graph = find_neighbors(collection.features, max(chosen), method)
    return CollectionBounds(
        collection.name,
        collection.n_faces,
        len(np.unique(collection.labels)),
        graph.method,
        tuple(upper_bound_by_k(graph, collection.labels, chosen)),
    )


def bounds_table(collections: Sequence[CollectionBounds]) -> Table:
    """Show the bounds, a row for each collection and k."""
    return Table(
        name="upper-bound",
        caption="Upper bound by k: every link among the k nearest neighbours judged perfectly",
        columns=(
            "collection",
            "k",
            "pairwise F",
            "BCubed F",
            "NMI",
            "clusters",
            "people",
            "pairs compared",
        ),
        rows=tuple(_row(of, bound) for of in collections for bound in of.bounds),
        note=(
            "In %. Precision is 100 % by construction. Pairs compared: the share of all pairs of "
            "one person of which at least one lists the other; the rest can only be joined by way "
            "of other faces."
        ),
    )


def _row(of: CollectionBounds, bound: UpperBound) -> tuple[str, ...]:
    scores = bound.scores
    return (
        of.collection,
        str(bound.k),
        percent(scores.pairwise.fscore),
        percent(scores.bcubed.fscore),
        percent(scores.nmi_arithmetic),
        f"{scores.n_clusters:,}",
        f"{of.n_people:,}",
        percent(bound.pair_coverage),
    )
