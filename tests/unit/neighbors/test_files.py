import struct

import numpy as np
import pytest
from scipy import sparse
from sklearn.neighbors import KNeighborsTransformer

from facelink.errors import InputError, OutputError
from facelink.files import save_arrays
from facelink.neighbors.files import check_graph_path, load_graph, save_graph
from facelink.neighbors.graph import NeighborGraph

ROUNDING = 1e-6
"""Cosines of float32 vectors and 1 − (1 − cosine) are off by a few units in the last place."""

N, K = 9, 4


def make_features():
    """Nine unit vectors; 0, 1 and 8 are exact duplicates."""
    features = np.random.default_rng(5).normal(size=(N, 6))
    features[[1, 8]] = features[0]
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


FEATURES = make_features()
COSINES = (FEATURES.astype(np.float64) @ FEATURES.T.astype(np.float64)).clip(-1, 1)


def nearest(k, keep_self):
    """Ids by falling cosine, then by falling id: duplicates put the instance itself last."""
    rows = []
    for instance in range(N):
        others = [other for other in range(N) if keep_self or other != instance]
        rows.append(sorted(others, key=lambda other: (-COSINES[instance, other].round(9), -other)))
    return np.array(rows)[:, :k]


IDS = nearest(K + 1, keep_self=True)
VALUES = np.take_along_axis(COSINES, IDS, axis=1)


def expected_graph():
    """The K nearest others, equal cosines by id, from a loop over the cosines."""
    indices, similarities = [], []
    for instance in range(N):
        others = [other for other in IDS[instance] if other != instance]
        others.sort(key=lambda other: (-COSINES[instance, other].round(9), other))
        indices.append(others + [-1] * (K + 1 - len(others)))
        similarities.append([COSINES[instance, other] for other in others])
        similarities[-1] += [-np.inf] * (K + 1 - len(others))
    indices, similarities = np.array(indices), np.array(similarities)
    width = (indices != -1).sum(axis=1).max()
    return indices[:, :width], similarities[:, :width]


def assert_expected(graph):
    indices, similarities = expected_graph()
    np.testing.assert_array_equal(graph.indices, indices)
    np.testing.assert_allclose(graph.similarities, similarities, atol=ROUNDING)


def test_the_example_has_the_instance_itself_outside_column_0():
    position_of_self = [
        list(row).index(instance) if instance in row else -1 for instance, row in enumerate(IDS)
    ]
    assert set(position_of_self) >= {0, 1, 2}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "graph.npz"


