import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from facelink.benchmark import plots
from facelink.benchmark.link_curves import link_curve
from facelink.benchmark.plots import SizedTimes
from facelink.errors import InputError

RANDOM = np.random.default_rng(0)
CURVE = link_curve(RANDOM.random(5_000), RANDOM.random(5_000) < 0.5)
THRESHOLDS = np.linspace(0.1, 0.9, 9)
TIMES = SizedTimes(np.array([100, 1_000, 10_000]), np.array([0.1, 1.5, np.nan]))


@pytest.fixture
def painted(monkeypatch):
    """Axes of what is drawn, still with its artists."""
    sheets = []
    draw = plots.draw

    def watched(name, caption, size, paint):
        return draw(name, caption, size, lambda sheet: (sheets.append(sheet), paint(sheet)))

    monkeypatch.setattr(plots, "draw", watched)
    return lambda: sheets[-1].axes[0]


def legend_of(axes):
    return axes.get_legend_handles_labels()[1]


def test_each_curve_is_drawn_with_few_points_and_its_threshold_marked(painted):
    plots.link_precision_recall({"one": CURVE, "other": CURVE}, {"other": 0.5})
    lines = painted().get_lines()
    assert [len(line.get_xdata()) > 1 for line in lines] == [True, True, False]
    assert max(len(line.get_xdata()) for line in lines) <= 400
    precision, recall = CURVE.at(0.5)
    assert lines[2].get_xydata()[0] == pytest.approx([recall, precision])
    assert "average precision" in legend_of(painted())[0]


def test_chosen_thresholds_stand_on_both_curves(painted):
    plots.fscore_by_threshold(THRESHOLDS, THRESHOLDS, THRESHOLDS / 2, {"tuned": 0.35})
    marked = painted().get_lines()[-1]
    assert marked.get_ydata() == pytest.approx([0.35, 0.175])
    assert legend_of(painted())[-1] == "tuned: 0.35 (35.0 / 17.5 %)"


def test_groups_are_counted_by_doubling_sizes(painted):
    true = np.repeat(np.arange(5), [1, 2, 3, 4, 5])
    plots.cluster_sizes(true, {"alone": np.full(15, -1)})
    heights = [patch.get_height() for patch in painted().patches]
    assert heights == [1, 1, 2, 1, 15]
    assert [text.get_text() for text in painted().get_xticklabels()] == ["1", "2", "3–4", "5–8"]
    assert legend_of(painted()) == ["true people (5)", "alone (15)"]


def test_sizes_at_which_a_method_could_not_run_are_left_out(painted):
    plots.time_by_size({"one": TIMES})
    assert painted().get_lines()[0].get_xdata().tolist() == [100, 1_000]


def test_the_line_joins_what_nothing_beats_and_names_do_not_overlap(painted):
    seconds = dict(zip("abcdefgh", [1, 1.01, 1.02, 1.03, 5, 6, 7, 100], strict=True))
    fscores = dict(zip("abcdefgh", [0.5, 0.5, 0.6, 0.59, 0.7, 0.7, 0.6, 0.71], strict=True))
    names = {short: f"method {short} of some length" for short in seconds}
    plots.quality_by_time(
        {names[each]: value for each, value in seconds.items()},
        {names[each]: value for each, value in fscores.items()},
    )
    axes = painted()
    assert axes.get_lines()[0].get_xdata().tolist() == [1, 1.02, 5, 100]
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 8
    for place, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:place])


def test_every_plot_is_well_formed_and_repeats():
    def all_plots():
        labels = np.arange(40) // 4
        methods = {f"method <{number}> & $co$": TIMES for number in range(10)}
        return [
            plots.link_precision_recall({"a": CURVE}),
            plots.fscore_by_threshold(THRESHOLDS, THRESHOLDS, THRESHOLDS),
            plots.cluster_sizes(labels, {"a": labels}),
            plots.time_by_size(methods),
            plots.quality_by_time({"a": 1.0}, {"a": 0.5}),
        ]

    first, second = all_plots(), all_plots()
    assert [figure.svg for figure in first] == [figure.svg for figure in second]
    for figure in first:
        ElementTree.fromstring(figure.svg)
        assert figure.caption
    assert len({figure.name for figure in first}) == 5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.link_precision_recall({}), "no curves"),
        (lambda: plots.link_precision_recall({"a": CURVE}, {"b": 0.5}), r"\['b'\].*no curve"),
        (lambda: plots.fscore_by_threshold(THRESHOLDS, THRESHOLDS, THRESHOLDS[1:]), "8 BCubed"),
        (lambda: plots.fscore_by_threshold(*[THRESHOLDS[::-1]] * 3), "must rise"),
        (lambda: plots.cluster_sizes(np.zeros(3, int), {}), "no groupings"),
        (lambda: plots.time_by_size({}), "no times"),
        (lambda: plots.time_by_size({"a": SizedTimes(np.ones(1), np.zeros(1))}), "a: 1 times"),
        (lambda: plots.quality_by_time({"a": 1.0}, {"b": 1.0}), "both for each method"),
        (lambda: plots.quality_by_time({"a": 0.0}, {"a": 1.0}), "above 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
