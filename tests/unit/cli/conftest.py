from dataclasses import dataclass

import numpy as np
import pytest

from facelink.cli import main


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code and what it wrote to stdout and stderr."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys):
    """Runs the command line in this process."""

    def run_command(*args):
        capsys.readouterr()
        code = None
        try:
            main([str(arg) for arg in args])
        except SystemExit as stop:
            code = stop.code
        written = capsys.readouterr()
        return Outcome(code, written.out, written.err)

    return run_command


@pytest.fixture
def succeed(run):
    """Runs a command that must succeed; returns its outcome."""

    def run_command(*args):
        outcome = run(*args)
        assert outcome.code == 0, outcome.err
        return outcome

    return run_command


@pytest.fixture
def refused(run):
    """Runs a command that must be refused, without a traceback and with an empty stdout.

    Returns what it wrote to stderr, on one line.
    """

    def run_command(*args, code=2):
        outcome = run(*args)
        assert outcome.code == code, outcome.err
        assert outcome.out == ""
        assert "Traceback" not in outcome.err
        return " ".join(outcome.err.split())

    return run_command


@pytest.fixture(scope="session")
def data(tmp_path_factory, unseen_people):
    """Folder with the features of 240 faces of width 32 and their people, in files."""
    folder = tmp_path_factory.mktemp("data")
    features, labels = unseen_people
    np.save(folder / "features.npy", features)
    features.tofile(folder / "features.bin")
    np.save(folder / "people.npy", labels)
    return folder
