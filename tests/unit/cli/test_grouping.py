import csv
import inspect
import json

import numpy as np
import pytest
from scipy import sparse

from facelink.cli import grouping
from facelink.clustering import LinkageClustering
from facelink.labels import load_labels
from facelink.links import Links
from facelink.merging.merge import merge_links
from facelink.metrics import bcubed_scores
from facelink.models.link_gcn import LinkGCN
from facelink.neighbors.files import load_graph, save_graph
from facelink.neighbors.graph import NeighborGraph
from facelink.neighbors.search import find_neighbors
from tests.helpers import clustered_features

GOOD_BCUBED_F = 0.85
"""The small model reaches 0.94 on these people; anything far below is a broken path."""

FACTS = {
    "n_faces",
    "n_neighbors",
    "neighbor_method",
    "neighbor_recall",
    "n_links",
    "n_clusters",
    "n_singletons",
    "largest_cluster",
    "above_the_size_cap",
    "threshold",
    "mean_confidence",
    "seconds",
}


@pytest.fixture
def features(data):
    return data / "features.npy"


def no_work(monkeypatch):
    """Let the test fail with a traceback where neighbours are searched."""
    monkeypatch.setattr("facelink.clustering.find_neighbors", None)
    monkeypatch.setattr("facelink.cli.grouping.find_neighbors", None)


