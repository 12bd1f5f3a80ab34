"""The stages on a Ray cluster of this machine, whose workers are killed."""

import contextlib
import os
import signal
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numba
import numpy as np
import pytest
from numba import get_num_threads

pytest.importorskip("ray", reason="the extra ray is not installed")

from facelink.errors import InputError, OutputError
from facelink.merging.parts import likely_groups
from facelink.neighbors.prepared import PreparedSearch
from facelink.neighbors.shards import write_shards
from facelink.stages.engine import Block, Round, blocks_between, rows_for_all
from facelink.stages.ray_engine import RayEngine
from facelink.stages.run import run
from facelink.stages.settings import RunSettings
from facelink.stages.sharded import AskShards, BeginQueries
from facelink.stages.shared_files import SharedFiles
from facelink.stages.work import FeaturesFile
from facelink.synthetic import SyntheticSettings, make_faces
from tests.unit.merging.test_parts import evidence
from tests.unit.stages.lending import lent_by_ftp

N_WORKERS, MAX_RETRIES = 2, 1


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with lent_by_ftp(tmp_path_factory.mktemp("shared")) as url:
        yield SharedFiles(f"{url}/place")


@pytest.fixture(scope="module")
def engine(shared):
    with RayEngine(n_workers=N_WORKERS, shared=shared, max_retries=MAX_RETRIES) as started:
        yield started
    assert not Path(tempfile.gettempdir(), f"facelink-{shared.token}").exists()


@dataclass(frozen=True)
class Work:
    """Work whose worker dies at a block as long as one of some files can be made."""

    work: Any
    marks: tuple[Path, ...] = ()

    def moved(self, where: Callable[[Path], Path]) -> "Work":
        return Work(self.work.moved(where), self.marks)

    def open(self):
        compute = self.work.open()

        def die_or_compute(block):
            for mark in self.marks:
                try:
                    mark.touch(exist_ok=False)
                except FileExistsError:
                    continue
                os.kill(os.getpid(), signal.SIGKILL)
            return compute(block)

        return die_or_compute


@dataclass(frozen=True)
class Squares:
    """A block's numbers, squared; some are refused."""

    refused: int = -1

    def moved(self, where: Callable[[Path], Path]) -> "Squares":
        return self

    def open(self):
        def compute(block):
            if block.start <= self.refused < block.stop:
                raise InputError(f"{self.refused} cannot be squared.")
            return {"squares": np.arange(block.start, block.stop) ** 2}

        return compute


@dataclass(frozen=True)
class Reading:
    """A number in a file, for each block."""

    path: Path

    def moved(self, where: Callable[[Path], Path]) -> "Reading":
        return self

    def open(self):
        number = int(self.path.read_text())
        return lambda block: {"number": np.array([number])}


@dataclass(frozen=True)
class DyingOnce:
    """A function whose worker dies the first time that it is called."""

    function: Callable[..., Any]
    mark: Path

    def __call__(self, item):
        with contextlib.suppress(FileExistsError):
            self.mark.touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)
        return self.function(item)


class DyingEngine:
    """An engine one of whose workers is killed in each stage."""

    def __init__(self, engine, folder):
        self.engine, self.folder, self.n_stages = engine, folder, 0
        self.n_at_once = engine.n_at_once
        self.auto_device, self.in_one_process = engine.auto_device, engine.in_one_process

    def map(self, work, blocks, memory_bytes=0):
        self.n_stages += 1
        dying = Work(work, (self.folder / str(self.n_stages),))
        return self.engine.map(dying, blocks, memory_bytes)

    def each(self, function, items):
        return self.engine.each(DyingOnce(function, self.folder / "merging"), items)


