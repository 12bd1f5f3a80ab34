import json

import numpy as np
import pytest
import torch

from facelink.benchmark import context_ablation, link_gcn_ablation
from facelink.benchmark.ablation import BEST_CUT, TestBench, ablation_tables
from facelink.benchmark.context_ablation import ablate_context, without_features
from facelink.benchmark.link_gcn_ablation import ablate_link_gcn
from facelink.clustering import LinkageClustering
from facelink.context.names import FEATURE_GROUPS, FEATURE_NAMES
from facelink.errors import InputError
from facelink.metrics import clustering_scores
from facelink.models.aggregators import SparseAdjacency
from facelink.models.context_gcn import ContextGCN
from facelink.training.face_sets import FaceSet
from tests.helpers import clustered_features
from tests.unit.benchmark.test_ablation_models import BUDGET, SETS, D

FACES = FaceSet("faces", *clustered_features(16, 6, D, seed=5, spread=0.9))


@pytest.fixture(scope="module")
def bench():
    return TestBench.of(FACES)


@pytest.fixture(scope="module")
def context_rows(bench):
    return list(ablate_context(bench))


@pytest.fixture(scope="module")
def gcn_rows(bench, tmp_path_factory):
    return list(ablate_link_gcn(bench, SETS, tmp_path_factory.mktemp("models"), BUDGET))


def row(rows, study, method):
    (found,) = [one for one in rows if (one.study, one.method) == (study, method)]
    return found


def methods(rows, study):
    return [one.method for one in rows if one.study == study]


def test_neighbours_are_searched_once_as_far_as_there_are_any(bench):
    assert bench.graph.n_neighbors == FACES.n_faces - 1
    assert bench.has(95)
    assert not bench.has(96)


def test_the_default_path_is_a_row_of_each_study_of_the_context_model(context_rows):
    found = LinkageClustering().fit_predict(FACES.features)
    expected = clustering_scores(FACES.labels, found)
    for study, method in (
        ("context model: neighbours", "k = 80"),
        ("context model: features", "all features"),
        ("context model: merging", "by likelihood"),
    ):
        assert row(context_rows, study, method).scores == expected


def test_only_as_many_neighbours_are_tried_as_there_are(context_rows):
    assert methods(context_rows, "context model: neighbours") == [
        f"k = {k}" for k in (10, 20, 40, 80)
    ]


def test_each_group_of_features_is_left_out_once(context_rows):
    assert methods(context_rows, "context model: features") == [
        "all features",
        *(f"without {group}" for group in FEATURE_GROUPS),
    ]


def test_a_blind_model_does_not_see_the_group_and_the_model_stays_as_it_is():
    model = ContextGCN.pretrained()
    before = model.feature_std.clone()
    blind = without_features(model, "ranks")
    torch.testing.assert_close(model.feature_std, before, rtol=0, atol=0)
    nodes = torch.rand(4, len(FEATURE_NAMES))
    edges = SparseAdjacency.from_edges(
        np.arange(5, dtype=np.int64), np.array([1, 2, 3, 0], dtype=np.int32), model.device
    )
    moved = nodes.clone()
    moved[:, [FEATURE_NAMES.index(name) for name in FEATURE_GROUPS["ranks"]]] += 0.5
    with torch.inference_mode():
        torch.testing.assert_close(blind(nodes, edges), blind(moved, edges), rtol=0, atol=0)
        assert not torch.allclose(model(nodes, edges), model(moved, edges))
        assert not torch.allclose(model(nodes, edges), blind(nodes, edges))


def test_an_unknown_group_of_features_is_refused():
    with pytest.raises(InputError, match="group='colours'; choose one of similarity"):
        without_features(ContextGCN.pretrained(), "colours")


def test_the_paper_s_network_is_varied_in_everything(gcn_rows):
    assert methods(gcn_rows, "hops") == ["1 hop", "mean, 2 hops, without the pivot", "3 hops"]
    assert len(methods(gcn_rows, "aggregator")) == 4
    assert len(methods(gcn_rows, "pivot")) == 2
    assert methods(gcn_rows, "context at test time") == [
        *(f"k1 = {k}" for k in (10, 20, 40, 80)),
        *(f"k2 = {k}" for k in (1, 5, 10)),
        *(f"u = {n}" for n in (3, 5, 10)),
    ]


def test_a_variant_is_measured_once_however_many_studies_it_is_in(gcn_rows):
    base = [one for one in gcn_rows if one.method == "mean, 2 hops, without the pivot"]
    assert [one.study for one in base] == ["aggregator", "hops", "pivot"]
    assert len({one.seconds for one in base}) == 1


def test_no_merging_of_the_links_is_better_than_their_best_cut(gcn_rows):
    def both(one):
        return one.scores.pairwise.fscore + one.scores.bcubed.fscore

    best = both(row(gcn_rows, "merging", BEST_CUT))
    for method in ("components, directions: mean", "components from 0.5 on"):
        assert both(row(gcn_rows, "merging", method)) <= best + 1e-9


def test_directions_that_are_combined_otherwise_give_other_links(gcn_rows):
    rows = [row(gcn_rows, "merging", f"components, directions: {how}") for how in ("max", "min")]
    least, most = (one.scores.n_clusters for one in rows)
    assert least <= most
    assert len({one.link_ap for one in rows}) == 2


def test_models_of_another_width_are_refused(bench, tmp_path):
    wide = [FaceSet("wide", *clustered_features(40, 5, D + 1))]
    with pytest.raises(InputError, match=f"{D + 1}"):
        next(ablate_link_gcn(bench, wide, tmp_path, BUDGET))


def test_each_study_is_a_table(gcn_rows, context_rows):
    rows = [*gcn_rows, *context_rows]
    notes = {**link_gcn_ablation.NOTES, **context_ablation.NOTES}
    tables = ablation_tables(FACES, rows, notes)
    assert [len(table.rows) for table in tables] == [
        len(methods(rows, study)) for study in dict.fromkeys(one.study for one in rows)
    ]
    assert all(table.note for table in tables)
    assert len({table.name for table in tables}) == len(tables) == 8
    for table in tables:
        assert {len(cells) for cells in table.rows} == {len(table.columns)}


def test_the_record_is_ready_for_json(context_rows):
    stored = json.loads(json.dumps([one.as_dict() for one in context_rows]))
    assert stored[0]["study"] == "context model: neighbours"
