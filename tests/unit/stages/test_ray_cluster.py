"""A run on a Ray cluster at an address: two nodes that `ray start` made, one of which is lost."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ray", reason="the extra ray is not installed")

from facelink.labels import load_labels
from facelink.stages.manifest import Manifest
from facelink.stages.run import run
from facelink.stages.settings import RunSettings
from facelink.synthetic import SyntheticSettings, make_faces

pytestmark = pytest.mark.slow

_PATIENCE = 120.0
"""Seconds for nodes to be there."""

_LONGEST = 600.0
"""Seconds for the run: one that waits for a lost node forever fails."""

_FACELINK = (sys.executable, "-c", "from facelink.cli import main; main()")
_RAY = (sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", "--block")


class Cluster:
    """Nodes of one core each, in process groups of their own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        token = folder / "token"
        token.write_text(secrets.token_hex(32))
        self.environment = os.environ | {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "OMP_WAIT_POLICY": "PASSIVE",
        }
        self._logs = folder
        self.nodes: list[subprocess.Popen[bytes]] = []

    def start(self, *options: str) -> None:
        log = self._logs / f"node-{len(self.nodes)}.log"
        with log.open("wb") as out:
            node = subprocess.Popen(
                [*_RAY, "--num-cpus", "1", *options],
                env=self.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.nodes.append(node)
        end = time.monotonic() + _PATIENCE
        while "Ray runtime started" not in log.read_text():
            assert node.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)

    def lose(self, node: subprocess.Popen[bytes]) -> None:
        """Kill a node with all of its processes."""
        self.nodes.remove(node)
        for process in members_of(node.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        node.wait()


def members_of(session: int) -> list[int]:
    """Processes of a session, and those that they have started."""
    found = {session}
    while True:
        more = {
            int(folder.name)
            for folder in Path("/proc").iterdir()
            if folder.name.isdigit() and is_of(folder, found)
        }
        if more <= found:
            return sorted(found)
        found |= more


def is_of(process: Path, sessions: set[int]) -> bool:
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return bool({int(fields[1]), int(fields[3])} & sessions)


@pytest.fixture
def cluster(tmp_path):
    with tempfile.TemporaryDirectory(prefix="ray-") as short:
        started = Cluster(tmp_path)
        port = started.address.rpartition(":")[2]
        try:
            started.start(
                "--head", "--port", port, "--include-dashboard", "false", "--temp-dir", short
            )
            started.start("--address", started.address)
            yield started
        finally:
            for node in started.nodes[::-1]:
                started.lose(node)


def n_finished(work: Path) -> int:
    """Blocks of neighbours."""
    manifest = Manifest.read(work / "neighbors")
    return 0 if manifest is None else len(manifest.blocks)


def test_a_run_whose_cluster_loses_a_node_gives_the_labels_of_one_process(cluster, tmp_path):
    faces = make_faces(SyntheticSettings(n_faces=3_000, n_features=64), seed=0)
    features, work, labels = (tmp_path / name for name in ("faces.npy", "work", "labels.npy"))
    np.save(features, faces.features)
    command = [*_FACELINK, "run", features, "--work", work, "--out", labels, "--method", "ivf"]
    on_cluster = ["--engine", "ray", "--address", cluster.address]
    blocks = ["--index-shards", "2", "--block-rows", "200"]
    log = tmp_path / "run.log"
    end = time.monotonic() + _LONGEST
    with log.open("wb") as out:
        running = subprocess.Popen(
            [*command, *on_cluster, *blocks], env=cluster.environment, stdout=out, stderr=out
        )
    try:
        while n_finished(work) < 2:
            assert running.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        cluster.lose(cluster.nodes[1])
        assert n_finished(work) < 15, "the node was lost too late"
        assert running.wait(_LONGEST) == 0, log.read_text()
    finally:
        running.kill()
    alone = run(RunSettings(features, neighbor_method="ivf"), tmp_path / "alone")
    np.testing.assert_array_equal(load_labels(labels), alone.labels)