class TestCluster:
    def test_it_finds_people(self, succeed, data, features, trained_model, tmp_path):
        out = tmp_path / "new" / "people.npy"
        written = succeed("cluster", features, "--model", trained_model, "--out", out)
        labels = load_labels(out)
        truth = load_labels(data / "people.npy")
        assert bcubed_scores(truth, labels).fscore > GOOD_BCUBED_F
        np.testing.assert_array_equal(
            labels, LinkageClustering(trained_model).fit_predict(np.load(features))
        )
        lines = dict(line.split("  ", 1) for line in written.out.splitlines())
        assert lines["n faces"].strip() == "240"
        assert lines["n clusters"].strip() == str(labels.max() + 1)
        assert written.err == ""

    @pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".parquet", ".meta", ".txt"])
    def test_labels_in_every_format(self, succeed, features, trained_model, tmp_path, suffix):
        out = tmp_path / f"people{suffix}"
        succeed("cluster", features, "--model", trained_model, "--out", out)
        expected = LinkageClustering(trained_model).fit_predict(np.load(features))
        np.testing.assert_array_equal(load_labels(out), expected)

    def test_without_out_the_labels_go_to_stdout_and_the_facts_to_stderr(
        self, succeed, features, trained_model
    ):
        written = succeed("cluster", features, "--model", trained_model)
        labels = [int(line) for line in written.out.splitlines()]
        assert labels == LinkageClustering(trained_model).fit_predict(np.load(features)).tolist()
        assert written.err.splitlines()[0].split() == ["n", "faces", "240"]

    @pytest.mark.parametrize("with_file", [True, False])
    def test_json_is_all_there_is_on_stdout(
        self, succeed, features, trained_model, tmp_path, with_file
    ):
        out = tmp_path / "people.csv"
        arguments = ("--out", out) if with_file else ()
        written = succeed("cluster", features, "--model", trained_model, *arguments, "--json")
        result = json.loads(written.out)
        assert result.keys() == FACTS | ({"out"} if with_file else {"labels"})
        assert result["n_faces"] == 240
        labels = load_labels(out).tolist() if with_file else result["labels"]
        assert result["n_clusters"] == len(set(labels))
        assert (
            result["threshold"] == LinkGCN.from_pretrained(trained_model).config.initial_threshold
        )

    @pytest.mark.parametrize("model", ["context", "cosine"])
    def test_a_model_by_its_name(self, succeed, features, model):
        written = succeed("cluster", features, "--model", model)
        labels = [int(line) for line in written.out.splitlines()]
        assert labels == LinkageClustering(model).fit_predict(np.load(features)).tolist()

    def test_by_default_nothing_has_to_be_trained_or_chosen(self, succeed, features):
        result = json.loads(succeed("cluster", features, "--json").out)
        assert result["labels"] == LinkageClustering().fit_predict(np.load(features)).tolist()
        assert result["threshold"] is None

    def test_constraints_from_files(self, succeed, features, tmp_path):
        (tmp_path / "same.csv").write_text("0,200\n")
        (tmp_path / "different.txt").write_text("0 1\n")
        labels = succeed(
            "cluster", features, "--must-link", tmp_path / "same.csv",
            "--cannot-link", tmp_path / "different.txt",
        ).out.split()  # fmt: skip
        assert labels[0] == labels[200] != labels[1]

    def test_a_headerless_file_by_its_width(self, succeed, data, features):
        by_width = succeed("cluster", data / "features.bin", "--dim", 32)
        assert by_width.out == succeed("cluster", features).out

    def test_every_option_reaches_the_estimator(
        self, succeed, features, trained_model, tmp_path, monkeypatch
    ):
        made = []

        class Recorded(LinkageClustering):
            def fit(self, *args, **options):
                made.append(self)
                return super().fit(*args, **options)

        monkeypatch.setattr(grouping, "LinkageClustering", Recorded)
        links = tmp_path / "links.safetensors"
        line = (
            "--method exact --k-at-hop 9 2 --edge-neighbors 4 --combine max --merge threshold "
            "--threshold 0.6 --threshold-step 0.1 --max-cluster-size 50 --device cpu "
            "--precision bfloat16 --seed 3"
        )
        succeed("cluster", features, "--model", trained_model, "--links-out", links, *line.split())
        chosen = made[0].get_params()
        assert isinstance(chosen.pop("model"), LinkGCN)
        assert chosen == {
            "neighbor_method": "exact",
            "k_at_hop": (9, 2),
            "n_edge_neighbors": 4,
            "combine": "max",
            "merge": "threshold",
            "threshold": 0.6,
            "threshold_step": 0.1,
            "max_cluster_size": 50,
            "must_link": None,
            "cannot_link": None,
            "device": "cpu",
            "precision": "bfloat16",
            "random_state": 3,
        }
        np.testing.assert_array_equal(Links.load(links).likelihoods, made[0].links_.likelihoods)

    def test_defaults_are_those_of_the_library(self):
        chosen = LinkageClustering().get_params()
        parameters = inspect.signature(grouping.cluster).parameters
        for name, option in (("method", "neighbor_method"), ("seed", "random_state")):
            assert parameters[name].default == chosen[option]
        for name in (
            "k_at_hop",
            "combine",
            "merge",
            "threshold",
            "threshold_step",
            "device",
            "precision",
        ):
            assert parameters[name].default == chosen[name]
        assert parameters["max_cluster_size"].default == chosen["max_cluster_size"]
        parameters = inspect.signature(grouping.merge).parameters
        for name, option in (
            ("threshold_step", "threshold_step"),
            ("max_cluster_size", "max_cluster_size"),
        ):
            assert (
                parameters[name].default
                == inspect.signature(merge_links).parameters[option].default
            )

    def test_a_component_that_no_threshold_cuts_is_reported(self, succeed, tmp_path):
        features = np.ones((12, 4), dtype=np.float32) / 2
        np.save(tmp_path / "same.npy", features)
        result = json.loads(
            succeed(
                "cluster", tmp_path / "same.npy", "--model", "cosine",
                "--max-cluster-size", 5, "--json",
            ).out
        )  # fmt: skip
        assert result["above_the_size_cap"] == [12]

    def test_few_faces_need_no_options(self, succeed, tmp_path):
        np.save(tmp_path / "few.npy", clustered_features(3, 3, 8)[0])
        assert len(succeed("cluster", tmp_path / "few.npy").out.splitlines()) == 9