class TestOwnFile:
    def graph(self, **details):
        plain = NeighborGraph.from_candidates(IDS, VALUES)
        return NeighborGraph(plain.indices, plain.similarities, **details)

    @pytest.mark.parametrize("details", [{"method": "exact"}, {"method": "ivf", "recall": 0.97}])
    def test_loads_what_was_saved(self, tmp_path, details):
        graph = self.graph(**details)
        save_graph(tmp_path / "g.safetensors", graph)
        loaded = load_graph(tmp_path / "g.safetensors", FEATURES)
        np.testing.assert_array_equal(loaded.indices, graph.indices)
        np.testing.assert_array_equal(loaded.similarities, graph.similarities)
        assert (loaded.method, loaded.recall) == (graph.method, graph.recall)

    def test_other_suffix(self, tmp_path):
        with pytest.raises(InputError, match=r"'\.npz'; choose one of \.safetensors"):
            save_graph(tmp_path / "g.npz", self.graph())

    def test_failed_write_leaves_the_old_file(self, tmp_path, monkeypatch):
        target = tmp_path / "g.safetensors"
        save_graph(target, self.graph())
        old = target.read_bytes()

        def full_disk(temporary, arrays, metadata):
            temporary.write_bytes(b"part of it")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("facelink.files.write_tensors", full_disk)
        with pytest.raises(OutputError, match=r"No space left on device.*unchanged"):
            save_graph(target, self.graph(method="exact"))
        assert [file.name for file in tmp_path.iterdir()] == [target.name]
        assert target.read_bytes() == old

    @pytest.mark.parametrize("n_kept", [3, 30, 300, -1])
    def test_truncated(self, tmp_path, n_kept):
        target = tmp_path / "g.safetensors"
        save_graph(target, self.graph())
        target.write_bytes(target.read_bytes()[:n_kept])
        with pytest.raises(InputError, match=r"not a readable safetensors file.*truncated"):
            load_graph(target)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"format": "facelink.links"}, "not a graph that facelink wrote.*facelink neighbors"),
            ({"version": 2}, "format version 2, but this facelink reads version 1; update"),
            ({"method": 3}, "method 3 and recall None need to be"),
            ({"recall": 1.5}, r"method 'exact' and recall 1\.5 need to be"),
            ({"recall": "all"}, "recall 'all' need to be"),
        ],
    )
    def test_bad_metadata(self, tmp_path, changes, message):
        metadata = {"format": "facelink.neighbors", "version": 1, "method": "exact", "recall": None}
        graph = self.graph()
        arrays = {"indices": graph.indices, "similarities": graph.similarities}
        save_arrays(tmp_path / "g.safetensors", arrays, metadata | changes)
        with pytest.raises(InputError, match=message):
            load_graph(tmp_path / "g.safetensors")

    @pytest.mark.parametrize(
        ("indices", "similarities", "message"),
        [
            ([[1], [2]], [[0.5], [0.5]], r"g\.safetensors: .*names instance 2.*0 to 1"),
            ([[0], [0]], [[0.5], [0.5]], r"g\.safetensors: .*its own neighbour"),
            ([[1], [0]], [[0.5], [np.nan]], r"g\.safetensors: similarities must be numbers"),
        ],
    )
    def test_damaged_values(self, tmp_path, indices, similarities, message):
        arrays = {
            "indices": np.array(indices, dtype=np.int32),
            "similarities": np.array(similarities, dtype=np.float32),
        }
        metadata = {"format": "facelink.neighbors", "version": 1, "method": "exact"}
        save_arrays(tmp_path / "g.safetensors", arrays, metadata)
        with pytest.raises(InputError, match=message):
            load_graph(tmp_path / "g.safetensors")

    def test_file_of_another_tool(self, tmp_path):
        header = b'{"w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
        target = tmp_path / "g.safetensors"
        target.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)
        with pytest.raises(InputError, match=r"not a readable .*bfloat16"):
            load_graph(target)


class TestCheckGraphPath:
    def test_good_place_stays_untouched(self, tmp_path):
        check_graph_path(tmp_path / "g.safetensors")
        assert not list(tmp_path.iterdir())

    def test_unknown_suffix(self, tmp_path):
        with pytest.raises(InputError, match=r"choose one of \.safetensors"):
            check_graph_path(tmp_path / "g.npy")

    def test_folder(self, tmp_path):
        (tmp_path / "g.safetensors").mkdir()
        with pytest.raises(OutputError, match=r"it is a folder"):
            check_graph_path(tmp_path / "g.safetensors")


class TestAnyFile:
    @pytest.mark.parametrize("suffix", [".safetensors", ".npy", ".npz"])
    def test_missing(self, tmp_path, suffix):
        with pytest.raises(InputError, match=r"no such file"):
            load_graph(tmp_path / f"g{suffix}")

    @pytest.mark.parametrize("suffix", [".safetensors", ".npy", ".npz"])
    def test_empty(self, tmp_path, suffix):
        (tmp_path / f"g{suffix}").touch()
        with pytest.raises(InputError, match=r"the file is empty \(0 bytes\)"):
            load_graph(tmp_path / f"g{suffix}", FEATURES)

    def test_unknown_suffix(self, tmp_path):
        with pytest.raises(InputError, match=r"'\.mtx'; choose one of \.safetensors, \.npy, \.npz"):
            load_graph(tmp_path / "g.mtx")

    def test_unknown_arrays(self, path):
        np.savez(path, rows=IDS)
        with pytest.raises(
            InputError, match=r"arrays rows; a \.npz graph needs one of.*; data;.*; D and I"
        ):
            load_graph(path)

    def test_other_features(self, path):
        np.savez(path, indices=IDS, similarities=VALUES)
        with pytest.raises(InputError, match=r"9 rows, but there are 8 features.*make it again"):
            load_graph(path, FEATURES[:8])

    def test_no_rows(self, path):
        np.savez(path, indices=np.zeros((0, 3), dtype=int), similarities=np.zeros((0, 3)))
        with pytest.raises(InputError, match=r"no rows; it needs one per face"):
            load_graph(path)


