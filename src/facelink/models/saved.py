"""Models in a folder: ``config.json`` says what they are made of, ``model.safetensors`` holds them.

Nothing that is read is executed, and a file is either whole or unchanged.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from facelink.errors import InputError
from facelink.files import load_arrays, read_json, save_arrays, write_json

WEIGHTS_NAME = "model.safetensors"
CONFIG_NAME = "config.json"

LARGEST_WIDTH = 1 << 16
"""Of a layer; far above any that is of use, and products of two still fit into memory's size."""

Config = TypeVar("Config")
Model = TypeVar("Model", bound=nn.Module)


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
    path = folder / CONFIG_NAME
    config = read_json(path, "model config")
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


def load_model(make: Callable[[], Model], folder: Path) -> Model:
    """Make a model with the weights that stand in a folder.

    The shapes that the config claims are compared with the file's before any
    memory is taken for them.

    Parameters
    ----------
    make
        Makes the model; what it sets the weights to does not matter.
    folder
        As written by `save_model`.

    Raises
    ------
    InputError
        If the file is missing, damaged, or its tensors are not the model's.
    """
    arrays, _ = load_arrays(folder / WEIGHTS_NAME, "model weights")
    with torch.device("meta"):  # shapes without values
        model = make()
    expected = model.state_dict()
    for name in sorted(expected.keys() | arrays.keys()):
        here = arrays[name].shape if name in arrays else "missing"
        there = tuple(expected[name].shape) if name in expected else "no place"
        if here != there:
            raise InputError(
                f"model {folder}: {name} has shape {here} in {WEIGHTS_NAME} but {there} by "
                f"{CONFIG_NAME}; the two files do not belong together."
            )
        if arrays[name].dtype.kind != "f" or not np.isfinite(arrays[name]).all():
            raise InputError(
                f"model {folder}: {name} holds values that are no finite floating-point numbers; "
                f"{WEIGHTS_NAME} is damaged, restore it."
            )
    tensors = {
        name: torch.from_numpy(array).to(expected[name].dtype) for name, array in arrays.items()
    }
    model.load_state_dict(tensors, assign=True)
    return model


def are_widths(values: Iterable[object]) -> bool:
    """Whether all are whole numbers that a layer's width can be."""
    return all(type(value) is int and 1 <= value <= LARGEST_WIDTH for value in values)
