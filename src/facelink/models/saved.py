"""Models in a folder: ``config.json`` says what they are made of, ``model.safetensors`` holds them.

Nothing that is read is executed, and a file is either whole or unchanged.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from facelink.errors import InputError
from facelink.files import existing_file, load_arrays, save_arrays, write_json

WEIGHTS_NAME = "model.safetensors"
CONFIG_NAME = "config.json"

Config = TypeVar("Config")


def save_model(model: nn.Module, config: dict[str, Any], folder: Path | str) -> None:
    """Write a model's weights and the JSON form of its config into a folder.

    Raises
    ------
    OutputError
        If they cannot be written; a file is either whole or unchanged.
    """
    folder = Path(folder)
    weights = {name: value.cpu().numpy() for name, value in model.state_dict().items()}
    save_arrays(folder / WEIGHTS_NAME, weights, {"config": config})
    write_json(folder / CONFIG_NAME, config)


def read_config(folder: Path, from_dict: Callable[[dict[str, Any]], Config], remedy: str) -> Config:
    """Read the config of the model in a folder.

    Parameters
    ----------
    folder
        As written by `save_model`.
    from_dict
        Makes the config of its JSON form, or raises `InputError`.
    remedy
        How to make such a folder, for the message where there is none.

    Raises
    ------
    InputError
        If there is no folder, no config in it, or another one.
    """
    if not folder.is_dir():
        raise InputError(f"model {folder}: no such folder; {remedy}.")
    path = existing_file(folder / CONFIG_NAME, "model config")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"model config {path}: not JSON ({error}); write it again.") from error
    if not isinstance(config, dict):
        raise InputError(f"model config {path}: expected a JSON object, got {config!r:.80}.")
    try:
        return from_dict(config)
    except InputError as error:
        raise InputError(f"model config {path}: {error}") from error


def config_values(values: dict[str, Any], model_type: str, names: Iterable[str]) -> dict[str, Any]:
    """Return a config's values without the model's type, once its keys are known to be right.

    Raises
    ------
    InputError
        If it is of another kind of model, or has other keys than `names`.
    """
    found, needed = values.keys(), {"model_type", *names}
    if values.get("model_type", model_type) != model_type:
        raise InputError(
            f"model_type is {values['model_type']!r}, not {model_type!r}; this is another kind of "
            "model."
        )
    if found != needed:
        raise InputError(
            f"unknown keys {sorted(found - needed)}, missing keys {sorted(needed - found)}; a "
            f"{model_type} has {', '.join(sorted(needed))}."
        )
    return {name: value for name, value in values.items() if name != "model_type"}


def load_weights(model: nn.Module, folder: Path) -> None:
    """Give a model the weights that stand in a folder.

    Raises
    ------
    InputError
        If the file is missing, damaged, or its tensors are not the model's.
    """
    arrays, _ = load_arrays(folder / WEIGHTS_NAME, "model weights")
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: array.shape for name, array in arrays.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise InputError(
                f"model {folder}: {name} has shape {found.get(name, 'missing')} in "
                f"{WEIGHTS_NAME} but {expected.get(name, 'no place')} by {CONFIG_NAME}; the "
                "two files do not belong together."
            )
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
