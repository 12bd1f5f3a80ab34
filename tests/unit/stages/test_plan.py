import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facelink.context_prediction import ContextJudge
from facelink.errors import InputError
from facelink.features import save_features
from facelink.models.compiled import projected_bytes
from facelink.models.config import LinkGCNConfig
from facelink.models.context_gcn import ContextGCN
from facelink.models.link_gcn import LinkGCN
from facelink.neighbors.search import find_neighbors
from facelink.stages import memory as memory_module
from facelink.stages import needs as needs_module
from facelink.stages import task as task_module
from facelink.stages.manifest import Manifest
from facelink.stages.memory import machine_memory_bytes
from facelink.stages.needs import (
    BLOCK_ROWS,
    PROGRAM_BYTES,
    block_memory,
    choose_block_rows,
    missing_disk_bytes,
    needs,
)
from facelink.stages.plan import n_compared, plan
from facelink.stages.run import run
from facelink.stages.settings import RunSettings
from facelink.stages.task import Task
from tests.helpers import clustered_features

RECORDS = Path(__file__).parents[3] / "benchmarks" / "records"
LARGE_RUNS = sorted(path.name for path in RECORDS.glob("large*.json") if "peers" not in path.name)
STAGES = ["features", "neighbors", "likelihoods", "links", "labels"]

