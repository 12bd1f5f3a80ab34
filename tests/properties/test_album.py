import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from facelink.album.decisions import contradicted, say_different, say_same, set_aside
from facelink.album.history import batches, undo
from facelink.album.queries import decisions
from tests.unit.album.helpers import add, edited, made_up_people, people_of, update

FEATURES, _ = made_up_people(n_people=5, faces_each=8)
N_EARLY = 24

faces = st.integers(1, N_EARLY)
said = st.lists(
    st.tuples(st.sampled_from(["same", "different", "ignore"]), faces, faces).filter(
        lambda one: one[1] != one[2]
    ),
    max_size=6,
)


@settings(max_examples=15)
@given(said, st.integers(N_EARLY, len(FEATURES)))
def test_nothing_that_comes_changes_what_the_user_said(words, middle):
    with tempfile.TemporaryDirectory() as folder, edited(Path(folder) / "album") as album:
        add(album, FEATURES[:N_EARLY])
        update(album)
        for kind, first, second in words:
            if kind == "ignore":
                set_aside(album, [first], "ignore")
            else:
                (say_same if kind == "same" else say_different)(album, first, second)
        stood = decisions(album)
        for start, end in ((N_EARLY, middle), (middle, len(FEATURES))):
            add(album, FEATURES[start:end])
            update(album)
            placed = people_of(album)
            assert decisions(album) == stood
            assert contradicted(album) == []
            for one in stood:
                here, there = placed.get(one.face), placed.get(one.other)
                if one.kind == "same":
                    assert here == there is not None
                elif one.kind == "different":
                    assert here != there or here is None
                else:
                    assert here is None


@settings(max_examples=10)
@given(said)
def test_undoing_everything_leaves_nobody(words):
    with tempfile.TemporaryDirectory() as folder, edited(Path(folder) / "album") as album:
        add(album, FEATURES[:N_EARLY])
        update(album)
        for kind, first, second in words:
            if kind == "ignore":
                set_aside(album, [first], "ignore")
            else:
                (say_same if kind == "same" else say_different)(album, first, second)
        n_actions = sum(one.undoes is None for one in batches(album))
        for _ in range(n_actions):
            undo(album)
        assert people_of(album) == {}
        assert decisions(album) == []
