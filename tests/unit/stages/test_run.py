import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facelink import judging
from facelink.clustering import LinkageClustering
from facelink.errors import InputError, OutputError
from facelink.features import load_features, save_features
from facelink.files import load_arrays, save_arrays
from facelink.labels import load_labels
from facelink.link_prediction import combine_directions
from facelink.merging.parts import likely_groups
from facelink.neighbors import prepared
from facelink.stages import course, needs
from facelink.stages import task as task_module
from facelink.stages.engine import LocalEngine
from facelink.stages.manifest import Manifest
from facelink.stages.run import run
from facelink.stages.settings import RunSettings
from facelink.stages.work import FindNeighbors, JudgePivots, open_graph
from tests.helpers import clustered_features

FEATURES, LABELS = clustered_features(50, 8, 32, spread=0.9)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    path = tmp_path_factory.mktemp("faces") / "features.npy"
    np.save(path, FEATURES)
    return RunSettings(path, block_rows=150)


LINKS = [f"links/{name}" for name in ("pairs", "likelihoods", "one_sided", "offsets")]


class Heard:
    def __init__(self):
        self.stages = []

    def note(self, message):
        if not any(told in message for told in (": kept", ": done again", ": preparing")):
            self.stages.append(message.partition(":")[0])

    def working(self, stage, n_rows):
        return _Nothing()


class _Nothing:
    def __enter__(self):
        return lambda n_done: None

    def __exit__(self, *_):
        return None


class TestLabels:
    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"neighbor_method": "ivf"},
            {"model": "cosine"},
            {"model": "cosine", "merge": "threshold", "threshold": 0.8},
            {"merge": "bfs", "k_at_hop": (12,), "combine": "min"},
        ],
        ids=str,
    )
    def test_they_are_those_of_linkage_clustering(self, settings, tmp_path, changes):
        result = run(replace(settings, **changes), tmp_path / "work")
        clustering = LinkageClustering(**changes).fit(FEATURES)
        np.testing.assert_array_equal(result.labels, clustering.labels_)
        np.testing.assert_array_equal(result.confidence, clustering.probabilities_)
        assert result.report["neighbor_recall"] == clustering.neighbor_graph_.recall

    def test_of_a_trained_model(self, settings, trained_model, tmp_path):
        changed = replace(settings, model=str(trained_model), merge="likelihood")
        expected = LinkageClustering(trained_model, merge="likelihood").fit_predict(FEATURES)
        np.testing.assert_array_equal(run(changed, tmp_path / "work").labels, expected)

    def test_of_a_trained_model_whose_features_are_projected_once(
        self, settings, trained_model, tmp_path, monkeypatch
    ):
        prepared = []

        class Counted(judging.CompiledLinkGCN):
            def __init__(self, *given):
                prepared.append(given)
                super().__init__(*given)

        monkeypatch.setattr(judging, "CompiledLinkGCN", Counted)
        changed = replace(settings, model=str(trained_model), block_rows=50)
        run(changed, tmp_path / "work")
        assert len(Manifest.read(tmp_path / "work" / "likelihoods").blocks) > 1
        assert len(prepared) == 1

    def test_the_engine_says_what_device_auto_is(self, settings, tmp_path):
        class Elsewhere(LocalEngine):
            auto_device = "elsewhere"

        with pytest.raises(InputError, match="device='elsewhere'"):
            run(settings, tmp_path / "work", engine=Elsewhere())
        given = replace(settings, device="cpu")
        run(given, tmp_path / "work", engine=Elsewhere())
        assert Manifest.read(tmp_path / "work" / "likelihoods").settings["device"] == "cpu"

    def test_it_is_told_how_far_merging_is(self, settings, tmp_path, monkeypatch):
        told = []

        class Listener(Heard):
            def note(self, message):
                told.append(message)

        monkeypatch.setattr(likely_groups, "__kwdefaults__", {"each": map, "links_per_part": 64})
        monkeypatch.setattr(course, "_TELLING_SECONDS", 0)
        run(settings, tmp_path / "work", listener=Listener())
        numbers = [message for message in told if message.endswith("parts done so far")]
        assert numbers == [f"labels: {n + 1:,} parts done so far" for n in range(len(numbers))]
        assert len(numbers) > 3  # merging comes three times

    def test_with_constraints(self, settings, tmp_path):
        (tmp_path / "same.csv").write_text("0,200\n")
        (tmp_path / "different.csv").write_text("0,1\n")
        changed = replace(
            settings, must_link=tmp_path / "same.csv", cannot_link=tmp_path / "different.csv"
        )
        labels = run(changed, tmp_path / "work").labels
        assert labels[0] == labels[200] != labels[1]

    @pytest.mark.parametrize("block_rows", [1, 37, 399, 10_000])
    @pytest.mark.parametrize("method", ["exact", "ivf"])
    def test_blocks_do_not_matter(self, settings, tmp_path, block_rows, method):
        few = replace(settings, neighbor_method=method, k_at_hop=(20,))
        one, other = tmp_path / "one", tmp_path / "other"
        run(replace(few, block_rows=block_rows), one)
        run(few, other)
        for name in ("neighbors/indices", "likelihoods/likelihoods", *LINKS, "labels/labels"):
            assert (one / f"{name}.npy").read_bytes() == (other / f"{name}.npy").read_bytes()

    def test_shards_of_the_index_do_not_matter(self, settings, tmp_path):
        one = replace(settings, neighbor_method="ivf", k_at_hop=(20,))
        run(one, tmp_path / "one")
        run(replace(one, index_shards=3), tmp_path / "three")
        for name in ("indices", "similarities"):
            found = [tmp_path / work / "neighbors" / f"{name}.npy" for work in ("one", "three")]
            assert found[0].read_bytes() == found[1].read_bytes()
        assert not list((tmp_path / "three").rglob("shard-*"))

    @pytest.mark.parametrize("combine", ["mean", "max", "min"])
    def test_links_are_those_of_combine_directions(self, settings, tmp_path, combine):
        changed = replace(settings, combine=combine, k_at_hop=(15,), block_rows=30)
        report = run(changed, tmp_path).report
        judged = np.load(tmp_path / "likelihoods/likelihoods.npy")
        expected = combine_directions(open_graph(tmp_path / "neighbors"), judged, combine)
        for name in LINKS[:3]:
            array = getattr(expected, name.removeprefix("links/"))
            np.testing.assert_array_equal(np.load(tmp_path / f"{name}.npy"), array, strict=True)
        stage = report["stages"][3]
        assert (stage["rows"], stage["n_one_sided"]) == (len(expected), expected.one_sided.sum())
        manifest = Manifest.read(tmp_path / "links")
        assert {block.stop - block.start for block in manifest.blocks[:-1]} == {30 * 15}

    @pytest.mark.parametrize("suffix", [".npz", ".parquet", ".bin", ".safetensors"])
    def test_features_of_any_kind(self, settings, tmp_path, suffix):
        path = tmp_path / f"features{suffix}"
        save_features(path, 3 * FEATURES)
        dim = 32 if suffix == ".bin" else None
        out = tmp_path / "people.csv"
        changed = RunSettings(path, dim=dim, block_rows=170, out=out)
        result = run(changed, tmp_path / "work")
        np.testing.assert_array_equal(
            np.load(tmp_path / "work/features/features.npy"), load_features(path, dim=dim)
        )
        np.testing.assert_array_equal(load_labels(out), result.labels)


