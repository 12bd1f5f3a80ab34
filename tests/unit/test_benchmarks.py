import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import (
    combining,
    compare,
    default_path,
    large,
    large_peers,
    links,
    neighbor_methods,
    photos,
    real_data,
    recall,
    robustness,
    search,
    shards,
    stages,
    training_step,
)
from benchmarks.gemm import needed_operations
from benchmarks.harness import Stopwatch, interleaved, peak_memory, run_benchmark
from benchmarks.padded_dense import PaddedDenseGCN, PaddedFeeder, predict_likelihoods_padded
from benchmarks.records import TOTAL, Record, Result, Timing, readable_seconds, report, speedup
from PIL import Image

from facelink.baselines.method import Baseline
from facelink.baselines.registry import BASELINES
from facelink.baselines.view import NEIGHBORS
from facelink.cli import main as cli_main
from facelink.errors import InputError, OutputError
from facelink.link_prediction import predict_likelihoods
from facelink.neighbors.packed_products import INSTRUCTION
from facelink.photos.finding import find_photos
from facelink.photos.pipeline import FaceReader
from facelink.stages.run import run
from facelink.stages.settings import RunSettings
from facelink.subgraphs import SubgraphBuilder, SubgraphSettings, order_by_need
from tests.helpers import AGGREGATORS, clustered_features, random_graph, random_model
from tests.unit.photos.fakes import MeanColour, OneFace

SCORE_TOLERANCE = 1e-5
"""Probabilities from float32 sums in two orders; the agreement that the comparison claims."""

LOGIT_TOLERANCE = 2e-5
"""Logits of order 1, before the softmax makes their differences smaller."""

N = 40
D = 16
FEATURES, LABELS = clustered_features(8, 5, D)
GRAPH = random_graph(N, 8, missing_share=0.2, n_hubs=2)
PIVOTS = np.array([3, 0, 17, 39, 21])
TINY = links.LinkSizes(8, "mean", (8, 4), SubgraphSettings((6, 3), 3), 60, 6, 4, 2)


def settings_of(include_pivot):
    return SubgraphSettings((6, 4), 3, include_pivot)


class TestPaddedDense:
    @pytest.mark.parametrize("include_pivot", [False, True])
    @pytest.mark.parametrize("aggregator", AGGREGATORS)
    def test_scores_are_those_of_link_gcn(self, aggregator, include_pivot):
        settings = settings_of(include_pivot)
        model = random_model(aggregator, D, settings)
        dense = predict_likelihoods_padded(model, FEATURES, GRAPH, settings, PIVOTS, batch_size=2)
        sparse = predict_likelihoods(model, FEATURES, GRAPH, settings, pivots=PIVOTS)
        assert np.isnan(sparse).any(), "a missing neighbour has no likelihood"
        assert np.nanstd(sparse) > 100 * SCORE_TOLERANCE
        np.testing.assert_allclose(dense, sparse, rtol=0, atol=SCORE_TOLERANCE)

    @pytest.mark.parametrize("aggregator", AGGREGATORS)
    def test_logits_and_gradients_in_training_are_those_of_link_gcn(self, aggregator):
        settings = settings_of(include_pivot=False)
        model = random_model(aggregator, D, settings).train()
        weight = model.convs[0].weight
        batch = SubgraphBuilder(GRAPH, settings).build(PIVOTS)
        padded = PaddedFeeder(FEATURES, GRAPH, settings).batch(PIVOTS.tolist())
        sparse = model(model.inputs(batch, FEATURES))
        dense = PaddedDenseGCN(model).train()(padded)
        torch.testing.assert_close(dense, sparse, rtol=0, atol=LOGIT_TOLERANCE)
        by_sparse, by_dense = (
            torch.autograd.grad(logits[:, 1].mean(), weight)[0] for logits in (sparse, dense)
        )
        torch.testing.assert_close(by_dense, by_sparse, rtol=0, atol=LOGIT_TOLERANCE)

    def test_the_same_scores_whatever_else_is_in_the_batch(self):
        settings = settings_of(include_pivot=False)
        model = random_model("mean", D, settings)
        one, all_together = (
            predict_likelihoods_padded(model, FEATURES, GRAPH, settings, PIVOTS, batch_size=size)
            for size in (1, len(PIVOTS))
        )
        np.testing.assert_allclose(one, all_together, rtol=0, atol=SCORE_TOLERANCE)

    def test_pads_every_subgraph_to_the_most_nodes_that_there_may_be(self):
        settings = settings_of(include_pivot=True)
        padded = PaddedFeeder(FEATURES, GRAPH, settings).batch(PIVOTS.tolist())
        batch = SubgraphBuilder(GRAPH, settings).build(PIVOTS)
        assert padded.adjacency.shape == (5, 31, 31)
        assert padded.is_node.sum(dim=1).tolist() == np.diff(batch.node_offsets).tolist()
        assert padded.adjacency.sum() == len(batch.columns)
        assert padded.residuals[~padded.is_node].count_nonzero() == 0


