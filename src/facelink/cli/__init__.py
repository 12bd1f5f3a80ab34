"""The command line. Commands parse, call the library and print; nothing is computed here."""

import sys
from collections.abc import Sequence
from typing import Annotated

import torch
import typer

from facelink import __version__
from facelink.cli import (
    album,
    benchmark,
    context_training,
    evaluation,
    grouping,
    photos,
    review,
    run,
    samples,
    training,
)
from facelink.cli.options import VariadicCommand
from facelink.cli.output import note
from facelink.errors import FacelinkError

app = typer.Typer(
    name="facelink",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)

for _command in (
    grouping.cluster,
    run.run,
    photos.faces,
    training.train,
    context_training.train_context,
    grouping.neighbors,
    grouping.links,
    grouping.merge,
    evaluation.evaluate,
    evaluation.upper_bound,
    benchmark.benchmark,
    samples.synth,
    training.import_checkpoint,
    samples.demo,
    review.review,
):
    app.command(_command.__name__.replace("_", "-"), cls=VariadicCommand)(_command)

app.add_typer(album.app, name="album")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _facelink(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Group faces by person: linkage-based clustering with a graph convolution network.

    To try it without data: facelink demo. With face features of your own:
    facelink cluster features.npy --out people.csv, for any embedder and
    without training, threshold or number of people.

    Results go to stdout, progress and notes to stderr. Exit code 2 means bad
    input or use, 1 a failure; in both cases no partial output is left behind.
    """


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code: 0, 1 for a failure, 2 for bad use or input.

    Parameters
    ----------
    args
        Command and options; by default those of the process.
    """
    try:
        app(args=None if args is None else list(args), prog_name="facelink")
    except FacelinkError as error:
        note(f"error: {error}")
        sys.exit(error.exit_code)
    except (MemoryError, torch.cuda.OutOfMemoryError):
        note("error: out of memory; use fewer faces, fewer neighbours or smaller batches.")
        sys.exit(1)
    except OSError as error:
        note(f"error: {error}")
        sys.exit(1)