class TestWhatIsDoneAgain:
    @pytest.mark.parametrize(
        ("changes", "stages"),
        [
            ({}, []),
            ({"memory": "9G", "labels_true": True}, []),
            ({"merge": "threshold", "threshold": 0.7}, ["labels"]),
            ({"combine": "max"}, ["links", "labels"]),
            ({"model": "cosine"}, ["likelihoods", "links", "labels"]),
            ({"recall": 0.5}, ["neighbors", "likelihoods", "links", "labels"]),
            ({"seed": 5}, ["neighbors", "likelihoods", "links", "labels"]),
            ({"dim": FEATURES.shape[1]}, []),
            ({"neighbor_method": "exact"}, ["neighbors", "likelihoods", "links", "labels"]),
        ],
        ids=str,
    )
    def test_only_what_depends_on_what_changed(self, settings, tmp_path, changes, stages):
        settings = replace(settings, neighbor_method="ivf")
        run(settings, tmp_path / "work")
        if changes.get("labels_true"):
            np.save(tmp_path / "people.npy", LABELS)
            changes = {**changes, "labels_true": tmp_path / "people.npy"}
        heard = Heard()
        result = run(replace(settings, **changes), tmp_path / "work", listener=heard)
        assert heard.stages == stages
        assert ("scores" in result.report) == ("labels_true" in changes)
        page = (tmp_path / "work" / "report.md").read_text()
        assert ("BCubed" in page) == ("labels_true" in changes)

    def test_exact_neighbours_depend_on_no_recall_and_no_seed(self, settings, tmp_path):
        run(settings, tmp_path / "work")
        heard = Heard()
        run(replace(settings, recall=0.5, seed=9), tmp_path / "work", listener=heard)
        assert heard.stages == []

    def test_what_auto_chooses_counts_and_not_its_name(self, settings, tmp_path, monkeypatch):
        run(settings, tmp_path / "work")
        heard = Heard()
        run(replace(settings, neighbor_method="exact"), tmp_path / "work", listener=heard)
        assert heard.stages == []
        monkeypatch.setattr(prepared, "AUTO_EXACT_LIMIT", 100)
        run(settings, tmp_path / "work", listener=heard)
        assert heard.stages == ["neighbors", "likelihoods", "links", "labels"]

    @pytest.mark.parametrize(
        ("changes", "stages"),
        [
            ({"precision": "float32"}, []),  # "auto" is float32 in tests
            ({"precision": "bfloat16"}, ["likelihoods", "links", "labels"]),
        ],
        ids=str,
    )
    def test_precision_of_a_link_gcn(self, settings, trained_model, tmp_path, changes, stages):
        of_model = replace(settings, model=str(trained_model))
        run(of_model, tmp_path / "work")
        heard = Heard()
        run(replace(of_model, **changes), tmp_path / "work", listener=heard)
        assert heard.stages == stages

    def test_memory_for_projected_features_of_a_link_gcn(
        self, settings, trained_model, tmp_path, monkeypatch
    ):
        of_model = replace(settings, model=str(trained_model))
        whole = run(of_model, tmp_path / "work")
        monkeypatch.setattr(task_module, "_TABLE_SHARE", 10**9)
        heard = Heard()
        parts = run(of_model, tmp_path / "work", listener=heard)
        assert heard.stages == ["likelihoods", "links", "labels"]
        np.testing.assert_array_equal(parts.labels, whole.labels)  # rounding differs, no more

    def test_precision_is_nothing_to_the_context_model(self, settings, tmp_path):
        run(settings, tmp_path / "work")
        heard = Heard()
        run(replace(settings, precision="bfloat16"), tmp_path / "work", listener=heard)
        assert heard.stages == []


