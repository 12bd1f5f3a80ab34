"""`docs/reliability.md` names tests that exist, and every test of faults and fuzzing."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`(tests/[\w/]+\.py)`", PAGE))


def test_every_test_that_is_named_exists():
    assert sorted(name for name in NAMED if not (ROOT / name).is_file()) == []


def test_every_promise_names_a_test():
    promises = [line for line in PAGE.splitlines() if line.startswith("| ")][1:]
    assert len(promises) > 10
    assert [line for line in promises if not re.search(r"`tests/[\w/]+\.py`", line)] == []


def test_no_proof_is_left_out():
    proofs = {
        path.relative_to(ROOT).as_posix()
        for path in (
            *(ROOT / "tests" / "properties").glob("test_fuzz_*.py"),
            *(ROOT / "tests" / "faults").glob("test_*_faults.py"),
        )
    }
    assert sorted(proofs - NAMED) == []
