"""Collections that are changed, one case at a time: what robustness is measured on."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facelink.benchmark import changes
from facelink.errors import InputError
from facelink.features import normalize_features
from facelink.metrics import group_ids
from facelink.training.context.embedders import draw_embedder
from facelink.training.face_sets import FaceSet

WHOLE = "all faces"
"""Name of the case of the whole collection; that of its half is compared with it."""

_N_OWN = 500
_TIMES = (1, 3, 10)
_NOISE = (0.3, 0.6, 0.9)
_RANDOM_SHARES = (0.05, 0.2)
_BLURS = ((0.05, 0.5), (0.2, 0.5), (0.2, 0.7))
_SMALL = (20, 200)
_COPIED_SHARE = 0.1
_ALONE = (5, 10, 20, 50, 100, 200)
_N_EMBEDDERS = 3

_LEAST_PEOPLE = 10
"""Of fewer people there is nothing to draw from."""


@dataclass(frozen=True, eq=False)
class Case:
    """A changed collection.

    Parameters
    ----------
    family : str
        Kind of change; each has a table of its own.
    name : str
        The change; several draws of it have one name.
    faces : FaceSet
        The faces, those that are scored first.
    n_scored : int
        Faces that are scored; the others are only there.
    origins : int64 (N,), optional
        Where each face stands in the whole collection, if pairs are compared with it.
    """

    family: str
    name: str
    faces: FaceSet
    n_scored: int
    origins: NDArray[np.int64] | None = None

    @classmethod
    def of(
        cls,
        family: str,
        name: str,
        faces: FaceSet,
        origins: NDArray[np.int64] | None = None,
    ) -> "Case":
        """A case of which every face is scored."""
        return cls(family, name, faces, faces.n_faces, origins)


def robustness_cases(
    collection: FaceSet,
    strangers: FaceSet | None = None,
    *,
    n_draws: int = 5,
    n_large_person: int = 3_000,
    seed: int = 0,
) -> Iterator[Case]:
    """Change a collection in every way, the whole collection first.

    Parameters
    ----------
    collection
        Labelled faces of at least 10 people; −1 is a person of its own.
    strangers
        Other people of the same embedder, one face of each of whom is a distractor; by
        default made up of the collection's own mean and covariance.
    n_draws
        Draws of small sets, and people who are grouped alone, at each size.
    n_large_person
        Faces of the made-up person who stands beside people of one face, and at most so
        many of these.
    seed
        The same seed gives the same cases.

    Yields
    ------
    Case
        Made when it is asked for: one is in memory at a time.

    Raises
    ------
    InputError
        If there are too few people, the strangers' features have another width, or
        a number is below 1.
    """
    if min(n_draws, n_large_person) < 1:
        raise InputError(f"n_draws={n_draws}, n_large_person={n_large_person}; give at least 1.")
    people = group_ids(collection.labels)
    if people.max() + 1 < _LEAST_PEOPLE:
        raise InputError(
            f"{collection.name}: {people.max() + 1} people; robustness needs at least "
            f"{_LEAST_PEOPLE}, so that some can be left out."
        )
    if strangers is not None and strangers.features.shape[1] != collection.features.shape[1]:
        raise InputError(
            f"strangers {strangers.name} have features of width {strangers.features.shape[1]}, "
            f"{collection.name} of {collection.features.shape[1]}; take them from the same "
            "embedding model, or leave them out to have them made up."
        )
    collection = FaceSet(collection.name, collection.features, people)
    random = np.random.default_rng(seed)
    yield Case.of("fewer faces", WHOLE, collection)
    yield _half(collection, random)
    yield from _among_strangers(collection, strangers, random)
    yield from _noise(collection, random)
    yield from _outliers(collection, random)
    yield from _unbalanced(collection, n_large_person, random)
    yield from _small(collection, n_draws, random)
    yield from _copies(collection, random)
    yield from _alone(collection, n_draws, random)
    yield from _other_embedders(collection, random)


def _half(collection: FaceSet, random: np.random.Generator) -> Case:
    kept = np.sort(random.permutation(collection.n_faces)[: max(2, collection.n_faces // 2)])
    return Case.of("fewer faces", "half of the faces", collection.take(kept), kept)


def _among_strangers(
    collection: FaceSet, strangers: FaceSet | None, random: np.random.Generator
) -> Iterator[Case]:
    own = collection.take(changes.some_people(collection.labels, _N_OWN, random))
    yield Case.of("strangers", "some people alone", own)
    if strangers is None:
        others = changes.made_up_strangers(collection.features, max(_TIMES) * own.n_faces, random)
    else:
        others = strangers.features[changes.one_each(strangers.labels, random)]
    for times in _TIMES:
        added = others[: times * own.n_faces]
        name = f"among {len(added):,} strangers ({len(added) / own.n_faces:.1f} ×)"
        yield Case("strangers", name, _joined(own, added), own.n_faces)
    only = collection.take(changes.one_each(collection.labels, random))
    yield Case.of("strangers", "only strangers", only)


def _noise(collection: FaceSet, random: np.random.Generator) -> Iterator[Case]:
    for amount in _NOISE:
        noisy = changes.noisy(collection.features, amount, random)
        yield Case.of("noise", f"noise of length {amount}", _described(collection, noisy))


def _outliers(collection: FaceSet, random: np.random.Generator) -> Iterator[Case]:
    n, width = collection.features.shape
    for share in _RANDOM_SHARES:
        nobody = random.standard_normal((round(share * n), width), dtype=np.float32)
        nobody /= np.linalg.norm(nobody, axis=1, keepdims=True)
        name = f"{share:.0%} random directions added"
        yield Case("outliers", name, _joined(collection, nobody), n)
    for share, amount in _BLURS:
        changed = changes.blurred(collection.features, share, amount, random)
        name = f"{share:.0%} of the faces blurred, {amount:.0%} of the way to the mean"
        yield Case.of("outliers", name, _described(collection, changed))


def _unbalanced(collection: FaceSet, n_large: int, random: np.random.Generator) -> Iterator[Case]:
    singles = collection.take(changes.one_each(collection.labels, random)[:n_large])
    person = changes.made_up_person(collection.features, n_large, random)
    together = _joined(singles, person, as_one=True)
    name = f"a made-up person of {len(person):,} faces beside {singles.n_faces:,} of one"
    yield Case.of("unbalanced sizes", name, together)
    sizes = np.bincount(collection.labels)
    largest = collection.labels == np.argmax(sizes)
    alone = changes.one_each(collection.labels, random)
    rest = alone[~largest[alone]]
    name = f"the person of {sizes.max():,} faces beside {len(rest):,} of one"
    faces = collection.take(np.concatenate([np.flatnonzero(largest), rest]))
    yield Case.of("unbalanced sizes", name, faces)


def _small(collection: FaceSet, n_draws: int, random: np.random.Generator) -> Iterator[Case]:
    for n in _SMALL:
        if n >= collection.n_faces:
            continue
        for _ in range(n_draws):
            faces = random.permutation(changes.some_people(collection.labels, n, random))[:n]
            yield Case.of("small sets", f"{n} faces", collection.take(faces))


def _copies(collection: FaceSet, random: np.random.Generator) -> Iterator[Case]:
    n = collection.n_faces
    some = random.permutation(n)[: max(1, round(_COPIED_SHARE * n))]
    for name, copied in (
        (f"{_COPIED_SHARE:.0%} of the faces twice", some),
        ("all faces twice", np.arange(n)),
    ):
        faces = collection.take(np.concatenate([np.arange(n), copied]))
        yield Case.of("exact copies", name, faces)


def _alone(collection: FaceSet, n_draws: int, random: np.random.Generator) -> Iterator[Case]:
    people, sizes = np.unique(collection.labels, return_counts=True)
    for n in _ALONE:
        for person in random.permutation(people[sizes >= n])[:n_draws]:
            faces = random.permutation(np.flatnonzero(collection.labels == person))[:n]
            yield Case.of("one person alone", f"{n} faces", collection.take(faces))


def _other_embedders(collection: FaceSet, random: np.random.Generator) -> Iterator[Case]:
    family, features = "other embedders", collection.features
    steeper = changes.steeper_spectrum(features)
    made_up = {
        "not centred": changes.uncentred(features, random),
        "steeper spectrum": steeper,
        "steeper and not centred": changes.uncentred(steeper, random),
        "half of the dimensions": normalize_features(features[:, ::2]),
    }
    for name, changed in made_up.items():
        yield Case.of(family, name, _described(collection, changed))
    for number in range(1, _N_EMBEDDERS + 1):
        drawn = draw_embedder(features, random)
        yield Case.of(family, f"drawn as for training, {number}", _described(collection, drawn))


def _described(collection: FaceSet, features: NDArray[np.float32]) -> FaceSet:
    """The same faces, as somebody else describes them."""
    return FaceSet(collection.name, features, collection.labels)


def _joined(collection: FaceSet, added: NDArray[np.float32], *, as_one: bool = False) -> FaceSet:
    """Faces of new people after those of a collection: one person each, or all of one."""
    first = collection.labels.max() + 1
    people = np.full(len(added), first) if as_one else first + np.arange(len(added))
    return FaceSet(
        collection.name,
        np.concatenate([collection.features, added]),
        np.concatenate([collection.labels, people]),
    )
