"""Exact candidates by the matrix products of a GPU."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from facelink.neighbors.exact import Propose

_QUERIES, _MEMBERS = 4_096, 65_536
"""Rows compared at a time: products of 1 GiB on the device."""


def propose_on(device: torch.device, features: NDArray[np.float32]) -> Propose:
    """Return a function that finds the most similar rows by comparing with all.

    Parameters
    ----------
    device : torch.device
        Where the products are taken, in float32.
    features : float32 (N, D)
        L2-normalised rows; may be memory-mapped. The device holds a block of
        them at a time, and the rows that are asked for.
    """

    def propose(instances: NDArray[np.int64], n_candidates: int) -> NDArray[Any]:
        queries = torch.from_numpy(features[instances]).to(device)
        best = torch.full((len(queries), n_candidates), -torch.inf, device=device)
        ids = torch.full(best.shape, -1, dtype=torch.int32, device=device)
        for first in range(0, len(features), _MEMBERS):
            members = torch.from_numpy(np.array(features[first : first + _MEMBERS])).to(device)
            for start in range(0, len(queries), _QUERIES):
                some = slice(start, start + _QUERIES)
                _keep_best(queries[some] @ members.T, first, best[some], ids[some])
        found: NDArray[Any] = ids.cpu().numpy()
        return found

    return propose


def _keep_best(products: torch.Tensor, first: int, best: torch.Tensor, ids: torch.Tensor) -> None:
    """Put the members of a block that are among the best into the rows' lists, in place."""
    n_candidates = best.shape[1]
    values, places = products.topk(min(n_candidates, products.shape[1]), dim=1, sorted=False)
    values = torch.cat([best, values], dim=1)
    names = torch.cat([ids, places.to(torch.int32) + first], dim=1)
    kept, order = values.topk(n_candidates, dim=1, sorted=False)
    best.copy_(kept)
    ids.copy_(names.gather(1, order))