def test_labels_are_those_of_one_machine_though_workers_are_killed(
    engine, shared, tmp_path, monkeypatch
):
    faces = make_faces(SyntheticSettings(n_faces=600, n_features=16), seed=0)
    np.save(tmp_path / "faces.npy", 2 * faces.features)
    settings = RunSettings(tmp_path / "faces.npy", neighbor_method="ivf")
    alone = run(settings, tmp_path / "alone")
    marks = tmp_path / "marks"
    marks.mkdir()
    monkeypatch.setattr(likely_groups, "__kwdefaults__", {"each": map, "links_per_part": 300})
    together = run(settings, tmp_path / "together", engine=DyingEngine(engine, marks))
    assert {mark.name for mark in marks.iterdir()} == {"1", "2", "3", "4", "merging"}
    np.testing.assert_array_equal(together.labels, alone.labels)
    np.testing.assert_array_equal(together.confidence, alone.confidence)
    fetched = Path(tempfile.gettempdir(), f"facelink-{shared.token}")
    assert any(fetched.rglob("indices.npy"))


@dataclass(frozen=True)
class DyingSteps:
    """Work in steps, the first and an asking one of which lose their worker once."""

    begin: Work
    rounds: tuple[Round, ...]

    @classmethod
    def of(cls, work, folder):
        first, *others = work.rounds
        asks = (Work(first.asks[0], (folder / "asking",)), *first.asks[1:])
        begin = Work(work.begin, (folder / "beginning",))
        return cls(begin, (Round(asks, first.gather), *others))

    def moved(self, where: Callable[[Path], Path]) -> "DyingSteps":
        rounds = (
            Round(tuple(ask.moved(where) for ask in one.asks), one.gather.moved(where))
            for one in self.rounds
        )
        return DyingSteps(self.begin.moved(where), tuple(rounds))

    def open(self):
        raise AssertionError("steps are not taken at once by a cluster")


def sharded(folder):
    """A search of 600 faces and the work that asks its three shards."""
    faces = make_faces(SyntheticSettings(n_faces=600, n_features=16), seed=0)
    np.save(folder / "faces.npy", faces.features)
    search = PreparedSearch.prepare(faces.features, 10, "ivf")
    search.save(folder / "search.safetensors")
    shards = tuple(folder / f"{number}.safetensors" for number in range(3))
    write_shards(search, shards)
    begin = BeginQueries(FeaturesFile(folder / "faces.npy"), folder / "search.safetensors")
    return search, AskShards(begin, shards, 10)


def test_shards_give_the_neighbors_of_one_machine_though_workers_are_killed(engine, tmp_path):
    search, work = sharded(tmp_path)
    work = DyingSteps.of(work, tmp_path)
    blocks = blocks_between(0, 600, 250)
    found = dict(engine.map(work, blocks, memory_bytes=1 << 20))
    assert (tmp_path / "beginning").exists()
    assert (tmp_path / "asking").exists()
    assert sorted(found) == blocks
    indices, similarities = search.rows(np.arange(600))
    for block in blocks:
        rows = slice(block.start, block.stop)
        np.testing.assert_array_equal(found[block]["indices"], indices[rows])
        np.testing.assert_array_equal(found[block]["similarities"], similarities[rows])


def test_an_error_in_a_step_is_the_block_s(engine, tmp_path):
    """The steps after it are not taken."""
    features = make_faces(SyntheticSettings(n_faces=100, n_features=16), seed=0).features
    np.save(tmp_path / "faces.npy", features)
    PreparedSearch.prepare(features, 10, "ivf").save(tmp_path / "search.safetensors")
    begin = BeginQueries(FeaturesFile(tmp_path / "faces.npy"), tmp_path / "search.safetensors")
    with pytest.raises(InputError, match=r"index shard .*search.safetensors: not one of this"):
        list(engine.map(AskShards(begin, (tmp_path / "search.safetensors",), 10), [Block(0, 10)]))


@dataclass(frozen=True)
class Threads:
    """The number of threads that a block is worked on with."""

    def moved(self, where: Callable[[Path], Path]) -> "Threads":
        return self

    def open(self):
        return lambda block: {"threads": np.array([get_num_threads()])}


