"""What speaks for two faces or two people being one: links that the last update judged, by face."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from facelink.album.library import Album
from facelink.album.neighborhood import Neighborhood, stored_neighborhood
from facelink.album.standing import standing_of
from facelink.calibration import Calibration
from facelink.links import Links
from facelink.merging.cuts import weakest_cut
from facelink.merging.likelihood import fit_to_groups
from facelink.merging.photographs import InOnePhotograph
from facelink.merging.placing import FREE
from facelink.merging.rows import links_of_instances


@dataclass(frozen=True, eq=False)
class LinkEnds:
    """Links seen from some of their faces.

    Parameters
    ----------
    links : int64 (E,)
        Number of each link.
    here, there : int64 (E,)
        Places of the face asked about and of the other one.
    """

    links: NDArray[np.int64]
    here: NDArray[np.int64]
    there: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FaceLinks:
    """Links between the faces of one embedding model, found by face.

    Parameters
    ----------
    faces, photos : int64 (N,)
        Numbers of the faces, ascending, and of their photographs; −1 for none.
    links : Links
        Between places in `faces`.
    starts, rows : int64 (N + 1,) and integer (2 L,)
        Links of each face, as `links_of_instances` gives them.
    calibration : Calibration
        What the people that the album has say about the likelihoods.
    photo_log_odds : float
        What they say about two faces in one photograph.
    """

    faces: NDArray[np.int64]
    photos: NDArray[np.int64]
    links: Links
    starts: NDArray[np.int64]
    rows: NDArray[np.integer]
    calibration: Calibration
    photo_log_odds: float

    @classmethod
    def of(cls, album: Album, found: Neighborhood) -> Self:
        """Sort links by face, and weigh them by the people that there are."""
        order = np.argsort(found.faces)
        links = _reordered(found.judged.links(), order)
        people = standing_of(album, found).people[order]
        alone = np.arange(len(people)) + people.max(initial=0) + 1
        labels = np.unique(np.where(people == FREE, alone, people), return_inverse=True)[1]
        calibration = fit_to_groups(links, labels)
        in_one_photo = InOnePhotograph.of(found.photos[order]).fitted(links, labels)
        starts, rows = links_of_instances(len(order), links.pairs)
        return cls(
            found.faces[order],
            found.photos[order],
            links,
            starts,
            rows,
            calibration,
            in_one_photo.log_odds,
        )

    def places(self, faces: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places of those faces that are here, ascending."""
        asked = np.unique(faces)
        place = np.searchsorted(self.faces, asked)
        inside = place < len(self.faces)
        place, asked = place[inside], asked[inside]
        found: NDArray[np.int64] = place[self.faces[place] == asked]
        return found

    def links_of(self, places: NDArray[np.int64]) -> LinkEnds:
        """All links of some faces; one between two of them is seen from both."""
        first = self.starts[places]
        counts = self.starts[places + 1] - first
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        links = self.rows[np.repeat(first, counts) + within].astype(np.int64)
        here = np.repeat(places, counts)
        there = self.links.pairs[links].sum(axis=1) - here
        return LinkEnds(links, here, there)


class Evidence:
    """Links of an album's faces as the last update judged them, ready to be asked.

    Parameters
    ----------
    album : Album
        Open; read once, here.
    """

    def __init__(self, album: Album) -> None:
        found = (stored_neighborhood(album, model) for model in album.models())
        self._parts = tuple(FaceLinks.of(album, one) for one in found if one is not None)

    def __iter__(self) -> Iterator[FaceLinks]:
        """Links of each embedding model's faces."""
        return iter(self._parts)

    def between(
        self, faces: NDArray[np.int64], others: NDArray[np.int64]
    ) -> list[tuple[int, int, float]]:
        """List links between two sets of faces: face, other face, likelihood; likeliest first."""
        found: list[tuple[int, int, float]] = []
        is_swapped = len(faces) > len(others)
        few, many = (others, faces) if is_swapped else (faces, others)
        for part in self._parts:
            seen = part.links_of(part.places(few))
            kept = np.isin(part.faces[seen.there], many)
            ends = [part.faces[seen.here[kept]].tolist(), part.faces[seen.there[kept]].tolist()]
            likelihoods = part.links.likelihoods[seen.links[kept]].tolist()
            found += zip(*(ends[::-1] if is_swapped else ends), likelihoods, strict=True)
        return sorted(found, key=lambda link: (-link[2], link[0], link[1]))

    def weakest_cut(self, faces: NDArray[np.int64]) -> tuple[NDArray[np.int64], float] | None:
        """Smaller part of the weakest cut through faces, and its log-odds; None if there is none.

        Faces of the embedding model that most of them have are looked at.
        """
        if not self._parts:
            return None
        places, part = max(
            ((one.places(faces), one) for one in self._parts), key=lambda found: len(found[0])
        )
        if len(places) < 2:
            return None
        within = _links_within(part, places)
        labels = np.zeros(len(places), dtype=np.int64)
        cut = weakest_cut(within, labels, 0, within.n_neighbors or 1)
        return None if cut is None else (part.faces[places[cut.part]], cut.evidence)


def _reordered(links: Links, order: NDArray[np.int64]) -> Links:
    """Links between places in another order of the instances."""
    if (order[:-1] < order[1:]).all():
        return links
    place = np.empty(len(order), dtype=np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    pairs = np.sort(place[links.pairs], axis=1)
    return Links(pairs, links.likelihoods, links.one_sided, links.n_instances, links.n_neighbors)


def _links_within(part: FaceLinks, places: NDArray[np.int64]) -> Links:
    """Links between some of the faces, which are numbered by their order."""
    number = np.full(len(part.faces), -1, dtype=np.int32)
    number[places] = np.arange(len(places), dtype=np.int32)
    seen = part.links_of(places)
    chosen = seen.links[(number[seen.there] >= 0) & (seen.here < seen.there)]
    return Links(
        number[part.links.pairs[chosen]],
        part.links.likelihoods[chosen],
        part.links.one_sided[chosen],
        len(places),
        part.links.n_neighbors,
    )
