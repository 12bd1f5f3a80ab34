import io
import json

import pytest
from rich.console import Console

from facelink.cli import output
from facelink.cli.output import (
    note,
    note_facts,
    percent,
    print_facts,
    print_json,
    print_table,
    progress_bar,
)

FACTS = {"n_faces": 12_345, "recall": None, "mean_confidence": 0.123456789, "out": "a.npy"}


class TestFacts:
    def test_one_per_line_and_aligned(self, capsys):
        print_facts(FACTS, as_json=False)
        assert capsys.readouterr().out.splitlines() == [
            "n faces          12,345",
            "mean confidence  0.1235",
            "out              a.npy",
        ]

    def test_as_json_with_every_value(self, capsys):
        print_facts(FACTS, as_json=True)
        written = capsys.readouterr()
        assert json.loads(written.out) == FACTS
        assert written.err == ""

    def test_as_a_note(self, capsys):
        note_facts(FACTS)
        written = capsys.readouterr()
        assert written.out == ""
        assert written.err.splitlines()[0] == "n faces          12,345"

    def test_true_and_false_are_no_numbers(self, capsys):
        print_facts({"done": True}, as_json=False)
        assert capsys.readouterr().out == "done  True\n"


def test_json_ends_with_a_line_break(capsys):
    print_json([1, {"a": None}])
    written = capsys.readouterr().out
    assert written.endswith("\n")
    assert json.loads(written) == [1, {"a": None}]


@pytest.mark.parametrize("text", ["a [bold]file[/bold]", ":smile:", "[/x]", "x" * 300])
class TestOddText:
    def test_notes_keep_it(self, capsys, text):
        note(text)
        written = capsys.readouterr()
        assert (written.out, written.err) == ("", f"{text}\n")

    def test_tables_keep_it(self, capsys, text):
        print_table(("name", text), [(text, "1")], text)
        lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
        assert lines[0] == text
        assert lines[1].startswith("name")
        assert lines[1].endswith(text)
        assert lines[2].startswith(text)
        assert len(lines) == 3


def test_tables_align_names_to_the_left_and_numbers_to_the_right(capsys):
    print_table(("score", "one", "another"), [("F", "1.00", "100.00"), ("recall", "22.00", "3")])
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "score     one  another",
        "F        1.00   100.00",
        "recall  22.00        3",
    ]


@pytest.mark.parametrize(("share", "shown"), [(0.98765, "98.77"), (1.0, "100.00"), (0, "0.00")])
def test_shares_are_shown_as_percentages(share, shown):
    assert percent(share) == shown


class TestProgressBar:
    def test_it_shows_how_far_how_fast_and_what_is_left(self, monkeypatch):
        terminal = io.StringIO()
        notes = Console(file=terminal, force_terminal=True, width=150)
        monkeypatch.setattr(output, "notes", notes)
        with progress_bar("training", 0, "pivots", has_details=True) as advance:
            advance(30, "epoch 1, loss 0.5000", 120)
        shown = terminal.getvalue()
        for part in ("training", "30/120", "pivots/s", "epoch 1, loss 0.5000", ":"):
            assert part in shown

    def test_it_is_silent_where_stderr_is_no_terminal(self, capsys):
        with progress_bar("judging", 10, "faces") as advance:
            advance(10)
        written = capsys.readouterr()
        assert (written.out, written.err) == ("", "")