class TestHarness:
    def test_runs_take_turns_and_the_warm_up_does_not_count(self):
        order = []
        timings = interleaved(
            {
                "A": lambda inputs, stopwatch: order.append("A" + inputs),
                "B": lambda inputs, stopwatch: order.append("B" + inputs),
            },
            "!",
            2,
        )
        assert order == ["A!", "B!"] * 3
        assert [len(timings[name][TOTAL].repeats) for name in "AB"] == [2, 2]

    def test_stages_are_timed_within_the_total(self):
        def run(inputs, stopwatch):
            for _ in range(3):
                with stopwatch.stage("part"):
                    sum(range(1000))

        stages = interleaved({"A": run}, None, 1)["A"]
        assert 0 < stages["part"].median < stages[TOTAL].median

    def test_peak_memory_is_that_of_the_run_without_its_inputs(self):
        growth = peak_memory(np.zeros, double_by_copy, 4_000_000)
        assert 25e6 < growth < 60e6, "a copy of 32 MB, and what the process needs besides"


def double_by_copy(inputs, stopwatch):
    return (inputs + 1.0).sum()


def result(implementation="facelink", seconds=(2.0, 1.0, 4.0), n_items=10, **changes):
    values = {
        "case": "case",
        "implementation": implementation,
        "item": "pivot",
        "n_items": n_items,
        "stages": {TOTAL: Timing(seconds)},
        "settings": {"k_at_hop": [80, 5]},
        "quality": {"max_score_difference": 1e-7},
        "peak_memory_bytes": 3 * 2**20,
    }
    return Result(**{**values, **changes})


def record(*results, **changes):
    return replace(Record.of("trial", 7, results), **changes)


class TestRecords:
    def test_median_least_and_most(self):
        timing = result().stages[TOTAL]
        assert (timing.median, timing.least, timing.most) == (2.0, 1.0, 4.0)
        assert result().seconds_per_item() == 0.2

    def test_speedup_is_per_item_and_pair_by_pair(self):
        slow = result("padded dense", (6.0, 5.0, 4.0), n_items=5)
        assert speedup(slow, result()) == {
            "times_faster": 6.0,
            "times_faster_least": 2.0,
            "times_faster_most": 10.0,
        }

    def test_a_record_round_trips(self, tmp_path):
        saved = record(result(), result("padded dense", peak_memory_bytes=None))
        saved.save(tmp_path / "record.json")
        assert Record.load(tmp_path / "record.json") == saved

    def test_a_record_names_its_circumstances(self, tmp_path):
        record(result()).save(tmp_path / "record.json")
        stored = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))
        assert stored["machine"].keys() >= {"cpu", "n_cores", "n_torch_threads"}
        assert stored["versions"].keys() >= {"python", "numpy", "torch", "numba", "faiss-cpu"}
        assert stored["seed"] == 7
        assert stored["results"][0]["stages"][TOTAL] == {
            "median": 2.0,
            "least": 1.0,
            "most": 4.0,
            "repeats": [2.0, 1.0, 4.0],
        }

    @pytest.mark.parametrize("text", ["{", "[]", "{}", '{"format": "other", "version": 1}'])
    def test_refuses_a_file_that_is_no_record(self, tmp_path, text):
        (tmp_path / "other.json").write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=r"other\.json: not a record of version 1"):
            Record.load(tmp_path / "other.json")

    def test_report_has_every_figure(self):
        text = report(record(result()))
        for part in ("case / facelink: 10 × pivot", "200 ms per pivot", "3 MiB", "1e-07"):
            assert part in text

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(12.34, "12.3 s"), (0.5, "500 ms"), (6.78e-5, "67.8 µs"), (2e-9, "2 ns"), (0.0, "0 ns")],
    )
    def test_readable_seconds(self, seconds, text):
        assert readable_seconds(seconds) == text


