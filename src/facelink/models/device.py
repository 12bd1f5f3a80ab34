"""Choice of the device that a network runs on, and of its precision there."""

from typing import Literal, get_args

import torch

from facelink.errors import InputError

Precision = Literal["auto", "float32", "bfloat16"]


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of this name; ``"auto"`` is CUDA where there is one, else the CPU.

    Raises
    ------
    InputError
        If the name is not a device, or not one of this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"device={name!r}; choose auto, cpu, cuda or cuda:0.") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"device={name!r}, but this machine has {torch.cuda.device_count()} CUDA devices; "
            "choose cpu or auto."
        )
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"device={name!r} is not supported; choose auto, cpu or cuda.")
    return device


def runs_in_bfloat16(precision: Precision, device: torch.device) -> bool:
    """Whether matrix products run in bfloat16; ``"auto"`` where the device has it.

    Sums stay in float32.

    Raises
    ------
    InputError
        If the precision is unknown.
    """
    if precision not in get_args(Precision):
        raise InputError(
            f"precision={precision!r}; choose one of {', '.join(get_args(Precision))}."
        )
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    capabilities: dict[str, object] = getattr(
        torch.cpu, "get_capabilities", dict
    )()  # of torch 2.13
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
