"""ContextGCN: judges links by their context alone, for any embedder and without training.

Source: L-GCN (arXiv 1903.11306), sections 3.2 and 3.3, whose insight it takes
at its word: the local context of an instance holds the linkage information.
Subgraphs, task and graph convolutions Y = ReLU([X ‖ GX] W + b) are the paper's.
Node features are not residuals x_q − x_p, which are tied to one embedding space,
but the context features of (pivot, node) in `facelink.context.names`.
"""

from dataclasses import asdict, dataclass, fields
from importlib.resources import as_file, files
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from facelink.context.names import FEATURE_NAMES
from facelink.errors import InputError
from facelink.models.aggregators import SparseAdjacency, mean_weights
from facelink.models.layers import GraphConv, HiddenValues, LayerSize
from facelink.models.saved import (
    LARGEST_WIDTH,
    are_widths,
    config_values,
    load_model,
    read_config,
    save_model,
)
from facelink.subgraphs import SubgraphSettings

MODEL_TYPE = "context_gcn"

_LARGEST_INPUT = 4.0
"""Normalised features are cut here, so that an unusual collection cannot drive the network far
outside what it was trained on. In standard deviations."""

_PRETRAINED = ("pretrained", "context_gcn")
_HOW_TO_MAKE_ONE = "make one with facelink train-context"


@dataclass(frozen=True)
class ContextGCNConfig:
    """What a ContextGCN is made of; stored beside its weights.

    Parameters
    ----------
    widths
        Output width of each graph convolution.
    edge_share
        A node's nearest k / `edge_share` neighbours may become its edges (the
        paper's u, relative to k), at least 3 of them.
    feature_names
        Context features that the weights belong to, in order.

    Raises
    ------
    InputError
        If a number is not a whole one from 1 to 65536, or the features are not
        those that this facelink computes.
    """

    widths: tuple[int, ...] = (64, 64, 64)
    edge_share: int = 8
    feature_names: tuple[str, ...] = FEATURE_NAMES

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "feature_names", tuple(self.feature_names))
        if not self.widths or not are_widths((*self.widths, self.edge_share)):
            raise InputError(
                f"widths={self.widths!r:.80}, edge_share={self.edge_share!r:.40}; give whole "
                f"numbers of at least 1 and at most {LARGEST_WIDTH}, and at least one width."
            )
        if self.feature_names != FEATURE_NAMES:
            differing = sorted(set(self.feature_names) ^ set(FEATURE_NAMES))
            raise InputError(
                f"the model reads {len(self.feature_names)} context features, this facelink "
                f"computes {len(FEATURE_NAMES)} (differing or in another order: {differing}); use "
                "the version that trained the model, or train it again."
            )

    def subgraphs_at(self, k: int) -> SubgraphSettings:
        """Subgraphs for judging each pivot's k nearest neighbours: 1 hop, edges relative to k."""
        return SubgraphSettings((k,), min(k, max(3, round(k / self.edge_share))))

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {"model_type": MODEL_TYPE, **asdict(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ContextGCNConfig":
        """Read the JSON form; an unknown or missing key or a wrong value is an `InputError`."""
        own = config_values(values, MODEL_TYPE, (item.name for item in fields(cls)))
        try:
            return cls(**own)
        except TypeError as error:
            raise InputError(f"a value is of the wrong type ({error}).") from error


class ContextGCN(nn.Module):
    """Judges, for each neighbour of each pivot, its link with the pivot.

    Parameters
    ----------
    config
        Widths and features.

    Examples
    --------
    >>> model = ContextGCN.pretrained()
    >>> model.config.subgraphs_at(80).n_edge_neighbors
    10
    """

    feature_mean: Tensor
    feature_std: Tensor

    def __init__(self, config: ContextGCNConfig | None = None) -> None:
        super().__init__()
        self.config = config or ContextGCNConfig()
        n_features = len(self.config.feature_names)
        widths = (n_features, *self.config.widths)
        self.register_buffer("feature_mean", torch.zeros(n_features))
        self.register_buffer("feature_std", torch.ones(n_features))
        self.convs = nn.ModuleList(GraphConv(*pair) for pair in pairwise(widths))
        self.hidden = nn.Linear(widths[-1], widths[-1])
        self.output = nn.Linear(widths[-1], 1)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.feature_mean.device

    def forward(self, features: Tensor, adjacency: SparseAdjacency) -> Tensor:
        """Judge the nodes of a batch of subgraphs.

        Parameters
        ----------
        features : float32 (M, F)
            Context features of each (pivot, node).
        adjacency
            Edges between the M nodes.

        Returns
        -------
        Tensor (M,)
            Log-odds that node and pivot are one person.
        """
        values = (features - self.feature_mean) / self.feature_std
        values = values.clamp(-_LARGEST_INPUT, _LARGEST_INPUT)
        weights = mean_weights(adjacency, "row")
        everything = LayerSize(adjacency.n_nodes, adjacency.n_nodes, len(adjacency.rows))
        for conv in cast(list[GraphConv], list(self.convs)):
            inputs = HiddenValues(values, conv.matrices())
            values = conv(inputs, weights, adjacency, everything)
        log_odds: Tensor = self.output(functional.relu(self.hidden(values)))
        return log_odds[:, 0]

    @torch.no_grad()
    def recalibrate(self, scale: float, shift: float) -> None:
        """Replace every log-odds x by scale · x + shift, by changing the output layer."""
        self.output.weight.mul_(scale)
        self.output.bias.mul_(scale).add_(shift)

    def save_pretrained(self, folder: Path | str) -> None:
        """Write ``config.json`` and ``model.safetensors`` into a folder.

        Raises
        ------
        OutputError
            If they cannot be written; a file is either whole or unchanged.
        """
        save_model(self, self.config.as_dict(), folder)

    @classmethod
    def from_pretrained(
        cls, folder: Path | str, device: torch.device | str = "cpu"
    ) -> "ContextGCN":
        """Read a model written by `save_pretrained`, ready to judge (in eval mode).

        Raises
        ------
        InputError
            If a file is missing, damaged, or the weights do not fit the config.
        """
        folder = Path(folder)
        config = read_config(folder, ContextGCNConfig.from_dict, _HOW_TO_MAKE_ONE)
        return load_model(lambda: cls(config), folder).to(device).eval()

    @classmethod
    def pretrained(cls, device: torch.device | str = "cpu") -> "ContextGCN":
        """Read the model that ships with facelink; its card lies beside it (``README.md``)."""
        with as_file(files("facelink").joinpath(*_PRETRAINED)) as folder:
            return cls.from_pretrained(folder, device)
