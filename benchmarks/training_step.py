"""One training step, facelink beside padded dense: same pivots, same weights, same losses."""

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.harness import N_REPEATS, NETWORK, SUBGRAPHS, Case, Stopwatch, measure_case
from benchmarks.links import FACELINK, PADDED_DENSE, LinkInputs, LinkSizes, prepare
from benchmarks.padded_dense import PaddedDenseGCN, PaddedFeeder
from benchmarks.records import Result, speedup
from facelink.subgraphs import SubgraphBuilder

_LEARNING_RATE = 0.01
_MOMENTUM = 0.9


@dataclass(frozen=True, eq=False)
class Trainee:
    """A network in training by the optimizer of the paper, and the losses it has had."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    losses: list[float]

    @classmethod
    def of(cls, network: nn.Module) -> "Trainee":
        """Put a network into training."""
        optimizer = torch.optim.SGD(network.parameters(), lr=_LEARNING_RATE, momentum=_MOMENTUM)
        return cls(network.train(), optimizer, [])

    def step(self, batch: object, is_linked: Tensor) -> None:
        """Take one step of gradient descent; `is_linked` is the class of each 1-hop node."""
        loss = functional.cross_entropy(self.network(batch), is_linked)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.losses.append(float(loss.detach()))


@dataclass(frozen=True, eq=False)
class TrainingInputs:
    """Two networks of the same initial weights and what both are trained on, step by step."""

    links: LinkInputs
    builder: SubgraphBuilder
    feeder: PaddedFeeder
    is_linked: Tensor
    sparse: Trainee
    dense: Trainee


def prepare_training(sizes: LinkSizes) -> TrainingInputs:
    """Make faces, networks and the classes of the pivots' 1-hop nodes."""
    links = prepare(sizes)
    builder = SubgraphBuilder(links.graph, sizes.subgraphs)
    batch = builder.build(links.pivots)
    one_hop = batch.one_hop_rows
    pivots = batch.pivots[batch.owners[one_hop]]
    is_linked = links.labels[pivots] == links.labels[batch.nodes[one_hop]]
    return TrainingInputs(
        links,
        builder,
        PaddedFeeder(links.features, links.graph, sizes.subgraphs),
        torch.from_numpy(is_linked.astype(np.int64)),
        Trainee.of(copy.deepcopy(links.model)),
        Trainee.of(PaddedDenseGCN(copy.deepcopy(links.model))),
    )


def step_by_facelink(inputs: TrainingInputs, stopwatch: Stopwatch) -> None:
    """One step on the sparse batch."""
    with stopwatch.stage(SUBGRAPHS):
        batch = inputs.builder.build(inputs.links.pivots)
        link_input = inputs.links.model.inputs(batch, inputs.links.features)
    with stopwatch.stage(NETWORK):
        inputs.sparse.step(link_input, inputs.is_linked)


def step_by_padded_dense(inputs: TrainingInputs, stopwatch: Stopwatch) -> None:
    """One step on the padded batch of the same pivots."""
    with stopwatch.stage(SUBGRAPHS):
        batch = inputs.feeder.batch(inputs.links.pivots.tolist())
    with stopwatch.stage(NETWORK):
        inputs.dense.step(batch, inputs.is_linked)


def training_case(sizes: LinkSizes) -> Case[LinkSizes, TrainingInputs]:
    """One step with all pivots."""
    return Case(
        f"training step, {sizes.subgraphs_in_words}, D={sizes.n_features}",
        "pivot",
        sizes,
        prepare_training,
        {FACELINK: step_by_facelink, PADDED_DENSE: step_by_padded_dense},
        {FACELINK: sizes.n_pivots, PADDED_DENSE: sizes.n_pivots},
    )


def measure_training_step(
    sizes: LinkSizes, n_repeats: int = N_REPEATS, *, with_memory: bool = True
) -> list[Result]:
    """Results of both, and how far their losses differ over the steps of this run."""
    inputs = prepare_training(sizes)
    results = measure_case(training_case(sizes), inputs, n_repeats, with_memory=with_memory)
    losses = np.array([inputs.sparse.losses, inputs.dense.losses])
    quality = {
        "first_loss": float(losses[0, 0]),
        "last_loss": float(losses[0, -1]),
        "max_loss_difference": float(np.abs(losses[0] - losses[1]).max()),
        **speedup(slower=results[PADDED_DENSE], faster=results[FACELINK]),
    }
    results[FACELINK] = replace(results[FACELINK], quality=quality)
    return list(results.values())
