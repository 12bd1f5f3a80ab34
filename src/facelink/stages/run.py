"""The path of the data in stages that are kept on the disk: `run` names them in order."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelink.files import written_beside
from facelink.grouping import cluster_confidence, merge_judged
from facelink.labels import save_labels
from facelink.link_prediction import link_offsets
from facelink.links import Links
from facelink.neighbors.prepared import PreparedSearch
from facelink.neighbors.shards import write_shards
from facelink.stages.blocks import ArraySpec, BlockStore, mapped
from facelink.stages.course import Course
from facelink.stages.engine import Arrays, BlockWork, Engine, LocalEngine, rows_for_all
from facelink.stages.folder import forget, work_folder
from facelink.stages.listening import Listener, Silent
from facelink.stages.needs import block_memory, check_disk, choose_block_rows
from facelink.stages.report import write_report
from facelink.stages.settings import RunSettings
from facelink.stages.sharded import AskShards, BeginQueries
from facelink.stages.task import Task
from facelink.stages.work import (
    OFFSETS_NAME,
    SEARCH_NAME,
    CombineLinks,
    FindNeighbors,
    JudgePivots,
    NormalizeRows,
)

_LINK_SPECS = {
    "pairs": ArraySpec("<i4", (2,)),
    "likelihoods": ArraySpec("<f4"),
    "one_sided": ArraySpec("|b1"),
}
_SHARDS = "shard-*"
"""Files of the index's shards; they are as large as the features, and go when the stage is over."""

_LABEL_SPECS = {"labels": ArraySpec("<i8"), "confidence": ArraySpec("<f4")}


@dataclass(frozen=True, eq=False)
class RunResult:
    """What a run has found.

    Parameters
    ----------
    labels : int64 (N,)
        Person of each face, as `LinkageClustering.labels_`.
    confidence : float32 (N,)
        As `LinkageClustering.probabilities_`.
    report : dict
        What the report says, as JSON values.
    """

    labels: NDArray[np.int64]
    confidence: NDArray[np.float32]
    report: Mapping[str, Any]


def run(
    settings: RunSettings,
    work: Path,
    *,
    engine: Engine | None = None,
    listener: Listener | None = None,
    restart: bool = False,
) -> RunResult:
    """Group faces by person, stage by stage, keeping everything in a folder.

    Run again after it was interrupted in any way, it goes on where it was;
    after settings have changed, it does again what depends on them. The labels
    are those of `LinkageClustering` with the same settings.

    Parameters
    ----------
    settings
        What to do.
    work
        The run's folder; a new one, or that of an earlier run.
    engine
        Works on blocks; this process by default.
    listener
        Hears of what happens.
    restart
        Forget what is there, once everything that was given is checked.

    Raises
    ------
    InputError
        If settings, features and model do not fit together, the features are
        others than the run began with, or change meanwhile.
    OutputError
        If the folder is in use or cannot be written. What is finished stays.
    """
    work = work.absolute()
    with work_folder(work):
        engine = engine or LocalEngine()
        task = Task.load(settings, work, restart=restart, engine=engine)
        block_rows = rows_for_all(engine, task.n_faces, choose_block_rows(task))
        memory = block_memory(task, block_rows)
        check_disk(task, work)
        if restart:
            forget(work)
        unchanged = task.content.check_unchanged
        course = Course(work, block_rows, engine, listener or Silent(), unchanged, memory)
        for stage in (_features, _neighbors, _likelihoods, _links, _labels):
            stage(course, task)
        return _report(course, task)


def _features(course: Course, task: Task) -> None:
    """Features are normalised into a file that can be mapped, unless they are already."""
    specs = {"features": ArraySpec("<f4", task.shape[1:])}
    if task.uses_features_as_they_are:
        specs = {}
    course.by_blocks(
        task.features_origin,
        specs,
        lambda: task.n_faces if specs else 0,
        lambda store: NormalizeRows(task.source),
        lambda store: task.facts,
    )


def _neighbors(course: Course, task: Task) -> None:
    """The k nearest neighbours of every face, by a search that is prepared once."""
    k = task.subgraphs.n_neighbors

    def work(store: BlockStore) -> BlockWork:
        path = _prepared_search(course, store, task)
        if task.settings.index_shards == 1:
            return FindNeighbors(task.features, path, str(task.device))
        return AskShards(BeginQueries(task.features, path), _shards(course, store, task), k)

    def facts(store: BlockStore) -> Mapping[str, Any]:
        path = _prepared_search(course, store, task)
        search = PreparedSearch.load(path, task.features.open())
        store.remove_files(_SHARDS)
        return {"method": search.method, "recall": search.recall}

    course.by_blocks(
        task.neighbors_origin,
        {"indices": ArraySpec("<i4", (k,)), "similarities": ArraySpec("<f4", (k,))},
        lambda: task.n_faces,
        work,
        facts,
    )


