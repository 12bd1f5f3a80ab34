from dataclasses import replace

import numpy as np
import pytest

from facelink.benchmark import ablation_models
from facelink.benchmark.ablation_models import (
    BASE,
    PAPER_BUDGET,
    SMALL_BUDGET,
    VARIANTS,
    AblationBudget,
    ModelVariant,
    trained_variant,
)
from facelink.subgraphs import SubgraphSettings
from facelink.training.face_sets import FaceSet
from facelink.training.settings import TrainingSettings
from tests.helpers import clustered_features

D = 16
SETS = [FaceSet("people", *clustered_features(40, 5, D, spread=1.0))]
BUDGET = AblationBudget(
    "tiny",
    100,
    (6, 4),
    TrainingSettings(SubgraphSettings((6, 2), 2), epochs=1, resample=False, batch_size=32),
    SubgraphSettings((8, 2), 2),
)


def train(folder, variant=BASE, sets=SETS, budget=BUDGET):
    return trained_variant(variant, sets, budget, folder)


def test_a_model_has_the_budget_and_the_change_of_its_variant(tmp_path):
    model = train(tmp_path, ModelVariant("3 hops, weighted", "weighted", n_hops=3))
    assert model.config.widths == (6, 4)
    assert model.config.aggregator == "weighted"
    assert model.config.subgraphs == SubgraphSettings((8, 2, 2), 2)


def test_a_second_run_does_not_train_again(tmp_path, monkeypatch):
    first = train(tmp_path)
    monkeypatch.setattr(
        ablation_models, "train_link_gcn", lambda *_, **__: pytest.fail("trained again")
    )
    second = train(tmp_path)
    for name, value in first.state_dict().items():
        np.testing.assert_array_equal(value, second.state_dict()[name], err_msg=name)


@pytest.mark.parametrize(
    "changed",
    [
        {"variant": ModelVariant("the pivot is a node", include_pivot=True)},
        {"sets": [FaceSet("people", *clustered_features(40, 5, D, seed=1))]},
        {"budget": replace(BUDGET, widths=(6, 5))},
        {"budget": replace(BUDGET, training=replace(BUDGET.training, seed=1))},
    ],
    ids=["variant", "faces", "widths", "seed"],
)
def test_another_model_has_another_folder(tmp_path, changed):
    train(tmp_path)
    train(tmp_path, **changed)
    assert len(list(tmp_path.iterdir())) == 2


def test_the_budget_limits_the_faces_to_whole_people(tmp_path, monkeypatch):
    seen = []
    trainer = ablation_models.train_link_gcn

    def watched(faces, *args, **options):
        seen.extend(faces)
        return trainer(faces, *args, **options)

    monkeypatch.setattr(ablation_models, "train_link_gcn", watched)
    train(tmp_path)
    assert [len(faces) for faces in seen] == [100]
    assert set(np.unique(seen[0].labels, return_counts=True)[1]) == {5}


def test_every_variant_but_the_paper_s_changes_one_thing():
    for variants in VARIANTS.values():
        assert BASE in variants
        for variant in variants:
            changed = [
                name
                for name in ("aggregator", "mean_normalization", "n_hops", "include_pivot")
                if getattr(variant, name) != getattr(BASE, name)
            ]
            assert len(changed) == (variant is not BASE), variant.name


def test_one_hop_follows_nobody_twice():
    variant = ModelVariant("1 hop", n_hops=1)
    assert variant.subgraphs(SubgraphSettings((80, 5), 4)) == SubgraphSettings((80,), 4)


def test_the_paper_s_budget_is_the_paper_s_training():
    assert PAPER_BUDGET.training == TrainingSettings()
    assert PAPER_BUDGET.max_faces is None
    assert SMALL_BUDGET.max_faces < 10_000
