import numpy as np
import pytest

from facelink.errors import InputError
from facelink.merging.bfs import merge_bfs
from facelink.merging.result import UncuttableCluster
from facelink.merging.threshold import merge_threshold
from tests.unit.merging.helpers import chain, complete_links, make_links

JUST_BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))


def labels(links, **settings):
    return merge_bfs(links, **settings).labels.tolist()


IDENTITIES = np.arange(600) % 30


@pytest.fixture(scope="module")
def perfect_links():
    """Likelihood 1 between any two of an identity's 20 faces, 0 to all others."""
    return complete_links(IDENTITIES, lambda same_identity: same_identity)


class TestPasses:
    def test_one_pass_where_everything_fits(self):
        links = chain([0.9, 0.4, 0.6])
        result = merge_bfs(links)
        assert result.labels.tolist() == merge_threshold(links, 0.5).labels.tolist()
        assert (result.n_passes, result.final_threshold) == (1, 0.5)

    def test_too_large_a_component_goes_to_the_next_pass(self):
        # Thresholds 0.5, 0.75, 0.875: the second pass cuts 0.7, the third 0.8.
        result = merge_bfs(chain([0.9, 0.8, 0.7]), threshold_step=0.5, max_cluster_size=3)
        assert result.labels.tolist() == [0, 0, 0, 1]
        assert (result.n_passes, result.final_threshold) == (2, 0.75)
        result = merge_bfs(chain([0.9, 0.8, 0.7]), threshold_step=0.5, max_cluster_size=2)
        assert result.labels.tolist() == [0, 0, 1, 2]
        assert (result.n_passes, result.final_threshold) == (3, 0.875)

    def test_an_accepted_component_is_not_cut_by_later_passes(self):
        # 4–5 is weaker than the link that pass two cuts, but its component fits in pass one.
        links = make_links(6, (0, 1, 0.9), (1, 2, 0.9), (2, 3, 0.7), (4, 5, 0.6))
        assert labels(links, threshold_step=0.5, max_cluster_size=3) == [0, 0, 0, 1, 2, 2]

    def test_links_equal_to_a_threshold_are_kept(self):
        links = chain([0.75, 0.5, 0.75])
        result = merge_bfs(links, threshold_step=0.5, max_cluster_size=2)
        assert result.labels.tolist() == [0, 0, 1, 1]
        assert (result.n_passes, result.final_threshold) == (2, 0.75)

    def test_a_step_of_one_goes_straight_to_one(self):
        assert labels(chain([1, 0.999, 1]), threshold_step=1.0, max_cluster_size=2) == [0, 0, 1, 1]

    def test_an_initial_threshold_of_one(self):
        assert labels(chain([1, 0.999, 1]), initial_threshold=1.0) == [0, 0, 1, 1]

    def test_a_cap_of_one_leaves_singletons(self):
        assert labels(chain([0.9, 0.95]), max_cluster_size=1) == [0, 1, 2]

    def test_leftovers_are_not_fused(self):
        # Half of trap 2: what is too large until the last pass ends as parts, not as one cluster.
        links = complete_links([0] * 40, lambda same: np.full(len(same), 0.97))
        assert labels(links, max_cluster_size=10) == list(range(40))

    def test_instances_without_links_are_singletons(self):
        assert labels(make_links(3)) == [0, 1, 2]

    def test_no_instances(self):
        assert labels(make_links(0)) == []