def _prepared_search(course: Course, store: BlockStore, task: Task) -> Path:
    """File of the search, made unless it is there."""
    path = store.file(SEARCH_NAME)
    if not store.has_file(SEARCH_NAME):
        course.listener.note(f"neighbors: preparing the {task.search_method} search")
        search = PreparedSearch.prepare(
            task.features.open(),
            task.subgraphs.n_neighbors,
            task.search_method,
            recall_target=task.settings.recall,
            seed=task.settings.seed,
            device=task.device,
        )
        task.content.check_unchanged()
        search.save(path)
        store.enter_file(SEARCH_NAME)
    return path


def _shards(course: Course, store: BlockStore, task: Task) -> tuple[Path, ...]:
    """Files of the index's shards, made unless they are there."""
    n_shards = task.settings.index_shards
    names = [f"shard-{number:03d}-of-{n_shards:03d}.safetensors" for number in range(n_shards)]
    paths = tuple(map(store.file, names))
    if not all(map(store.has_file, names)):
        store.remove_files(_SHARDS)
        course.listener.note(f"neighbors: writing {n_shards} shards")
        write_shards(PreparedSearch.load(store.file(SEARCH_NAME), task.features.open()), paths)
        task.content.check_unchanged()
        for name in names:
            store.enter_file(name)
    return paths


def _likelihoods(course: Course, task: Task) -> None:
    """What each face, as a pivot, says of its links."""
    judge = JudgePivots(
        task.features,
        course.work / "neighbors",
        task.model_source,
        task.model_hash,
        str(task.device),
        task.precision,
        task.subgraphs,
        task.table_bytes,
    )
    course.by_blocks(
        task.likelihoods_origin,
        {"likelihoods": ArraySpec("<f4", task.subgraphs.k_at_hop[:1])},
        lambda: task.n_faces,
        lambda store: judge,
        lambda store: {},
        in_wholes_of=judge.pivots_per_batch(task.model),
    )


def _links(course: Course, task: Task) -> None:
    """Both directions of every link combined; counted first, so that every block has its place."""
    neighbors, k = course.work / "neighbors", task.subgraphs.k_at_hop[0]

    @cache
    def offsets() -> NDArray[np.int64]:
        return link_offsets(mapped(neighbors / "indices.npy")[:, :k])

    def work(store: BlockStore) -> BlockWork:
        path = store.file(OFFSETS_NAME)
        if not store.has_file(OFFSETS_NAME):
            with written_beside(path) as temporary:
                np.save(temporary, offsets(), allow_pickle=False)
            store.enter_file(OFFSETS_NAME)
        return CombineLinks(neighbors, course.work / "likelihoods", path, task.settings.combine)

    course.by_blocks(
        task.links_origin,
        _LINK_SPECS,
        lambda: int(offsets()[-1]),
        work,
        lambda store: {"n_one_sided": int(np.count_nonzero(store.arrays()["one_sided"]))},
        rows_per_face=k,
    )


def _labels(course: Course, task: Task) -> None:
    """Links merged into people."""

    def merge() -> tuple[Arrays, Mapping[str, Any]]:
        links = _open_links(course, task)
        merged = merge_judged(
            links,
            task.model,
            task.settings.merging,
            task.must_link,
            task.cannot_link,
            each=course.each_of("labels"),
        )
        confidence = cluster_confidence(links, merged)
        return {"labels": merged.labels, "confidence": confidence}, {}

    course.at_once(task.labels_origin, _LABEL_SPECS, merge)


def _report(course: Course, task: Task) -> RunResult:
    """The labels in the file that was asked for, and the report beside the stages."""
    folder = course.work / "labels"
    labels, confidence = mapped(folder / "labels.npy"), mapped(folder / "confidence.npy")
    if task.settings.out is not None:
        save_labels(task.settings.out, labels)
    report = write_report(course.work, course.outcomes, labels, confidence, task.labels_true)
    return RunResult(labels, confidence, report)


def _open_links(course: Course, task: Task) -> Links:
    arrays = {name: mapped(course.work / "links" / f"{name}.npy") for name in _LINK_SPECS}
    return Links(**arrays, n_instances=task.n_faces, n_neighbors=task.subgraphs.k_at_hop[0])
