"""A LinkGCN laid out for judging on a CPU: the weights and the numbers of the model, less work.

Every thread judges small batches of its own: compiled loops write a layer's input
[X ‖ GX] into one block of memory, one matrix product per layer follows, and both
stay in the processor's caches. The features of the whole collection are multiplied
by the first layer's matrices once, so that this layer is a gather and a sparse sum
in each subgraph; the input norm is folded into them.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facelink.models.device import runs_in_bfloat16
from facelink.models.kernels import (
    add_bias_and_rectify,
    aggregate_beside,
    attention_weights,
    edge_similarities,
    first_values,
    likelihoods,
    mean_weights,
    softmax_rows,
)
from facelink.models.layers import GraphConv
from facelink.models.link_gcn import LinkGCN
from facelink.subgraphs import NeededNodes

_TABLE_BYTES = 6 * 2**30
"""Greatest size of a collection's projected features; above it, each batch projects its own."""

_BLOCK_ROWS = 16_384
"""Features that are projected at a time."""


@dataclass(frozen=True, eq=False)
class _Attention:
    """Edge attention of one layer: hidden matrices side by side (d_in, 2·hidden)."""

    matrix: Tensor
    bias: NDArray[np.float32]
    scores: NDArray[np.float32]

    @classmethod
    def of(cls, conv: GraphConv, factor: Callable[[Tensor], Tensor]) -> "_Attention | None":
        """Lay out a layer's attention, if it has one."""
        if conv.attention is None:
            return None
        matrices = conv.matrices()
        both = (matrices["attention_own"], matrices["attention_neighbors"])
        return cls(
            factor(torch.cat(both, dim=1).detach()),
            conv.attention.hidden_bias.detach().numpy(),
            conv.attention.score_weight.detach()[:, 0].numpy(),
        )


@dataclass(frozen=True, eq=False)
class _Layer:
    """Weight (2·d_in, d_out), bias (d_out,) and attention of one graph convolution."""

    weight: Tensor
    bias: NDArray[np.float32]
    attention: _Attention | None