def test_a_task_has_one_processor_and_uses_one(engine):
    found = dict(engine.map(Threads(), [Block(0, 1)]))
    assert found[Block(0, 1)]["threads"].tolist() == [1]


@dataclass(frozen=True)
class Reserved:
    """The memory that a block has reserved."""

    def moved(self, where: Callable[[Path], Path]) -> "Reserved":
        return self

    def open(self):
        import ray

        return lambda block: {
            "bytes": np.array([ray.get_runtime_context().get_assigned_resources()["memory"]])
        }


def test_a_task_reserves_its_memory(engine):
    found = dict(engine.map(Reserved(), [Block(0, 1)], memory_bytes=50 << 20))
    assert found[Block(0, 1)]["bytes"].tolist() == [50 << 20]


def test_a_task_larger_than_any_machine_is_refused_at_once(engine):
    with pytest.raises(
        InputError, match=r"a block needs about .* MiB, but no machine .* more than"
    ):
        list(engine.map(Squares(), [Block(0, 10)], memory_bytes=1 << 50))


@dataclass(frozen=True)
class Huge:
    """An item that says to need more memory than there is."""

    memory_bytes: int = 1 << 50


def test_a_part_larger_than_any_machine_is_refused_at_once(engine):
    with pytest.raises(InputError, match=r"a part needs about .* MiB, but no machine"):
        list(engine.each(repr, [Huge()]))


def test_parts_are_merged_by_the_workers(engine):
    found = evidence(seed=0)
    here = likely_groups(found)
    there = likely_groups(found, each=engine.each, links_per_part=300)
    np.testing.assert_array_equal(there.roots, here.roots)
    assert there.n_rounds == here.n_rounds


def test_every_block_comes_once(engine):
    blocks = blocks_between(0, 100, 7)
    done = dict(engine.map(Squares(), blocks))
    assert sorted(done) == blocks
    assert all(
        done[block]["squares"].tolist() == [n**2 for n in range(block.start, block.stop)]
        for block in blocks
    )


def test_files_that_changed_since_the_last_stage_are_opened_again(engine, tmp_path):
    path = tmp_path / "number"
    for number in (1, 2):
        path.write_text(str(number))
        found = engine.map(Reading(path), blocks_between(0, 8, 1))
        assert [arrays["number"].item() for _, arrays in found] == [number] * 8


def test_a_block_s_own_error_is_raised(engine):
    with pytest.raises(InputError, match=r"^40 cannot be squared\.$"):
        list(engine.map(Squares(refused=40), blocks_between(0, 100, 7)))


def test_items_come_back_in_order(engine):
    assert list(engine.each(str, range(50))) == [str(number) for number in range(50)]


def test_a_worker_takes_one_core(engine):
    assert list(engine.each(lambda _: numba.get_num_threads(), range(4))) == [1] * 4


def test_after_an_error_nothing_goes_on():
    def refuse(task):
        raise InputError(f"number {task} is refused.")

    ended = []
    engine = object.__new__(RayEngine)
    engine._max_retries = 0
    engine._ray = SimpleNamespace(
        cluster_resources=lambda: {"CPU": 2},
        nodes=lambda: [{"Alive": True, "Resources": {"CPU": 2, "memory": 1 << 40}}],
        remote=lambda **options: (
            lambda function: SimpleNamespace(remote=lambda function, item: item)
        ),
        get=refuse,
        cancel=lambda task, force: ended.append(task),
        exceptions=SimpleNamespace(RayTaskError=KeyError, RayError=KeyError),
    )
    with pytest.raises(InputError, match=r"^number 0 is refused\.$") as kept:
        list(engine.each(str, range(9)))
    assert kept.tb is not None  # which holds on to all that was running
    assert ended == [1, 2, 3]


