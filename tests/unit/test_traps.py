"""Where each trap of earlier code for L-GCN is guarded, so that no guard is lost unnoticed.

The list is of what went wrong in the reference code and in its re-implementations; beside each
trap stand the tests that would fail if it came back.
"""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

TRAPS = {
    "1 the first pass of merging does not look at the scores": [
        "unit/merging/test_bfs.py::TestFirstPass::test_the_first_pass_looks_at_the_likelihoods",
        "properties/test_merging.py::test_no_cluster_is_joined_below_the_first_threshold",
    ],
    "2 merging never ends at scores of 1, or fuses the leftovers": [
        "unit/merging/test_bfs.py::TestEnd::test_a_component_of_ones_above_the_cap_is_reported",
        "unit/merging/test_bfs.py::TestPasses::test_leftovers_are_not_fused",
        "properties/test_merging.py::test_the_cap_is_kept_or_the_cluster_reported",
    ],
    "3 a node without neighbours becomes NaN and poisons its subgraph": [
        "unit/models/test_aggregators.py::*::test_a_node_without_edges_aggregates_to_zeros",
        "unit/models/test_link_gcn.py::*::test_nodes_without_edges_give_numbers_and_gradients",
        "properties/test_subgraphs.py::test_rows_of_every_g_sum_to_one_or_zero_and_hold_no_nan",
    ],
    "4 padding enters the input norm, so that scores depend on the batch": [
        "unit/models/test_link_gcn.py::*::test_scores_do_not_depend_on_what_else_is_in_the_batch",
        "unit/models/test_link_gcn.py::*::test_training_normalises_by_the_nodes_of_the_batch",
        "properties/test_models.py::test_other_subgraphs_in_the_batch_do_not_matter",
    ],
    "5 the pivot is a node of its own subgraph, unlike in the paper": [
        "unit/subgraphs/test_builder.py::TestPivot::test_it_is_no_node_of_its_own_subgraph_as_in_the_paper",
        "unit/subgraphs/test_builder.py::TestPivot::"
        "test_it_is_the_last_node_where_it_is_included_as_in_the_authors_code",
    ],
    "6 the mean aggregator has two forms that disagree": [
        "unit/models/test_aggregators.py::*::test_mean_by_rows",
        "unit/models/test_aggregators.py::*::test_mean_by_both_degrees",
        "unit/models/test_aggregators.py::*::test_the_symmetric_mean_does_not_sum_to_one",
    ],
    "7 k1 is not cut, and a graph narrower than k1 not noticed": [
        "unit/subgraphs/test_builder.py::TestBuilder::test_a_wider_graph_is_cut_to_k1",
        "unit/test_clustering.py::TestGraph::test_one_narrower_than_k1",
        "unit/cli/test_grouping.py::TestBadInput::test_a_graph_that_is_too_narrow",
    ],
    "8 the instance itself is taken to stand in column 0": [
        "unit/neighbors/test_graph.py::TestFromCandidates::"
        "test_an_exact_duplicate_before_the_instance_itself_stays_its_neighbour",
        "unit/neighbors/test_search.py::TestExact::test_fifty_exact_duplicates_and_five_neighbours",
        "unit/subgraphs/test_builder.py::TestPivot::test_exact_duplicates_never_make_it_its_own_neighbour",
    ],
    "9 ids pass through float32": [
        "unit/subgraphs/test_builder.py::TestBuilder::test_large_ids_stay_exact",
        "unit/merging/test_components.py::*::test_ids_above_float32_are_not_rounded",
        "unit/neighbors/test_graph.py::*::test_float64_ids_beyond_float32_stay_exact",
    ],
    "10 metrics take classes × clusters of memory, or do not say which they are": [
        "unit/test_metrics.py::TestLarge::test_memory_grows_with_faces_only",
        "unit/test_metrics.py::TestByHand::test_nmi_means_differ",
        "unit/test_metrics.py::TestWithoutSingletons::test_scores_of_the_other_faces",
        "unit/cli/test_evaluation.py::TestEvaluate::"
        "test_a_table_that_tells_which_faces_each_score_is_of",
    ],
    "11 the learning rate falls tenfold each epoch, and classes are not weighted": [
        "unit/training/test_settings.py::TestSchedule::"
        "test_step_is_ten_times_smaller_after_each_epoch",
        "unit/training/test_trainer.py::TestSteps::"
        "test_the_learning_rate_falls_tenfold_after_each_epoch",
        "unit/training/test_trainer.py::TestSteps::"
        "test_balanced_classes_weigh_the_same_in_the_loss",
    ],
    "12 an edge seen from one side keeps its lone score unmarked": [
        "unit/test_link_prediction.py::TestCombination::"
        "test_two_directions_become_one_and_a_lone_one_is_kept_and_marked",
    ],
    # 13, a script that reads Infomap's tree wrongly, has no counterpart: nothing here runs Infomap.
}


def names_in(path):
    """Names of the tests of a file, as ``test_a`` or ``TestB::test_a``."""
    names = set()
    for node in ast.parse((TESTS / path).read_text(encoding="utf-8")).body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        names |= {prefix + one.name for one in members if isinstance(one, ast.FunctionDef)}
    return names


@pytest.mark.parametrize("trap", TRAPS)
def test_its_guards_are_there(trap):
    for guard in TRAPS[trap]:
        path, _, name = guard.partition("::")
        found = names_in(path)
        if name.startswith("*::"):
            found, name = {one.rpartition("::")[2] for one in found}, name[3:]
        assert name in found, guard
