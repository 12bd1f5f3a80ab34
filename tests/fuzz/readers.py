"""The readers of files that others may have written, and small valid files of each."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import torch
from scipy import sparse

from facelink.album.additions import add_faces, embedding_model
from facelink.album.audit import album_status, audit_album
from facelink.album.decisions import name_person, say_different
from facelink.album.evidence import Evidence
from facelink.album.forget import forget_person
from facelink.album.history import batches, changes_of
from facelink.album.library import DATABASE, edit_album, open_album
from facelink.album.queries import decisions, features_of, people, photos, undecided
from facelink.album.records import NewFace
from facelink.album.update import update_album
from facelink.errors import FacelinkError, InputError
from facelink.features import load_features, normalize_features, save_features
from facelink.labels import load_labels, save_labels
from facelink.links import Links
from facelink.models.checkpoint import import_checkpoint
from facelink.models.config import LinkGCNConfig
from facelink.models.context_gcn import ContextGCN, ContextGCNConfig
from facelink.models.link_gcn import LinkGCN
from facelink.models.loading import load_link_model
from facelink.models.saved import CONFIG_NAME, WEIGHTS_NAME
from facelink.neighbors.files import load_graph, save_graph
from facelink.neighbors.graph import NeighborGraph
from facelink.neighbors.prepared import PreparedSearch
from facelink.neighbors.shards import FoundSoFar, IndexShard, Queries, write_shards
from facelink.pairs import load_pairs
from facelink.stages.manifest import MANIFEST_NAME, FinishedBlock, Manifest, Origin
from facelink.stages.settings import RunSettings
from facelink.training.state import Progress, restore_state, save_state

FEATURES = normalize_features(np.random.default_rng(2).normal(size=(6, 3)))
LABELS = [3, 1, 1, 0, 3, 7]
IDS = np.argsort(-FEATURES @ FEATURES.T, axis=1)[:, :4]
COSINES = np.take_along_axis(FEATURES @ FEATURES.T, IDS, axis=1)
LINK_CONFIG = LinkGCNConfig(3, (4, 4))
CONTEXT_CONFIG = ContextGCNConfig((4,))
RUN = {"config": LINK_CONFIG.as_dict(), "training": ["6 faces"]}


@dataclass(frozen=True)
class Reader:
    """How one kind of file is read.

    Parameters
    ----------
    name : str
        Name of the file, with its suffix.
    read
        Reads the file at a path, and looks at what came of it.
    examples
        Contents of small files that it reads.
    prepare
        Puts beside the file what it needs.
    """

    name: str
    read: Callable[[Path], object]
    examples: tuple[bytes, ...]
    prepare: Callable[[Path], object] = lambda folder: None

    def attempt(self, content: bytes) -> object:
        """What comes of a file with this content; None if it is refused as it should be.

        Raises
        ------
        MemoryError
            If the reader refused it only because there was not enough memory.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.prepare(Path(folder))
            path = Path(folder, self.name)
            path.write_bytes(content)
            try:
                return self.read(path)
            except InputError as error:
                if isinstance(error.__cause__, MemoryError):
                    raise error.__cause__ from error
                return None


def _features(path: Path) -> object:
    features = load_features(path, dim=3 if path.suffix == ".bin" else None)
    assert features.dtype == np.float32
    assert np.allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
    return features


def _labels(path: Path) -> object:
    labels = load_labels(path)
    assert (labels.dtype, labels.ndim) == (np.int64, 1)
    return labels


def _graph(path: Path) -> object:
    graph = load_graph(path, FEATURES)
    assert graph.n_instances == len(FEATURES)
    return graph


def _any_graph(path: Path) -> object:
    return load_graph(path)


def _search(path: Path) -> object:
    search = PreparedSearch.load(path, FEATURES)
    return search.rows(np.arange(len(FEATURES)))


def _shard(path: Path) -> object:
    shard, search = IndexShard.load(path), _prepared_search()
    if shard.features.shape[1] != FEATURES.shape[1]:
        return None
    everyone = np.arange(len(FEATURES))
    queries = Queries.begin(search, everyone)
    found = FoundSoFar.nothing(everyone, queries.n_kept)
    found = found.with_answers([shard.look_nearby(queries)])
    queries = queries.for_better_than(found, 3)
    return found.with_answers([shard.look_farther(queries)]).neighbors(3)


def _run_settings(path: Path) -> object:
    settings = RunSettings.read(path)
    assert settings.memory_bytes is None or settings.memory_bytes > 0
    return settings.merging


def _manifest(path: Path) -> object:
    manifest = Manifest.read(path.parent)
    return manifest and (manifest.n_done, manifest.seconds_in_all, manifest.other_versions())