class TestNeighbors:
    def test_the_graph_of_the_library(self, succeed, features, tmp_path):
        out = tmp_path / "graph.safetensors"
        written = succeed("neighbors", features, "--out", out, "--k", 12)
        graph, expected = load_graph(out), find_neighbors(np.load(features), 12)
        np.testing.assert_array_equal(graph.indices, expected.indices)
        np.testing.assert_array_equal(graph.similarities, expected.similarities)
        assert "n neighbors      12" in written.out.splitlines()
        assert written.err == ""

    @pytest.mark.parametrize("method", ["auto", "exact", "ivf", "hnsw"])
    def test_json_tells_the_method_and_its_recall(self, succeed, features, tmp_path, method):
        out = tmp_path / "graph.safetensors"
        written = succeed("neighbors", features, "--out", out, "--method", method, "--json")
        result = json.loads(written.out)
        assert result["neighbor_method"] == ("exact" if method == "auto" else method)
        assert (result["neighbor_recall"] is None) == (method in ("auto", "exact"))
        assert result["n_neighbors"] == 80

    def test_all_others_by_default_where_they_are_few(self, succeed, tmp_path):
        np.save(tmp_path / "few.npy", clustered_features(3, 3, 8)[0])
        written = succeed("neighbors", tmp_path / "few.npy", "--out", tmp_path / "g.safetensors")
        assert "n neighbors      8" in written.out.splitlines()

    def test_more_than_there_are(self, refused, features, tmp_path):
        message = refused("neighbors", features, "--out", tmp_path / "g.safetensors", "--k", 240)
        assert "240 neighbours asked for, but each of 240 instances has 239 others" in message

    def test_an_output_that_it_cannot_make_before_the_search(
        self, refused, features, tmp_path, monkeypatch
    ):
        no_work(monkeypatch)
        message = refused("neighbors", features, "--out", tmp_path / "graph.npy")
        assert "unknown kind of file '.npy'; choose one of .safetensors" in message


class TestLinks:
    def test_the_links_of_the_estimator(self, succeed, features, trained_model, tmp_path):
        out = tmp_path / "links.safetensors"
        written = succeed("links", features, "--model", trained_model, "--out", out)
        links, fitted = Links.load(out), LinkageClustering(trained_model).fit(np.load(features))
        np.testing.assert_array_equal(links.pairs, fitted.links_.pairs)
        np.testing.assert_array_equal(links.likelihoods, fitted.links_.likelihoods)
        np.testing.assert_array_equal(links.one_sided, fitted.links_.one_sided)
        assert written.err == ""

    def test_json(self, succeed, features, trained_model, tmp_path):
        out = tmp_path / "links.safetensors"
        arguments = ("links", features, "--model", trained_model, "--out", out, "--json")
        result = json.loads(succeed(*arguments).out)
        links = Links.load(out)
        assert result["n_links"] == len(links)
        assert result["n_one_sided"] == links.one_sided.sum()
        assert (
            result["threshold"] == LinkGCN.from_pretrained(trained_model).config.initial_threshold
        )

    def test_features_of_another_width_before_the_search(
        self, refused, trained_model, tmp_path, monkeypatch
    ):
        no_work(monkeypatch)
        np.save(tmp_path / "narrow.npy", clustered_features(4, 5, 8)[0])
        message = refused(
            "links", tmp_path / "narrow.npy", "--model", trained_model, "--out", tmp_path / "l"
        )
        assert "the model reads features of width 32, got shape (20, 8)" in message

    def test_it_needs_an_output(self, refused, features):
        assert "Missing option '--out'" in refused("links", features)

    def test_the_context_model_by_default(self, succeed, features, tmp_path):
        succeed("links", features, "--out", tmp_path / "links")
        links, fitted = Links.load(tmp_path / "links"), LinkageClustering().fit(np.load(features))
        np.testing.assert_array_equal(links.likelihoods, fitted.links_.likelihoods)
        assert links.n_neighbors == 80


