"""LinkGCN: the graph convolution network that judges links, as in the paper.

Source: L-GCN (arXiv 1903.11306), section 3.3 and figure 3. Node features are
residuals x_q − x_p; they pass a batch norm without affine parameters, four
graph convolutions Y = ReLU([X ‖ GX] W + b), and, for 1-hop nodes only, a small
classifier with two outputs: not linked, linked.
"""

from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facelink.errors import InputError
from facelink.models.aggregators import cosine_weights, mean_weights
from facelink.models.config import LinkGCNConfig
from facelink.models.layers import (
    GraphConv,
    HiddenValues,
    LinkInput,
    ProjectedFeatures,
    ResidualNorm,
    Residuals,
)
from facelink.models.saved import load_model, read_config, save_model
from facelink.subgraphs import SubgraphBatch, order_by_need

_HOW_TO_MAKE_ONE = "make one with facelink train or facelink import-checkpoint"


class LinkGCN(nn.Module):
    """Judges, for each 1-hop node of each Instance Pivot Subgraph, its link with the pivot.

    Source: L-GCN, section 3.3; initial weights as in the authors' code (Xavier
    uniform, biases zero).

    Parameters
    ----------
    config
        Widths, aggregator and the subgraph settings to use it with.
    """

    def __init__(self, config: LinkGCNConfig) -> None:
        super().__init__()
        self.config = config
        in_widths = (config.n_features, *config.widths[:-1])
        attention_width = config.attention_width if config.aggregator == "attention" else None
        self.input_norm = ResidualNorm(config.n_features)
        self.convs = nn.ModuleList(
            GraphConv(*widths, attention_width)
            for widths in zip(in_widths, config.widths, strict=True)
        )
        last = config.widths[-1]
        self.classifier = nn.Sequential(nn.Linear(last, last), nn.PReLU(last), nn.Linear(last, 2))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.input_norm.running_mean.device

    @property
    def n_layers(self) -> int:
        """Number of graph convolutions."""
        return len(self.convs)

    @property
    def layers(self) -> list[GraphConv]:
        """The graph convolutions, in order."""
        return cast(list[GraphConv], list(self.convs))

    def inputs(
        self,
        batch: SubgraphBatch,
        features: NDArray[np.float32],
        device: torch.device | str | None = None,
    ) -> LinkInput:
        """What `forward` reads of a batch; features (N, D) are the whole collection's."""
        needed = order_by_need(batch, self.n_layers)
        return LinkInput.from_needed(needed, features, device or self.device)

    def project(self, features: Tensor, scale: Tensor, shift: Tensor) -> ProjectedFeatures:
        """Multiply features (U, D) by the first layer's matrices.

        `scale` and `shift` are those of the input norm, float32 (D,).
        """
        matrices = self.layers[0].matrices().items()
        return ProjectedFeatures(
            {name: features @ (scale[:, None] * matrix) for name, matrix in matrices},
            {name: shift @ matrix for name, matrix in matrices},
        )

    def forward(self, inputs: LinkInput, projected: ProjectedFeatures | None = None) -> Tensor:
        """Judge the 1-hop nodes.

        Parameters
        ----------
        inputs
            Subgraphs with L nodes at hop 1.
        projected
            The inputs' features projected before; by default it is done here.

        Returns
        -------
        Tensor (L, 2)
            Logits of "not linked" and "linked", pivot by pivot and nearest first.

        Raises
        ------
        InputError
            If the inputs were made for another number of layers.
        """
        if len(inputs.n_rows) != self.n_layers + 1:
            raise InputError(
                f"inputs for {len(inputs.n_rows) - 1} graph convolutions, but the model has "
                f"{self.n_layers}; make them with its inputs method."
            )
        if projected is None:
            projected = self.project(inputs.features, *self.input_norm(inputs))
        edge_weights = self._fixed_weights(inputs)
        first, *others = self.layers
        hidden: Tensor = first(
            Residuals(projected, inputs), edge_weights, inputs.adjacency, inputs.size(1)
        )
        for layer, conv in enumerate(others, start=2):
            values = HiddenValues(hidden, conv.matrices())
            hidden = conv(values, edge_weights, inputs.adjacency, inputs.size(layer))
        logits: Tensor = self.classifier(hidden)
        return logits

    def _fixed_weights(self, inputs: LinkInput) -> Tensor:
        """Edge weights (E,) that do not depend on the layer; empty for attention."""
        if self.config.aggregator == "mean":
            return mean_weights(inputs.adjacency, self.config.mean_normalization)
        if self.config.aggregator == "weighted":
            return cosine_weights(inputs.adjacency, inputs.features, inputs.nodes)
        return inputs.features.new_empty(0)

    def check_features(self, features: NDArray[np.float32]) -> None:
        """Raise `InputError` if the features have another width than the model reads."""
        if features.ndim != 2 or features.shape[1] != self.config.n_features:
            raise InputError(
                f"the model reads features of width {self.config.n_features}, got shape "
                f"{features.shape}; use the embedder it was trained on, or train a model on "
                "these features (facelink train)."
            )

    def save_pretrained(self, folder: Path | str) -> None:
        """Write ``config.json`` and ``model.safetensors`` into a folder.

        Raises
        ------
        OutputError
            If they cannot be written; a file is either whole or unchanged.
        """
        save_model(self, self.config.as_dict(), folder)

    @classmethod
    def from_pretrained(cls, folder: Path | str, device: torch.device | str = "cpu") -> "LinkGCN":
        """Read a model written by `save_pretrained`, ready to judge (in eval mode).

        Raises
        ------
        InputError
            If a file is missing, damaged, or the weights do not fit the config.
        """
        folder = Path(folder)
        config = read_config(folder, LinkGCNConfig.from_dict, _HOW_TO_MAKE_ONE)
        return load_model(lambda: cls(config), folder).to(device).eval()
