"""What the page asks to be done: the bodies of its requests."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Naming:
    """A name for a person; None takes it away."""

    name: str | None


@dataclass(frozen=True)
class Hiding:
    """Whether a person is left out of lists."""

    is_hidden: bool


@dataclass(frozen=True)
class TwoPeople:
    """Two people."""

    first: int
    other: int


@dataclass(frozen=True)
class Merging:
    """Two people who become one, and which of them stays: to be said where both have names."""

    first: int
    other: int
    kept: int | None = None

    def __post_init__(self) -> None:
        if self.kept not in (None, self.first, self.other):
            raise ValueError("the one who is kept is one of the two.")


@dataclass(frozen=True)
class TwoFaces:
    """Two faces."""

    first: int
    other: int


@dataclass(frozen=True)
class SomeFaces:
    """Faces."""

    faces: list[int]


@dataclass(frozen=True)
class Assigning:
    """Faces, and whose they are; None for someone new, whose name may be given."""

    faces: list[int]
    person: int | None
    name: str | None = None

    def __post_init__(self) -> None:
        if self.person is not None and self.name is not None:
            raise ValueError("give a person or the name of someone new, not both.")


@dataclass(frozen=True)
class SettingAside:
    """Faces that are none, or of no interest."""

    faces: list[int]
    kind: Literal["not_a_face", "ignore"]
