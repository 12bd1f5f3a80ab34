"""The first level of merging: likely groups, found part by part.

Two groups merge at this level only if their mean log-odds is above `LIKELY_EVIDENCE`. A mean is
never above its greatest link, and whatever else counts only lowers it, so groups that no chain of
links above that connects do not merge here, whatever lies between them. The collection therefore
falls apart into components that have nothing to do with each other: at 584,000 faces, where
the links with positive log-odds make one component of 553,000 faces, the largest of these has some
7,000. Any number of components make a part, which can be solved alone, here or on another machine.

Among millions of faces there are enough links by mistake to connect most of them even so. Then more
evidence is asked for at this level, until no component is too large.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from facelink.blocks import blocks
from facelink.merging.agglomeration import agglomerate
from facelink.merging.components import Components
from facelink.merging.evidence import UNITS, log_odds_units
from facelink.merging.rows import place_type

LIKELY_EVIDENCE = 1.5
"""Mean log-odds, a likelihood of 0.82, above which groups merge first.

What is merged hardly depends on it: on CelebA and LFW with two embedders not one face changed
with likelihoods from 0.7 to 0.95 or without such a level, and on Pins, whose people have more faces
than neighbours were judged, F changed by 0.2 points at most."""

_MORE_EVIDENCE = (2.0, 2.5, 3.0, 3.5, 3.75, 3.9)
"""What is asked for instead, one after the other, while a component is too large; below
`MAX_LOG_ODDS`, above which no link is."""

_LARGEST_COMPONENT = 500_000
"""Instances of one component that are not too many. Of 5.2 million made-up faces the largest has
63,000 at first, but nearly all are one once their likelihoods are calibrated; merging them in one
part was not done after five minutes, where the parts of the first time take less than two."""

LINKS_PER_PART = 1 << 20
"""Links of a part, unless one component has more: 16 MB of entries."""

_BYTES_PER_ENTRY, _BYTES_PER_INSTANCE = 48, 64
"""Memory of a part: what is given, its entries from both ends, and what groups have."""

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class Each(Protocol):
    """Outcomes of a function for items, in their order: `map`, or on other machines."""

    def __call__(
        self, function: Callable[[Item], Outcome], items: Iterable[Item], /
    ) -> Iterator[Outcome]:
        """Call the function, which is pure and can be pickled as the items can."""


@dataclass(frozen=True, eq=False)
class GroupEvidence:
    """All that speaks for and against groups of N instances.

    Parameters
    ----------
    pairs, likelihoods : int32 (L, 2) and float32 (L,)
        Links; a pair may come several times.
    others, totals : int32 (E, 2) and int64 (E,)
        Pairs with log-odds, at most 0, in units, or `BLOCKED`, that no link stands for.
    joined : int32 (J, 2)
        Instances that are in one group from the start.
    anchors : int32 (N,)
        As for `agglomerate`.
    n_neighbors : int
        Neighbours k that each instance lists.
    """

    pairs: NDArray[np.int32]
    likelihoods: NDArray[np.float32]
    others: NDArray[np.int32]
    totals: NDArray[np.int64]
    joined: NDArray[np.int32]
    anchors: NDArray[np.int32]
    n_neighbors: int

    @property
    def n_instances(self) -> int:
        """N."""
        return len(self.anchors)

    def reach(self, log_odds: float) -> NDArray[np.int64]:
        """Label what chains of links above these log-odds and of joined pairs connect, (N,)."""
        components = Components(self.n_instances)
        components.join(self.joined)
        for block in blocks(len(self.pairs)):
            is_above = log_odds_units(self.likelihoods[block]) > log_odds * UNITS
            components.join(self.pairs[block][is_above])
        return components.labels()


@dataclass(frozen=True, eq=False)
class Part:
    """Components of a collection, to be solved alone.

    Parameters
    ----------
    instances : int32 (n,)
        Ascending; everything else counts them from 0.
    reach : integer (n,)
        Component of each.
    evidence : GroupEvidence
        Of these instances.
    least_evidence : float
        Mean log-odds above which groups merge.
    """

    instances: NDArray[np.int32]
    reach: NDArray[np.integer]
    evidence: GroupEvidence
    least_evidence: float = LIKELY_EVIDENCE

    @property
    def memory_bytes(self) -> int:
        """About the memory that it takes to have and to solve it."""
        n_entries = len(self.evidence.pairs) + len(self.evidence.others)
        return _BYTES_PER_ENTRY * n_entries + _BYTES_PER_INSTANCE * len(self.instances)


@dataclass(frozen=True, eq=False)
class LikelyGroups:
    """Groups of the first level.

    Parameters
    ----------
    roots : int32 (N,)
        Smallest instance of each instance's group.
    n_rounds : int
        Rounds with at least one merge, of the part that had most.
    """

    roots: NDArray[np.int32]
    n_rounds: int


def likely_groups(
    evidence: GroupEvidence, *, each: Each = map, links_per_part: int = LINKS_PER_PART
) -> LikelyGroups:
    """Merge the groups that are likely one person.

    Parameters
    ----------
    evidence : GroupEvidence
        Of the whole collection.
    each : callable
        Solves the parts.
    links_per_part : int
        Links of a part, unless one component has more, at least 1. The groups
        do not depend on it.
    """
    reach, least_evidence = _components(evidence)
    if len(evidence.pairs) <= links_per_part:
        everyone = np.arange(evidence.n_instances, dtype=np.int32)
        return solve(Part(everyone, reach, evidence, least_evidence))
    roots = np.arange(evidence.n_instances, dtype=np.int32)
    n_rounds = 0
    division = _Division(evidence, reach, least_evidence, links_per_part)
    for number, found in enumerate(each(solve, division)):
        instances = division.instances(number)
        roots[instances] = instances[found.roots]
        n_rounds = max(n_rounds, found.n_rounds)
    return LikelyGroups(roots, n_rounds)


def _components(evidence: GroupEvidence) -> tuple[NDArray[np.int64], float]:
    """Components that have nothing to do with each other, (N,), and above which evidence."""
    for least_evidence in (LIKELY_EVIDENCE, *_MORE_EVIDENCE):
        reach = evidence.reach(least_evidence)
        if np.bincount(reach, minlength=1).max() <= _LARGEST_COMPONENT:
            break
    return reach, least_evidence


def solve(part: Part) -> LikelyGroups:
    """Merge the groups of a part; they are counted as its instances are."""
    evidence = part.evidence
    found = agglomerate(
        part.reach,
        (evidence.pairs, evidence.likelihoods),
        evidence.n_neighbors,
        others=(evidence.others, evidence.totals),
        joined=evidence.joined,
        anchors=evidence.anchors,
        least_evidence=part.least_evidence,
    )
    return LikelyGroups(found.roots, found.n_rounds)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Numbers of rows, those of one part after those of another."""

    order: NDArray[np.integer]
    starts: NDArray[np.int64]

    @classmethod
    def by_part(
        cls, part_of: NDArray[np.int32], reach: NDArray[np.int64], ends: NDArray[np.int32]
    ) -> "_Rows":
        """Pairs (P, 2) whose two ends reach each other; or instances, given twice."""
        n_parts = int(part_of.max(initial=-1)) + 1
        starts = _part_starts(part_of, reach, ends, n_parts)
        order = np.empty(starts[-1], dtype=place_type(len(ends)))
        _fill_parts(part_of, reach, ends, starts[:-1].copy(), order)
        return cls(order, starts)

    def of(self, part: int) -> NDArray[np.integer]:
        """Rows of one part, ascending."""
        return self.order[self.starts[part] : self.starts[part + 1]]


