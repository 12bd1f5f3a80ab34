"""A training step in the straightforward sparse form, to measure what the rewriting gains.

The same block-diagonal batch, without padding; each layer is [X ‖ GX] W + b on all
nodes, with the residuals gathered for every node, G a sparse matrix of torch, and
all gradients by autograd. The weights are those of a given `LinkGCN`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from facelink.models.aggregators import cosine_weights, mean_weights
from facelink.models.layers import LinkInput
from facelink.models.link_gcn import LinkGCN


class PlainSparseGCN(nn.Module):
    """A `LinkGCN` of the mean or weighted aggregator; the parameters are shared with it."""

    def __init__(self, model: LinkGCN) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: LinkInput) -> Tensor:
        """Logits of all 1-hop nodes, pivot by pivot and nearest first, (L, 2)."""
        config, adjacency = self.model.config, inputs.adjacency
        if config.aggregator == "weighted":
            weights = cosine_weights(adjacency, inputs.features, inputs.nodes)
        else:
            weights = mean_weights(adjacency, config.mean_normalization)
        size = (adjacency.n_nodes, adjacency.n_nodes)
        aggregation = torch.sparse_coo_tensor(
            torch.stack((adjacency.rows, adjacency.columns)),
            weights,
            size,
            is_coalesced=True,
            check_invariants=False,
        )
        scale, shift = self.model.input_norm(inputs)
        residuals = inputs.features[inputs.nodes] - inputs.features[inputs.pivots][inputs.owners]
        values = residuals * scale - shift
        for conv in self.model.layers:
            both = torch.cat((values, torch.sparse.mm(aggregation, values)), dim=1)
            values = functional.relu(both @ conv.weight + conv.bias)
        logits: Tensor = self.model.classifier(values[: inputs.n_rows[-1]])
        return logits
