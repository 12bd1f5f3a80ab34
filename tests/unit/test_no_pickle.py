"""Nothing that facelink reads can run code: by the source, not by trying."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "facelink"
SOURCES = sorted(PACKAGE.rglob("*.py"))
UNPICKLING = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml"}
READS_TENSORS = PACKAGE / "models" / "checkpoint.py"


def calls(tree, *names):
    """Calls of functions with these names, such as ``np.load``."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in names
    ]


def keyword(call, name):
    """What a call's keyword is set to; None without it."""
    values = [ast.unparse(each.value) for each in call.keywords if each.arg == name]
    return values[0] if values else None


@pytest.fixture(params=SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def tree(request):
    return ast.parse(request.param.read_text(encoding="utf-8"), filename=str(request.param))


def test_no_module_imports_what_unpickles(tree):
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.split(".")[0])
    assert not imported & UNPICKLING


def test_numpy_is_told_not_to_unpickle(tree):
    for call in calls(tree, "np.load", "np.save", "np.lib.format.read_array"):
        assert keyword(call, "allow_pickle") == "False", ast.unparse(call)


def test_nothing_is_executed(tree):
    assert calls(tree, "eval", "exec", "compile", "__import__") == []


def test_torch_reads_tensors_only_and_in_one_place():
    found = {
        path: calls(ast.parse(path.read_text(encoding="utf-8")), "torch.load", "torch.save")
        for path in SOURCES
    }
    assert [path for path, there in found.items() if there] == [READS_TENSORS]
    (call,) = found[READS_TENSORS]
    assert keyword(call, "weights_only") == "True"