class TestCompare:
    def test_ratios_of_the_second_to_the_first(self, tmp_path, capsys):
        record(result()).save(tmp_path / "a.json")
        faster = result(seconds=(0.5,), n_items=20, peak_memory_bytes=6 * 2**20)
        record(faster).save(tmp_path / "b.json")
        assert compare.main([str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[-1] for line in lines if line.endswith("×")] == ["0.12×", "2.00×"]
        assert "note" not in "".join(lines)

    def test_notes_what_else_differs(self):
        first = record(result(), result("padded dense"))
        second = record(result(), seed=8, versions={**first.versions, "numpy": "0.1"})
        text = "\n".join(compare.compare(first, second))
        assert "note: the seeds differ: 7, 8" in text
        assert "note: versions differ in numpy" in text
        assert "note: case / padded dense is only in the first" in text

    def test_does_not_compare_other_settings(self):
        other = record(result(settings={"k_at_hop": [200, 10]}))
        lines = compare.compare(record(result()), other)
        assert lines[-1] == "  other settings, so not compared"

    def test_a_missing_record_is_bad_use(self, tmp_path, capsys):
        assert compare.main([str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 2
        assert "no such file" in capsys.readouterr().err


class TestCases:
    def test_link_prediction_agrees_and_reports_its_stages(self):
        ours, dense, as_authors, subgraphs = links.measure_links(TINY, 1, with_memory=False)[:4]
        assert ours.quality["max_score_difference"] < SCORE_TOLERANCE
        assert 0 < ours.quality["share_of_product_rate"] < 1
        assert dense.quality["times_faster"] > 0
        assert dense.stages.keys() == {TOTAL, "subgraphs", "network"}
        assert as_authors.stages.keys() == dense.stages.keys()
        assert (ours.n_items, dense.n_items, subgraphs.n_items) == (6, 4, 6)

    @pytest.mark.parametrize("aggregator", ["mean", "attention"])
    def test_the_operations_that_are_needed_are_those_of_the_products(self, aggregator):
        inputs = links.prepare(replace(TINY, aggregator=aggregator))
        batch = SubgraphBuilder(inputs.graph, TINY.subgraphs).build(inputs.pivots)
        needed = order_by_need(batch, 2)
        hidden = inputs.model.config.attention_width if aggregator == "attention" else 0
        projection = 60 * 8 * (2 * 8 + 2 * hidden)
        second_layer = needed.n_rows[2] * 16 * 4 + needed.n_rows[1] * 8 * 2 * hidden
        classifier = needed.n_rows[2] * 4 * 4
        assert needed_operations(inputs.model, needed, 8, 60) == 2 * (
            projection + second_layer + classifier
        )

    def test_a_likelihood_on_one_side_only_shows_as_a_difference(self, monkeypatch):
        def without_the_last(inputs, stopwatch):
            likelihoods = judge(inputs, stopwatch)
            likelihoods[0, -1] = np.nan
            return likelihoods

        judge = links.judge_by_padded_dense
        monkeypatch.setattr(links, "judge_by_padded_dense", without_the_last)
        assert links.agreement(links.prepare(TINY))["max_score_difference"] >= 1

    def test_training_steps_have_the_same_losses(self):
        ours, *_ = training_step.measure_training_step(TINY, 3, with_memory=False)
        assert ours.quality["last_loss"] < ours.quality["first_loss"]
        assert ours.quality["max_loss_difference"] < LOGIT_TOLERANCE

    @pytest.mark.parametrize("method", ["bfs", "threshold"])
    def test_merging(self, method):
        sizes = stages.MergeSizes(method, 4_000, 400)
        quality = stages.measure_merging(sizes, 1, with_memory=False).quality
        assert 1 <= quality["largest_cluster"] <= (300 if method == "bfs" else 400)

    def test_metrics_are_of_as_many_groups_as_asked_for(self):
        sizes = stages.MetricsSizes(500, 20, 100)
        quality = stages.measure_metrics(sizes, 1, with_memory=False).quality
        assert (quality["n_identities"], quality["n_clusters"]) == (20, 100)

    def test_subgraphs_alone(self):
        measured = stages.measure_subgraphs(TINY, 1, with_memory=False)
        assert measured.name == "subgraphs, k=(6, 3), u=3 / facelink"

    def test_the_same_seed_gives_the_same_case(self):
        first, second = links.prepare(TINY), links.prepare(TINY)
        np.testing.assert_array_equal(first.features, second.features)
        np.testing.assert_array_equal(first.pivots, second.pivots)
        np.testing.assert_array_equal(
            links.judge_by_facelink(first, Stopwatch()),
            links.judge_by_facelink(second, Stopwatch()),
        )


class TestCommandLine:
    def test_prints_the_results_and_keeps_the_record(self, tmp_path, capsys):
        asked = []

        def measure(quick, seed):
            asked.append((quick, seed))
            return [result()]

        out = tmp_path / "records" / "trial.json"
        run_benchmark("trial", measure, ["--quick", "--seed", "3", "--out", str(out)])
        assert asked == [(True, 3)]
        assert "case / facelink" in capsys.readouterr().out
        assert Record.load(out).seed == 3

    def test_measures_nothing_if_the_record_cannot_be_written(self, tmp_path):
        def measure(quick, seed):
            pytest.fail("measured before the output was checked")

        with pytest.raises(OutputError, match="it is a folder"):
            run_benchmark("trial", measure, ["--out", str(tmp_path)])


class TestRealData:
    @pytest.fixture
    def files(self, tmp_path):
        """Features and labels of two made-up sets, as the command takes them."""
        names = []
        for seed, name in enumerate(("tune", "test")):
            features, labels = clustered_features(40, 6, 32, seed=seed)
            np.save(tmp_path / f"{name}.npy", features)
            np.save(tmp_path / f"{name}-people.npy", labels)
            names.append([str(tmp_path / f"{name}.npy"), str(tmp_path / f"{name}-people.npy")])
        return names

    def test_the_table_has_a_row_per_model_and_one_for_cosine(self, files, trained_model, capsys):
        tune, test = files
        real_data.main(["--test", *test, str(trained_model), "context", "--tune", *tune])
        header, _, model, context, cosine = capsys.readouterr().out.splitlines()
        assert len({line.count("|") for line in (header, model, context, cosine)}) == 1
        assert context.startswith("| context | none |")
        assert model.startswith(f"| {trained_model.name} |")
        found = [float(cell) for cell in cosine.split("|")[3:6]]
        assert cosine.startswith("| cosine | 0.")
        assert min(found) > 95

    def test_the_cosine_threshold_is_the_best_over_all_faces(self, files):
        people = real_data.People.load(*map(Path, files[0]))
        links = real_data.similarity_links(people.graph, real_data.N_NEIGHBORS)

        def fscore(cosine):
            return people.scores(links, (1 + cosine) / 2, "threshold").bcubed.fscore

        best = real_data.best_cosine([people])
        assert fscore(best) == max(map(fscore, real_data.COSINES))
        assert fscore(best) > fscore(real_data.COSINES[0])

    def test_an_odd_number_of_files_is_refused(self, files, capsys):
        with pytest.raises(SystemExit, match="2"):
            real_data.main(["--test", *files[1], "--tune", files[0][0]])
        assert "in pairs" in capsys.readouterr().err


def test_robustness_prints_a_summary_and_a_table_of_each_family(tmp_path, capsys):
    for seed, name in enumerate(("test", "strangers")):
        features, labels = clustered_features(30, 5, 32, seed=seed)
        np.save(tmp_path / f"{name}.npy", features)
        np.save(tmp_path / f"{name}-people.npy", labels)
    files = {
        name: [str(tmp_path / f"{name}.npy"), str(tmp_path / f"{name}-people.npy")]
        for name in ("test", "strangers")
    }
    few = ["--draws", "1", "--large-person", "9", "--out", str(tmp_path / "record.json")]
    robustness.main(["--test", *files["test"], "--strangers", *files["strangers"], *few])
    lines = capsys.readouterr().out.splitlines()
    captions = [line.strip("*") for line in lines if line.startswith("**")]
    assert captions[:2] == ["test, changed; strangers: strangers", "test: fewer faces"]
    assert len(captions) == 10
    stored = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))
    assert stored["collection"] == "test"


def test_every_stage_of_the_default_path_is_timed(tmp_path, capsys):
    np.save(tmp_path / "faces.npy", clustered_features(10, 4, 16)[0])
    default_path.main([str(tmp_path / "faces.npy")])
    _, _, *rows = capsys.readouterr().out.splitlines()
    assert [row.split(" | ")[0] for row in rows[:3]] == [
        "| neighbours",
        "| context features alone",
        "| context features and network",
    ]
    assert rows[3].startswith("| merging ")


class TestLarge:
    @pytest.fixture
    def in_this_process(self, monkeypatch):
        def call(command, **_):
            if "--keep" in command:
                large.main(command[3:])
            else:
                with pytest.raises(SystemExit, match="0"):
                    cli_main(command[3:])

        monkeypatch.setattr("subprocess.run", call)
        monkeypatch.setattr(large, "_WARM_UP_FACES", 300)

    @pytest.mark.usefixtures("in_this_process")
    def test_sizes_growth_and_record(self, tmp_path, capsys):
        work, out = tmp_path / "work", tmp_path / "large.json"
        arguments = ["--features", "32", "--work", str(work), "--out", str(out)]
        large.main(["--faces", "800", "400", *arguments])
        record = json.loads(out.read_text())
        assert [run["n_faces"] for run in record["runs"]] == [400, 800]
        assert all(run["scores"]["n_instances"] == run["n_faces"] for run in record["runs"])
        printed = capsys.readouterr().out
        assert "| faces | features | neighbors | likelihoods | links | labels | in all |" in printed
        assert "from 400 to 800: in all N^" in printed

    @pytest.mark.usefixtures("in_this_process")
    def test_what_is_measured_on_its_folders(self, tmp_path, monkeypatch, capsys):
        large.main(["--faces", "400", "--features", "32", "--work", str(tmp_path)])
        given = ["--work", str(tmp_path), "--faces", "400", "--out", str(tmp_path / "record.json")]
        combining.main([*given, "--turns", "2"])
        (size,) = json.loads((tmp_path / "record.json").read_text())["sizes"]
        assert [len(size[name]) for name in ("as_they_are", "person_by_person")] == [2, 2]
        limits = []
        monkeypatch.setattr("resource.setrlimit", lambda *limit: limits.append(limit))
        monkeypatch.setattr(large_peers, "_TUNING_FACES", 300)
        monkeypatch.setattr(
            Baseline, "refusal", lambda one, n: "too many" if one.key == "dbscan" else None
        )
        capsys.readouterr()
        methods = ["--methods", "cosine", "dbscan", "--features", "32", "--seconds", "100"]
        large_peers.main([*given, *methods])
        (size,) = json.loads((tmp_path / "record.json").read_text())["sizes"]
        run, cosine, dbscan = size["methods"]
        assert run["bcubed"] > cosine["bcubed"] > 0.3
        assert cosine["value"] in next(one for one in BASELINES if one.key == "cosine").grid
        of_stages = {name: n for name, n in cosine["seconds"].items() if name != NEIGHBORS}
        assert cosine["seconds_grouping"] == pytest.approx(sum(of_stages.values()))
        assert NEIGHBORS in cosine["seconds"]
        assert (dbscan["limit"][:7], "bcubed" in dbscan) == ("grouped", False)
        assert limits[0][1] == (20 << 30, 20 << 30)
        assert "| grouped none of the faces" in capsys.readouterr().out

    def test_lists_in_order_of_people_are_the_same_lists(self):
        labels = np.array([1, 0, 1, 0])
        indices = np.array([[2, 1], [3, -1], [0, 3], [1, 2]], dtype=np.int32)
        values = indices.astype(np.float32)
        renamed, similarities, _ = combining.in_order_of(labels, (indices, values, values))
        assert renamed.tolist() == [[1, -1], [0, 3], [3, 0], [2, 1]]
        assert similarities.tolist() == [[3, -1], [1, 2], [2, 1], [0, 3]]

    @pytest.mark.usefixtures("in_this_process")
    def test_a_link_gcn_is_trained_once_and_finds_the_neighbors(self, tmp_path, monkeypatch):
        monkeypatch.setattr(large, "_TRAINING_FACES", 300)
        monkeypatch.setattr(large, "_TRAINING", (*large._TRAINING, "--width", "8", "8", "8", "8"))
        out = tmp_path / "large.json"
        arguments = [
            "--faces",
            "400",
            "--features",
            "32",
            "--work",
            str(tmp_path),
            "--out",
            str(out),
        ]
        large.main(arguments)
        large.main([*arguments, "--model", "link-gcn"])
        record = json.loads(out.read_text())
        kept = [stage["rows_kept"] for stage in record["runs"][0]["stages"]]
        assert (record["model"], kept) == ("link-gcn", [0, 400, 0, 0, 0])
        made = (tmp_path / "link-gcn" / "model" / "config.json").stat().st_mtime_ns
        large.main([*arguments, "--model", "link-gcn"])
        assert (tmp_path / "link-gcn" / "model" / "config.json").stat().st_mtime_ns == made

    def test_growth_above_the_power_is_marked(self):
        before, after = (
            {"n_faces": n, "seconds": n, "stages": [{"stage": "labels", "seconds_in_all": n * n}]}
            for n in (10, 100)
        )
        assert large._growth(before, after) == ("from 10 to 100: in all N^1.00, labels N^2.00 (!)")


def test_ways_to_find_neighbors_are_compared(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(neighbor_methods, "_TO_COMPILE", 100)
    out = tmp_path / "record.json"
    given = ["--faces", "400", "300", "--features", "32", "--sought", "50", "--recall", "0.95"]
    neighbor_methods.main([*given, "--out", str(out)])
    sizes = json.loads(out.read_text())["sizes"]
    assert [size["n_faces"] for size in sizes] == [300, 400]
    for size in sizes:
        ways = size["ways"]
        assert list(ways) == ["ivf", "hnsw", "exact", "faiss, IndexIVFFlat"]
        assert ways["exact"]["recall"] == 1
        assert all(way["recall"] >= 0.93 for way in ways.values())
        assert all(way["seconds_for_all"] > way["seconds_to_prepare"] for way in ways.values())
    assert capsys.readouterr().out.count("| hnsw |") == 2


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    faces = large.made_up(400, 32, 0)
    np.save(folder / "faces.npy", 2 * faces.features)
    np.save(folder / "people.npy", faces.labels)
    settings = RunSettings(folder / "faces.npy", neighbor_method="ivf", k_at_hop=(20,))
    run(settings, folder / "run")
    return folder / "run"


class TestRunFolders:
    def test_every_step_of_asking_shards_is_counted(self, run_folder, tmp_path, capsys):
        given = ["--run", str(run_folder), "--out", str(tmp_path / "record.json"), "--shards", "3"]
        shards.main([*given, "--block", "50", "--blocks", "2"])
        record = json.loads((tmp_path / "record.json").read_text())
        assert [step["n_tasks"] for step in record["steps"]] == [2, 6, 2, 6, 2]
        assert all(step["bytes_in"] > 0 and step["bytes_out"] > 0 for step in record["steps"])
        assert record["steps"][0]["bytes_out"] > 100 * 32 * 4
        assert "400 faces in 3 shards, recall" in capsys.readouterr().out
        assert not list(run_folder.glob("shards-*"))
        shards.main([*given, "--block", "50", "--recall", "1"])
        assert record["recall"] < json.loads((tmp_path / "record.json").read_text())["recall"] == 1

    def test_more_recall_takes_more_comparisons(self, run_folder, tmp_path, capsys):
        out = tmp_path / "record.json"
        people = str(run_folder.parent / "people.npy")
        given = ["--run", str(run_folder), "--labels-true", people, "--out", str(out)]
        recall.main([*given, "--recall", "0.6", "0.999"])
        few, many = json.loads(out.read_text())["costs"]
        assert 20 < few["compared"] < many["compared"] <= 400
        assert 0.6 <= few["found"] < 0.999 <= many["found"]
        assert few["found"] < few["found_of_same_person"] <= many["found_of_same_person"]
        assert "400 faces, 32-d, k = 20" in capsys.readouterr().out

    def test_both_ways_of_searching_are_timed(self, run_folder, tmp_path, capsys):
        out = tmp_path / "record.json"
        search.main(["--run", str(run_folder), "--turns", "2", "--out", str(out)])
        record = json.loads(out.read_text())
        assert record["n_sought"] == 400
        assert len(record["seconds"]["loops"]) == 2
        assert len(record["seconds"]) == (1 if INSTRUCTION is None else 2)
        assert "400 of 400 faces, 32-d, k = 20" in capsys.readouterr().out

    def test_another_folder_is_no_run(self, tmp_path):
        with pytest.raises(SystemExit, match="is not the folder of a run"):
            recall.main(["--run", str(tmp_path), "--labels-true", str(tmp_path / "people.npy")])


class TestPhotographs:
    def test_the_parts_are_those_of_reading_one(self, tmp_path):
        path = tmp_path / "a.jpg"
        Image.fromarray(np.full((150, 120, 3), 90, dtype=np.uint8)).save(path)
        detector = OneFace()
        result = photos.measured_parts(FaceReader(detector, MeanColour()), path)
        assert result.settings == {"file_bytes": path.stat().st_size, "n_faces": 1}
        assert list(result.stages)[-1] == TOTAL
        assert {len(timing.repeats) for timing in result.stages.values()} == {5}
        # Once to make ready; once to warm up and five times, alone and within the whole.
        assert detector.n_calls == 1 + 2 * 6

    def test_every_face_of_a_scan_counts(self, tmp_path):
        for name in ("a.jpg", "b.jpg"):
            Image.fromarray(np.full((150, 120, 3), 90, dtype=np.uint8)).save(tmp_path / name)
        files = list(find_photos([tmp_path])) * 2
        assert photos.scan((FaceReader(OneFace(), MeanColour()), files, 2)) == 4