class TestMerge:
    @pytest.fixture
    def links(self, tmp_path):
        pairs = np.array([[0, 1], [1, 2], [2, 3]], dtype=np.int32)
        likelihoods = np.array([0.9, 0.6, 0.9], dtype=np.float32)
        Links(pairs, likelihoods, np.zeros(3, dtype=bool), 5, 2).save(tmp_path / "links")
        return tmp_path / "links"

    @pytest.mark.parametrize(
        ("options", "labels"),
        [
            ("--merge bfs", [0, 0, 0, 0, 1]),
            ("", [0, 0, 1, 1, 2]),
            ("--merge likelihood", [0, 0, 1, 1, 2]),
            ("--threshold 0.7", [0, 0, 1, 1, 2]),
            ("--merge bfs --max-cluster-size 3", [0, 0, 1, 1, 2]),
            ("--merge threshold --threshold 0.95", [0, 1, 2, 3, 4]),
        ],
    )
    def test_labels_on_stdout(self, succeed, links, options, labels):
        written = succeed("merge", links, *options.split())
        assert [int(line) for line in written.out.splitlines()] == labels

    def test_labels_in_a_file(self, succeed, links, tmp_path):
        arguments = ("--threshold", 0.5, "--out", tmp_path / "people.csv", "--json")
        result = json.loads(succeed("merge", links, *arguments).out)
        with (tmp_path / "people.csv").open(newline="") as stream:
            rows = list(csv.reader(stream))
        assert rows == [
            ["index", "label"],
            *([str(face), str(label)] for face, label in enumerate([0, 0, 0, 0, 1])),
        ]
        assert result["n_clusters"] == 2
        assert result["n_singletons"] == 1
        assert result["threshold"] == 0.5

    def test_another_file(self, refused, features):
        assert "not a readable safetensors file" in refused("merge", features)

    def test_a_threshold_outside_its_range(self, refused, links):
        assert "initial_threshold=1.5" in refused("merge", links, "--threshold", 1.5)


class TestStageByStage:
    def test_the_default_path(self, succeed, features, tmp_path):
        links, one, other = (tmp_path / name for name in ("links", "one.npy", "other.npy"))
        succeed("links", features, "--out", links)
        succeed("merge", links, "--out", one)
        succeed("cluster", features, "--out", other)
        np.testing.assert_array_equal(load_labels(one), load_labels(other))

    @pytest.mark.parametrize("merge", ["bfs", "threshold"])
    def test_it_gives_the_labels_of_cluster(
        self, succeed, features, trained_model, tmp_path, merge
    ):
        graph, links = tmp_path / "graph.safetensors", tmp_path / "links.safetensors"
        one, other = tmp_path / "one.npy", tmp_path / "other.npy"
        succeed("neighbors", features, "--out", graph, "--k", 10)
        arguments = ("--model", trained_model, "--neighbors", graph)
        judged = json.loads(succeed("links", features, *arguments, "--out", links, "--json").out)
        succeed("merge", links, "--threshold", judged["threshold"], "--merge", merge, "--out", one)
        succeed("cluster", features, "--model", trained_model, "--merge", merge, "--out", other)
        np.testing.assert_array_equal(load_labels(one), load_labels(other))
        assert len(np.unique(load_labels(one))) > 30

    def test_links_of_cluster_are_those_of_links(self, succeed, features, trained_model, tmp_path):
        one, other = tmp_path / "one", tmp_path / "other"
        succeed("links", features, "--model", trained_model, "--out", one)
        succeed("cluster", features, "--model", trained_model, "--links-out", other)
        first, second = Links.load(one), Links.load(other)
        np.testing.assert_array_equal(first.pairs, second.pairs)
        np.testing.assert_array_equal(first.likelihoods, second.likelihoods)
        np.testing.assert_array_equal(first.one_sided, second.one_sided)

    def test_a_sparse_graph_of_another_tool(self, succeed, features, trained_model, tmp_path):
        graph = find_neighbors(np.load(features), 10)
        rows = np.repeat(np.arange(240), 10)
        distances = 1 - graph.similarities.astype(np.float64).ravel()
        matrix = sparse.csr_matrix((distances, (rows, graph.indices.ravel())), (240, 240))
        sparse.save_npz(tmp_path / "graph.npz", matrix)
        arguments = ("cluster", features, "--model", trained_model)
        given = succeed(*arguments, "--neighbors", tmp_path / "graph.npz")
        assert given.out == succeed(*arguments).out


