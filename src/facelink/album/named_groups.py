"""Groups of faces that another program had under a name become people of an album."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from facelink.album.history import Action, action
from facelink.album.library import Album
from facelink.album.records import EmbeddingModel

_FACES = """
SELECT faces.external_id, faces.id, people.id, people.name,
    memberships.face IS NULL
    AND NOT EXISTS (SELECT 1 FROM history WHERE subject = 'face' AND subject_id = faces.id)
    AND NOT EXISTS (SELECT 1 FROM decisions WHERE decisions.face = faces.id)
    AND NOT EXISTS (SELECT 1 FROM decisions WHERE decisions.other = faces.id)
FROM faces LEFT JOIN memberships ON memberships.face = faces.id
LEFT JOIN people ON people.id = memberships.person
WHERE faces.model = ? AND faces.external_id IS NOT NULL AND faces.junk_reasons IS NULL
ORDER BY faces.id
"""


@dataclass(frozen=True)
class NamedGroup:
    """A person as the other program has them.

    Parameters
    ----------
    key : str
        Tells people of one name apart.
    name : str
        Not blank.
    is_hidden : bool
        Left out of lists there, and so here.
    """

    key: str
    name: str
    is_hidden: bool


def place_named(
    album: Album, model: EmbeddingModel, groups: Mapping[str, NamedGroup], cause: str
) -> tuple[int, int]:
    """Place faces with the people whose names another program had for them, in one action.

    Such groups are made by a machine and looked at by somebody who named them: they
    hold errors. Their faces are therefore placed as by an update, not by the user.
    Only faces that have never been placed, and that the user has said nothing about,
    are; a group whose faces are here with a named person already goes to that person,
    whatever they are called by now.

    Parameters
    ----------
    album
        Open for writing.
    model
        Of the faces.
    groups
        By the external id of a face.
    cause
        For the history.

    Returns
    -------
    n_people, n_faces : int
        People that were made, and faces that were placed.
    """
    rows = album.connection.execute(_FACES, (model.id,)).fetchall()
    known: dict[NamedGroup, Counter[int]] = {}
    free: dict[NamedGroup, list[int]] = {}
    for external_id, face, person, name, is_free in rows:
        group = groups.get(external_id)
        if group is not None and is_free:
            free.setdefault(group, []).append(face)
        elif group is not None and name is not None:
            known.setdefault(group, Counter())[person] += 1
    n_people = 0
    with action(album, cause) as under_way:
        for group, faces in free.items():
            there = known.get(group)
            whose = there.most_common(1)[0][0] if there else _new_person(under_way, group)
            n_people += there is None
            for face in faces:
                under_way.place(face, whose)
    return n_people, sum(map(len, free.values()))


def _new_person(under_way: Action, group: NamedGroup) -> int:
    person = under_way.new_person(group.name)
    under_way.set_field("person", person, "is_hidden", int(group.is_hidden))
    return person
