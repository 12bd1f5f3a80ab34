import pytest

from facelink.album.export.names import MAX_NAME_BYTES, UniqueNames, safe_name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Ada Lovelace", "Ada Lovelace"),
        ("a/b\\c:d", "a_b_c_d"),
        ("..", "person 1"),
        (".", "person 1"),
        ("", "person 1"),
        ("///", "person 1"),
        (".bashrc", "_bashrc"),
        ("../../etc", "_._.._etc"),
        ("con", "_con"),
        ("NUL.txt", "_NUL.txt"),
        ("Com1", "_Com1"),
        ("lpt\u00b9", "_lpt\u00b9"),
        ("Constance", "Constance"),
        ("  Eve . ", "Eve"),
        ("tab\there\0", "tab_here_"),
        ("exe\u202egpj", "exe_gpj"),
        ("Zoe\u0308", "Zo\u00eb"),
        ("\U0001f469\u200d\U0001f680", "\U0001f469\u200d\U0001f680"),
        ("\ud800", "person 1"),
    ],
)
def test_names_are_made_safe(name, safe):
    assert safe_name(name, "person 1") == safe


def test_long_names_are_cut_at_a_character_and_keep_a_suffix():
    cut = safe_name("\u00eb" * 300 + ".jpeg", "photo")
    assert len(cut.encode()) <= MAX_NAME_BYTES
    assert cut == "\u00eb" * 97 + ".jpeg"


def test_equal_names_get_numbers_also_where_case_is_ignored():
    names = UniqueNames(["ADA"])
    assert [names.take(one) for one in ("Ada", "ada", "Bob")] == ["Ada (2)", "ada (3)", "Bob"]
    assert [names.take("a", ".jpg"), names.take("A", ".JPG")] == ["a.jpg", "A (2).JPG"]