def changed(features, row, value):
    features = features.copy()
    features[row] = value
    return features


BAD_FILES = {
    "NaN": (
        "f.npy",
        lambda path, x: np.save(path, changed(x, 3, np.nan)),
        "row 3 holds nan in column 0; values must be finite",
    ),
    "infinite": (
        "f.npy",
        lambda path, x: np.save(path, changed(x, 4, np.inf)),
        "row 4 holds inf in column 0; values must be finite",
    ),
    "zero row": (
        "f.npy",
        lambda path, x: np.save(path, changed(x, 5, 0)),
        "row 5 is all zeros, which has no direction",
    ),
    "wrong width": (
        "f.npy",
        lambda path, x: np.save(path, x[:, :8]),
        "the model reads features of width 32, got shape (240, 8)",
    ),
    "one face": (
        "f.npy",
        lambda path, x: np.save(path, x[:1]),
        "n_samples=1: links need at least 2 instances",
    ),
    "no faces": ("f.npy", lambda path, x: np.save(path, x[:0]), "at least one row"),
    "empty file": ("f.npy", lambda path, x: path.touch(), "the file is empty (0 bytes)"),
    "truncated .npy": (
        "f.npy",
        lambda path, x: (np.save(path, x), path.write_bytes(path.read_bytes()[:-9])),
        "it is truncated",
    ),
    "truncated .bin": (
        "f.bin",
        lambda path, x: path.write_bytes(x.tobytes()[:-5]),
        "30715 bytes are not a multiple of 128, the bytes of 32 float32 per face",
    ),
    "pickled": (
        "f.npy",
        lambda path, x: np.save(path, np.array([x, None], dtype=object), allow_pickle=True),
        "holds pickled Python objects, which are never loaded",
    ),
    "missing file": ("f.npy", lambda path, x: None, "no such file; check the path"),
    "folder": ("f.npy", lambda path, x: path.mkdir(), "this is a folder; give a file"),
    "unknown kind": (
        "f.xlsx",
        lambda path, x: path.write_text("x"),
        "unknown kind of file '.xlsx'; choose one of .npy",
    ),
}


