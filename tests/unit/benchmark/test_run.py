import dataclasses
import json

import numpy as np
import pytest

from facelink.benchmark import run as run_module
from facelink.benchmark.ablation_models import SMALL_BUDGET
from facelink.benchmark.run import (
    PARTS,
    BenchmarkInputs,
    BenchmarkSettings,
    run_benchmark,
)
from facelink.errors import InputError
from facelink.synthetic import SyntheticSettings, make_faces
from facelink.training.face_sets import FaceSet


def people(name, seed, n_faces=150):
    made = make_faces(SyntheticSettings(n_faces=n_faces, n_features=24), seed=seed)
    return FaceSet(name, made.features, made.labels)


@pytest.fixture(scope="module")
def inputs():
    return BenchmarkInputs(people("test", 0), (people("other", 1),))


class TestInputs:
    def test_few_people(self):
        one = people("few", 0)
        few = one.take(np.flatnonzero(one.labels < 9))
        with pytest.raises(InputError, match="few has 9 people; a benchmark needs at least 10"):
            BenchmarkInputs(few)

    def test_another_width(self, inputs):
        narrow = FaceSet("narrow", inputs.test.features[:, :8], inputs.test.labels)
        with pytest.raises(InputError, match="narrow has 8 features and test 24; use one embedd"):
            BenchmarkInputs(inputs.test, (narrow,))
        with pytest.raises(InputError, match="narrow has 8 features"):
            BenchmarkInputs(inputs.test, strangers=narrow)

    def test_one_name_for_two(self, inputs):
        with pytest.raises(InputError, match=r"two collections have one name \(test, test\)"):
            BenchmarkInputs(inputs.test, (inputs.test,))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"parts": ("methods", "speed")}, "part 'speed'; choose from methods, bound, links"),
        ({"budget": "large"}, "budget 'large'; choose from small, paper"),
    ],
)
def test_settings_that_are_none(values, message):
    with pytest.raises(InputError, match=message):
        BenchmarkSettings(**values)


@pytest.fixture(scope="module")
def measured(inputs, tmp_path_factory):
    settings = BenchmarkSettings(("bound", "links", "growth", "toy", "idea"), seed=3)
    return run_benchmark(inputs, settings, work=tmp_path_factory.mktemp("work"))


class TestParts:
    def test_a_section_for_each_in_their_order(self, measured):
        titles = [section.title for section in measured.document.sections]
        assert [title.partition(":")[0] for title in titles] == [
            "Upper bound by k",
            "Links",
            "Time against size",
            "What graph convolutions do",
            "The idea",
        ]

    def test_the_report_tells_what_it_rests_on(self, measured):
        facts = dict(measured.document.facts)
        assert facts["faces"] == "test (150)"
        assert facts["values chosen on"] == "other (150)"
        assert facts["seed"] == "3"
        assert facts["parts"] == "bound, links, growth, toy, idea"

    def test_records_hold_what_the_tables_show(self, measured):
        json.dumps(measured.records)
        assert sorted(measured.records) == ["growth", "links", "tables", "upper-bound"]
        table = measured.document.sections[1].tables[0]
        of_cosine = measured.records["links"]["cosine"]["average_precision"]
        assert dict(row[:2] for row in table.rows)["cosine"] == f"{100 * of_cosine:.2f}"
        assert [dict(each)["name"] for each in measured.records["tables"]] == [
            each.name for section in measured.document.sections for each in section.tables
        ]

    def test_growth_has_four_sizes_of_the_methods_without_a_value(self, measured):
        points = measured.records["growth"]
        assert [point["n_faces"] for point in points] == [19, 38, 75, 150]
        assert {point["method"] for point in points} == {"facelink (default)"}
        assert all(point["seconds"] > 0 for point in points)


def test_without_an_example_in_the_collection_the_idea_is_shown_on_made_up_faces(tmp_path):
    easy = FaceSet("easy", np.eye(24, dtype=np.float32), np.arange(24))
    lines = []
    settings = BenchmarkSettings(("idea",))
    measured = run_benchmark(BenchmarkInputs(easy), settings, work=tmp_path, progress=lines.append)
    assert any("made-up faces" in line for line in lines)
    assert "made-up faces" in measured.document.sections[0].text


def test_ablation_trains_only_with_training_faces(inputs, tmp_path, monkeypatch):
    tiny = dataclasses.replace(
        SMALL_BUDGET,
        max_faces=100,
        widths=(4, 4),
        training=dataclasses.replace(SMALL_BUDGET.training, epochs=1, round_pivots=16),
    )
    monkeypatch.setattr(run_module, "BUDGETS", {"small": tiny})
    monkeypatch.setattr(run_module, "ablate_context", lambda bench: iter(()))
    monkeypatch.setattr(run_module, "ablate_link_gcn", lambda bench, sets, folder, budget: iter(()))
    settings = BenchmarkSettings(("ablation",))
    with_others = run_benchmark(inputs, settings, work=tmp_path)
    assert [each.title for each in with_others.document.sections] == [
        "Ablation: the default path",
        "Ablation: the paper's network",
    ]
    alone = run_benchmark(BenchmarkInputs(inputs.test), settings, work=tmp_path)
    assert [each.title for each in alone.document.sections] == ["Ablation: the default path"]


def test_methods_go_on_from_what_is_kept(inputs, tmp_path, monkeypatch):
    cosine = [one for one in run_module.BASELINES if one.key == "cosine"]
    monkeypatch.setattr(run_module, "BASELINES", cosine)
    settings = BenchmarkSettings(("methods",), time_limit=60)
    lines = []
    first = run_benchmark(inputs, settings, work=tmp_path, progress=lines.append)
    assert lines == ["test: Cosine threshold", "other: Cosine threshold"]
    again = run_benchmark(inputs, settings, work=tmp_path, progress=lines.append)
    assert len(lines) == 2
    assert again.document.sections[0].tables == first.document.sections[0].tables
    other_seed = dataclasses.replace(settings, seed=1)
    run_benchmark(inputs, other_seed, work=tmp_path, progress=lines.append)
    assert len(lines) == 4
    alone = BenchmarkInputs(inputs.test)
    run_benchmark(alone, settings, work=tmp_path, progress=lines.append)
    assert len(lines) == 6, "a part of the people is another collection than all of them"
    run_benchmark(alone, settings, work=tmp_path, progress=lines.append)
    assert len(lines) == 6, "the people held out are known, too"
    for kept in (tmp_path / "runs").glob("test-*-cosine.json"):
        kept.write_text("{}")
    with pytest.raises(InputError, match=r"not a kept run \(.*\); remove it, and the method runs"):
        run_benchmark(inputs, settings, work=tmp_path)


def test_all_parts_are_known():
    assert set(PARTS) == set(run_module._SECTIONS)
