"""One training step by facelink, by plain sparse layers and by padded dense ones.

All take the same steps on the same pivots from the same weights and must have the same
losses.
"""

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.harness import (
    N_REPEATS,
    NETWORK,
    SUBGRAPHS,
    Case,
    Stopwatch,
    measure_case,
    run_benchmark,
)
from benchmarks.links import FACELINK, PADDED_DENSE, LinkInputs, LinkSizes, prepare
from benchmarks.padded_dense import PaddedDenseGCN, PaddedFeeder
from benchmarks.plain_sparse import PlainSparseGCN
from benchmarks.records import Result, speedup
from facelink.subgraphs import SubgraphBuilder, SubgraphSettings

PLAIN_SPARSE = "plain sparse"

_LEARNING_RATE = 0.01
_MOMENTUM = 0.9

_PAPER = SubgraphSettings((200, 10), 10)
FULL = LinkSizes(subgraphs=_PAPER, n_pivots=16, n_dense_pivots=16)
QUICK = LinkSizes(32, "mean", (16, 16), SubgraphSettings((10, 3), 3), 400, 16, 16)


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
    """Networks of the same initial weights and what all are trained on, step by step."""

    links: LinkInputs
    builder: SubgraphBuilder
    feeder: PaddedFeeder
    is_linked: Tensor
    ours: Trainee
    plain: Trainee
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
        Trainee.of(PlainSparseGCN(copy.deepcopy(links.model))),
        Trainee.of(PaddedDenseGCN(copy.deepcopy(links.model))),
    )


def step_by_facelink(inputs: TrainingInputs, stopwatch: Stopwatch) -> None:
    """One step on the batch without padding."""
    _step_on_sparse_batch(inputs, inputs.ours, stopwatch)


def step_by_plain_sparse(inputs: TrainingInputs, stopwatch: Stopwatch) -> None:
    """One step on the same batch, by straightforward layers."""
    _step_on_sparse_batch(inputs, inputs.plain, stopwatch)


def _step_on_sparse_batch(inputs: TrainingInputs, trainee: Trainee, stopwatch: Stopwatch) -> None:
    with stopwatch.stage(SUBGRAPHS):
        batch = inputs.builder.build(inputs.links.pivots)
        link_input = inputs.links.model.inputs(batch, inputs.links.features)
    with stopwatch.stage(NETWORK):
        trainee.step(link_input, inputs.is_linked)


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
        {
            FACELINK: step_by_facelink,
            PLAIN_SPARSE: step_by_plain_sparse,
            PADDED_DENSE: step_by_padded_dense,
        },
        dict.fromkeys((FACELINK, PLAIN_SPARSE, PADDED_DENSE), sizes.n_pivots),
    )


def measure_training_step(
    sizes: LinkSizes, n_repeats: int = N_REPEATS, *, with_memory: bool = True
) -> list[Result]:
    """Results of all, and how far their losses differ from facelink's in this run."""
    inputs = prepare_training(sizes)
    results = measure_case(training_case(sizes), inputs, n_repeats, with_memory=with_memory)
    ours, *others = (each.losses for each in (inputs.ours, inputs.plain, inputs.dense))
    quality = {
        "first_loss": ours[0],
        "last_loss": ours[-1],
        "max_loss_difference": float(np.abs(np.array(others) - ours).max()),
        **speedup(slower=results[PADDED_DENSE], faster=results[FACELINK]),
    }
    against_plain = speedup(slower=results[PLAIN_SPARSE], faster=results[FACELINK])
    results[PLAIN_SPARSE] = replace(results[PLAIN_SPARSE], quality=against_plain)
    results[FACELINK] = replace(results[FACELINK], quality=quality)
    return list(results.values())


def measure(quick: bool, seed: int) -> list[Result]:
    """The step at the paper's training settings."""
    return measure_training_step(replace(QUICK if quick else FULL, seed=seed))


if __name__ == "__main__":
    run_benchmark("training_step", measure)
