"""Ray is an extra: nothing imports it until it is asked for, and without it that is told."""

import subprocess
import sys

import pytest

from facelink.errors import InputError
from facelink.stages.ray_engine import RayEngine


def test_the_command_line_does_not_import_it():
    code = (
        "import sys, facelink.cli, facelink.cli.run, facelink.stages.ray_engine\n"
        "print('ray' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "False\n"), ended.stderr


def test_where_it_is_missing_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'facelink\[ray\]'"):
        RayEngine()
