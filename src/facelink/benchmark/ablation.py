"""One thing changed at a time: what the rows of every ablation have in common."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

from facelink.benchmark.cosine import best_threshold
from facelink.benchmark.document import Table
from facelink.benchmark.scored import (
    METRIC_COLUMNS,
    Scored,
    link_average_precision,
    metric_cells,
    percent,
    timed,
)
from facelink.linking import judge_links, subgraph_settings
from facelink.links import Links
from facelink.merging.merge import AnyMergeResult
from facelink.merging.threshold import merge_threshold
from facelink.metrics import clustering_scores
from facelink.models.loading import LinkModel
from facelink.neighbors.graph import NeighborGraph
from facelink.neighbors.search import find_neighbors
from facelink.subgraphs import SubgraphSettings
from facelink.training.face_sets import FaceSet

MAX_NEIGHBORS = 160
"""Neighbours that are searched once for all rows, as far as there are so many others."""

BEST_CUT = "components at the best threshold for these labels"
"""A row whose threshold is chosen on the test labels, which no user could do."""


@dataclass(frozen=True)
class AblationRow(Scored):
    """One variant of one study.

    Parameters
    ----------
    study : str
        What is varied; each study has a table of its own.
    """

    study: str = ""


OnRow = Callable[[AblationRow], None]


@dataclass(frozen=True, eq=False)
class TestBench:
    """A collection with its neighbours: where all variants are tried.

    Parameters
    ----------
    collection
        Labelled faces that no variant was trained on.
    graph
        Their neighbours, as many as any variant reads.
    """

    __test__ = False  # its name does not make it a test

    collection: FaceSet
    graph: NeighborGraph

    @classmethod
    def of(cls, collection: FaceSet) -> Self:
        """Search the neighbours once."""
        k = min(MAX_NEIGHBORS, collection.n_faces - 1)
        return cls(collection, find_neighbors(collection.features, k))

    def has(self, n_neighbors: int) -> bool:
        """Whether every face has so many neighbours here."""
        return n_neighbors <= self.graph.n_neighbors

    def settings(
        self,
        model: LinkModel | None,
        k_at_hop: tuple[int, ...] | None = None,
        n_edge_neighbors: int | None = None,
    ) -> SubgraphSettings:
        """Subgraph settings of a model, or those asked for, as for `subgraph_settings`."""
        return subgraph_settings(model, self.collection.n_faces, k_at_hop, n_edge_neighbors)

    def judge(self, model: LinkModel | None, settings: SubgraphSettings) -> tuple[Links, float]:
        """Links by a model, and the seconds that judging took."""
        return timed(partial(judge_links, model, self.collection.features, self.graph, settings))

    def score(
        self,
        study: str,
        variant: str,
        links: Links,
        merge: Callable[[Links], AnyMergeResult],
        seconds_before: float,
        threshold: float | None = None,
    ) -> AblationRow:
        """Merge links and score the groups; the seconds are those before and of merging."""
        merged, seconds = timed(partial(merge, links))
        return AblationRow(
            variant,
            clustering_scores(self.collection.labels, merged.labels),
            seconds_before + seconds,
            link_average_precision(links, self.collection.labels),
            threshold,
            study,
        )

    def score_best_cut(
        self, study: str, variant: str, links: Links, seconds_before: float
    ) -> AblationRow:
        """Cut links where it suits the test labels best."""
        best = best_threshold(links, self.collection.labels).threshold
        merge = partial(merge_threshold, threshold=best)
        return self.score(study, variant, links, merge, seconds_before, best)


def ablation_tables(
    collection: FaceSet, rows: Iterable[AblationRow], notes: dict[str, str]
) -> tuple[Table, ...]:
    """Show each study as a table.

    Parameters
    ----------
    collection
        Where the variants were tried.
    rows
        In order; those of a study need not follow each other.
    notes
        What a reader must know of a study, by its name.
    """
    studies: dict[str, list[AblationRow]] = {}
    for row in rows:
        studies.setdefault(row.study, []).append(row)
    return tuple(
        Table(
            name=f"{collection.name}-ablation-{'-'.join(re.findall('[a-z0-9]+', study.lower()))}",
            caption=f"{study}, on {collection.name} ({collection.n_faces:,} faces)",
            columns=("variant", "threshold", "link AP", *METRIC_COLUMNS),
            rows=_rows(of_study),
            note=notes.get(study, ""),
        )
        for study, of_study in studies.items()
    )


def _rows(rows: Sequence[AblationRow]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            row.method,
            "none" if row.threshold is None else f"{row.threshold:.3f}",
            percent(row.link_ap),
            *metric_cells(row),
        )
        for row in rows
    )
