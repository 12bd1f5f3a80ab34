from dataclasses import replace

import numpy as np
import pytest

from facelink.baselines.method import Baseline, Parameter
from facelink.baselines.registry import baseline_called
from facelink.baselines.thresholds import group_by_components
from facelink.benchmark import comparison
from facelink.benchmark.comparison import (
    ComparisonSettings,
    best_value,
    compare,
    hold_out_people,
)
from facelink.benchmark.comparison_tables import method_table, overview_table
from facelink.benchmark.measure import Grouping, Measured
from facelink.benchmark.results import (
    ComparisonRecord,
    GridPoint,
    GridRun,
    bcubed_fscore,
    mean_fscore,
    pairwise_fscore,
)
from facelink.errors import InputError
from facelink.metrics import clustering_scores
from facelink.training.face_sets import FaceSet
from tests.helpers import clustered_features

COSINE = Baseline(
    "cosine", "Cosine", "source", group_by_components, Parameter("cosine", (0.1, 0.3, 0.5, 0.7))
)
TINY = replace(COSINE, key="tiny", title="Tiny", max_faces=10, why="it is tiny.")


def collection(name, seed, spread=0.9):
    features, labels = clustered_features(12, 6, 24, seed=seed, spread=spread)
    return FaceSet(name, features, labels)


def measure_here(baseline, inputs, *, time_limit, seed, **_):
    """As `measure`, without another process."""
    refused = baseline.refusal(inputs.n_faces)
    if refused:
        return Measured((), limit=refused)
    view = inputs.view(seed)
    groupings = [
        Grouping(value, baseline.group(view, value), {"neighbours": 1.0, "grouping": 0.5})
        for value in baseline.grid
    ]
    return Measured(tuple(groupings), 3 << 20)


@pytest.fixture
def here(monkeypatch):
    monkeypatch.setattr(comparison, "measure", measure_here)


@pytest.fixture(scope="module")
def record():
    tests = [collection("test", 1), collection("other", 2, spread=1.1)]
    methods = [baseline_called("facelink"), COSINE, TINY]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "measure", measure_here)
        tuning = [collection("tune", 3), tests[1]]
        return compare(tests, tuning, methods, ComparisonSettings(seed=4))


def point(value, labels_pred):
    return GridPoint(value, clustering_scores([0, 0, 0, 1, 1, 2], labels_pred), {})


GOOD = point(1.0, [0, 0, 0, 1, 1, 1])
BAD = point(2.0, [0, 0, 0, 0, 0, 0])
PERFECT = point(3.0, [0, 0, 0, 1, 1, 2])


class TestRows:
    def test_a_method_has_a_row_for_each_way_to_choose_its_value(self, record):
        rows = [(one.collection, one.method, one.tuning) for one in record.results]
        assert rows == [
            (name, *row)
            for name in ("test", "other")
            for row in (
                ("facelink", "none"),
                ("cosine", "separate"),
                ("cosine", "oracle"),
                ("tiny", "none"),
            )
        ]

    def test_the_oracle_takes_the_best_value_of_the_test(self, record):
        for name in ("test", "other"):
            grid = next(
                one for one in record.grids if (one.collection, one.method) == (name, "cosine")
            )
            row = next(
                one for one in record.results if one.collection == name and one.tuning == "oracle"
            )
            best = max(grid.points, key=mean_fscore)
            assert (row.value, row.scores) == (best.value, best.scores)
            assert row.best_pairwise_f == max(map(pairwise_fscore, grid.points))
            assert row.best_bcubed_f == max(map(bcubed_fscore, grid.points))

    def test_the_separate_value_is_the_best_of_the_tuning_collections(self, record):
        grids = {one.collection: one for one in record.grids if one.method == "cosine"}
        rows = {one.collection: one for one in record.results if one.tuning == "separate"}
        assert rows["other"].value == max(grids["tune"].points, key=mean_fscore).value
        both = [
            (mean_fscore(first) + mean_fscore(second), first.value)
            for first, second in zip(grids["tune"].points, grids["other"].points, strict=True)
        ]
        assert rows["test"].value == max(both)[1]

    def test_a_refused_method_says_why(self, record):
        row = next(one for one in record.results if one.method == "tiny")
        assert row.scores is None
        assert row.limit == "up to 10 faces only, here are 72: it is tiny."

    def test_a_collection_is_never_tuned_on_itself(self, record):
        assert record.tuned_on == {"test": "tune, other", "other": "tune"}

    def test_everything_runs_once_and_methods_without_parameter_on_tests_only(self, record):
        runs = [(one.collection, one.method) for one in record.grids]
        assert len(set(runs)) == len(runs) == 8
        assert ("tune", "facelink") not in runs


