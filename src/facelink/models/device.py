"""Choice of the device that a network runs on."""

import torch

from facelink.errors import InputError


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
