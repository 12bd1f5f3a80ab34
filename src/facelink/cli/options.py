"""Options that several commands share, and lists of numbers after one option."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

_NUMBER_LISTS = ("--k-at-hop", "--test-k-at-hop", "--width", "--k")
_PAIRS = ("--val",)


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
        if arg in lists and arg in _NUMBER_LISTS + _PAIRS:
            option, n_values = arg, 0
        elif option and (arg.isdecimal() if option in _NUMBER_LISTS else n_values < 2):
            if n_values:
                expanded.append(option)
            n_values += 1
        else:
            option = ""
        expanded.append(arg)
    return expanded


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
    Path,
    typer.Option("--model", metavar="DIR", help="Folder of a trained model (facelink train)."),
]
OptionalModel = Annotated[
    Path | None,
    typer.Option(
        "--model",
        metavar="DIR",
        help="Folder of a trained model. Without one, links are judged by cosine similarity alone.",
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
    str,
    typer.Option(
        "--method",
        metavar="auto|exact|ivf|hnsw",
        help="How to search: auto is exact up to 100,000 faces, ivf above.",
    ),
]
Combine = Annotated[
    str,
    typer.Option(
        "--combine",
        metavar="mean|max|min",
        help="How the two directions of a link become one likelihood.",
    ),
]
Merge = Annotated[
    str,
    typer.Option(
        "--merge",
        metavar="bfs|threshold",
        help="bfs cuts components above the largest size at rising thresholds; threshold takes "
        "plain components.",
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        metavar="T",
        help="Link likelihood at which merging starts, 0 to 1. [default: the one that training "
        "found best for the model]",
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
Seed = Annotated[int, typer.Option("--seed", help="Same seed, same result.")]
Json = Annotated[bool, typer.Option("--json", help="Write the result as JSON.")]