class TestEnd:
    def test_a_component_of_ones_above_the_cap_is_reported(self):
        # Trap 2: the authors' loop never ends here.
        links = make_links(7, (0, 1, 0.9), *((i, i + 1, 1.0) for i in range(2, 6)))
        result = merge_bfs(links, max_cluster_size=3)
        assert result.labels.tolist() == [0, 0, 1, 1, 1, 1, 1]
        assert result.uncuttable == (UncuttableCluster(label=1, size=5),)
        assert result.n_passes == 1

    def test_ones_are_cut_from_what_is_below_one(self):
        links = chain([1, 1, 1, 0.99, 1])
        result = merge_bfs(links, max_cluster_size=3)
        assert result.labels.tolist() == [0, 0, 0, 0, 1, 1]
        assert result.uncuttable == (UncuttableCluster(label=0, size=4),)

    def test_weak_links_inside_a_component_of_ones_do_not_matter(self):
        links = make_links(3, (0, 1, 1.0), (1, 2, 1.0), (0, 2, 0.6))
        result = merge_bfs(links, max_cluster_size=2)
        assert result.uncuttable == (UncuttableCluster(label=0, size=3),)
        assert result.n_passes == 1

    @pytest.mark.parametrize("step", [1.0, 0.5, 0.05, 1e-12, 5e-324])
    @pytest.mark.parametrize("initial", [0.0, 0.5, float(JUST_BELOW_ONE)])
    def test_a_likelihood_just_below_one_can_be_cut(self, initial, step):
        links = chain([JUST_BELOW_ONE, 1.0, JUST_BELOW_ONE])
        settings = {"initial_threshold": initial, "threshold_step": step}
        result = merge_bfs(links, max_cluster_size=2, **settings)
        assert result.labels.tolist() == [0, 1, 1, 2]
        assert result.uncuttable == ()
        assert np.float32(result.final_threshold) == 1

    def test_a_fine_step_separates_close_likelihoods(self):
        links = chain([0.9, 0.8002, 0.8001, 0.9])
        assert labels(links, threshold_step=1e-9, max_cluster_size=3) == [0, 0, 0, 1, 1]


class TestFirstPass:
    @pytest.mark.parametrize("cap", [600, 10_000])
    def test_the_first_pass_looks_at_the_likelihoods(self, perfect_links, cap):
        # Trap 1: any component up to the cap used to be accepted as it came.
        np.testing.assert_array_equal(
            merge_bfs(perfect_links, max_cluster_size=cap).labels, IDENTITIES
        )

    def test_authors_behaviour_is_one_cluster(self, perfect_links):
        result = merge_bfs(perfect_links, max_cluster_size=600, first_pass_without_threshold=True)
        assert (result.n_clusters, result.n_passes, result.final_threshold) == (1, 1, 0.0)

    def test_authors_behaviour_looks_at_the_likelihoods_above_the_cap(self, perfect_links):
        result = merge_bfs(perfect_links, max_cluster_size=599, first_pass_without_threshold=True)
        np.testing.assert_array_equal(result.labels, IDENTITIES)

    def test_authors_second_pass_is_at_the_first_raised_threshold(self):
        links = chain([0.9, 0.7, 0.6])
        settings = {"threshold_step": 0.5, "first_pass_without_threshold": True}
        result = merge_bfs(links, max_cluster_size=3, **settings)
        assert result.labels.tolist() == [0, 0, 1, 2]
        assert (result.n_passes, result.final_threshold) == (2, 0.75)

    def test_authors_behaviour_from_an_initial_threshold_of_one(self):
        settings = {"initial_threshold": 1.0, "first_pass_without_threshold": True}
        assert labels(chain([0.2, 1.0]), max_cluster_size=3, **settings) == [0, 0, 0]
        assert labels(chain([0.2, 1.0]), max_cluster_size=2, **settings) == [0, 1, 1]


class TestBadSettings:
    @pytest.mark.parametrize("value", [-0.01, 1.5, float("nan")])
    def test_initial_threshold(self, value):
        with pytest.raises(InputError, match=f"initial_threshold={value}"):
            merge_bfs(chain([0.9]), initial_threshold=value)

    @pytest.mark.parametrize("value", [0, -0.1, 1.5, float("nan")])
    def test_threshold_step(self, value):
        with pytest.raises(InputError, match=rf"threshold_step={value}, .* \(0, 1\]"):
            merge_bfs(chain([0.9]), threshold_step=value)

    @pytest.mark.parametrize("value", [0, -3])
    def test_max_cluster_size(self, value):
        with pytest.raises(InputError, match=f"max_cluster_size={value}, .* at least 1"):
            merge_bfs(chain([0.9]), max_cluster_size=value)
