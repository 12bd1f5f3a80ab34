"""Import of checkpoints from the repository of the paper's authors."""

import io
import re
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from facelink.errors import InputError
from facelink.files import existing_file, reading
from facelink.models.config import LinkGCNConfig
from facelink.models.link_gcn import LinkGCN
from facelink.subgraphs import SubgraphSettings

_PLAIN_NAMES = {
    "bn0.running_mean": "input_norm.running_mean",
    "bn0.running_var": "input_norm.running_var",
    **{
        f"classifier.{layer}.{kind}": f"classifier.{layer}.{kind}"
        for layer, kind in ((0, "weight"), (0, "bias"), (1, "weight"), (2, "weight"), (2, "bias"))
    },
}
_IGNORED = "bn0.num_batches_tracked"
_NUMBERS = frozenset(
    {torch.float16, torch.bfloat16, torch.float32, torch.float64}
    | {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool}
)
"""Types of what a network's state holds; torch computes with others only here and there."""

_ARCHIVE_START = b"PK\x03\x04"  # by which torch, too, knows an archive
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
    tensors.pop(_IGNORED, None)
    names = _authors_names(_n_convs(tensors))
    for name in sorted(tensors.keys() ^ names.keys()):
        kind = "missing" if name in names else "unknown"
        raise InputError(
            f"checkpoint {path}: tensor {name!r} is {kind}; the file is damaged or of another "
            "network than L-GCN."
        )
    with torch.device("meta"):  # shapes without values
        model = LinkGCN(_config_of(tensors))
    expected = model.state_dict()
    for name, target in names.items():
        if tensors[name].shape != expected[target].shape:
            raise InputError(
                f"checkpoint {path}: tensor {name!r} has shape {tuple(tensors[name].shape)}, the "
                f"others ask for {tuple(expected[target].shape)}; the file is damaged or of "
                "another network than L-GCN."
            )
    weights = {target: tensors[name].float().contiguous() for name, target in names.items()}
    model.load_state_dict(weights, assign=True)
    return model.eval()


def _n_convs(tensors: dict[str, Tensor]) -> int:
    """Number of convolutions that are named; at least 1, which a network has."""
    found = (_CONV_NAME.fullmatch(name) for name in tensors)
    return max(1, len({conv[1] for conv in found if conv}))


def _authors_names(n_convs: int) -> dict[str, str]:
    """Name of each tensor in the authors' network: its name in `LinkGCN`."""
    return _PLAIN_NAMES | {
        f"conv{number + 1}.{kind}": f"convs.{number}.{kind}"
        for number in range(n_convs)
        for kind in ("weight", "bias")
    }


def _config_of(tensors: dict[str, Tensor]) -> LinkGCNConfig:
    biases = (tensors[f"conv{number + 1}.bias"] for number in range(_n_convs(tensors)))
    return LinkGCNConfig(
        n_features=tensors["bn0.running_mean"].numel(),
        widths=tuple(bias.numel() for bias in biases),
        subgraphs=SubgraphSettings(include_pivot=True),
    )


def _read_state_dict(path: Path) -> dict[str, Tensor]:
    _check_packing(path)
    try:
        stream = io.BytesIO(path.read_bytes())  # gives no more than there is, whatever is asked
        content = torch.load(stream, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise almost anything
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(
            f"checkpoint {path}: not a torch file of plain tensors ({reason}). Objects other than "
            "tensors are refused for safety."
        ) from error
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(
            f"checkpoint {path}: holds no state_dict of tensors; save the network's state_dict."
        )
    for name, tensor in state.items():
        _check_tensor(tensor, path.stat().st_size, f"checkpoint {path}: tensor {name!r:.60}")
    return {str(name).removeprefix("module."): tensor for name, tensor in state.items()}


def _check_packing(path: Path) -> None:
    """Refuse an archive whose parts would be larger than it is; torch writes none."""
    with path.open("rb") as stream:
        if stream.read(len(_ARCHIVE_START)) != _ARCHIVE_START:
            return  # as torch wrote them before version 1.6
    with reading(path, "checkpoint", "torch"), zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
    is_stored = all(part.compress_type == zipfile.ZIP_STORED for part in parts)
    if not is_stored or sum(part.file_size for part in parts) > path.stat().st_size:
        raise InputError(
            f"checkpoint {path}: an archive that claims to hold more than its size, or is packed; "
            "save it again with torch.save."
        )


def _check_tensor(tensor: Tensor, n_bytes: int, where: str) -> None:
    """Refuse what is no plain tensor of numbers that the file can hold."""
    is_plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
    if not is_plain or tensor.dtype not in _NUMBERS:
        raise InputError(f"{where} is no plain tensor of numbers; save a network's state_dict.")
    if tensor.numel() * tensor.element_size() > n_bytes:
        raise InputError(
            f"{where} claims {tuple(tensor.shape)} values, more than the {n_bytes} bytes of the "
            "file; it is damaged."
        )
    if not bool(tensor.isfinite().all()):
        raise InputError(f"{where} holds NaN or infinite values; the training went astray.")