class TestHeldOutPeople:
    def test_without_other_collections_people_are_held_out(self, here):
        whole = collection("test", 1)
        record = compare([whole], [whole], [COSINE])
        assert record.tuned_on["test"].startswith("4 of its own people")
        sizes = {one.name: (one.n_people, one.n_faces) for one in record.collections}
        assert sizes == {"test": (8, 48), "test (held-out people)": (4, 24)}

    def test_no_person_is_on_both_sides(self):
        rest, held_out = hold_out_people(collection("test", 1), 0.3, 0)
        assert set(rest.labels).isdisjoint(held_out.labels)
        assert rest.n_faces + held_out.n_faces == 72
        again, _ = hold_out_people(collection("test", 1), 0.3, 0)
        np.testing.assert_array_equal(rest.labels, again.labels)

    def test_one_person_cannot_be_divided(self):
        alone = FaceSet("alone", np.eye(3, dtype=np.float32), np.zeros(3, dtype=np.int64))
        with pytest.raises(InputError, match="alone has 1 person; holding out people needs"):
            hold_out_people(alone, 0.3, 0)


class TestChoice:
    def test_larger_collections_count_for_more(self):
        first = GridRun("a", "m", (GOOD, replace(BAD, scores=PERFECT.scores)))
        second = GridRun("b", "m", (replace(GOOD, scores=PERFECT.scores), BAD))
        assert best_value([first, second], [1, 100]) == 1.0
        assert best_value([first, second], [100, 1]) == 2.0

    def test_a_value_counts_only_if_it_was_done_everywhere(self):
        runs = [GridRun("a", "m", (GOOD, PERFECT)), GridRun("b", "m", (GOOD,))]
        assert best_value(runs, [1, 1]) == 1.0
        assert best_value([runs[0], GridRun("b", "m", ())], [1, 1]) is None

    def test_the_first_of_equal_values_is_taken(self):
        run = GridRun("a", "m", (GOOD, replace(GOOD, value=9.0)))
        assert run.best(mean_fscore).value == 1.0
        assert best_value([run], [1]) == 1.0


def test_a_comparison_that_was_cut_off_goes_on(here, monkeypatch):
    inputs = ([collection("test", 1)], [collection("tune", 3)], [COSINE, TINY])
    kept = []
    whole = compare(*inputs, finished=kept.append)
    assert tuple(kept) == whole.grids

    def measure_nothing(*_, **__):
        pytest.fail("ran again what was known")

    monkeypatch.setattr(comparison, "measure", measure_nothing)
    again = compare(*inputs, known=kept)
    assert (again.results, again.grids) == (whole.results, whole.grids)


def test_bad_input_is_named(here):
    same = [collection("test", 1), collection("test", 2)]
    with pytest.raises(InputError, match="two test collections are called test"):
        compare(same, [collection("tune", 3)], [COSINE])
    one = FaceSet("one", np.ones((1, 1), dtype=np.float32), np.zeros(1, dtype=np.int64))
    with pytest.raises(InputError, match="one has 1 face; comparing needs at least 2"):
        compare([one], [collection("tune", 3)], [COSINE])
    with pytest.raises(InputError, match="time_limit=0; give a positive number"):
        ComparisonSettings(time_limit=0)


class TestRecord:
    def test_a_record_comes_back_as_it_was(self, record, tmp_path):
        record.save(tmp_path / "record.json")
        assert ComparisonRecord.load(tmp_path / "record.json") == record

    @pytest.mark.parametrize("text", ["{", "{}", '{"format": "other", "version": 1}', "[]"])
    def test_another_file_is_refused(self, tmp_path, text):
        path = tmp_path / "record.json"
        path.write_text(text)
        with pytest.raises(InputError, match="not a record of version 1"):
            ComparisonRecord.load(path)


class TestTables:
    def test_every_row_has_all_measures_together(self, record):
        table = method_table(record, "test")
        assert {len(row) for row in table.rows} == {len(table.columns)}
        facelink, _, oracle, tiny = table.rows
        row = next(one for one in record.results if one.tuning == "oracle")
        scores = row.scores
        assert oracle[0:3] == ("Cosine", "the test labels (oracle)", f"cosine {row.value:g}")
        assert oracle[3].startswith(f"{100 * scores.pairwise.fscore:.1f} (")
        assert oracle[4].startswith(f"{100 * scores.bcubed.fscore:.1f} (")
        assert oracle[5:9] == (
            f"{100 * scores.nmi_arithmetic:.2f}",
            f"{scores.n_clusters}",
            "1.5",
            "3 MiB",
        )
        assert table.columns[9].startswith("extra: without predicted singletons")
        assert facelink[1:3] == ("no parameter", "–")
        assert set(tiny[2:]) == {"–"}
        assert "Tiny: up to 10 faces only" in table.note
        assert "72 faces of 12 people" in table.caption

    def test_the_overview_has_a_row_per_method_and_two_columns_per_collection(self, record):
        table = overview_table(record)
        assert [row[0] for row in table.rows] == ["facelink (default)", "Cosine", "Tiny"]
        assert table.columns == (
            "method",
            "test, tuned",
            "test, oracle",
            "other, tuned",
            "other, oracle",
        )
        facelink, _, tiny = table.rows
        assert facelink[1] == facelink[2]
        assert set(tiny[1:]) == {"–"}
