"""`facelink run` loses nothing, whatever happens to its process and its files."""

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from facelink.errors import InputError, OutputError
from facelink.link_prediction import link_offsets
from facelink.stages.engine import LocalEngine
from facelink.stages.folder import work_folder
from facelink.stages.run import run
from facelink.stages.settings import RunSettings
from tests.faults.killing import N_POINTS, SEED, Kill, points
from tests.faults.small_disk import PAGE, small_disk, too_few_pages
from tests.helpers import clustered_features

ROOT = Path(__file__).parents[2]
ARRAYS = (
    "features/features.npy",
    "neighbors/indices.npy",
    "neighbors/similarities.npy",
    "likelihoods/likelihoods.npy",
    "links/pairs.npy",
    "links/likelihoods.npy",
    "links/one_sided.npy",
    "links/offsets.npy",
    "labels/labels.npy",
    "labels/confidence.npy",
)
BLOCK = 100
N_RUNS = max(3, N_POINTS)
"""Runs that are killed twice each."""


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """600 faces of half precision, which have to be normalised."""
    path = tmp_path_factory.mktemp("faces") / "features.npy"
    np.save(path, clustered_features(60, 10, 32)[0].astype(np.float16))
    return path


def settings_of(features, **others):
    return {"features": str(features), "neighbor_method": "ivf", "block_rows": BLOCK, **others}


@pytest.fixture
def settings(features):
    return RunSettings(**{**settings_of(features), "features": features})


@pytest.fixture(scope="module")
def worker():
    if not hasattr(os, "fork"):
        pytest.skip("no processes that fork")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.run_faults"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    yield process
    process.stdin.close()
    process.wait()
    process.stdout.close()


def child(worker, features, work, *, kill=None, **fault):
    """Run in a child process; returns its status, and its steps if it came to its end."""
    if kill is not None:
        fault["kill"] = asdict(kill)
    worker.stdin.write(
        json.dumps({"settings": settings_of(features), "work": str(work), **fault}) + "\n"
    )
    worker.stdin.flush()
    *steps, status = map(int, worker.stdout.readline().split())
    return status, *steps


def was_met(kill, status, n_steps=0):
    """Whether a child was killed at a point, or ended in the time that the point gave."""
    return os.WIFSIGNALED(status) or (kill.delay > 0 and n_steps >= kill.n_writes)


@pytest.fixture(scope="module")
def whole(worker, features, tmp_path_factory):
    """A run that nothing happened to: its folder, and the number of its steps."""
    work = tmp_path_factory.mktemp("whole") / "work"
    status, n_steps = child(worker, features, work)
    assert status == 0
    return work, n_steps


@pytest.fixture
def work(tmp_path, whole):
    """A copy of the whole run, whose files can be damaged."""
    shutil.copytree(whole[0], tmp_path / "work")
    return tmp_path / "work"


def assert_same(work, other):
    for name in ARRAYS:
        assert (work / name).read_bytes() == (other / name).read_bytes(), name


