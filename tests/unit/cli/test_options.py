from pathlib import Path
from typing import Annotated, get_args

import pytest
import typer

from facelink.cli.options import SearchMethod, Seed, VariadicCommand
from facelink.errors import InputError
from facelink.neighbors.search import METHODS


@pytest.fixture
def parse():
    """Runs a command of this kind; returns (files, ks, pairs, merge) as it got them."""
    app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
    got = []

    @app.command(cls=VariadicCommand)
    def command(
        files: list[str],
        k: Annotated[list[int] | None, typer.Option("--k")] = None,
        val: Annotated[list[Path] | None, typer.Option("--val")] = None,
        merge: Annotated[str, typer.Option("--merge")] = "bfs",
        seed: Seed = 0,
    ) -> None:
        got.append((files, k, [str(path) for path in val or []], merge))

    def run(line):
        app(args=line.split(), standalone_mode=False)
        return got.pop()

    return run


@pytest.mark.parametrize(
    "line",
    [
        "a b --k 80 5",
        "--k 80 5 a b",
        "a --k 80 5 b",
        "a b --k 80 --k 5",
        "a b --k=80 --k=5",
        "a b --k=80 5",
        "a --k 80 --merge bfs --k 5 b",
    ],
)
def test_a_list_of_numbers_after_one_option(parse, line):
    assert parse(line) == (["a", "b"], [80, 5], [], "bfs")


@pytest.mark.parametrize(
    ("line", "files", "pairs"),
    [
        ("a b --val x y", ["a", "b"], ["x", "y"]),
        ("--val x y a b", ["a", "b"], ["x", "y"]),
        ("a b --val x y --val z w", ["a", "b"], ["x", "y", "z", "w"]),
        ("a b --val x --val y", ["a", "b"], ["x", "y"]),
        ("a --val x --merge threshold", ["a"], ["x"]),
        ("a b --val x --k 3", ["a", "b"], ["x"]),
    ],
)
def test_two_files_at_a_time_after_one_option(parse, line, files, pairs):
    found_files, _, found_pairs, _ = parse(line)
    assert (found_files, found_pairs) == (files, pairs)


def test_names_after_one_option_up_to_the_next():
    app, got = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None), []

    @app.command(cls=VariadicCommand)
    def command(
        file: str, people: Annotated[list[str], typer.Option("--people")], xmp: bool = False
    ) -> None:
        got.append((file, people, xmp))

    app(args=["a", "--people", "Ann O", "12", "--xmp"], standalone_mode=False)
    assert got == [("a", ["Ann O", "12"], True)]


def test_other_options_take_one_value(parse):
    assert parse("a --merge threshold 5 --k 3 6") == (["a", "5"], [3, 6], [], "threshold")


def test_numbers_after_a_double_dash_are_files(parse):
    assert parse("--k 3 -- 5 6") == (["5", "6"], [3], [], "bfs")


def test_an_option_without_any_value(parse):
    with pytest.raises(Exception, match=r"Option '--k' requires an argument"):
        parse("a --k")


def test_a_negative_seed(parse):
    with pytest.raises(InputError, match=r"--seed -1; give a whole number of at least 0"):
        parse("a --seed -1")


def test_the_methods_of_searching_are_those_there_are():
    assert get_args(SearchMethod) == METHODS
