"""Judges pivots in bounded batches while further subgraphs are being built.

On a CPU every thread builds and judges batches of its own. On another device the
network runs there, and one thread builds the batches ahead of it.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from facelink.models.compiled import TABLE_BYTES, CompiledLinkGCN
from facelink.models.layers import LinkInput
from facelink.models.link_gcn import LinkGCN
from facelink.subgraphs import NeededNodes, SubgraphBuilder, SubgraphSettings, order_by_need

_NODES_PER_CPU_BATCH = 4_096
"""Upper bound of nodes in a thread's batch: with widths of 512, two layers' inputs take 30 MB."""

_NODES_PER_DEVICE_BATCH = 262_144
"""Upper bound of nodes in a batch of another device: with widths of 512, 1 GB a layer's input."""

_BATCHES_AHEAD = 2
"""Batches that wait, for each thread, so that none is idle."""

_COLLECTION_SHARE = 0.5
"""Share of a device's free memory that a collection and its projected features may take."""

JudgedBatch = tuple[slice, NDArray[np.int32], NDArray[np.float32]]
"""Positions of pivots, number of 1-hop nodes of each, and the likelihoods of these nodes."""

Judge = Callable[[NDArray[np.integer]], Iterator[JudgedBatch]]
"""Judges pivots, integer (P,), batch by batch and in order; not on two threads at once."""

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


def pivot_judge(
    model: LinkGCN,
    features: NDArray[np.float32],
    builder: SubgraphBuilder,
    in_bfloat16: bool,
    table_bytes: int = TABLE_BYTES,
) -> Judge:
    """Compute once what concerns all of a collection; returns what judges its pivots.

    Parameters
    ----------
    model
        On the device to use; in eval mode while it judges.
    features : float32 (N, D)
        L2-normalised rows; may be memory-mapped.
    builder
        Of the collection's subgraphs.
    in_bfloat16
        Matrix products in bfloat16.
    table_bytes
        As for `CompiledLinkGCN`, which judges on a CPU.
    """
    if model.device.type == "cpu":
        return _judge_on_cpu(model, features, builder, in_bfloat16, table_bytes)
    return _judge_on_device(model, features, builder, in_bfloat16)


def pivots_per_batch(settings: SubgraphSettings, device: torch.device) -> int:
    """Pivots that are judged at a time on a device.

    Parts of a collection that are whole numbers of batches are judged exactly
    as they are within all of it.
    """
    n_nodes = _NODES_PER_CPU_BATCH if device.type == "cpu" else _NODES_PER_DEVICE_BATCH
    return max(1, n_nodes // settings.max_nodes)


def pivot_batches(n_pivots: int, settings: SubgraphSettings, n_nodes: int) -> Iterator[slice]:
    """Consecutive slices of pivots whose subgraphs together hold at most `n_nodes` nodes.

    A subgraph that alone may hold more makes a slice of its own.
    """
    size = max(1, n_nodes // settings.max_nodes)
    for start in range(0, n_pivots, size):
        yield slice(start, min(n_pivots, start + size))


def _judge_on_cpu(
    model: LinkGCN,
    features: NDArray[np.float32],
    builder: SubgraphBuilder,
    in_bfloat16: bool,
    table_bytes: int,
) -> Judge:
    compiled = CompiledLinkGCN(model, features, in_bfloat16, table_bytes)
    n_threads = torch.get_num_threads()
    idle_builders: SimpleQueue[SubgraphBuilder] = SimpleQueue()
    for _ in range(n_threads):
        idle_builders.put(builder.for_one_thread())

    def judge(pivots: NDArray[np.integer]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        own_builder = idle_builders.get()
        try:
            batch = own_builder.build(pivots)
        finally:
            idle_builders.put(own_builder)
        return batch.n_one_hop, compiled.judge(order_by_need(batch, model.n_layers))

    def judge_all(pivots: NDArray[np.integer]) -> Iterator[JudgedBatch]:
        with ThreadPoolExecutor(n_threads, "judge", torch.set_num_threads, (1,)) as executor:
            yield from _in_order(
                executor,
                lambda rows: (rows, *judge(pivots[rows])),
                pivot_batches(len(pivots), builder.settings, _NODES_PER_CPU_BATCH),
                _BATCHES_AHEAD * n_threads,
            )

    return judge_all


def _judge_on_device(
    model: LinkGCN,
    features: NDArray[np.float32],
    builder: SubgraphBuilder,
    in_bfloat16: bool,
) -> Judge:
    device = model.device
    norm = model.input_norm
    scale, shift = norm.scale_and_shift(norm.running_mean, norm.running_var)
    collection = projected = None
    if _fits_on(device, model, features):
        collection = torch.from_numpy(np.array(features, dtype=np.float32)).to(device)
        with torch.inference_mode():
            projected = model.project(collection, scale, shift)

    def build(pivots: NDArray[np.integer]) -> tuple[NDArray[np.int32], NeededNodes]:
        batch = builder.build(pivots)
        return batch.n_one_hop, order_by_need(batch, model.n_layers)

    def judge(needed: NeededNodes) -> NDArray[np.float32]:
        if collection is None:
            inputs = LinkInput.from_needed(needed, features, device)
        else:
            inputs = LinkInput.in_collection(needed, collection)
        with (
            torch.inference_mode(),
            torch.autocast(device.type, torch.bfloat16, enabled=in_bfloat16),
        ):
            logits = model(inputs, projected)
        likelihoods: NDArray[np.float32] = torch.softmax(logits.float(), dim=1)[:, 1].cpu().numpy()
        return likelihoods

    def judge_all(pivots: NDArray[np.integer]) -> Iterator[JudgedBatch]:
        with ThreadPoolExecutor(1, "build") as executor:
            batches = pivot_batches(len(pivots), builder.settings, _NODES_PER_DEVICE_BATCH)
            built = _in_order(
                executor, lambda rows: (rows, *build(pivots[rows])), batches, _BATCHES_AHEAD
            )
            for rows, n_one_hop, needed in built:
                yield rows, n_one_hop, judge(needed)

    return judge_all


def _fits_on(device: torch.device, model: LinkGCN, features: NDArray[np.float32]) -> bool:
    """Whether the device has room for the collection and its projected features."""
    if device.type != "cuda":
        return True
    widths = [matrix.shape[1] for matrix in model.layers[0].matrices().values()]
    n_bytes = 4 * len(features) * (features.shape[1] + sum(widths))
    free, _ = torch.cuda.mem_get_info(device)
    return bool(n_bytes <= _COLLECTION_SHARE * free)


def _in_order(
    executor: ThreadPoolExecutor,
    work: Callable[[Item], Outcome],
    items: Iterable[Item],
    n_ahead: int,
) -> Iterator[Outcome]:
    """Outcomes in the order of the items, of which at most `n_ahead` are under way."""
    pending: deque[Future[Outcome]] = deque()
    try:
        for item in items:
            pending.append(executor.submit(work, item))
            if len(pending) > n_ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