class TestIds:
    @pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint16, ">i4"])
    def test_with_the_instance_itself_anywhere(self, tmp_path, dtype):
        np.save(tmp_path / "g.npy", IDS.astype(dtype))
        assert_expected(load_graph(tmp_path / "g.npy", FEATURES))

    def test_without_the_instance_itself(self, tmp_path):
        ids = nearest(K, keep_self=False)
        np.save(tmp_path / "g.npy", ids)
        graph = load_graph(tmp_path / "g.npy", FEATURES)
        assert [set(row) for row in graph.indices] == [set(row) for row in ids]

    def test_missing_neighbors(self, tmp_path):
        ids = IDS.copy()
        ids[2:] = -1
        np.save(tmp_path / "g.npy", ids)
        graph = load_graph(tmp_path / "g.npy", FEATURES)
        assert (graph.indices[2:] == -1).all()
        assert np.isneginf(graph.similarities[2:]).all()

    def test_duplicates_tie_exactly(self, tmp_path):
        np.save(tmp_path / "g.npy", np.tile([8, 1, 0, 5, 3], (N, 1)))
        graph = load_graph(tmp_path / "g.npy", FEATURES)
        for instance in (2, 4, 6, 7):
            twins = np.isin(graph.indices[instance], [0, 1, 8])
            assert len(set(graph.similarities[instance][twins])) == 1
            assert graph.indices[instance][twins].tolist() == [0, 1, 8]

    def test_more_rows_than_one_block(self, tmp_path, monkeypatch):
        monkeypatch.setattr("facelink.neighbors.files._BLOCK_VALUES", 2 * (K + 1) * 6)
        np.save(tmp_path / "g.npy", IDS)
        assert_expected(load_graph(tmp_path / "g.npy", FEATURES))

    def test_needs_features(self, tmp_path):
        np.save(tmp_path / "g.npy", IDS)
        with pytest.raises(InputError, match=r"ids without similarities; pass the features"):
            load_graph(tmp_path / "g.npy")

    @pytest.mark.parametrize("bad", [-2, N])
    def test_out_of_range(self, tmp_path, bad):
        ids = IDS.copy()
        ids[3, 2] = bad
        np.save(tmp_path / "g.npy", ids)
        with pytest.raises(InputError, match=rf"g\.npy: .*names instance {bad}, but ids run from"):
            load_graph(tmp_path / "g.npy", FEATURES)

    @pytest.mark.parametrize("ids", [IDS[0], IDS[None], IDS + 0.5, IDS.astype(str)])
    def test_no_matrix_of_integers(self, tmp_path, ids):
        np.save(tmp_path / "g.npy", ids)
        with pytest.raises(InputError, match=r"a \.npy graph holds integer ids \(N, C\)"):
            load_graph(tmp_path / "g.npy", FEATURES)

    def test_other_features(self, tmp_path):
        np.save(tmp_path / "g.npy", IDS)
        with pytest.raises(InputError, match=r"9 rows, but there are 8 features"):
            load_graph(tmp_path / "g.npy", FEATURES[:8])

    def test_pickled(self, tmp_path):
        np.save(tmp_path / "g.npy", IDS.astype(object))
        with pytest.raises(InputError, match=r"pickled Python objects"):
            load_graph(tmp_path / "g.npy", FEATURES)

    def test_truncated(self, tmp_path):
        np.save(tmp_path / "g.npy", IDS)
        content = (tmp_path / "g.npy").read_bytes()
        (tmp_path / "g.npy").write_bytes(content[:-1])
        with pytest.raises(InputError, match=r"truncated"):
            load_graph(tmp_path / "g.npy", FEATURES)


