"""Blocks as tasks of a Ray cluster: on the cores of this machine, or on many machines.

What a machine has to see is the files that the stages read; they are shared folders' own, or are
handed out by `SharedFiles`. What a task gives comes back to the process that runs the stages, which
alone writes. So a worker can be lost at any time: its block is done again elsewhere, and nothing is
half written.
"""

import contextlib
import secrets
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from numba import set_num_threads

from facelink.errors import FacelinkError, InputError, OutputError
from facelink.stages.engine import Arrays, Block, BlockWork, Item, Outcome, Step, SteppedWork
from facelink.stages.needs import PROGRAM_BYTES
from facelink.stages.shared_files import SharedFiles

_AHEAD = 2
"""Tasks given out for each that can run: none waits for the process that writes."""

_FORGETTING_SECONDS = 30.0
"""Time for machines to remove what they have fetched."""


class RayEngine:
    """Works on blocks as tasks of a Ray cluster; use it in a ``with`` statement.

    It connects when it is first given work, which raises `OutputError` if there is no cluster.
    A task has one core, of any machine, so that the device of a run is the processor unless it is
    given.

    Parameters
    ----------
    address : str, optional
        Of a cluster that runs, as for ``ray.init``: ``"auto"``, ``"host:6379"``. By
        default a cluster of its own, on this machine, which ends with the engine.
    n_workers : int, optional
        Workers of a cluster of its own; by default one for each core.
    memory_bytes : int, optional
        Most memory of all tasks of such a cluster together; by default what the
        machine has.
    shared : SharedFiles, optional
        Hands out the files that are read; by default every machine sees them
        under the paths that they have here.
    max_retries : int
        Times that a task is done again when its worker is lost.

    Raises
    ------
    InputError
        If ray is not installed or `n_workers` is below 1.
    """

    auto_device = "cpu"
    in_one_process = False

    def __init__(
        self,
        address: str | None = None,
        *,
        n_workers: int | None = None,
        memory_bytes: int | None = None,
        shared: SharedFiles | None = None,
        max_retries: int = 5,
    ) -> None:
        if n_workers is not None and n_workers < 1:
            raise InputError(f"n_workers={n_workers}; give at least 1, or nothing.")
        self._module = _imported()
        self._address, self._n_workers = address, n_workers
        self._memory_bytes = memory_bytes
        self._shared = shared
        self._max_retries = max_retries

    @cached_property
    def _ray(self) -> ModuleType:
        """Ray, once it is connected: when there is work, so after all that was given was checked.

        Raises
        ------
        OutputError
            If there is no cluster at the address.
        """
        address, own = self._address, {}
        if address is None:
            own = {
                "num_cpus": self._n_workers,
                "include_dashboard": False,
                "_memory": self._memory_bytes,
            }
        try:
            # "local": never a cluster that happens to run here and was not asked for
            self._module.init(address or "local", log_to_driver=False, logging_level="error", **own)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            where = "here" if address is None else f"at {address!r}"
            raise OutputError(
                f"no Ray cluster {where}: {error}. Start one with ray start --head, set "
                "RAY_AUTH_MODE=token if it asks for a token, or leave --address out for one on "
                "this machine."
            ) from error
        return self._module

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if "_ray" not in vars(self):
            return
        try:
            if self._shared is not None:
                self._forget_files(self._shared)
        finally:
            self._ray.shutdown()

    def _forget_files(self, shared: SharedFiles) -> None:
        """Remove what the machines have fetched: features of faces are not to be left about."""
        task = self._ray.remote(num_cpus=0)(SharedFiles.forget)
        left = [
            task.options(scheduling_strategy=self._on_node(node["NodeID"], soft=False)).remote(
                shared
            )
            for node in self._nodes()
        ]
        self._ray.wait(left, num_returns=len(left), timeout=_FORGETTING_SECONDS)

    @property
    def n_at_once(self) -> int:
        """Tasks that the cluster can work on at the same time."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def map(
        self, work: BlockWork, blocks: Sequence[Block], memory_bytes: int = 0
    ) -> Iterator[tuple[Block, Arrays]]:
        """Each block with its arrays, in the order in which they are finished.

        Work in steps is done step by step; those that ask stay on one machine
        as long as it is there.

        Raises
        ------
        FacelinkError
            What a block raises.
        InputError
            If no machine lets a task have so much memory.
        OutputError
            If a block's worker is lost again and again.
        """
        self._check_memory(memory_bytes, "a block")
        shared = self._shared
        moved = work.moved(Path.absolute if shared is None else shared.hand_out)
        stage = _Stage(secrets.token_hex(8), shared, memory_bytes)
        running = self._running(lambda block: self._start(stage, moved, block), blocks)
        with contextlib.closing(running):
            for block, finished in running:
                yield block, self._outcome(finished, f"rows {block.start:,} to {block.stop - 1:,}")

    def each(self, function: Callable[[Item], Outcome], items: Iterable[Item]) -> Iterator[Outcome]:
        """Outcome of a pure function for each item, in the order of the items.

        Items and outcomes travel; only as many are made as workers can take.
        The memory of a task is what its item says, in `memory_bytes`.

        Raises
        ------
        FacelinkError, InputError, OutputError
            As from `map`.
        """

        def start(item: Item) -> Any:
            memory_bytes = PROGRAM_BYTES + getattr(item, "memory_bytes", 0)
            self._check_memory(memory_bytes, "a part")
            return self._task(_call, memory_bytes).remote(function, item)

        running = self._running(start, items, in_order=True)
        with contextlib.closing(running):
            for number, (_, finished) in enumerate(running, start=1):
                yield self._outcome(finished, f"part {number}")

    def _start(self, stage: "_Stage", work: BlockWork, block: Block) -> Any:
        """Give out the steps of a block's work; returns the task that ends with its arrays."""
        if not isinstance(work, SteppedWork):
            return self._step(stage, work, block)
        asked, known = self._step(stage, work.begin, block, n_outcomes=2)
        nodes = sorted(node["NodeID"] for node in self._workers())
        for one in work.rounds:
            answers = [
                self._step(stage, ask, asked, node=nodes[number % len(nodes)])
                for number, ask in enumerate(one.asks)
            ]
            asked, known = self._step(stage, one.gather, asked, known, *answers, n_outcomes=2)
        return known

    def _step(
        self,
        stage: "_Stage",
        step: Step | BlockWork,
        *given: Any,
        node: str | None = None,
        n_outcomes: int = 1,
    ) -> Any:
        task = self._task(_compute, stage.memory_bytes, node, n_outcomes)
        return task.remote(stage, step, *given)

    def _task(
        self,
        function: Callable[..., Any],
        memory_bytes: int,
        node: str | None = None,
        n_outcomes: int = 1,
    ) -> Any:
        """A function as a task that reserves its memory; on one machine, if it can be.

        Several outcomes travel each by itself, to whom needs them.
        """
        strategy = "SPREAD" if node is None else self._on_node(node, soft=True)
        return self._ray.remote(
            num_cpus=1,
            num_returns=n_outcomes,
            memory=memory_bytes,
            max_retries=self._max_retries,
            scheduling_strategy=strategy,
        )(function)

    def _check_memory(self, memory_bytes: int, what: str) -> None:
        """Raise `InputError` for a task that would wait forever."""
        most = max(int(node["Resources"].get("memory", 0)) for node in self._workers())
        if memory_bytes > most:
            raise InputError(
                f"{what} needs about {memory_bytes / 2**20:,.0f} MiB, but no machine of the "
                f"cluster lets a task have more than {most / 2**20:,.0f} MiB; give --block-rows a "
                "lower number, allow more --memory, or add a machine that has it. What is finished "
                "is kept."
            )

    def _nodes(self) -> list[dict[str, Any]]:
        """Machines that are there."""
        return [node for node in self._ray.nodes() if node["Alive"]]

    def _workers(self) -> list[dict[str, Any]]:
        """Machines that can be given a task, which takes a core."""
        found = [node for node in self._nodes() if node["Resources"].get("CPU", 0) >= 1]
        if not found:
            raise OutputError(
                "no machine of the Ray cluster has a core for tasks; add one with ray start "
                "--address, and give the same command again."
            )
        return found

    def _on_node(self, node: str, *, soft: bool) -> Any:
        on_node = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        return on_node(node, soft=soft)

    def _running(
        self, start: Callable[[Item], Any], items: Iterable[Item], *, in_order: bool = False
    ) -> Generator[tuple[Item, Any], None, None]:
        """Each item with its task, as they finish or in order; few are under way at a time.

        Closed before its end, it ends the tasks that are still under way.
        """
        running: dict[Any, Item] = {}
        waiting, n_ahead = iter(items), _AHEAD * self.n_at_once
        try:
            while True:
                for item in islice(waiting, n_ahead - len(running)):
                    running[start(item)] = item
                if not running:
                    return
                tasks = list(running)
                task = tasks[0] if in_order else self._ray.wait(tasks)[0][0]
                yield running.pop(task), task
                del task, tasks
        finally:
            for left in running:
                self._ray.cancel(left, force=True)

    def _outcome(self, task: Any, what: str) -> Any:
        """Wait for a task; its own error is raised as it would be without Ray."""
        try:
            return self._ray.get(task)
        except self._ray.exceptions.RayError as error:
            cause = self._cause(error)
            if isinstance(cause, FacelinkError):
                raise cause from error
            if not self._is_loss(cause):
                raise
            raise OutputError(
                f"{what} could not be computed: its worker was lost {self._max_retries + 1} times "
                f"({cause}). If workers run out of memory, give --block-rows a lower number; what "
                "is finished is kept."
            ) from error

    def _is_loss(self, cause: BaseException) -> bool:
        """Whether something of the cluster was lost; a mere RayError stands for other errors."""
        base: type[BaseException] = self._ray.exceptions.RayError
        return isinstance(cause, base) and type(cause) is not base

    def _cause(self, error: BaseException) -> BaseException:
        """What ended a task, or one before it whose outcome it was to be given."""
        while isinstance(error, self._ray.exceptions.RayTaskError):
            error = error.cause
        return error