class TestKilled:
    @pytest.mark.parametrize("number", range(N_RUNS))
    def test_a_run_killed_anywhere_goes_on_to_the_same_bits(
        self, worker, features, whole, tmp_path, number
    ):
        work, n_steps = whole
        first = list(points(n_steps, seed=SEED, n_points=N_RUNS))[number]
        assert was_met(first, *child(worker, features, tmp_path / "work", kill=first))
        (second,) = points(n_steps - first.n_writes + 1, seed=SEED + number, n_points=1)
        ended = child(worker, features, tmp_path / "work", kill=second)
        assert was_met(second, *ended) or first.delay > 0
        assert child(worker, features, tmp_path / "work")[0] == 0
        assert_same(tmp_path / "work", work)
        left = [path for path in (tmp_path / "work").rglob(".*") if ".part" in path.name]
        assert left == []

    def test_finished_blocks_are_not_done_again(self, worker, features, whole, tmp_path):
        status, *_ = child(worker, features, tmp_path / "work", kill=Kill(whole[1] // 2))
        assert os.WTERMSIG(status) == signal.SIGKILL
        manifest = json.loads((tmp_path / "work/neighbors/manifest.json").read_text())
        assert manifest["blocks"]
        _, n_steps = child(worker, features, tmp_path / "work")
        assert n_steps < whole[1]
        after = json.loads((tmp_path / "work/neighbors/manifest.json").read_text())
        assert after["blocks"][: len(manifest["blocks"])] == manifest["blocks"]

    @pytest.mark.parametrize("point", [25, 31, 40])
    def test_links_go_on_from_the_last_finished_block(self, worker, features, whole, work, point):
        shutil.rmtree(work / "links")
        was_killed, finished = True, []
        while was_killed and len(finished) < 50:
            status = child(worker, features, work, kill=Kill(point))[0]
            was_killed = os.WIFSIGNALED(status)
            finished.append(json.loads((work / "links/manifest.json").read_text())["blocks"])
        for before, after in pairwise(finished):
            assert after[: len(before)] == before
        assert any(0 < len(blocks) < len(finished[-1]) for blocks in finished)
        assert_same(work, whole[0])


class Notes:
    """A listener that remembers."""

    def __init__(self):
        self.notes, self.worked_on = [], {}

    def note(self, message):
        self.notes.append(message)

    @contextlib.contextmanager
    def working(self, stage, n_rows):
        self.worked_on[stage] = n_rows
        yield lambda n_done: None


def flip(path, place):
    """Turn around the bits of a byte."""
    with path.open("rb+") as stream:
        stream.seek(place)
        byte = stream.read(1)[0]
        stream.seek(place)
        stream.write(bytes([byte ^ 0xFF]))


class TestDamagedFiles:
    @pytest.mark.parametrize(
        ("name", "row", "n_rows"),
        [
            ("features/features.npy", 0, BLOCK),
            ("neighbors/indices.npy", 250, BLOCK),
            ("neighbors/similarities.npy", -1, BLOCK),
            ("likelihoods/likelihoods.npy", 599, 191),
            ("links/pairs.npy", 0, BLOCK * 80),
            ("labels/labels.npy", 300, 0),
        ],
    )
    def test_a_flipped_byte_is_found_told_and_mended(
        self, settings, whole, work, name, row, n_rows
    ):
        array = np.load(work / name, mmap_mode="r")
        start = (work / name).stat().st_size - array.nbytes
        flip(work / name, start + (row % len(array)) * (array.nbytes // len(array)))
        heard, stage = Notes(), name.partition("/")[0]
        run(settings, work, listener=heard)
        assert heard.worked_on == {stage: n_rows}
        assert any(f"{stage}: rows" in note and "damaged" in note for note in heard.notes)
        assert_same(work, whole[0])

    @pytest.mark.parametrize("name", ["neighbors/indices.npy", "likelihoods/likelihoods.npy"])
    @pytest.mark.parametrize("n_left", [0, 40, 30_000])
    def test_a_truncated_file_is_mended(self, settings, whole, work, name, n_left):
        os.truncate(work / name, n_left)
        heard = Notes()
        run(settings, work, listener=heard)
        assert any("cut short" in note for note in heard.notes)
        assert_same(work, whole[0])

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "facelink.stage", "version": 9}'])
    def test_a_damaged_manifest_means_doing_the_stage_again(self, settings, whole, work, text):
        (work / "labels" / "manifest.json").write_text(text)
        heard = Notes()
        run(settings, work, listener=heard)
        assert heard.worked_on == {"labels": 0}
        assert_same(work, whole[0])

    @pytest.mark.parametrize("are_damaged", [False, True])
    def test_links_are_counted_again_only_if_their_offsets_are_damaged(
        self, monkeypatch, settings, whole, work, are_damaged
    ):
        counted = []

        def counting(neighbors):
            counted.append(neighbors)
            return link_offsets(neighbors)

        monkeypatch.setattr("facelink.stages.run.link_offsets", counting)
        flip(work / "links" / "pairs.npy", 130)
        if are_damaged:
            flip(work / "links" / "offsets.npy", 2_000)
        run(settings, work)
        assert len(counted) == are_damaged
        assert_same(work, whole[0])

    def test_a_damaged_search_is_prepared_again(self, settings, whole, work):
        flip(work / "neighbors" / "search.safetensors", 2_000)
        flip(work / "neighbors" / "indices.npy", 130)
        run(settings, work)
        assert_same(work, whole[0])


class Watching:
    """Notes which reports there are when a stage begins."""

    def __init__(self, work, working, reports):
        self.work, self.working, self.reports = work, working, reports

    def __call__(self, stage, n_rows):
        self.reports.append([path.name for path in self.work.glob("report.*")])
        return self.working(stage, n_rows)


class TestFeatures:
    def test_changed_features_are_refused(self, settings, work, tmp_path):
        other = np.load(settings.features)
        other[0] = -other[0]
        np.save(tmp_path / "other.npy", other)
        changed = replace(settings, features=tmp_path / "other.npy")
        with pytest.raises(InputError, match=r"not those that the run in .* --restart"):
            run(changed, work)
        heard, reports = Notes(), []
        heard.working = Watching(work, heard.working, reports)
        run(changed, work, listener=heard, restart=True)
        assert heard.worked_on.keys() == {
            "features", "neighbors", "likelihoods", "links", "labels"
        }  # fmt: skip
        assert reports == [[]] * 5
        assert len(list(work.glob("report.*"))) == 2

    def test_the_same_features_under_another_name_are_the_same(self, settings, work, tmp_path):
        shutil.copy(settings.features, tmp_path / "moved.npy")
        heard = Notes()
        run(replace(settings, features=tmp_path / "moved.npy"), work, listener=heard)
        assert heard.worked_on == {}

    def test_features_that_change_meanwhile_are_noticed(self, settings, tmp_path):
        copied = tmp_path / "features.npy"
        shutil.copy(settings.features, copied)

        class Touching(LocalEngine):
            def map(self, work, blocks, memory_bytes=0):
                os.utime(copied, ns=(0, 0))
                return super().map(work, blocks)

        with pytest.raises(InputError, match="changed while it was being used"):
            run(replace(settings, features=copied), tmp_path / "work", engine=Touching())


class TestTheFolder:
    def test_a_second_run_is_refused_and_told_of_the_first(self, settings, tmp_path):
        with (
            work_folder(tmp_path / "work"),
            pytest.raises(OutputError, match=rf"process {os.getpid()} \(facelink run\)"),
        ):
            run(settings, tmp_path / "work")

    def test_a_folder_of_something_else_is_left_alone(self, settings, tmp_path):
        (tmp_path / "features").mkdir()
        (tmp_path / "features" / "mine.txt").write_text("mine")
        with pytest.raises(InputError, match="'features' and is not the folder of a run"):
            run(settings, tmp_path, restart=True)
        assert (tmp_path / "features" / "mine.txt").read_text() == "mine"

    def test_a_folder_that_cannot_be_written(self, commands, features, tmp_path):
        with tempfile.TemporaryDirectory() as parent:
            work = Path(parent) / "work"
            work.mkdir(mode=0o500)
            line = ("run", features, "--work", work)
            refused = commands.run(*line, without_rights=True)
            assert refused.code == 1, refused.output
            assert "Traceback" not in refused.output
            assert str(work) in " ".join(refused.output.split())
            assert list(work.iterdir()) == []
            work.chmod(0o700)
            assert commands.run(*line, without_rights=True).code == 0

    def test_what_cannot_be_removed_is_not_kept_as_if_it_were_new(
        self, commands, features, tmp_path
    ):
        with tempfile.TemporaryDirectory() as parent:
            work = Path(parent) / "work"
            line = ("run", features, "--work", work)
            assert commands.run(*line).code == 0
            (work / "neighbors").chmod(0o500)
            refused = commands.run(*line, "--restart", without_rights=True)
            assert refused.code == 1, refused.output
            told = " ".join(refused.output.split())
            assert f"cannot remove {work / 'neighbors'}: Permission denied" in told
            assert "Traceback" not in refused.output
            (work / "neighbors").chmod(0o700)
            again = commands.run(*line, "--restart")
            assert again.code == 0
            assert "kept" not in again.output

    def test_a_disk_that_can_only_be_read(self, settings, whole, tmp_path):
        with small_disk(tmp_path / "disk") as disk:
            work = disk.folder / "work"
            run(settings, work)
            (work / "report.json").unlink()
            with disk.read_only(), pytest.raises(OutputError, match="work"):
                run(settings, work)
            run(settings, work)
            assert_same(work, whole[0])

    def test_a_file_is_no_folder(self, settings, tmp_path):
        (tmp_path / "work").write_text("")
        with pytest.raises(InputError, match=r"work is a file; give the name of a folder"):
            run(settings, tmp_path / "work")
        with pytest.raises(OutputError, match="cannot make the folder"):
            run(settings, tmp_path / "work" / "within")


class TestFullDisk:
    def test_files_may_not_be_large_enough(self, worker, features, whole, tmp_path):
        """A limit on the size of files stands in for a disk that is too small for a stage."""
        status, *_ = child(worker, features, tmp_path / "work", largest_file=150_000)
        assert os.waitstatus_to_exitcode(status) == OutputError.exit_code
        stages = [path.parent.name for path in (tmp_path / "work").glob("*/manifest.json")]
        assert stages == ["features"]
        assert child(worker, features, tmp_path / "work")[0] == 0
        assert_same(tmp_path / "work", whole[0])

    def test_a_disk_that_is_full_fails_a_run_until_there_is_room(
        self, worker, features, whole, tmp_path
    ):
        n_needed = sum(path.stat().st_blocks for path in whole[0].rglob("*.npy")) * 512 // PAGE
        with small_disk(tmp_path / "disk") as disk:
            work = disk.folder / "work"
            for n_left in too_few_pages(n_needed):
                disk.leave(n_left)
                status, *_ = child(worker, features, work)
                assert os.waitstatus_to_exitcode(status) == OutputError.exit_code, n_left
                assert [path for path in work.rglob(".*") if ".part" in path.name] == []
                disk.make_room()
                assert child(worker, features, work)[0] == 0
                assert_same(work, whole[0])
                shutil.rmtree(work)

    @pytest.mark.parametrize("n_good", [20, 40, 80])
    def test_what_was_finished_stays(self, monkeypatch, settings, whole, tmp_path, n_good):
        calls, fsync = [], os.fsync

        def full(descriptor):
            calls.append(descriptor)
            if len(calls) > n_good:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match="No space left on device"):
            run(settings, tmp_path / "work")
        monkeypatch.undo()
        heard = Notes()
        result = run(settings, tmp_path / "work", listener=heard)
        assert any("kept" in note for note in heard.notes)
        assert result.report["n_faces"] == 600
        assert_same(tmp_path / "work", whole[0])


def test_interrupted_by_hand_it_goes_on(settings, whole, tmp_path):
    class Interrupted(LocalEngine):
        def map(self, work, blocks, memory_bytes=0):
            for number, finished in enumerate(super().map(work, blocks)):
                if number == 2:
                    raise KeyboardInterrupt
                yield finished

    n_stopped = 0
    while True:
        try:
            run(settings, tmp_path / "work", engine=Interrupted())
        except KeyboardInterrupt:
            n_stopped += 1
            continue
        break
    assert n_stopped == 5  # two blocks a time: six of features, six of neighbours, four of links
    assert_same(tmp_path / "work", whole[0])
