import numpy as np
import pytest

from facelink.benchmark.machine import (
    PACKAGES,
    forget_peak_memory,
    machine,
    peak_memory_bytes,
    versions,
)


def test_the_machine_is_described_by_what_speed_depends_on():
    described = machine()
    assert described["cpu"]
    assert 1 <= described["n_usable_cores"] <= described["n_cores"]
    assert described["memory_bytes"] > 1e8


def test_versions_hold_further_packages_only_where_they_are():
    found = versions("facelink-is-not-called-so", "scikit-learn")
    assert set(found) == {"python", *PACKAGES, "scikit-learn"}
    assert found["numpy"] == np.__version__


def test_the_peak_rises_with_what_is_held():
    forget_peak_memory()
    before = peak_memory_bytes()
    held = np.ones(8_000_000)
    assert peak_memory_bytes() - before == pytest.approx(held.nbytes, rel=0.3)