class TestRestart:
    @pytest.mark.parametrize(
        "changes",
        [
            {"features": Path("nowhere.npy")},
            {"k_at_hop": (400,)},
            {"memory": "100M"},
            {"model": "nowhere"},
        ],
        ids=str,
    )
    def test_what_is_there_stays_if_something_is_refused(self, settings, tmp_path, changes):
        work = tmp_path / "work"
        run(settings, work)
        with pytest.raises(InputError):
            run(replace(settings, **changes), work, restart=True)
        heard = Heard()
        run(settings, work, listener=heard)
        assert heard.stages == []

    def test_it_does_not_remove_its_own_features(self, settings, tmp_path):
        np.save(tmp_path / "features.npy", 2 * FEATURES)
        run(replace(settings, features=tmp_path / "features.npy"), tmp_path / "work")
        own = tmp_path / "work" / "features" / "features.npy"
        with pytest.raises(InputError, match="are the run's own, which --restart removes"):
            run(replace(settings, features=own), tmp_path / "work", restart=True)
        assert own.exists()


class TestWhatChangesMeanwhile:
    def test_nothing_is_kept_of_changed_features(self, settings, tmp_path):
        copied, work = tmp_path / "features.npy", tmp_path / "work"
        shutil.copy(settings.features, copied)

        class Writing(LocalEngine):
            """The second block of neighbours comes from other features."""

            def map(self, work, blocks, memory_bytes=0):
                for number, found in enumerate(super().map(work, blocks)):
                    if isinstance(work, FindNeighbors) and number == 1:
                        os.utime(copied, ns=(0, 0))
                    yield found

        with pytest.raises(InputError, match="changed while it was being used"):
            run(replace(settings, features=copied), work, engine=Writing())
        assert Manifest.read(work / "neighbors").n_done == 150

    def test_a_model_that_is_trained_on(self, settings, trained_model, tmp_path):
        model = tmp_path / "model"
        shutil.copytree(trained_model, model)

        class Training(LocalEngine):
            def map(self, work, blocks, memory_bytes=0):
                if isinstance(work, JudgePivots):
                    arrays, metadata = load_arrays(model / "model.safetensors", "model")
                    arrays["convs.0.bias"] += 1
                    save_arrays(model / "model.safetensors", arrays, metadata)
                return super().map(work, blocks)

        with pytest.raises(InputError, match="model: it has changed since the run began"):
            run(replace(settings, model=str(model)), tmp_path / "work", engine=Training())
        assert Manifest.read(tmp_path / "work" / "likelihoods").n_done == 0


