"""Any link model, from its name or its folder."""

from pathlib import Path

import torch

from facelink.errors import InputError
from facelink.files import read_json
from facelink.models.context_gcn import MODEL_TYPE as CONTEXT_GCN
from facelink.models.context_gcn import ContextGCN
from facelink.models.link_gcn import LinkGCN
from facelink.models.saved import CONFIG_NAME

LinkModel = LinkGCN | ContextGCN

CONTEXT = "context"
"""Name of the model that ships with facelink."""

COSINE = "cosine"
"""Name of no model: links by cosine similarity alone."""


def load_link_model(source: Path | str, device: torch.device | str = "cpu") -> LinkModel | None:
    """Read a link model, ready to judge (in eval mode).

    Parameters
    ----------
    source
        ``"context"``: the model that ships with facelink. ``"cosine"``: none.
        Otherwise the folder of a LinkGCN or ContextGCN.
    device
        Where the weights go.

    Returns
    -------
    LinkGCN, ContextGCN or None
        None for ``"cosine"``.

    Raises
    ------
    InputError
        If there is no such model, or its files are damaged.
    """
    if source == COSINE:
        return None
    if source == CONTEXT:
        return ContextGCN.pretrained(device)
    folder = Path(source)
    if not folder.is_dir():
        raise InputError(
            f"model {folder}: no such folder; give the folder of a trained model, {CONTEXT!r} (the "
            f"default, needs no training) or {COSINE!r}."
        )
    config = read_json(folder / CONFIG_NAME, "model config")
    if config.get("model_type") == CONTEXT_GCN:
        return ContextGCN.from_pretrained(folder, device)
    return LinkGCN.from_pretrained(folder, device)