class CompiledLinkGCN:
    """Judges batches of one collection with a LinkGCN's weights, in any number of threads.

    Parameters
    ----------
    model
        On the CPU; its weights as they are now.
    features : float32 (N, D)
        Of the whole collection; may be memory-mapped.
    in_bfloat16
        Products of the layers after the first in bfloat16, summed in float32.
    """

    def __init__(
        self, model: LinkGCN, features: NDArray[np.float32], in_bfloat16: bool = False
    ) -> None:
        self._features = features
        self._aggregator = model.config.aggregator
        self._normalization = model.config.mean_normalization
        self._widths = model.config.widths
        self._in_bfloat16 = in_bfloat16
        self._has_bfloat16 = runs_in_bfloat16("auto", torch.device("cpu"))
        self._layers = [
            _Layer(
                self._factor(conv.weight.detach()),
                conv.bias.detach().numpy(),
                _Attention.of(conv, self._factor),
            )
            for conv in model.layers
        ]
        self._matrix, self._shift = _first_matrix(model)
        classifier = {name: each.detach() for name, each in model.classifier.named_parameters()}
        self._classifier = self._factor(classifier["0.weight"].T)
        self._classifier_bias = classifier["0.bias"].numpy()
        self._slope = classifier["1.weight"].numpy()
        self._odds = (classifier["2.weight"][1] - classifier["2.weight"][0]).numpy()
        self._odds_bias = np.float32(classifier["2.bias"][1] - classifier["2.bias"][0])
        fits = 4 * len(features) * len(self._shift) <= _TABLE_BYTES
        self._table = self._project(features) if fits else None
        self._workspaces = threading.local()

    def judge(self, needed: NeededNodes) -> NDArray[np.float32]:
        """Likelihoods of the 1-hop nodes, float32 (L,), pivot by pivot and nearest first."""
        table, nodes, pivots = self._projected(needed)
        adjacency = (needed.indptr, needed.columns)
        fixed_weights = self._fixed_weights(needed)
        width = self._widths[0]
        values = self._workspace("layer 0", needed.n_rows[1], 2 * width)
        of_pivots = table[pivots] + self._shift
        edge_weights = fixed_weights
        if (attention := self._layers[0].attention) is not None:
            hidden = table[nodes, 2 * width :] - of_pivots[needed.owners[: len(nodes)], 2 * width :]
            edge_weights = attention_weights(
                hidden, attention.bias, attention.scores, *adjacency, needed.n_rows[1]
            )
        first_values(
            table, nodes, needed.owners, of_pivots, self._layers[0].bias, *adjacency, edge_weights,
            needed.n_rows[1], width, values,
        )  # fmt: skip
        for layer in range(1, len(self._layers)):
            values = self._hidden_values(layer, values, fixed_weights, needed)
        hidden = self._times(values[:, : self._widths[-1]], self._classifier, "classifier")
        judged: NDArray[np.float32] = likelihoods(
            hidden, self._classifier_bias, self._slope, self._odds, self._odds_bias
        )
        return judged

    def _hidden_values(
        self,
        layer: int,
        values: NDArray[np.float32],
        edge_weights: NDArray[np.float32],
        needed: NeededNodes,
    ) -> NDArray[np.float32]:
        """Output of a layer after the first, in the left half of the next layer's block."""
        weights, n_rows = self._layers[layer], needed.n_rows[layer + 1]
        in_width, out_width = self._widths[layer - 1], self._widths[layer]
        adjacency = (needed.indptr, needed.columns)
        if (attention := weights.attention) is not None:
            hidden = self._times(values[:, :in_width], attention.matrix, "attention")
            edge_weights = attention_weights(
                hidden, attention.bias, attention.scores, *adjacency, n_rows
            )
        aggregate_beside(values, in_width, *adjacency, edge_weights, n_rows)
        output = self._workspace(f"layer {layer}", n_rows, 2 * out_width)
        self._multiply(values[:n_rows], weights.weight, output[:, :out_width])
        add_bias_and_rectify(output, out_width, weights.bias)
        return output

    def _factor(self, values: Tensor) -> Tensor:
        """A factor of a product, rounded to bfloat16 if products are in it.

        Where the processor lacks bfloat16, float32 products of rounded factors
        give the same numbers: torch's own loops are far slower.
        """
        if not self._in_bfloat16:
            return values
        return values.bfloat16() if self._has_bfloat16 else values.bfloat16().float()

    def _times(self, values: NDArray[np.float32], matrix: Tensor, name: str) -> NDArray[np.float32]:
        output = self._workspace(name, len(values), matrix.shape[1])
        self._multiply(values, matrix, output)
        return output

    def _multiply(
        self, values: NDArray[np.float32], matrix: Tensor, output: NDArray[np.float32]
    ) -> None:
        left, result = torch.from_numpy(values), torch.from_numpy(output)
        if not self._in_bfloat16:
            torch.mm(left, matrix, out=result)
        else:
            result.copy_((self._factor(left) @ matrix).bfloat16())

    def _workspace(self, name: str, n_rows: int, width: int) -> NDArray[np.float32]:
        """Memory of this thread for `n_rows` rows, reused from batch to batch."""
        blocks: dict[str, NDArray[np.float32]] = self._workspaces.__dict__
        if name not in blocks or blocks[name].shape[0] < n_rows:
            blocks[name] = np.empty((n_rows + n_rows // 4, width), dtype=np.float32)
        return blocks[name][:n_rows]

    def _project(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        table = torch.empty((len(features), len(self._shift)), dtype=torch.float32)
        for start in range(0, len(features), _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            block = torch.from_numpy(np.array(features[rows], dtype=np.float32))
            torch.mm(block, self._matrix, out=table[rows])
        return table.numpy()

    def _projected(
        self, needed: NeededNodes
    ) -> tuple[NDArray[np.float32], NDArray[np.integer], NDArray[np.integer]]:
        """Projected features, and the rows of nodes and pivots in them."""
        nodes = needed.nodes[: needed.n_rows[0]]
        if self._table is not None:
            return self._table, nodes, needed.pivots
        instances, rows = np.unique(np.concatenate((needed.pivots, nodes)), return_inverse=True)
        n_pivots = len(needed.pivots)
        return self._project(self._features[instances]), rows[n_pivots:], rows[:n_pivots]

    def _fixed_weights(self, needed: NeededNodes) -> NDArray[np.float32]:
        n_rows = needed.n_rows[1]
        weights = np.empty(needed.indptr[n_rows], dtype=np.float32)
        if self._aggregator == "mean":
            is_symmetric = self._normalization == "symmetric"
            mean_weights(needed.indptr, needed.columns, is_symmetric, n_rows, weights)
        elif self._aggregator == "weighted":
            indptr = needed.indptr[: n_rows + 1]
            edge_similarities(indptr, needed.columns, self._features, needed.nodes, weights)
            softmax_rows(indptr, weights)
        return weights


def _first_matrix(model: LinkGCN) -> tuple[Tensor, NDArray[np.float32]]:
    """The first layer's matrices side by side, (D, T), and the shift of the input norm in them."""
    norm = model.input_norm
    scale, shift = norm.scale_and_shift(norm.running_mean, norm.running_var)
    matrix = torch.cat(list(model.layers[0].matrices().values()), dim=1).detach()
    return (scale[:, None] * matrix).contiguous(), (shift @ matrix).numpy()
