"""Import of checkpoints from the repository of the paper's authors."""

import pickle
import re
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from facelink.errors import InputError
from facelink.files import existing_file
from facelink.models.link_gcn import LinkGCN, LinkGCNConfig
from facelink.subgraphs import SubgraphSettings

_PLAIN_NAMES = {
    "bn0.running_mean": "input_norm.running_mean",
    "bn0.running_var": "input_norm.running_var",
    **{
        f"classifier.{layer}.{kind}": f"classifier.{layer}.{kind}"
        for layer, kind in ((0, "weight"), (0, "bias"), (1, "weight"), (2, "weight"), (2, "bias"))
    },
}
_IGNORED = re.compile(r"bn0\.num_batches_tracked")
_CONV_NAME = re.compile(r"conv([1-9]\d*)\.(weight|bias)")


def import_checkpoint(path: Path | str) -> LinkGCN:
    """Convert a checkpoint of the authors' repository into a `LinkGCN`.

    The file is a torch file with a ``state_dict`` of ``bn0.running_mean``,
    ``bn0.running_var``, ``conv1…4.weight`` (2·d_in, d_out), ``conv1…4.bias``
    and ``classifier.0/1/2.*``. It is read without unpickling arbitrary
    objects. Names may carry the prefix ``module.``.

    Returns
    -------
    LinkGCN
        Mean aggregator with ``include_pivot=True``, which gives the scores of
        the authors' network.

    Raises
    ------
    InputError
        If the file is not such a checkpoint; the message names the tensor.
    """
    tensors = _read_state_dict(existing_file(path, "checkpoint"))
    state: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        target = _target_name(name)
        if target is not None:
            state[target] = tensor.to(torch.float32)
        elif not _IGNORED.fullmatch(name):
            raise InputError(f"checkpoint {path}: unknown tensor {name!r}; not an L-GCN network.")
    model = LinkGCN(_config_of(state, path))
    for name, value in model.state_dict().items():
        if name not in state or state[name].shape != value.shape:
            found = tuple(state[name].shape) if name in state else "missing"
            raise InputError(
                f"checkpoint {path}: {name} is {found}, expected {tuple(value.shape)}; it is "
                "damaged or of another network."
            )
    model.load_state_dict(state)
    return model.eval()


def _target_name(name: str) -> str | None:
    conv = _CONV_NAME.fullmatch(name)
    if conv:
        return f"convs.{int(conv[1]) - 1}.{conv[2]}"
    return _PLAIN_NAMES.get(name)


def _config_of(state: dict[str, Tensor], path: Path | str) -> LinkGCNConfig:
    widths = []
    while (bias := state.get(f"convs.{len(widths)}.bias")) is not None:
        widths.append(bias.numel())
    mean = state.get("input_norm.running_mean")
    if mean is None or not widths:
        raise InputError(f"checkpoint {path}: no bn0.running_mean and conv1.bias; not an L-GCN.")
    return LinkGCNConfig(
        n_features=mean.numel(),
        widths=tuple(widths),
        subgraphs=SubgraphSettings(include_pivot=True),
    )


def _read_state_dict(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, zipfile.BadZipFile, ValueError) as error:
        raise InputError(
            f"checkpoint {path}: not a torch file of plain tensors "
            f"({str(error).splitlines()[0]}). Objects other than tensors are refused for safety."
        ) from error
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(f"checkpoint {path}: holds no state_dict of tensors.")
    return {str(name).removeprefix("module."): tensor for name, tensor in state.items()}
