import pytest

from facelink.errors import InputError
from facelink.training.context.settings import ContextTrainingSettings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_rounds": 0}, "n_rounds=0; it must be at least 1"),
        ({"min_k": 0}, "min_k=0; it must be at least 1"),
        ({"min_k": 20, "max_k": 10}, "max_k=10; it must be at least min_k=20"),
        ({"learning_rate": 0.0}, r"learning_rate=0\.0; it must be above 0"),
        ({"weight_decay": -1.0}, r"weight_decay=-1\.0; it must not be negative"),
        ({"seed": -1}, "seed=-1; it must not be negative"),
        ({"made_up_share": 1.5}, r"made_up_share=1\.5; choose a share in \[0, 1\]"),
        ({"max_k_share": -0.1}, r"max_k_share=-0\.1; choose a share in \[0, 1\]"),
        ({"validation_share": 1.0}, r"validation_share=1\.0; choose a share between 0 and 1"),
        ({"validation_draws": 1}, "one collection calibrates and another measures"),
    ],
)
def test_settings_that_cannot_train(changes, message):
    with pytest.raises(InputError, match=message):
        ContextTrainingSettings(**changes)
