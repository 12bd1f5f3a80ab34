import json

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from facelink.benchmark.scored import (
    METRIC_COLUMNS,
    Scored,
    link_average_precision,
    metric_cells,
    percent,
    timed,
)
from facelink.links import Links
from facelink.metrics import clustering_scores

SCORED = Scored("by hand", clustering_scores([0, 0, 0, 1], [5, 5, 6, 7]), 1.5, link_ap=0.5)
PAIRS = np.array([[0, 1], [0, 2], [1, 3], [2, 3]], dtype=np.int32)
LINKS = Links(PAIRS, np.array([0.9, 0.4, 0.6, 0.2], np.float32), np.zeros(4, bool), 4)


def test_metrics_come_together():
    cells = dict(zip(METRIC_COLUMNS, metric_cells(SCORED), strict=True))
    assert cells["pairwise F"] == "50.00"
    assert cells["pairwise P / R"] == "100.00 / 33.33"
    assert cells["clusters"] == "3"
    assert cells["seconds"] == "1.50"


def test_the_record_is_ready_for_json():
    stored = json.loads(json.dumps(SCORED.as_dict()))
    assert (stored["method"], stored["link_ap"], stored["threshold"]) == ("by hand", 0.5, None)


def test_average_precision_of_links():
    expected = average_precision_score([1, 0, 0, 1], LINKS.likelihoods)
    assert link_average_precision(LINKS, np.array([0, 0, 1, 1])) == pytest.approx(expected)


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3], [-1, -1, -1, -1]])
def test_links_that_are_all_true_or_all_false_have_no_ranking(labels):
    assert link_average_precision(LINKS, np.array(labels)) is None


def test_a_share_that_does_not_exist_is_a_dash():
    assert (percent(None), percent(0.12345)) == ("–", "12.35")


def test_what_work_gives_is_handed_on_with_its_time():
    value, seconds = timed(lambda: 7)
    assert value == 7
    assert seconds >= 0
