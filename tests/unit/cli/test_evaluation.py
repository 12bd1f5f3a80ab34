import json

import numpy as np
import pytest

from facelink.metrics import clustering_scores
from facelink.neighbors.search import find_neighbors
from facelink.upper_bound import upper_bound_by_k


@pytest.fixture
def labels(tmp_path):
    """Files of true labels, of predicted ones with singletons, and of the true ones as text."""
    true, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 2])
    np.save(tmp_path / "true.npy", true)
    np.save(tmp_path / "predicted.npy", predicted)
    (tmp_path / "true.meta").write_text("".join(f"{label}\n" for label in true))
    return tmp_path


def table(text):
    """The lines of a table as lists of cells."""
    lines = [line.strip() for line in text.splitlines()]
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines]


class TestEvaluate:
    def test_a_table_that_tells_which_faces_each_score_is_of(self, succeed, labels):
        written = succeed("evaluate", labels / "true.npy", labels / "predicted.npy")
        header, *rows = table(written.out)
        assert header == ["score (%)", "all faces", "without predicted singletons"]
        shown = {name: cells for name, *cells in rows}
        assert shown["pairwise precision"] == ["50.00", "50.00"]
        assert shown["number of faces"] == ["6", "5"]
        assert shown["number of singletons"] == ["1", "0"]
        scores = clustering_scores([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 2])
        assert shown["BCubed F"][0] == f"{100 * scores.bcubed.fscore:.2f}"
        assert shown["BCubed F"][1] == f"{100 * scores.without_singletons.bcubed.fscore:.2f}"
        assert shown["NMI (geometric)"][0] == f"{100 * scores.nmi_geometric:.2f}"
        assert written.err == ""

    def test_only_one_column_where_every_face_is_alone(self, succeed, labels):
        np.save(labels / "alone.npy", np.arange(6))
        header, *_ = table(succeed("evaluate", labels / "true.npy", labels / "alone.npy").out)
        assert header == ["score (%)", "all faces"]

    def test_json(self, succeed, labels):
        written = succeed("evaluate", labels / "true.meta", labels / "predicted.npy", "--json")
        expected = clustering_scores([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 2]).as_dict()
        assert json.loads(written.out) == expected

    def test_labels_of_other_faces(self, refused, labels):
        np.save(labels / "other.npy", np.arange(5))
        message = refused("evaluate", labels / "true.npy", labels / "other.npy")
        assert f"labels {labels / 'other.npy'}: 5 labels for 6 faces; they must agree" in message

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("missing.npy", None, "no such file"),
            ("empty.npy", "", "the file is empty"),
            ("names.meta", "anna\n", "line 1 holds 'anna'"),
            ("labels.json", "[]", "unknown kind of file '.json'"),
        ],
    )
    def test_no_labels(self, refused, labels, name, content, message):
        if content is not None:
            (labels / name).write_text(content)
        assert message in refused("evaluate", labels / "true.npy", labels / name)


class TestUpperBound:
    @pytest.fixture
    def expected(self, unseen_people):
        features, people = unseen_people
        return upper_bound_by_k(find_neighbors(features, 20), people, [2, 5, 20])

    @pytest.mark.parametrize("ks", ["--k 2 5 20", "--k 2 --k 5 --k 20"])
    def test_a_row_for_each_k(self, succeed, data, expected, ks):
        files = (data / "features.npy", data / "people.npy")
        written = succeed("upper-bound", *files, *ks.split())
        header, *rows = table(written.out)
        assert header == ["k", "BCubed F", "pairwise F", "NMI", "clusters"]
        assert [row[0] for row in rows] == ["2", "5", "20"]
        assert [row[1] for row in rows] == [
            f"{100 * bound.scores.bcubed.fscore:.2f}" for bound in expected
        ]
        assert written.err == ""

    def test_json(self, succeed, data, expected):
        files = (data / "features.npy", data / "people.npy")
        result = json.loads(succeed("upper-bound", *files, "--k", 2, 5, 20, "--json").out)
        assert result == [bound.as_dict() for bound in expected]

    def test_a_headerless_file_is_as_wide_as_its_labels_tell(self, succeed, data):
        by_header = succeed("upper-bound", data / "features.npy", data / "people.npy")
        by_labels = succeed("upper-bound", data / "features.bin", data / "people.npy")
        assert by_labels.out == by_header.out

    @pytest.mark.parametrize(
        ("n_faces", "ks"),
        [(240, [5, 10, 20, 40, 80, 160]), (30, [5, 10, 20]), (4, [1])],
    )
    def test_by_default_as_many_as_there_are(self, succeed, tmp_path, unseen_people, n_faces, ks):
        features, people = unseen_people
        np.save(tmp_path / "features.npy", features[:n_faces])
        np.save(tmp_path / "people.npy", people[:n_faces])
        written = succeed("upper-bound", tmp_path / "features.npy", tmp_path / "people.npy")
        assert [int(row[0]) for row in table(written.out)[1:]] == ks

    def test_more_than_there_are(self, refused, data):
        files = (data / "features.npy", data / "people.npy")
        message = refused("upper-bound", *files, "--k", 5, 240)
        assert "240 neighbours asked for, but each of 240 instances has 239 others" in message

    def test_labels_of_other_faces(self, refused, data, tmp_path):
        np.save(tmp_path / "people.npy", np.arange(5))
        message = refused("upper-bound", data / "features.npy", tmp_path / "people.npy")
        assert f"labels {tmp_path / 'people.npy'}: 5 labels for 240 faces" in message