class TestEngines:
    def test_work_can_be_sent_elsewhere_and_come_back_in_any_order(self, settings, tmp_path):
        class Elsewhere(LocalEngine):
            """Work is pickled, as for another machine, and finished backwards."""

            def map(self, work, blocks, memory_bytes=0):
                compute = pickle.loads(pickle.dumps(work)).open()
                for block in reversed(blocks):
                    yield block, compute(block)

        result = run(settings, tmp_path / "work", engine=Elsewhere())
        np.testing.assert_array_equal(result.labels, LinkageClustering().fit_predict(FEATURES))

    def test_shards_are_made_once(self, settings, tmp_path):
        """A run that ends in the middle of the neighbours goes on with the shards it has made."""

        class EndedError(RuntimeError):
            pass

        class Ending(LocalEngine):
            def map(self, work, blocks, memory_bytes=0):
                yield from list(super().map(work, blocks, memory_bytes))[:1]
                raise EndedError

        sharded = replace(settings, neighbor_method="ivf", index_shards=2)
        with pytest.raises(EndedError):
            run(sharded, tmp_path / "work", engine=Ending())
        shards = sorted((tmp_path / "work" / "neighbors").glob("shard-*"))
        assert [path.name[:16] for path in shards] == ["shard-000-of-002", "shard-001-of-002"]
        shards[0].write_bytes(shards[0].read_bytes()[:-1] + b"?")
        made = [path.stat().st_mtime_ns for path in shards]
        with pytest.raises(EndedError):
            run(sharded, tmp_path / "work", engine=Ending())
        again = [path.stat().st_mtime_ns for path in shards]
        assert made[0] < again[0]
        with pytest.raises(EndedError):
            run(sharded, tmp_path / "work", engine=Ending())
        assert [path.stat().st_mtime_ns for path in shards] == again

    def test_a_search_that_was_lost_after_the_last_block_is_prepared_again(
        self, settings, tmp_path
    ):
        class Losing(LocalEngine):
            def map(self, work, blocks, memory_bytes=0):
                yield from super().map(work, blocks, memory_bytes)
                if isinstance(work, FindNeighbors):
                    work.search.unlink()

        lost = replace(settings, neighbor_method="ivf")
        report = run(lost, tmp_path / "work", engine=Losing()).report
        assert report["neighbor_recall"] == run(lost, tmp_path / "whole").report["neighbor_recall"]

    def test_the_time_of_a_run_that_ended_early_counts(self, settings, tmp_path):
        class Ending(LocalEngine):
            def map(self, work, blocks, memory_bytes=0):
                if isinstance(work, FindNeighbors):
                    raise KeyboardInterrupt
                return super().map(work, blocks, memory_bytes)

        with pytest.raises(KeyboardInterrupt):
            run(settings, tmp_path / "work", engine=Ending())
        before = Manifest.read(tmp_path / "work" / "neighbors")
        assert before.n_done == 0 < before.seconds
        replace(before, seconds=1000.0).write(tmp_path / "work" / "neighbors")
        stage = run(settings, tmp_path / "work").report["stages"][1]
        assert 1000 <= stage["seconds_in_all"] <= 1000 + stage["seconds"] + 0.002


class TestRefused:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"k_at_hop": (400,)}, "each of 400 instances has 399 others"),
            ({"model": "nowhere"}, "no such folder"),
            ({"merge": "threshold", "threshold": 2.0}, "threshold"),
            ({"index_shards": 2}, "index_shards=2 with method='exact', which has no cells"),
            ({"index_shards": 11, "neighbor_method": "ivf"}, "400 instances has 10 cells"),
            ({"memory": "100M"}, "memory=100M: the stage 'likelihoods' of 400 faces needs about"),
        ],
        ids=str,
    )
    def test_before_any_stage(self, settings, tmp_path, changes, message):
        with pytest.raises(InputError, match=message):
            run(replace(settings, **changes), tmp_path / "work")
        assert not (tmp_path / "work" / "neighbors").exists()

    def test_a_disk_without_room(self, settings, tmp_path, monkeypatch):
        monkeypatch.setattr(needs, "free_disk_bytes", lambda work: 1000)
        with pytest.raises(OutputError, match=r"keeps .* GiB more, but only 0\.00 GiB are free"):
            run(settings, tmp_path / "work")

    def test_true_labels_of_other_faces(self, settings, tmp_path):
        np.save(tmp_path / "people.npy", LABELS[:-1])
        with pytest.raises(InputError, match="399 labels for 400 faces"):
            run(replace(settings, labels_true=tmp_path / "people.npy"), tmp_path / "work")