@dataclass(frozen=True)
class _Stage:
    """What the tasks of a stage have in common: a name of its own, files, and memory of each."""

    opening: str
    shared: SharedFiles | None
    memory_bytes: int


def _call(function: Callable[[Item], Outcome], item: Item) -> Outcome:
    """One item, in a worker."""
    set_num_threads(1)
    return function(item)


def _compute(stage: _Stage, step: Step | BlockWork, *given: Any) -> Any:
    """One step, in a worker: on the one core that it was given, as others have the rest."""
    set_num_threads(1)
    opened = _opened(stage.opening)
    if step not in opened:
        opened[step] = (step if stage.shared is None else step.moved(stage.shared.fetch)).open()
    return opened[step](*given)


@lru_cache(maxsize=1)
def _opened(opening: str) -> dict[Step | BlockWork, Callable[..., Any]]:
    """Steps of a stage that are open in this worker; those of the stage before are let go.

    Equal works of two runs may read files that were written anew in between,
    so that each stage has a name of its own for what it opens.
    """
    return {}


def _imported() -> ModuleType:
    try:
        import ray
    except ImportError as error:
        raise InputError(
            f"the engine 'ray' cannot be imported ({error}); install it with pip install "
            "'facelink[ray]'."
        ) from error
    ray_module: ModuleType = ray
    return ray_module
