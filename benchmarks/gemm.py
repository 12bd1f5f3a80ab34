"""The floor of link prediction: operations that it cannot do without, and the machine's rate.

Counted are the multiplications and additions of matrix products, after the rewriting
that `facelink.models.compiled` describes; gathers, sums over edges and all else that
link prediction does count nothing.
"""

import time

import torch

from facelink.models.link_gcn import LinkGCN
from facelink.subgraphs import NeededNodes

_ROWS, _INNER, _COLUMNS = 4_096, 1_024, 512
"""A product of the size of the network's largest."""

_SECONDS = 1.0


def needed_operations(model: LinkGCN, needed: NeededNodes, n_features: int, n_faces: int) -> int:
    """Floating-point operations of the products for these subgraphs.

    Parameters
    ----------
    model
        Judges the subgraphs.
    needed
        Subgraphs of all pivots that are judged.
    n_features, n_faces
        Width and number of the features, which are all projected once.
    """
    n_rows, layers = needed.n_rows, model.layers
    first = sum(matrix.shape[1] for matrix in layers[0].matrices().values())
    operations = n_faces * n_features * first
    for place, layer in enumerate(layers[1:], start=2):
        operations += n_rows[place] * layer.weight.numel()
        if layer.attention is not None:
            operations += n_rows[place - 1] * layer.attention.hidden_weight.numel()
    hidden = model.classifier.get_parameter("0.weight")
    return 2 * (operations + n_rows[-1] * hidden.numel())


def product_rate(dtype: torch.dtype = torch.float32) -> float:
    """Operations per second of matrix products alone, by all threads: the best of a second."""
    left, right = torch.randn(_ROWS, _INNER).to(dtype), torch.randn(_INNER, _COLUMNS).to(dtype)
    output = torch.empty(_ROWS, _COLUMNS, dtype=dtype)
    least, stop = float("inf"), time.perf_counter() + _SECONDS
    while time.perf_counter() < stop:
        start = time.perf_counter()
        torch.mm(left, right, out=output)
        least = min(least, time.perf_counter() - start)
    return 2 * _ROWS * _INNER * _COLUMNS / least
