"""Names of people and photographs → names of folders and files, safe on every system."""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Final

MAX_NAME_BYTES: Final = 200
"""Longest name in UTF-8; file systems allow 255, of which a number may need some."""

_FORBIDDEN = frozenset('<>:"/\\|?*')
_CONTROL_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
_BIDI_CONTROLS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that would make a name read backwards."""

_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\.|$)", re.I)
"""Names of devices on Windows, whatever follows the first dot."""


def safe_name(name: str, instead: str) -> str:
    """Make a name for a folder or file that every system takes, and that stays where it is put.

    Characters that Windows, macOS or Linux refuse, control characters and those that turn
    the direction of writing become ``_``; so does a dot at the start. Blanks and dots at
    the end go, names of devices get ``_`` in front, and what is longer than
    `MAX_NAME_BYTES` is cut, a suffix of a file kept.

    Parameters
    ----------
    name
        Any text.
    instead
        Taken if nothing readable is left.

    Notes
    -----
    Source: the rules of Windows ("Naming Files, Paths, and Namespaces"), which include
    those of the others but for the leading dot, which hides files elsewhere.
    """
    clean = "".join("_" if _is_refused(one) else one for one in unicodedata.normalize("NFC", name))
    clean = clean.strip().rstrip(". ")
    if clean.startswith("."):
        clean = f"_{clean[1:]}"
    if not clean.strip("_. "):
        return instead
    if _RESERVED.match(clean):
        clean = f"_{clean}"
    return _cut(clean)


def mirrored_path(folder: Path, path: Path, suffix: str) -> Path:
    """Where a file about another one goes below a folder: under the other one's whole path."""
    drive = path.drive.replace(":", "").strip("\\/")
    return folder.joinpath(drive, *path.parts[1:-1], f"{path.name}{suffix}")


class UniqueNames:
    """Gives each name once; upper and lower case count as equal, as on Windows and macOS.

    Parameters
    ----------
    taken : iterable of str
        Names that nobody may have.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(map(_key, taken))

    def take(self, name: str, suffix: str = "") -> str:
        """Return ``name`` and ``suffix``, with a number between them if others have that."""
        number, unique = 1, f"{name}{suffix}"
        while _key(unique) in self._taken:
            number += 1
            unique = f"{name} ({number}){suffix}"
        self._taken.add(_key(unique))
        return unique


def _is_refused(one: str) -> bool:
    return (
        one in _FORBIDDEN
        or one in _BIDI_CONTROLS
        or unicodedata.category(one) in _CONTROL_CATEGORIES
    )


def _cut(name: str) -> str:
    """Shorten a name at a whole character; a short suffix such as ``.jpeg`` stays."""
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix) > 5:
        stem, dot, suffix = name, "", ""
    room = MAX_NAME_BYTES - len(f"{dot}{suffix}".encode())
    kept = stem.encode()[:room].decode(errors="ignore").rstrip(". ")
    return f"{kept}{dot}{suffix}"


def _key(name: str) -> str:
    """What two names share if a system that ignores case and composition confuses them."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKD", name).casefold())
