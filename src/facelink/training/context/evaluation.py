"""How well likelihoods rank links, beside plain cosine, and how far they can be believed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from facelink.calibration import expected_calibration_error
from facelink.errors import InputError
from facelink.models.context_gcn import ContextGCN
from facelink.training.context.batches import Batch, Part

_LEAST_LIKELIHOOD = 1e-7
_PARTS_PER_BATCH = 32


@dataclass(frozen=True)
class LinkScores:
    """Quality of the likelihoods of some links; all but `log_loss` lie in [0, 1].

    Parameters
    ----------
    n_links : int
        Directed links.
    linked_share : float
        Share of them that are true.
    average_precision, cosine_average_precision : float
        Of the likelihoods, and of plain cosine similarity, on the same links.
    log_loss : float
        Mean −log of the likelihood of what is true, in nats.
    calibration_error : float
        Expected calibration error: mean difference of likelihood and outcome
        over bins of equal width, weighted by their links.
    """

    n_links: int
    linked_share: float
    average_precision: float
    cosine_average_precision: float
    log_loss: float
    calibration_error: float

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def link_scores(
    likelihoods: NDArray[np.floating],
    similarities: NDArray[np.floating],
    is_linked: NDArray[np.bool_],
) -> LinkScores:
    """Score likelihoods against the truth.

    Parameters
    ----------
    likelihoods : float (L,)
        Probabilities in [0, 1].
    similarities : float (L,)
        Cosines of the same links.
    is_linked : bool (L,)
        Whether both ends are one person.

    Raises
    ------
    InputError
        If no link is true, or all are: then there is nothing to rank.
    """
    if is_linked.all() or not is_linked.any():
        raise InputError(
            f"{int(is_linked.sum())} of {len(is_linked)} links are true; scores need true and "
            "false ones."
        )
    likely = likelihoods.astype(np.float64)
    of_truth = np.maximum(np.where(is_linked, likely, 1 - likely), _LEAST_LIKELIHOOD)
    return LinkScores(
        n_links=len(likely),
        linked_share=float(is_linked.mean()),
        average_precision=float(average_precision_score(is_linked, likely)),
        cosine_average_precision=float(average_precision_score(is_linked, similarities)),
        log_loss=float(-np.log(of_truth).mean()),
        calibration_error=expected_calibration_error(likely, is_linked),
    )


@torch.inference_mode()
def judge_parts(model: ContextGCN, parts: Sequence[Part]) -> NDArray[np.float32]:
    """Log-odds of all links of some parts, in their order, float32 (L,); model in eval mode."""
    log_odds = []
    for start in range(0, len(parts), _PARTS_PER_BATCH):
        batch = Batch.of(parts[start : start + _PARTS_PER_BATCH])
        log_odds.append(model(batch.features, batch.adjacency).numpy())
    judged: NDArray[np.float32] = np.concatenate(log_odds)
    return judged
