"""A LinkGCN laid out for judging on a CPU: the weights and the numbers of the model, less work.

Every thread judges small batches of its own: compiled loops write a layer's input
[X ‖ GX] into one block of memory, one matrix product per layer follows, and both
stay in the processor's caches. The features of the whole collection are multiplied
by the first layer's matrices once, so that this layer is a gather and a sparse sum
in each subgraph; the input norm is folded into them.

In bfloat16, values between layers are kept so, too, and projected features in 16
bits: half of the memory is read.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facelink.models.device import runs_in_bfloat16
from facelink.models.kernels import (
    aggregate_beside,
    attention_weights,
    edge_similarities,
    first_values,
    likelihoods,
    mean_weights,
    rectify,
    softmax_rows,
)
from facelink.models.layers import GraphConv
from facelink.models.link_gcn import LinkGCN
from facelink.subgraphs import NeededNodes

TABLE_BYTES = 6 * 2**30
"""Greatest size of a collection's projected features; above it, each batch projects its own."""

_BLOCK_ROWS = 16_384
"""Features that are projected at a time."""

_ROWS_IN_BFLOAT16 = 64
"""Products in bfloat16 have a multiple of so many rows: code is made for every new number."""

_LARGEST = 32_767
"""Of 16 bits with a sign."""


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


@dataclass(frozen=True, eq=False)
class _Projected:
    """Features times the first layer's matrices.

    Parameters
    ----------
    values : float32 or int16 (n, T)
        In steps.
    steps : float32 (T,)
        Of each column; ones for float32.
    """

    values: NDArray[Any]
    steps: NDArray[np.float32]

    def rows(
        self, numbers: NDArray[np.integer], columns: slice = slice(None)
    ) -> NDArray[np.float32]:
        """Projected features of some rows, float32."""
        rows: NDArray[np.float32] = self.values[numbers, columns] * self.steps[columns]
        return rows


@dataclass(frozen=True, eq=False)
class _Rows:
    """Values (n, d) for products and for loops: one memory, float32, or bfloat16 and its bits."""

    tensor: Tensor
    array: NDArray[np.generic]

    @classmethod
    def zeros(cls, n_rows: int, width: int, in_bfloat16: bool) -> "_Rows":
        """New memory; what is left of it between batches is never NaN."""
        if not in_bfloat16:
            tensor = torch.zeros((n_rows, width))
            return cls(tensor, tensor.numpy())
        tensor = torch.zeros((n_rows, width), dtype=torch.bfloat16)
        return cls(tensor, tensor.view(torch.int16).numpy().view(np.uint16))

    def first(self, n_rows: int) -> "_Rows":
        """The first rows."""
        return _Rows(self.tensor[:n_rows], self.array[:n_rows])