class _Division:
    """Parts of a collection, made one at a time."""

    def __init__(
        self,
        evidence: GroupEvidence,
        reach: NDArray[np.int64],
        least_evidence: float,
        links_per_part: int,
    ) -> None:
        self._evidence, self._reach, self._least_evidence = evidence, reach, least_evidence
        part_of = _part_of_components(reach, evidence.pairs, links_per_part)[reach]
        everyone = np.arange(len(reach), dtype=np.int32)
        ends = (np.stack([everyone, everyone], axis=1), evidence.pairs, evidence.others)
        self._members, self._links, self._others = (
            _Rows.by_part(part_of, reach, pairs) for pairs in ends
        )
        self._joined = _Rows.by_part(part_of, reach, evidence.joined)
        self._number = np.empty(len(reach), dtype=np.int32)
        for part in range(len(self)):
            members = self.instances(part)
            self._number[members] = np.arange(len(members), dtype=np.int32)

    def __len__(self) -> int:
        return len(self._members.starts) - 1

    def __iter__(self) -> Iterator[Part]:
        return map(self._part, range(len(self)))

    def instances(self, part: int) -> NDArray[np.int32]:
        """Instances of a part, ascending."""
        return self._members.of(part).astype(np.int32)

    def _part(self, part: int) -> Part:
        evidence, number = self._evidence, self._number
        instances = self.instances(part)
        links, others = self._links.of(part), self._others.of(part)
        reach = np.unique(self._reach[instances], return_inverse=True)[1].astype(np.int32)
        return Part(
            instances,
            reach,
            GroupEvidence(
                number[evidence.pairs[links]],
                evidence.likelihoods[links],
                number[evidence.others[others]],
                evidence.totals[others],
                number[evidence.joined[self._joined.of(part)]],
                evidence.anchors[instances],
                evidence.n_neighbors,
            ),
            self._least_evidence,
        )


