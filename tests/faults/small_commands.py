"""The command line with small work to do: what a test of killing runs, and one command more.

The detector and the recogniser need no files, `train-context` draws few and small collections, and
`benchmark` compares two methods in its own process and draws nothing, at times and a date that are
always the same.
"""

from dataclasses import replace
from datetime import UTC, datetime

from facelink.album.decisions import name_person, say_different, say_same
from facelink.album.history import undo
from facelink.album.library import edit_album
from facelink.album.queries import people, placements
from facelink.baselines.method import Parameter
from facelink.baselines.registry import BASELINES
from facelink.benchmark import comparison, plots
from facelink.benchmark import run as benchmark
from facelink.benchmark.document import Figure
from facelink.benchmark.measure import GROUPING, Grouping, Measured
from facelink.cli import benchmark as benchmark_command
from facelink.cli import context_training, photos
from facelink.cli import main as facelink
from facelink.training.context import trainer
from facelink.training.context.settings import ContextTrainingSettings
from tests.unit.photos.fakes import MeanColour, OneFace

N_DECISIONS = 6
METHODS = ("facelink", "cosine")


def main(arguments):
    """Run a command, in a process of its own: it has less to do from then on."""
    photos.model_file = lambda *_: None
    photos.YuNetDetector = lambda _: OneFace()
    photos.reidentifier = lambda _: MeanColour()
    context_training.ContextTrainingSettings = small_rounds
    trainer._INPUT_DRAWS = 4
    benchmark.BASELINES = tuple(one for one in map(few_values, BASELINES) if one.key in METHODS)
    benchmark.datetime = comparison.datetime = SameDay
    comparison.measure = measure_here
    plots.draw = empty_figure
    benchmark_command.check_drawing = lambda: None
    if arguments[0] == "decide":
        decide(arguments[1])
    else:
        facelink(arguments)


def small_rounds(**chosen):
    return replace(
        ContextTrainingSettings(**chosen), round_draws=2, draw_pivots=32, max_k=12, max_faces=60,
        made_up_share=0.0, validation_draws=4,
    )  # fmt: skip


def few_values(baseline):
    if baseline.parameter is None:
        return baseline
    return replace(baseline, parameter=Parameter(baseline.parameter.name, (0.3, 0.5, 0.7)))


class SameDay(datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2020, 1, 1, tzinfo=UTC)


def measure_here(baseline, inputs, *, seed, **_):
    """Run a method in this process; a second for each value, it says."""
    view = inputs.view(seed)
    return Measured(
        tuple(
            Grouping(value, baseline.group(view, value), {GROUPING: 1.0}) for value in baseline.grid
        )
    )


def empty_figure(name, caption, *_):
    return Figure(name, caption, '<svg xmlns="http://www.w3.org/2000/svg"></svg>')


def decide(folder, n_steps=N_DECISIONS):
    """Say things about the people of an album; a line is printed for each that is committed."""
    with edit_album(folder, "a test of killing", wait_seconds=60) as album:
        ids = [one.id for one in people(album, order="id")][:4]
        first, second, third, fourth = (
            [place.face for place in placements(album, one)][:2] for one in ids
        )
        steps = (
            lambda: say_different(album, first[0], second[0]),
            lambda: say_same(album, third[0], fourth[0]),
            lambda: say_different(album, *first),
            lambda: say_same(album, second[1], fourth[1]),
            lambda: undo(album),
            lambda: name_person(album, ids[0], "Ada"),
        )
        for step in steps[:n_steps]:
            step()
            print("done", flush=True)
