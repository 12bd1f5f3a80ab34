from pathlib import Path

import pytest

from facelink.errors import InputError
from facelink.stages.settings import RunSettings, parse_bytes


def read(tmp_path, text):
    path = tmp_path / "run.toml"
    path.write_text(text)
    return RunSettings.read(path)


class TestRead:
    def test_paths_are_relative_to_the_file(self, tmp_path):
        settings = read(
            tmp_path,
            'features = "faces/f.npy"\nmust_link = "same.csv"\nout = "/people.csv"\n'
            'model = "models/one"\n',
        )
        assert settings.features == tmp_path / "faces/f.npy"
        assert settings.must_link == tmp_path / "same.csv"
        assert settings.out == Path("/people.csv")
        assert settings.model == str(tmp_path / "models/one")

    def test_every_kind_of_value(self, tmp_path):
        settings = read(
            tmp_path,
            'features = "f.npy"\nk_at_hop = [80, 5]\nrecall = 1\nthreshold = 0.5\n'
            'model = "cosine"\nmemory = "8G"\nseed = 3\nmerge = "bfs"\n',
        )
        assert settings.k_at_hop == (80, 5)
        assert (settings.recall, settings.threshold, settings.seed) == (1, 0.5, 3)
        assert settings.model == "cosine"
        assert settings.memory_bytes == 8 << 30
        assert settings.merging.merge == "bfs"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("features = 3", "features=3; give the path of a file"),
            ("", "the key 'features' is missing"),
            (
                'features = "f.npy"\nthreshhold = 1',
                "unknown key 'threshhold'; known are features, ",
            ),
            ('features = "f.npy"\nseed = 1.5', "seed=1.5; give a whole number"),
            ('features = "f.npy"\nseed = true', "seed=True; give a whole number"),
            ('features = "f.npy"\nseed = -1', "seed=-1; it must be at least 0"),
            ('features = "f.npy"\nrecall = 0', r"recall=0; choose a share in \(0, 1\]"),
            ('features = "f.npy"\nmerge = "best"', "merge='best'; give one of auto, likelihood"),
            ('features = "f.npy"\nk_at_hop = 80', "k_at_hop=80; give a list of whole numbers"),
            ('features = "f.npy"\nk_at_hop = ["a"]', "give a list of whole numbers"),
            ('features = "f.npy"\nmodel = 1', "model=1; give a text"),
            ('features = "f.npy"\nthreshold = "high"', "threshold='high'; give a number"),
            ('features = "f.npy"\nmemory = "much"', "memory='much'; give a size such as 8G"),
            ('features = "f.npy"\nblock_rows = 0', "block_rows=0; it must be at least 1"),
            ("features = ", "not a readable TOML file"),
            (f"features = 'f.npy'\nseed = {'1' * 5000}", "not a readable TOML file"),
            (f"features = {'[' * 100_000}", "not a readable TOML file"),
            (f"features = 'f.npy'\nrecall = 0x{'F' * 5000}", "a value is of no use"),
            ('features = "f.npy"\nout = "a\\u0000.npy"', "out: a zero byte in the path"),
        ],
    )
    def test_what_is_wrong_is_named(self, tmp_path, text, message):
        with pytest.raises(InputError, match=message):
            read(tmp_path, text or "# nothing")

    def test_options_take_precedence(self):
        settings = RunSettings(Path("f.npy"), seed=1, recall=0.9)
        changed = settings.with_options({"seed": 2, "recall": None})
        assert (changed.seed, changed.recall) == (2, 0.9)


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [("8G", 8 << 30), ("500m", 500 << 20), ("1.5 GiB", 3 << 29), ("2TB", 2 << 40), ("4096", 4096)],
)
def test_sizes(text, n_bytes):
    assert parse_bytes(text) == n_bytes


@pytest.mark.parametrize("text", ["", "G", "-1G", "nan", "infG", "8X", "0"])
def test_no_sizes(text):
    with pytest.raises(InputError, match="give a size such as 8G"):
        parse_bytes(text)