MEASURED = {
    50_000: {"features": 271, "neighbors": 389, "likelihoods": 508, "links": 328, "labels": 464},
    150_000: {"features": 271, "neighbors": 398, "likelihoods": 488, "links": 345, "labels": 595},
}
"""Peak memory without mapped files, MiB: made-up faces (`benchmarks.large`), 256-d, k = 80, IVF,
blocks of 16,384 rows, one thread."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    path = tmp_path_factory.mktemp("faces") / "features.npy"
    np.save(path, clustered_features(40, 10, 32)[0].astype(np.float16))
    return RunSettings(path)


@pytest.fixture(scope="module")
def done(settings, tmp_path_factory):
    work = tmp_path_factory.mktemp("done") / "work"
    run(settings, work)
    return work


def task_of(settings, work, shape=None):
    task = Task.load(settings, work)
    if shape is None:
        return task
    subgraphs = replace(task.subgraphs, k_at_hop=(80,), n_edge_neighbors=10)
    return replace(task, shape=shape, subgraphs=subgraphs, features=task.source)


class TestNeeds:
    @pytest.mark.parametrize("n_faces", MEASURED)
    def test_memory_is_what_was_measured(self, settings, tmp_path, monkeypatch, n_faces):
        monkeypatch.setattr("facelink.stages.needs.get_num_threads", lambda: 1)
        task = task_of(replace(settings, neighbor_method="ivf"), tmp_path, (n_faces, 256))
        for one in needs(task, 16_384):
            share = one.memory_bytes / 2**20 / MEASURED[n_faces][one.stage]
            assert 0.75 < share < 1.5, one.stage

    @pytest.mark.parametrize("name", LARGE_RUNS)
    def test_no_run_on_record_took_more(self, settings, tmp_path, monkeypatch, name):
        """Whole runs of two threads, which compile first."""
        monkeypatch.setattr("facelink.stages.needs.get_num_threads", lambda: 2)
        record = json.loads((RECORDS / name).read_text())
        task = task_of(replace(settings, neighbor_method="ivf"), tmp_path, (0, 256))
        if record["model"] == "link-gcn":
            precision = "float32" if "avx2" in name else "bfloat16"
            judged = replace(task.subgraphs, n_edge_neighbors=5)
            task = replace(
                task,
                settings=replace(task.settings, precision=precision, memory="24G"),
                model=LinkGCN(LinkGCNConfig(256)),
                subgraphs=judged,
            )
        for one in record["runs"]:
            planned = needs(replace(task, shape=(one["n_faces"], 256)), 65_536)
            for stage, need in zip(one["stages"], planned, strict=True):
                assert stage["stage"] == need.stage
                assert stage["peak_own_memory_bytes"] <= need.memory_bytes, (one["n_faces"], need)

    def test_judging_has_room_for_what_is_kept_of_each_face(self, settings, tmp_path):
        features, _ = clustered_features(100, 20, 16)
        graph = find_neighbors(features, 80, "exact")
        judge = ContextJudge(ContextGCN(), features, graph, 80)
        context, builder = judge._context, judge._builder
        kept = (*context._profiles, context._positions, *builder._adjacency, builder._positions)
        n_bytes = sum(array.nbytes for array in kept)
        none, all_of_them = (
            needs(task_of(settings, tmp_path, (n, 16)), 4_096)[2].memory_bytes
            for n in (0, len(features))
        )
        assert 0.7 * (all_of_them - none) < n_bytes < all_of_them - none

    def test_projected_features_take_no_more_than_half_of_the_memory(
        self, settings, trained_model, tmp_path, monkeypatch
    ):
        monkeypatch.setattr(needs_module, "get_num_threads", lambda: 8)  # judging takes the most
        of_model = replace(settings, model=str(trained_model), precision="bfloat16")
        task = task_of(of_model, tmp_path, (3_000_000, 32))
        n_bytes = projected_bytes(task.model, task.n_faces, in_bfloat16=True)
        whole, without = (
            replace(task, settings=replace(of_model, memory=str(memory)))
            for memory in (2 * n_bytes, 2 * n_bytes - 1)
        )
        memory = [needs(one, 4_096)[2].memory_bytes for one in (whole, without)]
        assert memory[0] - memory[1] == n_bytes
        assert [one.table_bytes for one in (whole, without)] == [n_bytes, 0]
        of_many = replace(whole, in_one_process=False)
        assert of_many.table_bytes == n_bytes
        monkeypatch.setattr(task_module, "TABLE_BYTES", n_bytes - 1)
        assert replace(of_many).table_bytes == 0

    def test_a_container_s_limit_counts(self, monkeypatch, tmp_path):
        limit = tmp_path / "memory.max"
        monkeypatch.setattr(memory_module, "_CONTAINER_LIMITS", (limit, tmp_path / "none"))
        whole = machine_memory_bytes()
        for text, expected in (("max", whole), ("123456789", 123_456_789)):
            limit.write_text(text + "\n")
            assert machine_memory_bytes() == expected

    def test_a_block_takes_no_more_however_large_its_shard_is(self, settings, tmp_path):
        sharded = replace(settings, neighbor_method="ivf", index_shards=4)
        shapes = ((1_000_000, 256), (100_000_000, 256))
        tasks = [task_of(sharded, tmp_path, shape) for shape in shapes]
        few, many = (block_memory(task, 4_096)["neighbors"] for task in tasks)
        assert many - few < 4 << 30  # ranking of 4 √N centres
        assert needs(tasks[1], 4_096)[1].memory_bytes > 4 * 100_000_000 * 256 / 4
        assert set(block_memory(tasks[0], 4_096)) == set(STAGES) - {"labels"}

    def test_disk_is_what_is_written(self, settings, done):
        planned = needs(task_of(settings, done), 4_096)
        for one in planned:
            written = sum(path.stat().st_size - 128 for path in (done / one.stage).glob("*.npy"))
            tolerance = 0.6 if one.stage == "links" else 0.01
            assert one.disk_bytes == pytest.approx(written, rel=tolerance), one.stage
        assert sum(missing_disk_bytes(task_of(settings, done), done)) < planned[3].disk_bytes

    def test_what_is_done_again_needs_the_disk_that_it_grows_by(self, settings, done):
        wider = replace(settings, k_at_hop=(200,))
        added = list(missing_disk_bytes(task_of(wider, done), done))
        k = 200 - 80
        assert added[0] == 0
        assert added[1:3] == pytest.approx([8 * 400 * k, 4 * 400 * k], rel=0.1)
        anew = Task.load(settings, done, restart=True)
        assert sum(missing_disk_bytes(anew, done)) < sum(added)

    def test_parquet_is_held_twice_while_it_is_read(self, settings, tmp_path):
        save_features(tmp_path / "faces.parquet", np.load(settings.features).astype(np.float64))
        task = task_of(replace(settings, features=tmp_path / "faces.parquet"), tmp_path / "work")
        of_rows = needs(task, 4_096)[0].memory_bytes - PROGRAM_BYTES - 12 * 4_096 * 32
        assert of_rows == 400 * 32 * 16

    @pytest.mark.parametrize("block_rows", BLOCK_ROWS)
    def test_blocks_are_as_large_as_the_memory_allows(self, settings, tmp_path, block_rows):
        task = task_of(settings, tmp_path, (20_000, 256))
        least = max(one.memory_bytes for one in needs(task, block_rows))
        for memory, expected in ((least, block_rows), (least - 1, block_rows // 2)):
            limited = replace(task, settings=replace(settings, memory=str(memory)))
            if expected >= BLOCK_ROWS[-1]:
                assert choose_block_rows(limited) == expected
            else:
                with pytest.raises(InputError, match="even with blocks of 4,096 rows"):
                    choose_block_rows(limited)

    def test_the_stage_that_does_not_fit_is_named(self, settings, tmp_path):
        task = task_of(replace(settings, memory="2G"), tmp_path, (5_210_000, 256))
        with pytest.raises(InputError, match=r"stage 'labels' of 5,210,000 faces needs about "):
            choose_block_rows(task)


class TestCompared:
    """Against what was counted on made-up faces."""

    def test_it_is_what_the_record_says(self):
        record = json.loads((RECORDS / "recall.json").read_text())
        for one in record["costs"]:
            expected = n_compared(record["n_faces"], one["recall"])
            assert expected == pytest.approx(one["compared"], rel=0.2), one["recall"]

    @pytest.mark.parametrize(
        ("n_faces", "counted"), [(150_000, 1_783), (584_000, 9_588), (1_700_000, 53_610)]
    )
    def test_it_is_what_was_counted_among_fewer(self, n_faces, counted):
        assert n_compared(n_faces, 0.98) == pytest.approx(counted, rel=0.3)

    def test_few_faces_are_compared_with_all(self):
        assert n_compared(3, 0.98) == 3

    def test_more_is_compared_for_more_recall_and_among_more_faces(self):
        counts = [n_compared(1_700_000, recall) for recall in (0.5, 0.8, 0.9, 0.98, 1.0)]
        assert counts == sorted(counts)
        assert n_compared(584_000, 0.98) < counts[3] < n_compared(5_210_000, 0.98)


class TestPlan:
    def test_nothing_is_done_in_a_new_folder(self, settings, tmp_path):
        stages = plan(task_of(settings, tmp_path / "none"), tmp_path / "none")
        assert [stage.stage for stage in stages] == STAGES
        assert not any(stage.is_done for stage in stages)
        assert all(stage.seconds > 0 for stage in stages)
        assert not (tmp_path / "none").exists()

    def test_what_is_done_takes_nothing(self, settings, done):
        assert all(
            stage.is_done and stage.seconds == 0 for stage in plan(task_of(settings, done), done)
        )
        changed = replace(settings, combine="max")
        states = [stage.is_done for stage in plan(task_of(changed, done), done)]
        assert states == [True, True, True, False, False]

    def test_nothing_counts_that_is_to_be_forgotten(self, settings, done):
        task = Task.load(settings, done, restart=True)
        assert not any(stage.is_done for stage in plan(task, done))

    def test_what_a_run_would_refuse_is_refused(self, settings, tmp_path):
        (tmp_path / "notes.txt").touch()
        for place, message in ((tmp_path, "holds 'notes.txt'"), (tmp_path / "notes.txt", "a file")):
            with pytest.raises(InputError, match=f"{message}.* for --work"):
                plan(task_of(settings, place), place)

    @pytest.mark.parametrize("name", ["neighbors", "links"])
    def test_half_of_a_stage_takes_half_of_what_its_blocks_took(
        self, settings, done, tmp_path, name
    ):
        shutil.copytree(done, tmp_path / "work")
        folder = tmp_path / "work" / name
        manifest = Manifest.read(folder)
        n_half = manifest.n_rows // 2
        half = replace(manifest.blocks[0], stop=n_half, seconds=50.0)
        manifest.with_blocks((half,)).write(folder)
        stages = plan(task_of(settings, tmp_path / "work"), tmp_path / "work")
        stage = stages[STAGES.index(name)]
        assert (stage.n_done, stage.n_rows, stage.is_done) == (n_half, manifest.n_rows, False)
        assert stage.seconds == pytest.approx(50.0, rel=0.01)
