"""Options that several commands share, and lists of numbers after one option."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from facelink.errors import InputError
from facelink.link_prediction import CombineDirections
from facelink.merging.merge import MergeChoice
from facelink.models.device import Precision

SearchMethod = Literal["auto", "exact", "ivf", "hnsw"]
"""The methods of `find_neighbors`, for the help and for messages."""

_PAIRS = ("--val", "--train", "--strangers")
"""Options that take two values at a time; other lists take as many numbers as follow them."""

_WORDS = ("--people",)
"""Options that take all that follows up to the next option."""


class VariadicCommand(TyperCommand):
    """A command whose list options take several values: ``--k-at-hop 80 5``, ``--val X Y``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option's name before each further value."""
        lists = {
            name
            for parameter in self.params
            if getattr(parameter, "multiple", False)
            for name in parameter.opts
        }
        return super().parse_args(ctx, _with_names_repeated(args, lists))


def _with_names_repeated(args: list[str], lists: set[str]) -> list[str]:
    expanded: list[str] = []
    option, n_values = "", 0
    for arg in args:
        name, equals, _ = arg.partition("=")
        if name in lists:
            option, n_values = name, len(equals)
        elif option and _is_another_value(arg, option, n_values):
            if n_values:
                expanded.append(option)
            n_values += 1
        else:
            option = ""
        expanded.append(arg)
    return expanded


def _is_another_value(arg: str, option: str, n_values: int) -> bool:
    if option in _PAIRS:
        return n_values < 2 and not arg.startswith("-")
    if option in _WORDS:
        return not arg.startswith("-")
    return arg.isdecimal()


def _checked_seed(seed: int) -> int:
    if seed < 0:
        raise InputError(f"--seed {seed}; give a whole number of at least 0.")
    return seed


Features = Annotated[
    Path,
    typer.Argument(
        metavar="FEATURES",
        help="Face features, one row per face: .npy, .npz, .bin, .parquet or .safetensors.",
    ),
]
Dim = Annotated[
    int | None, typer.Option("--dim", metavar="D", help="Width of the features, for .bin.")
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="DIR|context|cosine",
        help="Folder of a trained model; context: the model that ships with facelink and works "
        "for any embedder; cosine: similarity alone, the baseline.",
    ),
]
Neighbors = Annotated[
    Path | None,
    typer.Option(
        "--neighbors",
        metavar="GRAPH",
        help="Neighbour graph to use instead of searching: a file of facelink neighbors, .npy of "
        "ids, .npz of ids and distances, or a scipy sparse matrix.",
    ),
]
KAtHop = Annotated[
    list[int] | None,
    typer.Option(
        "--k-at-hop",
        metavar="K1 K2 …",
        help="Neighbours followed at each hop; K1 is how many links of each face are judged. "
        "[default: the model's]",
    ),
]
EdgeNeighbors = Annotated[
    int | None,
    typer.Option(
        "--edge-neighbors",
        metavar="U",
        help="Nearest neighbours of a node that may become its edges. [default: the model's]",
    ),
]
Method = Annotated[
    SearchMethod,
    typer.Option("--method", help="How to search: auto is exact up to 100,000 faces, ivf above."),
]
Combine = Annotated[
    CombineDirections,
    typer.Option("--combine", help="How the two directions of a link become one likelihood."),
]
Merge = Annotated[
    MergeChoice,
    typer.Option(
        "--merge",
        help="likelihood needs no threshold; bfs cuts components above the largest size at rising "
        "thresholds (the paper's); threshold takes plain components. auto is likelihood for the "
        "context model and bfs otherwise.",
    ),
]
MustLink = Annotated[
    Path | None,
    typer.Option(
        "--must-link",
        metavar="PAIRS",
        help="Pairs of face numbers (from 0) that are one person: .csv, .txt or .npy. Honoured "
        "exactly when merging by likelihood.",
    ),
]
CannotLink = Annotated[
    Path | None,
    typer.Option("--cannot-link", metavar="PAIRS", help="Pairs of faces of two people."),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        metavar="T",
        help="Link likelihood at which merging starts, 0 to 1. [default: the one that training "
        "found best for the model; 0.75, a cosine of 0.5, for cosine; none when merging by "
        "likelihood]",
    ),
]
ThresholdStep = Annotated[
    float,
    typer.Option(
        "--threshold-step",
        metavar="S",
        help="Share of the way to 1 that the threshold rises between two passes.",
    ),
]
MaxClusterSize = Annotated[
    int,
    typer.Option("--max-cluster-size", metavar="N", help="Components above it are cut further."),
]
Device = Annotated[
    str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where the network runs.")
]
LinkPrecision = Annotated[
    Precision,
    typer.Option(
        "--precision",
        help="Of the network's products when judging links: auto is bfloat16 where the processor "
        "or GPU has it.",
    ),
]
Seed = Annotated[
    int,
    typer.Option("--seed", metavar="S", callback=_checked_seed, help="Same seed, same result."),
]
Json = Annotated[bool, typer.Option("--json", help="Write the result as JSON.")]