class TestStacked:
    """The layout of learn-to-cluster."""

    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    def test_ids_and_distances(self, path, save):
        save(path, data=[(ids, 1 - values) for ids, values in zip(IDS, VALUES, strict=True)])
        assert_expected(load_graph(path, FEATURES))

    def test_pickled(self, path):
        rows = np.empty(2, dtype=object)
        rows[:] = [([0, 1], [0.0, 0.5]), ([1], [0.0])]
        np.savez(path, data=rows)
        with pytest.raises(InputError, match=r"array 'data': holds pickled.*save it again"):
            load_graph(path)

    @pytest.mark.parametrize("shape", [(N, 3, K), (N, K), (2, N, K)])
    def test_other_shape(self, path, shape):
        np.savez(path, data=np.zeros(shape))
        with pytest.raises(InputError, match=r"needed is \(N, 2, C\)"):
            load_graph(path)

    @pytest.mark.parametrize(
        ("row", "value", "message"),
        [
            (0, 0.5, r"graph\.npz: neighbour ids must be whole numbers"),
            (0, np.nan, "neighbour ids must be whole numbers"),
            (0, N, f"names instance {N}"),
            (1, np.nan, "cosines lie in"),
            (1, 2.5, r"from -1\.5 to .*, but cosines lie in"),
            (1, -0.5, r"to 1\.5, but cosines lie in"),
            (1, 1e300, "from -inf to .*cosines lie in"),
        ],
    )
    def test_bad_value(self, path, row, value, message):
        data = np.stack([IDS, 1 - VALUES], axis=1)
        data[4, row, 3] = value
        np.savez(path, data=data)
        with pytest.raises(InputError, match=message):
            load_graph(path)

    def test_distances_a_hair_outside_their_range_are_clipped(self, path):
        np.savez(path, data=[([1, 2], [-1e-4, 2.0001]), ([0, 2], [-1e-4, 1]), ([0, 1], [2, 1])])
        graph = load_graph(path)
        np.testing.assert_array_equal(graph.similarities, [[1, -1], [1, 0], [0, -1]])


class TestPairs:
    @pytest.mark.parametrize(
        "arrays",
        [
            {"indices": IDS, "similarities": VALUES.astype(np.float16)},
            {"indices": IDS.astype(float), "similarities": VALUES},
            {"indices": IDS, "distances": 1 - VALUES},
            {"I": IDS, "D": VALUES.astype(np.float32)},
        ],
    )
    def test_ids_and_values(self, path, arrays):
        np.savez(path, **arrays)
        graph = load_graph(path, FEATURES)
        np.testing.assert_array_equal(graph.indices, expected_graph()[0])
        float16_rounding = 1e-3
        np.testing.assert_allclose(graph.similarities, expected_graph()[1], atol=float16_rounding)

    def test_missing_as_faiss_writes_it(self, path):
        lowest = np.finfo(np.float32).min
        np.savez(path, I=[[0, 1], [1, -1]], D=np.array([[1, 0.5], [1, lowest]], dtype=np.float32))
        graph = load_graph(path)
        np.testing.assert_array_equal(graph.indices, [[1], [-1]])
        np.testing.assert_array_equal(graph.similarities, np.float32([[0.5], [-np.inf]]))

    def test_faiss_distances_are_no_products(self, path):
        np.savez(path, I=IDS, D=2 - 2 * VALUES)
        with pytest.raises(InputError, match=r"D grows along its rows.*METRIC_INNER_PRODUCT"):
            load_graph(path)

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"indices": IDS, "similarities": VALUES[:, 1:]}, r"one shape \(N, C\), got"),
            ({"indices": IDS[0], "similarities": VALUES[0]}, r"one shape \(N, C\), got"),
            ({"indices": IDS, "distances": VALUES.astype(str)}, "array 'distances' of <U"),
            ({"indices": IDS, "similarities": VALUES * 3}, "cosines lie in"),
            ({"indices": IDS, "similarities": VALUES * np.nan}, "cosines lie in"),
            ({"I": IDS + 1, "D": VALUES}, f"names instance {N}"),
            ({"I": IDS[0], "D": VALUES}, r"one shape \(N, C\), got"),
            ({"I": IDS.astype([("a", "<i4")]), "D": VALUES}, "whole numbers, got"),
            ({"I": IDS.astype(str), "D": VALUES}, "whole numbers, got <U"),
        ],
    )
    def test_bad_arrays(self, path, arrays, message):
        np.savez(path, **arrays)
        with pytest.raises(InputError, match=message):
            load_graph(path)


