"""Imports point one way along the table in docs/design.md, and private names stay private.

A row of the table lists modules in its second column, as `errors.py`, `models/link_gcn.py`
or, for all modules of a folder, `training/`. Names after the first may leave out its folder.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "facelink"


def table_rows():
    """The modules of each row of the table, as paths within the package, from top to bottom."""
    rows = []
    for line in (ROOT / "docs" / "design.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        names = re.findall(r"`([\w/]+(?:\.py|/))`", cells[2]) if len(cells) > 3 else []
        if names:
            rows.append(with_folders(names))
    return rows


def with_folders(names):
    """Give each file name without a folder that of the first name."""
    folder = names[0].rpartition("/")[0] if names[0].endswith(".py") else ""
    is_short = [bool(folder) and name.endswith(".py") and "/" not in name for name in names]
    return [
        f"{folder}/{name}" if short else name for name, short in zip(names, is_short, strict=True)
    ]


ROWS = table_rows()


def sources():
    """Every module but the packages' `__init__.py`, which only hand on names."""
    return sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


def place(path):
    """Row of a module in the table, and its place in the row if it is listed by name there.

    A module that is not listed has the row of the others of its folder.
    """
    name = path.relative_to(PACKAGE).as_posix()
    for row, entries in enumerate(ROWS):
        if name in entries:
            return row, entries.index(name)
    for row, entries in enumerate(ROWS):
        folders = {entry.rpartition("/")[0] for entry in entries if "/" in entry}
        if name.rpartition("/")[0] in folders:
            return row, None
    return pytest.fail(f"add {name} to the table in docs/design.md")


@cache
def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def module_file(dotted):
    """The file of `facelink.a.b`, or None if that is no module but a name within one."""
    base = PACKAGE.joinpath(*dotted.split(".")[1:])
    return next(
        (path for path in (base.with_suffix(".py"), base / "__init__.py") if path.exists()), None
    )


def imports_of(node):
    """The dotted names of facelink that the statements under a node import: (module, name)."""
    found = []
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            found += [(alias.name, None) for alias in child.names]
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute here"
            found += [(child.module, alias.name) for alias in child.names]
    return [(module, name) for module, name in found if module.split(".")[0] == "facelink"]


def imported_files(path):
    """The modules that a module imports; of a package, those that its `__init__.py` imports."""
    files = set()
    for module, name in imports_of(tree_of(path)):
        file = (module_file(f"{module}.{name}") if name else None) or module_file(module)
        assert file is not None, f"{path.name} imports {module}.{name}, which does not exist"
        if file.name == "__init__.py" and file.parent != PACKAGE:
            files |= imported_files(file)
        elif file.name != "__init__.py":
            files.add(file)
    return files


def relative(path):
    return path.relative_to(PACKAGE).as_posix()


@pytest.fixture(params=sources(), ids=relative)
def source(request):
    return request.param


def test_the_table_is_read():
    listed = {name for row in ROWS for name in row}
    assert {
        "errors.py",
        "neighbors/graph.py",
        "neighbors/search.py",
        "training/trainer.py",
    } <= listed


def test_every_file_of_the_table_exists():
    missing = [entry for row in ROWS for entry in row if not (PACKAGE / entry).exists()]
    assert missing == []


def test_a_module_has_a_place_in_the_table_and_imports_from_above_it_only(source):
    row, position = place(source)
    for file in imported_files(source):
        other_row, other_position = place(file)
        both_listed = position is not None and other_position is not None
        assert other_row < row or (
            other_row == row and not (both_listed and other_position > position)
        ), f"{relative(source)} must not import {relative(file)}, which comes after it"


def test_no_module_imports_itself_by_way_of_others(source):
    reached, waiting = set(), [source]
    while waiting:
        for file in imported_files(waiting.pop()):
            assert file != source, f"{relative(source)} is in a circle of imports"
            if file not in reached:
                reached.add(file)
                waiting.append(file)


def test_no_private_name_of_another_module_is_used(source):
    tree = tree_of(source)
    for module, name in imports_of(tree):
        parts = [*module.split("."), *([name] if name else [])]
        private = [part for part in parts if part.startswith("_") and part != "__version__"]
        assert private == [], f"{relative(source)} imports {'.'.join(parts)}"
    modules = {
        alias.asname or alias.name
        for child in ast.walk(tree)
        if isinstance(child, ast.ImportFrom) and child.module.split(".")[0] == "facelink"
        for alias in child.names
        if module_file(f"{child.module}.{alias.name}")
    }
    for child in ast.walk(tree):
        if isinstance(child, ast.Attribute) and child.attr.startswith("_"):
            owner = child.value
            assert not (isinstance(owner, ast.Name) and owner.id in modules), (
                f"{relative(source)} uses {owner.id}.{child.attr}"
            )


def test_no_import_of_facelink_hides_in_a_function(source):
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    for node in ast.walk(tree_of(source)):
        if isinstance(node, functions):
            assert imports_of(node) == [], f"{relative(source)}:{node.lineno}"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests" / "reference").glob("*.py")), ids=lambda path: path.name
)
def test_the_references_import_nothing_from_facelink(path):
    assert imports_of(tree_of(path)) == []
