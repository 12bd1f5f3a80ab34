import numpy as np
import pytest

from facelink.errors import InputError
from facelink.links import Links
from facelink.merging.placing import FREE, KnownGroups, merge_into_groups
from tests.unit.merging.helpers import complete_links, make_links


def judged(n_instances, *triples):
    links = make_links(n_instances, *triples)
    return Links(links.pairs, links.likelihoods, links.one_sided, n_instances, 80)


def known(*groups, fixed=()):
    groups = np.array(groups, dtype=np.int64)
    return KnownGroups(groups, np.isin(groups, fixed))


def labels_of(links, groups, **settings):
    return merge_into_groups(links, groups, **settings).merged.labels.tolist()


BRIDGE = [(0, 1, 0.9), (2, 3, 0.9), (0, 4, 0.9), (1, 4, 0.9), (2, 4, 0.8), (3, 4, 0.8)]
"""Two pairs, and a face that is like both."""


def test_a_face_joins_the_likelier_of_two_fixed_groups():
    links = judged(5, *BRIDGE)
    assert labels_of(links, known(7, 7, 3, 3, FREE, fixed=(3, 7))) == [0, 0, 1, 1, 0]


def test_groups_that_are_not_fixed_merge_where_the_links_say_so():
    likely = [*BRIDGE, *((one, other, 0.95) for one in (0, 1) for other in (2, 3))]
    links = judged(5, *likely)
    assert labels_of(links, known(7, 7, 3, 3, FREE, fixed=(3,))) == [0] * 5
    assert len(set(labels_of(links, known(7, 7, 3, 3, FREE, fixed=(3, 7))))) == 2


def test_groups_of_which_nothing_new_is_known_stay_apart():
    links = judged(4, *((one, other, 0.95) for one in (0, 1) for other in (2, 3)))
    groups = known(0, 0, 1, 1)
    nothing = np.zeros(4, dtype=bool)
    assert labels_of(links, groups, is_fresh=nothing) == [0, 0, 1, 1]
    assert labels_of(links, groups, is_fresh=~nothing) == [0, 0, 0, 0]


def test_a_known_group_holds_together_against_its_links():
    links = judged(3, (0, 1, 0.01), (1, 2, 0.01), (0, 2, 0.01))
    assert labels_of(links, known(5, 5, 5)) == [0, 0, 0]


def test_one_photograph_keeps_two_similar_faces_apart():
    links = judged(2, (0, 1, 0.7))
    groups = known(FREE, FREE)
    assert labels_of(links, groups) == [0, 0]
    assert labels_of(links, groups, photos=np.array([4, 4])) == [0, 1]
    assert labels_of(links, groups, photos=np.array([4, 5])) == [0, 0]


def test_a_collage_is_no_obstacle_where_links_are_sure():
    links = judged(2, (0, 1, 0.97))
    assert labels_of(links, known(FREE, FREE), photos=np.array([4, 4])) == [0, 0]


@pytest.mark.parametrize(
    ("groups", "settings", "message"),
    [
        (known(0, 0, 1, 1), {"cannot_link": [[0, 1]]}, "contradicts must_link"),
        (known(0, 0, 1, 1, fixed=(0, 1)), {"must_link": [[0, 2]]}, "joins instance"),
        (known(0, 0, 1), {}, "groups of 3 faces for links between 4"),
    ],
)
def test_contradictions_are_refused(groups, settings, message):
    with pytest.raises(InputError, match=message):
        merge_into_groups(judged(4, (0, 1, 0.9)), groups, **settings)


def test_links_must_say_how_many_neighbours_were_judged():
    with pytest.raises(InputError, match="without the number of neighbours"):
        merge_into_groups(complete_links([0, 0], lambda same: same * 0.9), known(FREE, FREE))


@pytest.mark.parametrize(
    ("groups", "is_fixed", "message"),
    [([0, 1], [True], "one of both"), ([-1, 1], [True, True], "only groups can be")],
)
def test_groups_that_are_none(groups, is_fixed, message):
    with pytest.raises(InputError, match=message):
        KnownGroups(np.array(groups), np.array(is_fixed))