class TestCsr:
    def save(self, path, **changes):
        arrays = {
            "format": b"csr",
            "shape": (N, N),
            "data": (1 - VALUES).reshape(-1),
            "indices": IDS.reshape(-1),
            "indptr": np.arange(N + 1) * (K + 1),
        }
        np.savez(path, **(arrays | changes))
        return path

    @pytest.mark.parametrize("make", [sparse.csr_matrix, sparse.csr_array])
    def test_saved_by_scipy(self, path, make):
        pointers = np.arange(N + 1) * (K + 1)
        distances = make(((1 - VALUES).reshape(-1), IDS.reshape(-1), pointers), shape=(N, N))
        sparse.save_npz(path, distances)
        assert_expected(load_graph(path, FEATURES))

    def test_written_by_scikit_learn(self, path):
        neighbors = KNeighborsTransformer(n_neighbors=K, metric="cosine")
        sparse.save_npz(path, neighbors.fit_transform(FEATURES))
        graph = load_graph(path, FEATURES)
        assert graph.n_neighbors >= K
        for instance in range(N):
            kept = graph.indices[instance] >= 0
            cosines = COSINES[instance, graph.indices[instance][kept]]
            np.testing.assert_allclose(graph.similarities[instance][kept], cosines, atol=ROUNDING)

    def test_rows_of_different_lengths(self, path):
        pointers = [0, 2, 2, 3]
        matrix = sparse.csr_matrix(([0.5, 0.25, 0.75], [1, 2, 0], pointers), shape=(3, 3))
        sparse.save_npz(path, matrix)
        graph = load_graph(path)
        np.testing.assert_array_equal(graph.indices, [[2, 1], [-1, -1], [0, -1]])
        expected = [[0.75, 0.5], [-np.inf, -np.inf], [0.25, -np.inf]]
        np.testing.assert_array_equal(graph.similarities, np.float32(expected))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"format": b"csc"}, r"form b'csc'; save its \.tocsr\(\)"),
            ({"data": np.ones(N * (K + 1))}, "every stored value is 1.*mode='distance'"),
            ({"data": np.full(N * (K + 1), np.nan)}, "cosines lie in"),
            ({"data": np.full(N * (K + 1), 3.0)}, r"graph\.npz: .*cosines lie in"),
            ({"data": np.ones(3) / 2}, "not a readable scipy CSR file"),
            ({"data": np.array(["a"] * N * (K + 1))}, "array 'data' of <U1"),
            ({"data": VALUES.astype(object)}, "array 'data': holds pickled"),
            ({"shape": (N, N + 1)}, "must be square"),
            ({"shape": (10**12, 10**12)}, "not a readable scipy CSR file"),
            ({"indices": IDS.reshape(-1) + 1}, f"names instance {N}"),
            ({"indptr": [0, 5, 2, *range(15, 50, 5)]}, "indptr falls after row 1"),
        ],
    )
    def test_bad_arrays(self, path, changes, message):
        with pytest.raises(InputError, match=message):
            load_graph(self.save(path, **changes))
