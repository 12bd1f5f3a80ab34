import math

import pytest

from facelink.errors import InputError
from facelink.subgraphs import SubgraphSettings
from facelink.training.settings import TrainingSettings

EPOCH = 1_000
"""Pivots of an epoch."""


def test_the_defaults_are_the_papers_and_people_are_drawn_anew():
    settings = TrainingSettings()
    assert settings.subgraphs == SubgraphSettings((200, 10), 10)
    assert settings.optimizer == "sgd"
    assert settings.momentum > 0
    assert settings.schedule == "step"
    assert settings.class_weighting == "none"
    assert settings.resample


class TestSchedule:
    def test_step_is_ten_times_smaller_after_each_epoch(self):
        settings = TrainingSettings(schedule="step", learning_rate=0.01, epochs=4)
        rates = [
            settings.learning_rate_at(epoch * EPOCH + within, EPOCH)
            for epoch in range(4)
            for within in (0, EPOCH - 1)
        ]
        assert rates == pytest.approx([1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5], rel=1e-9)

    def test_constant(self):
        settings = TrainingSettings(schedule="constant", learning_rate=0.3)
        assert [settings.learning_rate_at(done, EPOCH) for done in (0, 5, 3_999)] == [0.3] * 3

    def test_cosine_warms_up_and_then_falls_to_zero_over_the_run(self):
        settings = TrainingSettings(schedule="cosine", learning_rate=2.0, epochs=4)
        rates = [settings.learning_rate_at(done, EPOCH) for done in range(4 * EPOCH + 1)]
        top = rates.index(max(rates))
        assert 0 < rates[0] < 0.02
        assert 0.015 <= top / (4 * EPOCH) <= 0.025
        assert rates[: top + 1] == sorted(rates[: top + 1])
        assert rates[top:] == sorted(rates[top:], reverse=True)
        assert rates[2 * EPOCH] == pytest.approx(2.0 * 0.5 * (1 + math.cos(math.pi / 2)))
        assert rates[-1] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "adam"}, "optimizer='adam'; choose one of sgd, adamw"),
        ({"schedule": "linear"}, "schedule='linear'; choose one of step, cosine, constant"),
        ({"class_weighting": "yes"}, "class_weighting='yes'; choose one of none, balanced"),
        ({"precision": "float16"}, "precision='float16'; choose one of auto, float32, bfloat16"),
        ({"epochs": 0}, "epochs=0; it must be at least 1"),
        ({"batch_size": 0}, "batch_size=0; it must be at least 1"),
        ({"round_pivots": 0}, "round_pivots=0; it must be at least 1"),
        ({"round_draws": 0}, "round_draws=0; it must be at least 1"),
        ({"max_draw_faces": 0}, "max_draw_faces=0; it must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate=0.0; it must be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan; it must be above 0"),
        ({"max_gradient_norm": 0.0}, "max_gradient_norm=0.0; it must be above 0"),
        ({"momentum": -0.1}, "momentum=-0.1; it must not be negative"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0; it must not be negative"),
        ({"seed": -1}, "seed=-1; it must not be negative"),
        ({"validation_share": 0.0}, "validation_share=0.0; choose a share between 0 and 1"),
        ({"validation_share": 1.0}, "validation_share=1.0; choose a share between 0 and 1"),
    ],
    ids=str,
)
def test_values_outside_their_range(changes, message):
    with pytest.raises(InputError, match=message):
        TrainingSettings(**changes)
