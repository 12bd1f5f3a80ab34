"""Whatever stands in a file, a reader gives an `InputError` or a sound result."""

import contextlib
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from facelink.errors import InputError
from facelink.features import UNIT_NORM_TOLERANCE, load_features, normalize_features, save_features
from facelink.labels import load_labels, save_labels
from facelink.neighbors.files import load_graph, save_graph
from facelink.neighbors.graph import NeighborGraph

FEATURES = normalize_features(np.random.default_rng(2).normal(size=(6, 3)))
IDS = np.argsort(-FEATURES @ FEATURES.T, axis=1)[:, :4]
COSINES = np.take_along_axis(FEATURES @ FEATURES.T, IDS, axis=1)


def check_features(path):
    loaded = load_features(path, dim=3 if path.suffix == ".bin" else None)
    assert loaded.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(loaded, axis=1), 1, atol=2 * UNIT_NORM_TOLERANCE)


def check_labels(path):
    loaded = load_labels(path)
    assert (loaded.dtype, loaded.ndim) == (np.int64, 1)
    assert len(loaded)


def check_graph(path):
    graph = load_graph(path, FEATURES)
    others = graph.indices[graph.indices >= 0]
    assert graph.n_instances == len(FEATURES)
    assert not len(others) or others.max() < len(FEATURES)
    assert not np.isnan(graph.similarities).any()


def write_graph(path, layout):
    if layout == "ids":
        np.save(path, IDS)
    elif layout == "own":
        save_graph(path, NeighborGraph.from_candidates(IDS, COSINES))
    elif layout == "csr":
        pointers = np.arange(7) * 4
        sparse.save_npz(path, sparse.csr_matrix(((1 - COSINES).ravel(), IDS.ravel(), pointers)))
    elif layout == "stacked":
        np.savez_compressed(path, data=np.stack([IDS, 1 - COSINES], axis=1))
    else:
        np.savez(path, I=IDS, D=COSINES)


def valid_files():
    """Content of a small valid file of each kind: (suffix, check, content)."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".npy", ".npz", ".bin", ".safetensors", ".parquet"):
            path = Path(folder, f"features{suffix}")
            save_features(path, FEATURES)
            yield suffix, check_features, path.read_bytes()
        for suffix in (".npy", ".npz", ".meta", ".csv", ".parquet"):
            path = Path(folder, f"labels{suffix}")
            save_labels(path, [3, 1, 1, 0, 3, 7])
            yield suffix, check_labels, path.read_bytes()
        for layout, suffix in (
            ("ids", ".npy"),
            ("own", ".safetensors"),
            ("csr", ".npz"),
            ("stacked", ".npz"),
            ("faiss", ".npz"),
        ):
            path = Path(folder, f"{layout}{suffix}")
            write_graph(path, layout)
            yield suffix, check_graph, path.read_bytes()


few_examples = settings(max_examples=40, deadline=None)
"""Every kind of file gets as many, and the first read of a kind may load a library."""

FILES = list(valid_files())
each_kind_of_file = pytest.mark.parametrize(
    ("suffix", "check", "content"),
    FILES,
    ids=[f"{check.__name__}-{index}{suffix}" for index, (suffix, check, _) in enumerate(FILES)],
)


def refuses_or_reads(suffix, check, content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"file{suffix}")
        path.write_bytes(content)
        with contextlib.suppress(InputError):
            check(path)


@each_kind_of_file
def test_valid_file(tmp_path, suffix, check, content):
    (tmp_path / f"file{suffix}").write_bytes(content)
    check(tmp_path / f"file{suffix}")


@each_kind_of_file
@few_examples
@given(noise=st.binary(max_size=200), keep_start=st.integers(0, 12))
def test_random_bytes(suffix, check, content, noise, keep_start):
    refuses_or_reads(suffix, check, content[:keep_start] + noise)


@each_kind_of_file
@few_examples
@given(data=st.data())
def test_damaged_file(suffix, check, content, data):
    position = st.integers(0, len(content) - 1)
    edits = data.draw(st.lists(st.tuples(position, st.integers(0, 255)), max_size=4))
    cut = data.draw(st.one_of(st.just(slice(0, 0)), st.builds(slice, position, position)))
    damaged = bytearray(content)
    for place, value in edits:
        damaged[place] = value
    del damaged[cut]
    refuses_or_reads(suffix, check, bytes(damaged))


any_array = st.one_of(
    hnp.arrays(
        dtype=st.one_of(
            hnp.integer_dtypes(endianness="?"),
            hnp.unsigned_integer_dtypes(),
            hnp.floating_dtypes(endianness="?"),
            hnp.byte_string_dtypes(min_len=1, max_len=3),
            hnp.unicode_string_dtypes(min_len=1, max_len=3),
            hnp.boolean_dtypes(),
            hnp.complex_number_dtypes(),
            hnp.datetime64_dtypes(),
        ),
        shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=7),
    ),
    hnp.arrays(np.int64, (6, 2), elements=st.integers(-1, 6)),
    hnp.arrays(np.float64, (6, 2), elements=st.floats(width=64)),
    hnp.arrays(np.int64, st.integers(0, 8), elements=st.integers(-1, 8)),
)


@few_examples
@given(array=any_array)
@pytest.mark.parametrize("check", [check_features, check_labels, check_graph])
def test_any_array(check, array):
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, "any.npy"), array)
        refuses_or_reads(".npy", check, Path(folder, "any.npy").read_bytes())


@few_examples
@given(data=st.data())
@pytest.mark.parametrize(
    ("check", "names"),
    [
        (check_features, ["features"]),
        (check_labels, ["labels"]),
        (check_graph, ["data"]),
        (check_graph, ["indices", "similarities"]),
        (check_graph, ["indices", "distances"]),
        (check_graph, ["I", "D"]),
        (check_graph, ["data", "indices", "indptr", "shape"]),
    ],
)
def test_any_named_arrays(check, names, data):
    arrays = {name: data.draw(any_array, name) for name in names}
    if "shape" in arrays:
        arrays["shape"] = np.array([6, 6])
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder, "any.npz"), **arrays)
        refuses_or_reads(".npz", check, Path(folder, "any.npz").read_bytes())


@few_examples
@given(
    text=st.text(alphabet=st.sampled_from('ab01-._," \n\r\t;é\0'), max_size=60),
    header=st.sampled_from(["", "label\n", "index,label\n", "person,path\n"]),
)
@pytest.mark.parametrize("suffix", [".csv", ".txt"])
def test_any_text(suffix, text, header):
    refuses_or_reads(suffix, check_labels, (header + text).encode())