def _pairs(path: Path) -> object:
    pairs = load_pairs(path)
    assert (pairs.dtype, pairs.shape[1:]) == (np.int64, (2,))
    assert (pairs >= 0).all()
    return pairs


def _model(path: Path) -> object:
    model = load_link_model(path.parent)
    assert model is not None
    assert all(bool(value.isfinite().all()) for value in model.state_dict().values())
    return model


def _checkpoint(path: Path) -> object:
    model = import_checkpoint(path)
    assert all(bool(value.isfinite().all()) for value in model.state_dict().values())
    return model


def _optimizer(model: LinkGCN) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=0.1)


def _state(path: Path) -> object:
    """Reads a state, and goes on with it."""
    model = LinkGCN(LINK_CONFIG)
    optimizer = _optimizer(model)
    progress = restore_state(path, model, optimizer, RUN)
    progress.count(0.5, 2)
    _step(model, optimizer)
    return progress


def _step(model: LinkGCN, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    torch.stack([value.square().sum() for value in model.parameters()]).sum().backward()
    optimizer.step()


def _album(path: Path) -> object:
    with open_album(path.parent) as album:
        found = [people(album), photos(album), decisions(album), album_status(album)]
        found += [changes_of(album, batch.id) for batch in batches(album)]
        for face in undecided(album):
            features_of(album, face)
        return found, audit_album(album)


def _changed_album(path: Path) -> object:
    with contextlib.suppress(FacelinkError), edit_album(path.parent, "fuzzing") as album:
        add_faces(album, embedding_model(album, "made up", 3), [NewFace(FEATURES[0])])
        return update_album(album, ContextGCN.pretrained())
    return None


def _kept_neighbors(path: Path) -> object:
    """Works with an album whose neighbours, which can be made again, may be damaged."""
    with edit_album(path.parent, "fuzzing") as album:
        try:
            Evidence(album)
            add_faces(album, embedding_model(album, "made up", 3), [NewFace(-FEATURES[0])])
            changes = update_album(album, ContextGCN.pretrained())
            forget_person(album, people(album)[0].id)
        except FacelinkError as error:
            raise AssertionError("refused for what is as good as missing") from error
    return changes


def _written(suffix: str, write: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"example{suffix}")
        write(path)
        return path.read_bytes()


def _write_links(path: Path) -> None:
    pairs = np.array([[0, 1], [0, 2], [3, 5]], dtype=np.int32)
    likelihoods = np.array([0.9, 0.2, 1.0], dtype=np.float32)
    Links(pairs, likelihoods, np.array([False, True, False]), 6, 4).save(path)


def _prepared_search() -> PreparedSearch:
    return PreparedSearch.prepare(FEATURES, 3, "ivf")


def _write_manifest(path: Path) -> None:
    origin = Origin("neighbors", {"k": 3}, {"features": "0123"})
    block = FinishedBlock(0, 4, 64, {"indices": "4567"}, 0.5)
    Manifest.begin(origin, 6).with_block(block).with_file("search", "89ab").write(path.parent)
    (path.parent / MANIFEST_NAME).rename(path)


def _write_csr(path: Path) -> None:
    pointers = np.arange(7) * 4
    sparse.save_npz(path, sparse.csr_matrix(((1 - COSINES).ravel(), IDS.ravel(), pointers)))


def _write_state(path: Path) -> None:
    model = LinkGCN(LINK_CONFIG)
    optimizer = _optimizer(model)
    _step(model, optimizer)
    save_state(path, model, optimizer, Progress(n_rounds=2, pivots_done=7), RUN)


def _write_checkpoint(path: Path, *, is_legacy: bool) -> None:
    widths = (4, 4)
    tensors = {"bn0.running_mean": torch.zeros(3), "bn0.running_var": torch.ones(3)}
    for number, (width_in, width_out) in enumerate(zip((3, *widths), widths, strict=False), 1):
        tensors[f"conv{number}.weight"] = torch.ones(2 * width_in, width_out)
        tensors[f"conv{number}.bias"] = torch.zeros(width_out)
    tensors |= {"classifier.0.weight": torch.ones(4, 4), "classifier.0.bias": torch.ones(4)}
    tensors |= {"classifier.1.weight": torch.ones(4)}
    tensors |= {"classifier.2.weight": torch.ones(2, 4), "classifier.2.bias": torch.ones(2)}
    content = {"state_dict": tensors, "epoch": 3}
    torch.save(content, path, _use_new_zipfile_serialization=not is_legacy)


def _model_folder(folder: Path) -> None:
    LinkGCN(LINK_CONFIG).save_pretrained(folder)


def _context_folder(folder: Path) -> None:
    ContextGCN(CONTEXT_CONFIG).save_pretrained(folder)


def _make_album(folder: Path) -> None:
    with edit_album(folder, "fuzzing", create=True) as album:
        model = embedding_model(album, "made up", 3)
        faces = add_faces(album, model, [NewFace(row) for row in FEATURES])
        update_album(album, ContextGCN.pretrained())
        say_different(album, *faces[:2])
        name_person(album, people(album)[0].id, "Ada")


def _from_folder(make: Callable[[Path], object], name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder))
        return Path(folder, name).read_bytes()