@njit(nogil=True, cache=True)
def _part_of_components(
    reach: NDArray[np.int64], pairs: NDArray[np.int32], links_per_part: int
) -> NDArray[np.int32]:
    """Part of each component, in their order, filled up with links; −1 for instances alone."""
    n_components = reach.max() + 1
    n_links = np.zeros(n_components, dtype=np.int64)
    sizes = np.zeros(n_components, dtype=np.int64)
    for instance in range(len(reach)):
        sizes[reach[instance]] += 1
    for pair in range(len(pairs)):
        component = reach[pairs[pair, 0]]
        n_links[component] += component == reach[pairs[pair, 1]]
    parts = np.full(n_components, -1, dtype=np.int32)
    part, n_filled = 0, 0
    for component in range(n_components):
        if sizes[component] == 1:
            continue
        if n_filled > 0 and n_filled + n_links[component] > links_per_part:
            part, n_filled = part + 1, 0
        parts[component] = part
        n_filled += n_links[component]
    return parts


@njit(nogil=True, cache=True)
def _part_starts(
    part_of: NDArray[np.int32], reach: NDArray[np.int64], pairs: NDArray[np.int32], n_parts: int
) -> NDArray[np.int64]:
    """Where each part's pairs start among those of all parts, and the end."""
    starts = np.zeros(n_parts + 1, dtype=np.int64)
    for pair in range(len(pairs)):
        part = part_of[pairs[pair, 0]]
        if part >= 0 and reach[pairs[pair, 0]] == reach[pairs[pair, 1]]:
            starts[part + 1] += 1
    return np.cumsum(starts)


@njit(nogil=True, cache=True)
def _fill_parts(
    part_of: NDArray[np.int32],
    reach: NDArray[np.int64],
    pairs: NDArray[np.int32],
    places: NDArray[np.int64],
    order: NDArray[np.integer],
) -> None:
    for pair in range(len(pairs)):
        part = part_of[pairs[pair, 0]]
        if part >= 0 and reach[pairs[pair, 0]] == reach[pairs[pair, 1]]:
            order[places[part]] = pair
            places[part] += 1
