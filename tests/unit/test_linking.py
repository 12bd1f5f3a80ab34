import numpy as np
import pytest

from facelink.context_prediction import predict_context_likelihoods
from facelink.errors import InputError
from facelink.link_prediction import combine_directions, predict_links, similarity_links
from facelink.linking import (
    SIMILARITY_THRESHOLD,
    default_threshold,
    judge_links,
    subgraph_settings,
)
from facelink.models.context_gcn import ContextGCN
from facelink.models.link_gcn import LinkGCN
from facelink.neighbors.search import find_neighbors
from facelink.subgraphs import SubgraphSettings
from tests.helpers import clustered_features, random_model


class TestSubgraphSettings:
    MODEL = random_model("mean", 8, SubgraphSettings((30, 4), 6, include_pivot=True))

    def test_those_of_the_model(self):
        assert subgraph_settings(self.MODEL, 1_000) == self.MODEL.config.subgraphs

    def test_those_of_the_paper_without_a_model(self):
        assert subgraph_settings(None, 1_000) == SubgraphSettings((80, 5), 5)

    def test_those_asked_for_keep_the_pivot_as_the_model_does(self):
        chosen = subgraph_settings(self.MODEL, 1_000, (7, 3), 2)
        assert chosen == SubgraphSettings((7, 3), 2, include_pivot=True)

    def test_each_can_be_asked_for_alone(self):
        assert subgraph_settings(self.MODEL, 1_000, (7, 3)).n_edge_neighbors == 6
        assert subgraph_settings(self.MODEL, 1_000, None, 2).k_at_hop == (30, 4)

    def test_only_defaults_are_cut_to_the_others_that_there_are(self):
        assert subgraph_settings(self.MODEL, 6) == SubgraphSettings((5, 4), 5, include_pivot=True)
        with pytest.raises(InputError, match="n_edge_neighbors=6 need 6 neighbours, but each of 6"):
            subgraph_settings(self.MODEL, 6, None, 6)


def test_the_default_threshold_is_the_models(trained_model):
    model = LinkGCN.from_pretrained(trained_model)
    assert default_threshold(model) == model.config.initial_threshold
    assert default_threshold(None) == SIMILARITY_THRESHOLD


class TestContextSettings:
    MODEL = ContextGCN()

    def test_one_hop_of_at_most_the_others_that_there_are(self):
        assert subgraph_settings(self.MODEL, 1_000).k_at_hop == (80,)
        assert subgraph_settings(self.MODEL, 20).k_at_hop == (19,)
        assert subgraph_settings(self.MODEL, 1_000, (30,)) == self.MODEL.config.subgraphs_at(30)

    @pytest.mark.parametrize("asked", [((80, 5), None), (None, 5), ((80,), 5)])
    def test_what_it_does_not_have_is_refused(self, asked):
        with pytest.raises(InputError, match="looks one hop far and chooses its edges"):
            subgraph_settings(self.MODEL, 1_000, *asked)


class TestLinks:
    FEATURES, _ = clustered_features(8, 5, 16)

    def judged(self, model):
        settings = subgraph_settings(model, len(self.FEATURES), None)
        graph = find_neighbors(self.FEATURES, settings.n_neighbors)
        return judge_links(model, self.FEATURES, graph, settings), graph, settings

    def assert_same(self, links, expected):
        np.testing.assert_array_equal(links.pairs, expected.pairs)
        np.testing.assert_array_equal(links.likelihoods, expected.likelihoods)
        assert links.n_neighbors == expected.n_neighbors

    def test_of_cosine_similarity(self):
        links, graph, _ = self.judged(None)
        self.assert_same(links, similarity_links(graph, 39))

    def test_of_a_link_gcn(self):
        model = random_model("mean", 16, SubgraphSettings((6, 4), 3))
        links, graph, settings = self.judged(model)
        self.assert_same(links, predict_links(model, self.FEATURES, graph, settings))

    def test_of_the_context_model(self):
        model = ContextGCN.pretrained()
        links, graph, _ = self.judged(model)
        expected = predict_context_likelihoods(model, self.FEATURES, graph, 39)
        self.assert_same(links, combine_directions(graph, expected))
