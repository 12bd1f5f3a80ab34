import numpy as np

from facelink.merging.attachment import attach_groups
from facelink.merging.constraints import Constraints
from tests.unit.merging.helpers import make_links

N_MATES = 12
"""Faces of each of the two established groups, ids 0–11 and 12–23; face 24 is the hard one."""

LABELS = np.repeat([0, 1, 2], [N_MATES, N_MATES, 1])


def hard_face(n_to_first, n_to_second, likelihood=0.4):
    """Links of face 24 with so many of the first and of the second group."""
    mates = [*range(n_to_first), *range(N_MATES, N_MATES + n_to_second)]
    return make_links(25, *((mate, 24, likelihood) for mate in mates))


def attached(links, labels=LABELS, must_link=None, cannot_link=None):
    constraints = Constraints.checked(links.n_instances, must_link, cannot_link)
    return attach_groups(links, labels, 80, constraints).tolist()


class TestMajority:
    def test_most_links_lead_to_one_group(self):
        assert attached(hard_face(12, 2))[24] == 0

    def test_scattered_links_lead_nowhere(self):
        assert attached(hard_face(12, 10))[24] == 2

    def test_a_majority_of_hopeless_links_is_none(self):
        assert attached(hard_face(12, 2, likelihood=0.02))[24] == 2

    def test_a_handful_of_links_is_no_majority(self):
        labels = np.array([0, 1, 1, 2, 2, 2, 3, 3, 3, 3])
        assert attached(make_links(10, (0, 1, 0.45), (0, 2, 0.45)), labels) == labels.tolist()

    def test_the_only_group_there_is_has_no_majority(self):
        links = make_links(N_MATES + 1, *((mate, N_MATES, 0.3) for mate in range(N_MATES)))
        labels = np.repeat([0, 1], [N_MATES, 1])
        assert attached(links, labels) == labels.tolist()

    def test_two_people_who_are_alone_stay_two(self):
        """All links that leave one lead to the other, however many."""
        pairs = [(a, b, 0.03) for a in range(N_MATES) for b in range(N_MATES, 2 * N_MATES)]
        links = make_links(2 * N_MATES, *pairs)
        labels = np.repeat([0, 1], N_MATES)
        assert attached(links, labels) == labels.tolist()

    def test_labels_are_numbered_anew(self):
        links = make_links(27, *((0, mate, 0.45) for mate in range(1, N_MATES + 1)))
        labels = np.repeat([0, 1, 2, 3], [1, N_MATES, N_MATES, 2])
        assert attached(links, labels) == np.repeat([0, 1, 2], [1 + N_MATES, N_MATES, 2]).tolist()

    def test_no_instances(self):
        assert attached(make_links(0), np.empty(0, dtype=np.int64)) == []


class TestConstraints:
    def test_a_blocked_group_is_not_joined(self):
        assert attached(hard_face(12, 2), cannot_link=[[24, 3]])[24] == 2

    def test_two_blocked_faces_do_not_meet_in_one_group(self):
        # Face 25 has the better links; face 24 has to stay away from it.
        first = [(mate, 24, 0.40) for mate in range(N_MATES)]
        second = [(mate, 25, 0.45) for mate in range(N_MATES)]
        links = make_links(26, *first, *second)
        labels = np.repeat([0, 1, 2, 3], [N_MATES, N_MATES, 1, 1])
        assert attached(links, labels)[24:] == [0, 0]
        assert attached(links, labels, cannot_link=[[24, 25]])[24:] == [2, 0]