def _copied(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """A function that makes a folder's files as `make` did, once."""
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder))
        files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}

    def copy(folder: Path) -> None:
        for name, content in files.items():
            (folder / name).write_bytes(content)

    return copy


def _parquet_table(columns: dict[str, object]) -> bytes:
    return _written(".parquet", lambda path: pyarrow.parquet.write_table(pa.table(columns), path))


def _readers() -> Iterator[tuple[str, Reader]]:
    for suffix in (".npy", ".npz", ".bin", ".safetensors", ".parquet"):
        content = _written(suffix, partial(save_features, features=FEATURES))
        yield f"features{suffix}", Reader(f"features{suffix}", _features, (content,))
    for suffix in (".npy", ".npz", ".txt", ".csv", ".parquet"):
        contents = [_written(suffix, partial(save_labels, labels=LABELS))]
        if suffix == ".parquet":
            names = pa.array(["a", "b", "a"]).dictionary_encode()
            contents.append(_parquet_table({"person": names}))
        yield f"labels{suffix}", Reader(f"labels{suffix}", _labels, tuple(contents))
    own = _written(
        ".safetensors",
        partial(save_graph, graph=NeighborGraph.from_candidates(IDS, COSINES)),
    )
    layouts = (
        _written(".npz", _write_csr),
        _written(".npz", partial(np.savez_compressed, data=np.stack([IDS, 1 - COSINES], axis=1))),
        _written(".npz", partial(np.savez, I=IDS, D=COSINES)),
        _written(".npz", partial(np.savez, indices=IDS, similarities=COSINES)),
    )
    yield "graph.safetensors", Reader("graph.safetensors", _any_graph, (own,))
    yield "graph.npz", Reader("graph.npz", _any_graph, layouts)
    yield "graph.npy", Reader("graph.npy", _graph, (_written(".npy", partial(np.save, arr=IDS)),))
    search = _prepared_search()
    kept = _written(".safetensors", search.save)
    yield "search.safetensors", Reader("search.safetensors", _search, (kept,))
    shard = _written(".safetensors", lambda path: write_shards(search, [path]))
    yield "shard.safetensors", Reader("shard.safetensors", _shard, (shard,))
    toml = b'features = "faces.npy"\nk_at_hop = [80, 5]\nmemory = "8G"\nrecall = 0.9\n'
    yield "run.toml", Reader("run.toml", _run_settings, (toml,))
    manifest = _written(".json", _write_manifest)
    yield MANIFEST_NAME, Reader(MANIFEST_NAME, _manifest, (manifest,))
    links = _written(".safetensors", _write_links)
    yield "links.safetensors", Reader("links.safetensors", Links.load, (links,))
    pairs = np.array([[0, 1], [2, 5]])
    yield "pairs.npy", Reader("pairs.npy", _pairs, (_written(".npy", partial(np.save, arr=pairs)),))
    yield "pairs.csv", Reader("pairs.csv", _pairs, (b"face,other\n0,1\n2,5\n", b"3 4\n"))
    checkpoints = [
        _written(".pth", partial(_write_checkpoint, is_legacy=is_legacy))
        for is_legacy in (False, True)
    ]
    yield "checkpoint.pth", Reader("checkpoint.pth", _checkpoint, tuple(checkpoints))
    for kind, make in (("link", _model_folder), ("context", _context_folder)):
        beside = _copied(make)
        for name in (CONFIG_NAME, WEIGHTS_NAME):
            yield f"{kind}-{name}", Reader(name, _model, (_from_folder(make, name),), beside)
    state = _written(".safetensors", _write_state)
    yield "state.safetensors", Reader("state.safetensors", _state, (state,))
    beside = _copied(_make_album)
    for name in (DATABASE, "features-1.bin"):
        content = _from_folder(_make_album, name)
        yield f"album-{name}", Reader(name, _album, (content,), beside)
        yield f"changed-album-{name}", Reader(name, _changed_album, (content,), beside)
    name = "neighbors-1.safetensors"
    content = _from_folder(_make_album, name)
    yield f"album-{name}", Reader(name, _kept_neighbors, (content,), beside)


READERS: dict[str, Reader] = dict(_readers())
"""Every reader, by the kind of file."""

if __name__ == "__main__":
    print(*READERS, sep="\n")
