"""Nothing that facelink reads can run code: by the source, not by trying."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "facelink"
SOURCES = sorted(PACKAGE.rglob("*.py"))
UNPICKLING = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml"}
READS_TENSORS = PACKAGE / "models" / "checkpoint.py"


def full_names(tree):
    """What the names that a module imports stand for, such as ``numpy.load`` for ``load``."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {one.asname: one.name for one in node.names if one.asname}
        elif isinstance(node, ast.ImportFrom):
            names |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
    return names


def calls(tree, *names):
    """Calls of functions with these full names, whatever the module calls them."""
    known = full_names(tree)

    def full_name(function):
        first, *rest = ast.unparse(function).split(".")
        return ".".join([known.get(first, first), *rest])

    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and full_name(node.func) in names
    ]


def pickling_calls(tree):
    """Calls that read or write pickles of their own accord, or unless they are told not to."""
    told = calls(tree, "numpy.load", "numpy.save", "numpy.lib.format.read_array")
    loose = [call for call in told if keyword(call, "allow_pickle") != "False"]
    return loose + calls(tree, "scipy.sparse.load_npz")


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
    assert [ast.unparse(call) for call in pickling_calls(tree)] == []


def test_no_module_imports_names_that_cannot_be_seen(tree):
    assert "*" not in full_names(tree)


@pytest.mark.parametrize(
    "source",
    [
        "import numpy as np; np.load(path)",
        "import numpy as np; np.load(path, allow_pickle=True)",
        "import numpy; numpy.load(path)",
        "import numpy as other; other.load(path)",
        "from numpy import load; load(path)",
        "from numpy import load as read; read(path)",
        "import numpy.lib.format; numpy.lib.format.read_array(path)",
        "from numpy.lib import format; format.read_array(path)",
        "from numpy.lib.format import read_array; read_array(path)",
        "from scipy import sparse; sparse.load_npz(path)",
        "import scipy.sparse as matrices; matrices.load_npz(path)",
        "from scipy.sparse import load_npz; load_npz(path)",
    ],
)
def test_calls_are_seen_by_any_name(source):
    assert len(pickling_calls(ast.parse(source))) == 1


def test_calls_of_others_are_not():
    sources = ("Task.load(path)", "import numpy as np; np.load(path, allow_pickle=False)")
    assert [pickling_calls(ast.parse(source)) for source in sources] == [[], []]


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
