import errno
import os
import resource
import subprocess
import sys

import numpy as np
import pytest
import torch
import typer

from facelink import __version__
from facelink.cli import app, evaluation
from facelink.errors import InputError, OutputError

COMMANDS = (
    "cluster",
    "run",
    "faces",
    "train",
    "train-context",
    "neighbors",
    "links",
    "merge",
    "evaluate",
    "upper-bound",
    "benchmark",
    "synth",
    "import-checkpoint",
    "demo",
)

LEAST_FILE_LIMIT = 4_096
"""Bytes; the smallest limit that leaves room for what Python itself writes."""


class TestHelp:
    @pytest.mark.parametrize("option", ["--help", "-h"])
    def test_it_lists_the_commands_in_the_order_of_their_use(self, succeed, option):
        written = succeed(option)
        listed = written.out.split("Commands:")[1].split("\n")
        assert tuple(line.split()[0] for line in listed if line.strip()) == (
            *COMMANDS,
            "review",
            "album",
        )
        assert written.err == ""

    def test_it_tells_a_newcomer_where_to_begin(self, succeed):
        assert "facelink demo" in succeed("--help").out

    @pytest.mark.parametrize("command", COMMANDS)
    def test_of_every_command(self, succeed, command):
        written = succeed(command, "--help")
        assert written.out.startswith(f"Usage: facelink {command} [OPTIONS]")
        assert "--json" in written.out

    @pytest.mark.parametrize("command", COMMANDS)
    def test_every_option_and_argument_is_explained(self, command):
        for parameter in typer.main.get_command(app).commands[command].params:
            assert parameter.help, f"{command} {parameter.name}"

    def test_choices_are_listed(self, succeed):
        written = succeed("cluster", "--help").out
        for choices in ("bfs|threshold", "mean|max|min", "auto|exact|ivf|hnsw"):
            assert choices in written

    def test_without_a_command_it_is_shown(self, run):
        outcome = run()
        assert outcome.code == 2
        assert "Commands:" in outcome.out + outcome.err


def test_the_version(succeed):
    assert succeed("--version").out == f"{__version__}\n"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("clster", "No such command 'clster'"),
        ("--json", "No such option: --json"),
        ("evaluate --jsn a b", "No such option: --jsn"),
        ("evaluate a", "Missing argument 'LABELS_PRED'"),
        ("synth", "Missing option '--out'"),
    ],
)
def test_typing_errors(refused, typed, message):
    assert message in refused(*typed.split())


class TestExitCodes:
    @pytest.fixture
    def failing(self, run, monkeypatch):
        """Runs a command that raises this exception."""

        def run_failing(error):
            def fail(*_):
                raise error

            monkeypatch.setattr(evaluation, "load_labels", fail)
            outcome = run("evaluate", "a", "b")
            assert outcome.out == ""
            return outcome.code, outcome.err

        return run_failing

    @pytest.mark.parametrize(
        ("error", "code", "message"),
        [
            (InputError("bad input"), 2, "error: bad input\n"),
            (OutputError("cannot write"), 1, "error: cannot write\n"),
            (OSError(errno.EIO, os.strerror(errno.EIO), "a.npy"), 1, "Input/output error: 'a.npy'"),
            (MemoryError(), 1, "error: out of memory; use fewer faces, fewer neighbours or"),
            (torch.cuda.OutOfMemoryError("CUDA"), 1, "error: out of memory; use fewer faces"),
        ],
        ids=["input", "output", "system", "memory", "GPU memory"],
    )
    def test_a_message_without_a_traceback(self, failing, error, code, message):
        found, written = failing(error)
        assert found == code
        assert message in written
        assert "Traceback" not in written

    def test_interrupting_by_hand_ends_it_without_a_traceback(self, failing):
        code, written = failing(KeyboardInterrupt())
        assert code in (1, 130)  # depends on the version of typer
        assert "Traceback" not in written

    def test_a_defect_of_the_program_is_not_hidden(self, failing):
        with pytest.raises(RuntimeError, match="defect"):
            failing(RuntimeError("defect"))


class TestProcess:
    """The same from outside: what a shell sees."""

    def command(self, *args, **options):
        code = "from facelink.cli import main; main()"
        line = [sys.executable, "-c", code, *map(str, args)]
        return subprocess.run(line, capture_output=True, text=True, check=False, **options)

    def test_results_can_be_piped(self, tmp_path):
        np.save(tmp_path / "features.npy", np.eye(5, dtype=np.float32))
        done = self.command("cluster", tmp_path / "features.npy")
        assert done.returncode == 0
        assert done.stdout.split() == ["0", "1", "2", "3", "4"]
        assert "n clusters" in done.stderr

    def test_a_disk_that_is_full_leaves_no_partial_file(self, tmp_path):
        def small_files_only():
            resource.setrlimit(resource.RLIMIT_FSIZE, (LEAST_FILE_LIMIT, LEAST_FILE_LIMIT))

        done = self.command(
            "synth", "--out", tmp_path, "--faces", 2_000, preexec_fn=small_files_only
        )
        assert done.returncode == 1
        assert "error: cannot write" in done.stderr
        assert "free some space or choose another place" in done.stderr
        assert "Traceback" not in done.stderr
        assert list(tmp_path.iterdir()) == []