class CompiledLinkGCN:
    """Judges batches of one collection with a LinkGCN's weights, in any number of threads.

    Parameters
    ----------
    model
        On the CPU; its weights as they are now.
    features : float32 (N, D)
        Of the whole collection; may be memory-mapped.
    in_bfloat16
        Products of the layers after the first in bfloat16, summed in float32;
        values between layers in bfloat16, projected features in steps of a
        32,767th of the largest there can be.
    table_bytes
        Most memory for the projected features of all; if they take more, each
        batch projects its own, which gives the same but for rounding.
    """

    def __init__(
        self,
        model: LinkGCN,
        features: NDArray[np.float32],
        in_bfloat16: bool = False,
        table_bytes: int = TABLE_BYTES,
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
        self._steps = self._steps_of(features)
        classifier = {name: each.detach() for name, each in model.classifier.named_parameters()}
        self._classifier = self._factor(classifier["0.weight"].T)
        self._classifier_bias = classifier["0.bias"].numpy()
        self._slope = classifier["1.weight"].numpy()
        self._odds = (classifier["2.weight"][1] - classifier["2.weight"][0]).numpy()
        self._odds_bias = np.float32(classifier["2.bias"][1] - classifier["2.bias"][0])
        fits = projected_bytes(model, len(features), in_bfloat16) <= table_bytes
        self._table = self._project(features) if fits else None
        self._workspaces = threading.local()

    def judge(self, needed: NeededNodes) -> NDArray[np.float32]:
        """Likelihoods of the 1-hop nodes, float32 (L,), pivot by pivot and nearest first."""
        table, nodes, pivots = self._projected(needed)
        adjacency = (needed.indptr, needed.columns)
        fixed_weights = self._fixed_weights(needed)
        width, n_rows = self._widths[0], needed.n_rows[1]
        of_pivots = table.rows(pivots) + self._shift
        edge_weights = fixed_weights
        if (attention := self._layers[0].attention) is not None:
            of_attention = slice(2 * width, None)
            hidden = table.rows(nodes, of_attention)
            hidden -= of_pivots[needed.owners[: len(nodes)], of_attention]
            edge_weights = attention_weights(
                hidden, attention.bias, attention.scores, *adjacency, n_rows
            )
        values = self._block_of(0, n_rows)
        first_values(
            table.values, table.steps, nodes, needed.owners, of_pivots, self._layers[0].bias,
            *adjacency, edge_weights, n_rows, width, values.array,
        )  # fmt: skip
        for layer in range(1, len(self._layers)):
            values = self._hidden_values(layer, values, fixed_weights, needed)
        n_judged = needed.n_rows[-1]
        products = self._times(values.tensor, n_judged, self._classifier)
        judged: NDArray[np.float32] = likelihoods(
            products.array, n_judged,
            self._classifier_bias, self._slope, self._odds, self._odds_bias,
        )  # fmt: skip
        return judged

    def _hidden_values(
        self,
        layer: int,
        values: _Rows,
        edge_weights: NDArray[np.float32],
        needed: NeededNodes,
    ) -> _Rows:
        """Output of a layer after the first, in the left half of the next layer's block."""
        weights, n_rows = self._layers[layer], needed.n_rows[layer + 1]
        in_width = self._widths[layer - 1]
        adjacency = (needed.indptr, needed.columns)
        if (attention := weights.attention) is not None:
            own = values.tensor[:, :in_width]
            hidden = self._times(own, needed.n_rows[layer], attention.matrix)
            edge_weights = attention_weights(
                hidden.array, attention.bias, attention.scores, *adjacency, n_rows
            )
        aggregate_beside(values.array, in_width, *adjacency, edge_weights, n_rows)
        products = self._times(values.tensor, n_rows, weights.weight)
        output = self._block_of(layer, n_rows)
        rectify(products.array, weights.bias, n_rows, output.array)
        return output

    def _factor(self, values: Tensor) -> Tensor:
        """A factor of a product, rounded to bfloat16 if products are in it.

        Where the processor lacks bfloat16, float32 products of rounded factors
        give the same numbers: torch's own loops are far slower.
        """
        if not self._in_bfloat16:
            return values
        return values.bfloat16() if self._has_bfloat16 else values.bfloat16().float()

    def _times(self, values: Tensor, n_rows: int, matrix: Tensor) -> _Rows:
        """Product of the first rows, and of some more that make a round number of them."""
        products = self._workspace("products", n_rows, matrix.shape[1])
        factor = values[: len(products.tensor)]
        if self._in_bfloat16 and not self._has_bfloat16:
            products.tensor.copy_(factor.float() @ matrix)
        else:
            torch.mm(factor, matrix, out=products.tensor)
        return products

    def _block_of(self, layer: int, n_rows: int) -> _Rows:
        """Room for a layer's output, and for what the next one aggregates of it."""
        is_last = layer == len(self._layers) - 1
        width = self._widths[layer] if is_last else 2 * self._widths[layer]
        return self._workspace(f"layer {layer}", n_rows, width)

    def _workspace(self, name: str, n_rows: int, width: int) -> _Rows:
        """Memory of this thread for `n_rows` rows or some more, reused from batch to batch."""
        if self._in_bfloat16:
            n_rows += -n_rows % _ROWS_IN_BFLOAT16
        blocks: dict[tuple[str, int], _Rows] = self._workspaces.__dict__.setdefault("blocks", {})
        block = blocks.get((name, width))
        if block is None or len(block.tensor) < n_rows:
            block = _Rows.zeros(n_rows + n_rows // 4, width, self._in_bfloat16)
            blocks[name, width] = block
        return block.first(n_rows)

    def _steps_of(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Step of each column: a 32,767th of the most that any of these features can give."""
        if not self._in_bfloat16:
            return np.ones(len(self._shift), dtype=np.float32)
        longest = max(
            (float(torch.linalg.vector_norm(block, dim=1).max()) for block in _blocks(features)),
            default=1.0,
        )
        largest = longest * torch.linalg.vector_norm(self._matrix, dim=0).numpy()
        return np.where(largest > 0, largest / _LARGEST, 1).astype(np.float32)

    def _project(self, features: NDArray[np.float32]) -> _Projected:
        kind = torch.int16 if self._in_bfloat16 else torch.float32
        table, stop = torch.empty((len(features), len(self._shift)), dtype=kind), 0
        for block in _blocks(features):
            start, stop = stop, stop + len(block)
            if not self._in_bfloat16:
                torch.mm(block, self._matrix, out=table[start:stop])
                continue
            rounded = (block @ self._matrix).div_(torch.from_numpy(self._steps)).round_()
            table[start:stop] = rounded.clamp_(-_LARGEST, _LARGEST)
        return _Projected(table.numpy(), self._steps)

    def _projected(
        self, needed: NeededNodes
    ) -> tuple[_Projected, NDArray[np.integer], NDArray[np.integer]]:
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


def projected_bytes(model: LinkGCN, n_features: int, in_bfloat16: bool) -> int:
    """Bytes that the projected features of so many rows take."""
    widths = (int(matrix.shape[1]) for matrix in model.layers[0].matrices().values())
    return (2 if in_bfloat16 else 4) * n_features * sum(widths)


def _blocks(features: NDArray[np.float32]) -> Iterator[Tensor]:
    """Consecutive rows, float32, some at a time."""
    for start in range(0, len(features), _BLOCK_ROWS):
        yield torch.from_numpy(np.array(features[start : start + _BLOCK_ROWS], dtype=np.float32))


def _first_matrix(model: LinkGCN) -> tuple[Tensor, NDArray[np.float32]]:
    """The first layer's matrices side by side, (D, T), and the shift of the input norm in them."""
    norm = model.input_norm
    scale, shift = norm.scale_and_shift(norm.running_mean, norm.running_var)
    matrix = torch.cat(list(model.layers[0].matrices().values()), dim=1).detach()
    return (scale[:, None] * matrix).contiguous(), (shift @ matrix).numpy()