def test_the_cluster_is_left_though_files_cannot_be_removed(shared):
    def lost():
        raise ConnectionError("the cluster is lost")

    left = []
    engine = object.__new__(RayEngine)
    engine._shared = shared
    engine._ray = SimpleNamespace(
        util=SimpleNamespace(
            scheduling_strategies=SimpleNamespace(NodeAffinitySchedulingStrategy=0)
        ),
        remote=lambda **options: lambda function: function,
        nodes=lost,
        shutdown=lambda: left.append("the cluster"),
    )
    with pytest.raises(ConnectionError, match="the cluster is lost"), engine:
        pass
    assert left == ["the cluster"]


def test_blocks_are_enough_for_all(engine):
    assert engine.n_at_once == N_WORKERS
    assert rows_for_all(engine, 800, 65_536) == 100
    assert rows_for_all(engine, 10**9, 65_536) == 65_536


def test_workers_that_are_lost_again_and_again(engine, tmp_path):
    marks = tuple(tmp_path / str(number) for number in range(MAX_RETRIES + 1))
    with pytest.raises(OutputError, match=r"rows 0 to 9 could not be computed.*lost 2 times"):
        list(engine.map(Work(Squares(), marks), [Block(0, 10)]))


@dataclass(frozen=True)
class Unspeakable:
    """Work whose error cannot be pickled."""

    def moved(self, where: Callable[[Path], Path]) -> "Unspeakable":
        return self

    def open(self):
        def compute(block):
            class SecretError(Exception):
                def __reduce__(self):
                    raise TypeError("not to be told")

            raise SecretError

        return compute


def test_an_error_that_cannot_be_told_is_no_loss(engine):
    with pytest.raises(Exception, match="SecretError") as kept:
        list(engine.map(Unspeakable(), [Block(0, 10)]))
    assert not isinstance(kept.value, OutputError)


def test_a_step_that_is_lost_again_and_again(engine, tmp_path):
    """It is not the last one, which is the one that is waited for."""
    _, work = sharded(tmp_path)
    marks = tuple(tmp_path / str(number) for number in range(MAX_RETRIES + 1))
    lost = DyingSteps(Work(work.begin, marks), work.rounds)
    with pytest.raises(OutputError, match=r"rows 0 to 9 could not be computed.*lost 2 times"):
        list(engine.map(lost, [Block(0, 10)]))


def with_nodes(*resources):
    engine = RayEngine()
    nodes = [{"NodeID": str(i), "Alive": True, "Resources": one} for i, one in enumerate(resources)]
    engine._ray = SimpleNamespace(nodes=lambda: nodes)
    return engine


def test_a_machine_without_cores_for_tasks_does_not_count():
    head, worker = {"memory": 64 << 30}, {"memory": 4 << 30, "CPU": 2}
    with_nodes(head, worker)._check_memory(4 << 30, "a block")
    with pytest.raises(InputError, match="more than 4,096 MiB"):
        with_nodes(head, worker)._check_memory(6 << 30, "a block")
    with pytest.raises(OutputError, match="no machine of the Ray cluster has a core for tasks"):
        with_nodes(head)._check_memory(1, "a block")


def test_the_memory_of_a_cluster_of_its_own_is_what_was_allowed():
    given = {}
    engine = RayEngine(memory_bytes=3 << 30, n_workers=2)
    engine._module = SimpleNamespace(init=lambda address, **options: given.update(options))
    assert engine._ray is engine._module
    assert (given["_memory"], given["num_cpus"]) == (3 << 30, 2)


def test_it_connects_only_when_there_is_work():
    def refuse(address, **options):
        raise ConnectionError(f"nobody answers at {address}")

    engine = RayEngine("ray://nowhere:1")
    engine._module = SimpleNamespace(init=refuse)
    with engine:
        pass
    with pytest.raises(OutputError, match=r"no Ray cluster at 'ray://nowhere:1': nobody"), engine:
        list(engine.map(Squares(), [Block(0, 1)]))


def test_at_least_one_worker():
    with pytest.raises(InputError, match="n_workers=0"):
        RayEngine(n_workers=0)