class TestBadInput:
    """Each is refused with exit code 2 and a message, and leaves no output."""

    @pytest.fixture
    def refused_cluster(self, refused, features, trained_model, tmp_path):
        def run(*args, features=features):
            out, links = tmp_path / "out.npy", tmp_path / "links.safetensors"
            outputs = ("--out", out, "--links-out", links)
            message = refused("cluster", features, "--model", trained_model, *outputs, *args)
            assert not out.exists()
            assert not links.exists()
            return message

        return run

    @pytest.mark.parametrize("kind", BAD_FILES)
    def test_features(self, refused_cluster, unseen_people, tmp_path, kind):
        name, write, message = BAD_FILES[kind]
        write(tmp_path / name, unseen_people[0])
        arguments = ("--dim", 32) if name.endswith(".bin") else ()
        error = refused_cluster(*arguments, features=tmp_path / name)
        assert message in error
        assert str(tmp_path / name) in error or kind in ("wrong width", "one face")

    def test_a_headerless_file_of_unknown_width(self, refused_cluster, data):
        message = refused_cluster(features=data / "features.bin")
        assert "a .bin file does not store its width; give the dimension D (--dim)" in message

    def test_fewer_faces_than_neighbours_asked_for(self, refused_cluster, tmp_path, unseen_people):
        np.save(tmp_path / "few.npy", unseen_people[0][:30])
        message = refused_cluster("--k-at-hop", 80, 5, features=tmp_path / "few.npy")
        assert "need 80 neighbours, but each of 30 instances has 29 others; lower them" in message

    def test_a_graph_that_is_too_narrow(self, refused_cluster, features, tmp_path):
        save_graph(tmp_path / "g.safetensors", find_neighbors(np.load(features), 4))
        message = refused_cluster("--neighbors", tmp_path / "g.safetensors")
        assert "k_at_hop[0]=10 but the graph stores K=4" in message
        assert "facelink neighbors --k 10" in message

    def test_a_graph_with_ids_out_of_range(self, refused_cluster, tmp_path):
        np.save(tmp_path / "g.npy", np.full((240, 12), 240))
        message = refused_cluster("--neighbors", tmp_path / "g.npy")
        assert "names instance 240, but ids run from 0 to 239" in message

    def test_a_graph_of_other_faces(self, refused_cluster, tmp_path):
        graph = NeighborGraph.from_candidates([[1], [0]], [[0.5], [0.5]])
        save_graph(tmp_path / "g.safetensors", graph)
        message = refused_cluster("--neighbors", tmp_path / "g.safetensors")
        assert "2 rows, but there are 240 features; it belongs to other features" in message

    def test_a_pickled_graph(self, refused_cluster, tmp_path):
        lists = np.array([([1], [0.5])] * 240 + [None], dtype=object)
        np.savez(tmp_path / "g.npz", data=lists, allow_pickle=True)
        message = refused_cluster("--neighbors", tmp_path / "g.npz")
        assert "holds pickled Python objects" in message

    @pytest.mark.parametrize("missing", ["folder", "config.json", "model.safetensors"])
    def test_a_model_that_is_not_there(self, refused, features, trained_model, tmp_path, missing):
        model = tmp_path / "model"
        if missing != "folder":
            LinkGCN.from_pretrained(trained_model).save_pretrained(model)
            (model / missing).unlink()
        assert "no such" in refused("cluster", features, "--model", model)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ("--merge foo", "'foo' is not one of 'auto', 'likelihood', 'bfs'"),
            ("--combine foo", "'foo' is not one of 'mean', 'max', 'min'"),
            ("--method foo", "'foo' is not one of 'auto', 'exact', 'ivf', 'hnsw'"),
            ("--device foo", "device='foo'; choose auto, cpu, cuda or cuda:0"),
            ("--threshold 1.5", "initial_threshold=1.5"),
            ("--threshold nan", "initial_threshold=nan"),
            ("--threshold-step 0", "threshold_step=0.0"),
            ("--max-cluster-size 0", "max_cluster_size=0"),
            ("--k-at-hop 0", "k_at_hop=(0,)"),
            ("--k-at-hop many", "Invalid value for '--k-at-hop'"),
            ("--edge-neighbors 0", "n_edge_neighbors=0"),
            ("--seed -1", "--seed -1; give a whole number of at least 0"),
            ("--max-cluster-sise 5", "No such option: --max-cluster-sise"),
            ("--merge", "Option '--merge' requires an argument"),
            ("another.npy", "Got unexpected extra argument"),
        ],
    )
    def test_options_before_the_search(self, refused_cluster, monkeypatch, options, message):
        no_work(monkeypatch)
        assert message in refused_cluster(*options.split())

    def test_an_unknown_kind_of_labels(self, refused, features, tmp_path, monkeypatch):
        no_work(monkeypatch)
        message = refused("cluster", features, "--out", tmp_path / "people.xlsx")
        assert "unknown kind of file '.xlsx'; choose one of .npy, .npz, .meta" in message

    def test_no_features(self, refused):
        assert "Missing argument 'FEATURES'" in refused("cluster")


@pytest.mark.parametrize("option", ["--out", "--links-out"])
def test_outputs_that_cannot_be_written_are_refused_before_the_search(
    refused, features, tmp_path, monkeypatch, option
):
    no_work(monkeypatch)
    (tmp_path / "file").write_text("in the way")
    out = tmp_path / "file" / "labels.npy"
    message = refused("cluster", features, option, out, code=1)
    assert f"cannot write {out}" in message
    (tmp_path / "folder.npy").mkdir()
    message = refused("cluster", features, option, tmp_path / "folder.npy", code=1)
    assert "it is a folder; give the name of a file" in message
