"""Neighbour graphs in files: our own, and every layout that other tools of the field write.

`_LAYOUTS`, at the end, is the table of what is read and how it is recognised.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from facelink.arrays import known_suffix, npz_headers, read_npy, read_npz
from facelink.errors import InputError
from facelink.files import check_writable, load_arrays, reading, save_arrays
from facelink.neighbors.graph import MISSING, NeighborGraph, check_id_range

_WHAT = "neighbour graph"
_FORMAT = "facelink.neighbors"
_VERSION = 1
_BLOCK_VALUES = 1 << 22  # feature values gathered at a time, 16 MiB as float32

_Features = NDArray[np.float32] | None


def load_graph(path: Path | str, features: _Features = None) -> NeighborGraph:
    """Read a neighbour graph from our own file or from one of another tool.

    Parameters
    ----------
    path
        Read by its suffix and the names of its arrays:

        - ``.safetensors``: written by `save_graph`;
        - ``.npy``: integer ids (N, C), nothing else. Needs `features`, whose
          cosines it takes;
        - ``.npz`` with ``indptr``, ``indices``, ``data`` and ``shape``: a scipy
          CSR matrix of cosine distances (``scipy.sparse.save_npz``);
        - ``.npz`` with ``data`` (N, 2, C): ids and cosine distances
          (learn-to-cluster);
        - ``.npz`` with ``indices`` and ``similarities``, or ``distances``:
          ids and cosines, or cosine distances, (N, C);
        - ``.npz`` with ``I`` and ``D``: ids and inner products (N, C) as faiss
          returns them.

        A cosine distance is 1 − cosine. Rows may hold the instance itself in
        any column or not at all; id −1 marks a missing neighbour.
    features : float32 (N, D), optional
        L2-normalised rows that the graph must have been made from.

    Returns
    -------
    NeighborGraph
        Without the instances themselves, nearest first.

    Raises
    ------
    InputError
        If the file is missing, empty, truncated, pickled or in none of these
        layouts; if ids or similarities are out of range; if it does not have a
        row for each of `features`, or needs features and none are given.
    """
    suffix = known_suffix(path, dict.fromkeys(layout.suffix for layout in _LAYOUTS), _WHAT)
    names = npz_headers(path, _WHAT).keys() if suffix == ".npz" else set()
    fitting = [one for one in _LAYOUTS if one.suffix == suffix and one.names <= names]
    if not fitting:
        known = "; ".join(
            " and ".join(sorted(one.names)) for one in _LAYOUTS if one.suffix == suffix
        )
        raise InputError(
            f"{_WHAT} {path}: arrays {', '.join(sorted(names)) or 'none'}; a {suffix} graph needs "
            f"one of these sets: {known}."
        )
    graph = fitting[0].read(Path(path), features)
    if graph.n_instances == 0:
        raise InputError(f"{_WHAT} {path}: no rows; it needs one per face.")
    if features is not None:
        _check_count(graph.n_instances, features, path)
    return graph


def save_graph(path: Path | str, graph: NeighborGraph) -> None:
    """Write a graph as one safetensors file, whole or not at all.

    Raises
    ------
    InputError
        If `path` does not end in ``.safetensors``.
    OutputError
        If the file cannot be written; what stood under `path` is unchanged.
    """
    known_suffix(path, [".safetensors"], _WHAT)
    save_arrays(
        path,
        {"indices": graph.indices, "similarities": graph.similarities},
        {"format": _FORMAT, "version": _VERSION, "method": graph.method, "recall": graph.recall},
    )


def check_graph_path(path: Path | str) -> None:
    """Fail before long work if `save_graph` could not write to `path` after it."""
    known_suffix(path, [".safetensors"], _WHAT)
    check_writable(path)


def _read_own(path: Path, features: _Features) -> NeighborGraph:
    arrays, metadata = load_arrays(path, _WHAT, mapped=True)
    if metadata.get("format") != _FORMAT or not {"indices", "similarities"} <= arrays.keys():
        raise InputError(
            f"{_WHAT} {path}: not a graph that facelink wrote; make one with facelink neighbors."
        )
    if metadata.get("version") != _VERSION:
        raise InputError(
            f"{_WHAT} {path}: format version {metadata.get('version')}, but this facelink reads "
            f"version {_VERSION}; update facelink or make the graph again."
        )
    method, recall = metadata.get("method"), metadata.get("recall")
    is_share = isinstance(recall, int | float) and 0 <= recall <= 1
    if not isinstance(method, str) or not (recall is None or is_share):
        raise InputError(
            f"{_WHAT} {path}: method {method!r} and recall {recall!r} need to be a name and a "
            "share from 0 to 1; the file is damaged, make the graph again."
        )
    with _named(path):
        return NeighborGraph(arrays["indices"], arrays["similarities"], method, recall)


def _read_ids(path: Path, features: _Features) -> NeighborGraph:
    ids = read_npy(path, _WHAT)
    if ids.ndim != 2 or ids.dtype.kind not in "iu":
        raise InputError(
            f"{_WHAT} {path}: {ids.dtype} {ids.shape}; a .npy graph holds integer ids (N, C), one "
            "row per face."
        )
    if features is None:
        raise InputError(
            f"{_WHAT} {path}: holds ids without similarities; pass the features too, so that "
            "they can be computed."
        )
    _check_count(len(ids), features, path)
    with _named(path):
        check_id_range(ids, len(ids))
    return _graph(path, ids, _cosines(ids, features))


def _read_csr(path: Path, features: _Features) -> NeighborGraph:
    names = npz_headers(path, _WHAT)
    stored = read_npz(path, _WHAT, "format") if "format" in names else np.array("csr")
    form = stored.item() if stored.size == 1 else stored.shape
    if form not in (b"csr", "csr"):
        raise InputError(
            f"{_WHAT} {path}: a sparse matrix in form {form!r:.40}; save its .tocsr()."
        )
    distances = _as_float32(path, "data", read_npz(path, _WHAT, "data"))
    if distances.size and (distances == 1).all():
        raise InputError(
            f"{_WHAT} {path}: every stored value is 1, which tells who is near but not how near; "
            "make it with mode='distance' and metric='cosine'."
        )
    indices, indptr, shape = (
        read_npz(path, _WHAT, name) for name in ("indices", "indptr", "shape")
    )
    with reading(path, _WHAT, "scipy CSR"):
        matrix = sparse.csr_matrix((distances, indices, indptr), shape=tuple(shape.tolist()))
    for row in np.flatnonzero(np.diff(matrix.indptr) < 0)[:1]:
        raise InputError(f"{_WHAT} {path}: indptr falls after row {row}; the file is damaged.")
    with _named(path):
        return NeighborGraph.from_csr(matrix, values="distance")


def _read_stacked(path: Path, features: _Features) -> NeighborGraph:
    stacked = read_npz(path, _WHAT, "data")
    if stacked.ndim != 3 or stacked.shape[1] != 2:
        raise InputError(
            f"{_WHAT} {path}: array 'data' of shape {stacked.shape}; needed is (N, 2, C), ids and "
            "cosine distances of each face."
        )
    return _graph(path, stacked[:, 0], 1 - _as_float32(path, "data", stacked[:, 1]))


def _read_pair(path: Path, ids: str, values: str, *, are_distances: bool) -> NeighborGraph:
    similarities = _as_float32(path, values, read_npz(path, _WHAT, values))
    if are_distances:
        similarities = 1 - similarities
    return _graph(path, read_npz(path, _WHAT, ids), similarities)


def _read_faiss(path: Path, features: _Features) -> NeighborGraph:
    products, ids = _as_float32(path, "D", read_npz(path, _WHAT, "D")), read_npz(path, _WHAT, "I")
    if ids.shape == products.shape and ids.ndim == 2 and ids.dtype.kind in "iuf":
        is_present = ids[:, 1:] != MISSING
        n_rises = np.count_nonzero((products[:, 1:] > products[:, :-1]) & is_present)
        n_falls = np.count_nonzero((products[:, 1:] < products[:, :-1]) & is_present)
        if n_rises > n_falls:
            raise InputError(
                f"{_WHAT} {path}: D grows along its rows, so it holds distances and not inner "
                "products; search with METRIC_INNER_PRODUCT, or save arrays called indices and "
                "distances, 1 − cosine (half the squared distance of unit vectors)."
            )
    return _graph(path, ids, products)


def _graph(path: Path, ids: NDArray[Any], similarities: NDArray[Any]) -> NeighborGraph:
    with _named(path):
        return NeighborGraph.from_candidates(ids, similarities)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Put the file's name before the message of an `InputError`."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{_WHAT} {path}: {error}") from error


def _check_count(n_rows: int, features: NDArray[np.float32], path: Path | str) -> None:
    if n_rows != len(features):
        raise InputError(
            f"{_WHAT} {path}: {n_rows} rows, but there are {len(features)} features; it belongs "
            "to other features, make it again with facelink neighbors."
        )


def _as_float32(path: Path, name: str, values: NDArray[Any]) -> NDArray[np.float32]:
    if values.dtype.kind not in "fiu":
        raise InputError(f"{_WHAT} {path}: array {name!r} of {values.dtype}; numbers needed.")
    with np.errstate(over="ignore", invalid="ignore"):  # the graph refuses what becomes inf or NaN
        return values.astype(np.float32, copy=False)


def _cosines(ids: NDArray[np.integer[Any]], features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosines of each row's instance with its candidates, (N, C)."""
    cosines = np.empty(ids.shape, dtype=np.float32)
    n_rows = max(1, _BLOCK_VALUES // max(1, ids.shape[1] * features.shape[1]))
    for start in range(0, len(ids), n_rows):
        block = slice(start, start + n_rows)
        chosen = ids[block]
        candidates = features[np.where(chosen == MISSING, 0, chosen)]
        cosines[block] = np.einsum("nd,nkd->nk", features[block], candidates)
    return cosines


class _Layout(NamedTuple):
    suffix: str
    names: frozenset[str]
    read: Callable[[Path, _Features], NeighborGraph]


_LAYOUTS = (
    _Layout(".safetensors", frozenset(), _read_own),
    _Layout(".npy", frozenset(), _read_ids),
    _Layout(".npz", frozenset({"indptr", "indices", "data", "shape"}), _read_csr),
    _Layout(".npz", frozenset({"data"}), _read_stacked),
    _Layout(
        ".npz",
        frozenset({"indices", "similarities"}),
        lambda path, _: _read_pair(path, "indices", "similarities", are_distances=False),
    ),
    _Layout(
        ".npz",
        frozenset({"indices", "distances"}),
        lambda path, _: _read_pair(path, "indices", "distances", are_distances=True),
    ),
    _Layout(".npz", frozenset({"I", "D"}), _read_faiss),
)
