import numpy as np
import pytest
import torch

from facelink.benchmark import toy
from facelink.benchmark.toy import ITERATIONS, STAGES, make_toy_example
from facelink.benchmark.toy_section import toy_figure, toy_table


@pytest.fixture(scope="module")
def example():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy, "_N_STARTS", 3)
        yield make_toy_example()


def test_there_is_a_panel_for_each_time_and_place(example):
    places = [(panel.iteration, panel.stage) for panel in example.panels]
    assert places == [(iteration, stage) for iteration in ITERATIONS for stage in STAGES]
    assert {panel.iteration for panel in example.without_edges} == {ITERATIONS[-1]}
    n_nodes = len(example.neighborhood.is_same)
    assert all(panel.values.shape == (n_nodes, 2) for panel in example.panels)


def test_the_pivot_has_neighbours_of_both_kinds_and_they_have_others(example):
    neighborhood = example.neighborhood
    kinds = np.stack([neighborhood.is_same, neighborhood.is_one_hop])
    assert [2, 0] not in kinds.sum(axis=0)[:, None].tolist()
    assert (neighborhood.is_same & neighborhood.is_one_hop).sum() > 0
    assert (~neighborhood.is_same & neighborhood.is_one_hop).sum() > 0
    assert not neighborhood.is_one_hop.all()


def test_convolutions_pull_positives_together_and_layers_alone_do_not(example):
    first, *_, last = example.panels
    assert first.accuracy < 0.9
    assert last.accuracy > first.accuracy + 0.08
    assert last.tightness < first.tightness / 2
    alone = example.without_edges[-1]
    assert alone.accuracy < last.accuracy - 0.05
    assert alone.tightness > 1.5 * last.tightness


def test_the_input_does_not_change_with_training(example):
    inputs = [panel for panel in example.panels if panel.stage == "input"]
    for panel in inputs[1:]:
        np.testing.assert_array_equal(panel.values, inputs[0].values)


def test_it_repeats_and_leaves_the_random_state(example, monkeypatch):
    monkeypatch.setattr(toy, "_N_STARTS", 3)
    before = torch.random.get_rng_state()
    again = make_toy_example()
    assert torch.equal(torch.random.get_rng_state(), before)
    for panel, other in zip(example.panels, again.panels, strict=True):
        np.testing.assert_array_equal(panel.values, other.values)


def test_it_is_drawn_and_tabled(example):
    figure, table = toy_figure(example), toy_table(example)
    assert figure.svg.startswith("<svg")
    assert [len(row) for row in table.rows] == [len(table.columns)] * (len(ITERATIONS) + 1)
    assert table.rows[0][1] == f"{100 * example.panels[0].accuracy:.1f} %"
