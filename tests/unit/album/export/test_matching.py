from facelink.album.export.areas import Area
from facelink.album.export.matching import WantedRegion, region_changes
from facelink.album.export.regions import KnownRegion, NewRegion

HERE, THERE = Area(0.2, 0.3, 0.2, 0.4), Area(0.7, 0.3, 0.2, 0.4)
LARGER = Area(0.2, 0.3, 0.26, 0.5)


def known(name, area=HERE, *, is_ours=False, is_face=True, start=0):
    return KnownRegion(name, is_face, area, is_ours, start, start + 10)


def test_a_face_without_a_region_gets_one():
    changes = region_changes([], [WantedRegion(1, HERE, "Ada"), WantedRegion(2, THERE, None)])
    assert changes.added == (NewRegion(1, "Ada", HERE),)
    assert (changes.removed, changes.conflicts) == ((), ())


def test_ours_stays_if_it_is_right_and_is_replaced_otherwise():
    ours, face = known("Ada", is_ours=True), WantedRegion(1, HERE, "Ada")
    assert region_changes([ours], [face]) == region_changes([], [])
    for wrong in (known("Eve", is_ours=True), known("Ada", LARGER, is_ours=True)):
        changes = region_changes([wrong], [face])
        assert changes.removed == (wrong,)
        assert changes.added == (NewRegion(1, "Ada", HERE),)


def test_ours_goes_with_the_face_or_the_name():
    ours = known("Ada", is_ours=True)
    assert region_changes([ours], []).removed == (ours,)
    assert region_changes([ours], [WantedRegion(1, HERE, None)]).removed == (ours,)
    twice = known("Ada", is_ours=True, start=50)
    assert region_changes([ours, twice], [WantedRegion(1, HERE, "Ada")]).removed == (twice,)


def test_ours_of_others_stays_where_only_some_people_are_exported():
    ours = known("Bob", is_ours=True)
    other = WantedRegion(1, HERE, None, is_chosen=False)
    assert region_changes([ours], [other]).removed == ()


def test_the_names_of_other_programs_win():
    theirs, face = known("Ada", LARGER), WantedRegion(1, HERE, "Ada")
    assert region_changes([theirs], [face]) == region_changes([], [])
    eve = known("Eve", LARGER)
    changes = region_changes([eve, known("Ada", is_ours=True, start=50)], [face])
    assert changes.conflicts == ((face, eve),)
    assert [one.start for one in changes.removed] == [50]
    assert changes.added == ()


def test_nameless_regions_of_other_programs_give_way():
    theirs = known(None, LARGER)
    changes = region_changes([theirs], [WantedRegion(1, HERE, "Ada")])
    assert changes.removed == (theirs,)
    assert changes.added == (NewRegion(1, "Ada", HERE),)


def test_what_is_no_face_or_nowhere_is_left_alone():
    others = [known(None, is_face=False), known("Eve", None, start=20)]
    changes = region_changes(others, [WantedRegion(1, HERE, "Ada")])
    assert changes.removed == ()
    assert len(changes.added) == 1


def test_each_region_is_of_one_face():
    """Two faces are within one region of Ada: the one that fits it better is hers."""
    inner = Area(0.25, 0.4, 0.05, 0.1)
    faces = [WantedRegion(1, inner, "Bob"), WantedRegion(2, HERE, "Ada")]
    changes = region_changes([known("Ada", LARGER)], faces)
    assert changes.conflicts == ()
    assert changes.added == (NewRegion(1, "Bob", inner),)
