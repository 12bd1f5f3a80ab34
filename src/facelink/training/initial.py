"""Initial weights from which a LinkGCN begins as plain similarity and learns context.

Two faces are alike when their residual x_q − x_p is short, but a network with
random weights has to find out that the length counts and the direction hardly
does, which takes far more pivots than small training sets have. The paper
does not say how weights begin. Here the first layer begins as orthonormal
directions and their opposites, so that its values sum to the residual's length
(up to a few per cent); one unit carries that sum to the output, where a
logistic regression on the first pivots sets its scale. All other units begin
at random, as in the authors' code.
"""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from facelink.models.layers import LinkInput
from facelink.models.link_gcn import LinkGCN

_MEAN_POSITIVE_PART = float(1 / np.sqrt(2 * np.pi))
"""Mean of max(0, z) for a standard normal z: scales the carried unit to about 1."""

_USUAL_SLOPE, _USUAL_INTERCEPT = -10.0, 9.0
"""Links are likely where the carried unit is below 0.9."""

_OTHER_UNITS = 0.1
"""How much of their Xavier weights the other units begin with at the output."""


@torch.no_grad()
def start_from_similarity(
    model: LinkGCN, batches: Iterable[tuple[LinkInput, Tensor]], seed: int
) -> None:
    """Set the weights so that the model ranks links by the length of residuals, in place.

    Parameters
    ----------
    model
        With Xavier weights.
    batches
        Some inputs and the class of each 1-hop node, int64 (L,), to fit the
        output's scale on; if all are of one class, it begins at a usual value.
    seed
        Of the directions.
    """
    state = model.state_dict()  # shares memory with the model's weights
    n_paired = _set_paired_directions(state["convs.0.weight"], seed)
    chain = [state[f"convs.{layer}.weight"] for layer in range(1, len(model.config.widths))]
    chain.append(state["classifier.0.weight"].T)
    for position, weight in enumerate(chain):
        weight[:, 0] = 0
        if position == 0:
            weight[:n_paired, 0] = 1 / (n_paired * _MEAN_POSITIVE_PART)
        else:
            weight[0, 0] = 1
    _fit_output(model, batches)


def _set_paired_directions(weight: Tensor, seed: int) -> int:
    """Fill a first layer (2·d_in, d_out) with mirrored frames of the residual; returns how many.

    The half that reads neighbours begins at zero there.
    """
    n_features, n_pairs = weight.shape[0] // 2, weight.shape[1] // 2
    random = np.random.default_rng(seed)
    n_frames = -(-n_pairs // n_features)
    frames = [
        np.linalg.qr(random.standard_normal((n_features, n_features)))[0] for _ in range(n_frames)
    ]
    directions = torch.from_numpy(np.concatenate(frames, axis=1)[:, :n_pairs]).to(weight)
    weight[:, : 2 * n_pairs] = 0
    weight[:n_features, :n_pairs] = directions
    weight[:n_features, n_pairs : 2 * n_pairs] = -directions
    return 2 * n_pairs


def _fit_output(model: LinkGCN, batches: Iterable[tuple[LinkInput, Tensor]]) -> None:
    """Read the carried unit at the output, scaled by a logistic regression."""
    lengths, classes = [], []
    hook = model.classifier.get_submodule("0").register_forward_hook(
        lambda _module, _inputs, output: lengths.append(output[:, 0].float().cpu().numpy())
    )
    model.train()
    for inputs, is_linked in batches:
        model(inputs)
        classes.append(is_linked.cpu().numpy())
    hook.remove()
    slope, intercept = _logistic(np.concatenate(lengths), np.concatenate(classes))
    weight = model.classifier.get_parameter("2.weight")
    bias = model.classifier.get_parameter("2.bias")
    sign = torch.tensor([-0.5, 0.5]).to(weight)
    weight.mul_(_OTHER_UNITS)
    weight[:, 0] = slope * sign
    bias.copy_(intercept * sign)


def _logistic(lengths: NDArray[np.float32], classes: NDArray[np.int64]) -> tuple[float, float]:
    """Slope and intercept of the log-odds of a link over the length."""
    if classes.min() == classes.max():
        return _USUAL_SLOPE, _USUAL_INTERCEPT
    fitted = LogisticRegression().fit(lengths[:, None], classes)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
