import json

import numpy as np
import pytest

from facelink.benchmark.robustness import (
    BEST_COSINE,
    FACELINK,
    RobustnessSettings,
    flipped_share,
    measure_robustness,
)
from facelink.benchmark.robustness_tables import robustness_tables
from facelink.errors import InputError
from facelink.subgraphs import SubgraphSettings
from facelink.training.face_sets import FaceSet
from tests.helpers import clustered_features, random_model

D = 64
FACES = FaceSet("faces", *clustered_features(40, 6, D))
SETTINGS = RobustnessSettings(fixed_cosine=0.6, n_draws=2, n_large_person=60)


ROUNDING = 1e-9
"""Sums carried along from threshold to threshold differ so little from those made anew."""


@pytest.fixture(scope="module")
def measured():
    seen = []
    robustness = measure_robustness(FACES, settings=SETTINGS, on_case=seen.append)
    assert tuple(seen) == robustness.results
    return robustness


def methods(result):
    return {grouping.method: grouping for grouping in result.groupings}


def test_every_case_is_grouped_in_three_ways(measured):
    for result in measured.results:
        assert list(methods(result)) == [FACELINK, BEST_COSINE, "cosine > 0.6"]


def test_clear_people_are_found_by_every_way(measured):
    for grouping in measured.results[0].groupings:
        assert grouping.scores.bcubed.fscore > 0.99


def test_the_threshold_chosen_on_the_labels_is_no_worse_than_the_fixed_one(measured):
    def both(grouping):
        return grouping.scores.bcubed.fscore + grouping.scores.pairwise.fscore

    for result in measured.results:
        found = methods(result)
        best, fixed = found[BEST_COSINE], found["cosine > 0.6"]
        assert both(best) >= both(fixed) - ROUNDING, result.name
        assert best.best_bcubed_f >= best.scores.bcubed.fscore - ROUNDING
        assert best.best_pairwise_f >= best.scores.pairwise.fscore - ROUNDING


def test_only_cases_with_others_tell_how_many_were_taken_in(measured):
    for result in measured.results:
        has_others = result.name.startswith("among") or "added" in result.name
        shares = [grouping.strangers_taken for grouping in result.groupings]
        assert all((share is not None) == has_others for share in shares), result.name


def test_pairs_change_where_half_of_the_faces_are_gone(measured):
    half = next(result for result in measured.results if result.name == "half of the faces")
    assert all(0 <= grouping.flipped < 0.05 for grouping in half.groupings)
    others = [result for result in measured.results if result is not half]
    assert {grouping.flipped for result in others for grouping in result.groupings} == {None}


def test_a_link_gcn_takes_part_where_it_can_read_the_features():
    model = random_model("mean", D, SubgraphSettings((4, 2), 2))
    few = FACES.take(np.flatnonzero(FACES.labels < 12))
    settings = RobustnessSettings(n_draws=1, n_large_person=9)
    measured = measure_robustness(few, settings=settings, models={"own": model})
    without = {result.name for result in measured.results if "own" not in methods(result)}
    assert "half of the dimensions" in without
    assert "not centred" not in without


def test_a_large_collection_is_cut_to_whole_people():
    settings = RobustnessSettings(n_draws=1, n_large_person=9, max_faces=62)
    whole = measure_robustness(FACES, settings=settings).results[0]
    assert whole.n_faces == 66
    assert methods(whole)[FACELINK].scores.n_identities == 11


def test_the_summary_has_a_row_for_each_case_and_draws_share_one(measured):
    summary = robustness_tables(measured)[0]
    assert len(summary.rows) == len({(r.family, r.name) for r in measured.results})
    assert {len(row) for row in summary.rows} == {len(summary.columns)} == {9}


def test_each_family_has_a_table_with_every_metric(measured):
    families = dict.fromkeys(result.family for result in measured.results)
    tables = robustness_tables(measured)[1:]
    assert [table.caption for table in tables] == [f"faces: {family}" for family in families]
    for table in tables:
        assert {"pairwise F", "BCubed F", "NMI", "clusters", "seconds"} <= set(table.columns)
        assert {len(row) for row in table.rows} == {len(table.columns)}
    with_worst = [table for table in tables if "worst draw: BCubed F" in table.columns]
    assert [table.caption for table in with_worst] == [
        "faces: small sets",
        "faces: one person alone",
    ]


def test_draws_are_averaged_and_the_worst_is_named(measured):
    draws = [methods(r)[FACELINK] for r in measured.results if r.family == "small sets"][:2]
    values = [100 * draw.scores.bcubed.fscore for draw in draws]
    table = next(t for t in robustness_tables(measured) if t.caption == "faces: small sets")
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert row["BCubed F"] == f"{sum(values) / 2:.2f}"
    assert row["worst draw: BCubed F"] == f"{min(values):.2f}"


def test_the_record_is_ready_for_json(measured):
    stored = json.loads(json.dumps(measured.as_dict()))
    assert stored["settings"]["fixed_cosine"] == 0.6
    assert stored["strangers"] == "made up"
    assert stored["results"][0]["groupings"][0]["scores"]["bcubed"]["fscore"] > 0.99


def test_only_pairs_that_change_count_as_flipped():
    before = np.array([0, 0, 0, 1])
    assert flipped_share(before, before) == 0
    # pairs 01, 02, 12 before; 01, 23 after: one of four stays
    assert flipped_share(before, np.array([0, 0, 1, 1])) == pytest.approx(3 / 4)
    assert flipped_share(before, np.arange(4)) == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fixed_cosine": 1.5}, r"fixed_cosine=1\.5; a cosine lies in"),
        ({"max_faces": 0}, "max_faces=0; give at least 1"),
        ({"seed": -1}, "seed=-1; give at least 0"),
        ({"n_draws": 0}, "n_draws=0; give at least 1"),
    ],
)
def test_wrong_settings_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        RobustnessSettings(**values)
