"""The command `facelink run`: millions of faces, stage by stage."""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from facelink.cli import options
from facelink.cli.output import note, print_facts, print_json, print_table, progress_bar
from facelink.errors import InputError
from facelink.labels import check_labels_kind
from facelink.link_prediction import CombineDirections
from facelink.merging.merge import MergeChoice
from facelink.models.device import Precision
from facelink.stages.engine import Engine, LocalEngine
from facelink.stages.listening import Advance
from facelink.stages.needs import free_disk_bytes
from facelink.stages.plan import StagePlan, plan
from facelink.stages.ray_engine import RayEngine
from facelink.stages.run import run as run_stages
from facelink.stages.settings import NeighborMethod, RunSettings
from facelink.stages.shared_files import SharedFiles
from facelink.stages.task import Task

INTERRUPTED = 130
"""Exit code after Ctrl+C, as shells have it."""


_SUMMED = ("seconds", "disk_bytes")


class _Notes:
    """Tells of a run on stderr."""

    def note(self, message: str) -> None:
        note(message)

    @contextlib.contextmanager
    def working(self, stage: str, n_rows: int) -> Iterator[Advance]:
        with progress_bar(stage, n_rows, "faces") as advance:
            yield advance


def run(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="CONFIG|FEATURES",
            help="Settings in a .toml file, or face features: .npy, .bin, .npz, .parquet or "
            ".safetensors.",
        ),
    ],
    work: Annotated[
        Path,
        typer.Option("--work", metavar="DIR", help="Where everything is kept; new, or of a run."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="LABELS",
            help="Further file for the labels: .npy, .npz, .csv, .parquet, .meta or .txt.",
        ),
    ] = None,
    dim: options.Dim = None,
    method: Annotated[
        NeighborMethod | None,
        typer.Option(
            "--method", help="How to search: auto is exact up to 100,000 faces, ivf above."
        ),
    ] = None,
    recall: Annotated[
        float | None,
        typer.Option("--recall", metavar="R", help="Recall that ivf should reach. [default: 0.98]"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="DIR|context|cosine", help="[default: context]"),
    ] = None,
    k_at_hop: options.KAtHop = None,
    edge_neighbors: options.EdgeNeighbors = None,
    combine: Annotated[
        CombineDirections | None,
        typer.Option("--combine", help="How two directions become one. [default: mean]"),
    ] = None,
    merge: Annotated[
        MergeChoice | None, typer.Option("--merge", help="As for facelink cluster.")
    ] = None,
    threshold: options.Threshold = None,
    threshold_step: Annotated[
        float | None, typer.Option("--threshold-step", metavar="S", help="[default: 0.05]")
    ] = None,
    max_cluster_size: Annotated[
        int | None, typer.Option("--max-cluster-size", metavar="N", help="[default: 300]")
    ] = None,
    must_link: options.MustLink = None,
    cannot_link: options.CannotLink = None,
    labels_true: Annotated[
        Path | None,
        typer.Option(
            "--labels-true", metavar="LABELS", help="True labels: the report then has scores."
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            "--memory", metavar="SIZE", help="Most memory to take besides mapped files, as 8G."
        ),
    ] = None,
    block_rows: Annotated[
        int | None,
        typer.Option("--block-rows", metavar="N", help="Faces of a block. [default: by memory]"),
    ] = None,
    index_shards: Annotated[
        int | None,
        typer.Option(
            "--index-shards",
            metavar="N",
            help="Divide the ivf index among N files, each with the features of its faces: a "
            "machine of a cluster then reads those of its own. [default: 1]",
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", metavar="auto|cpu|cuda", help="[default: auto]")
    ] = None,
    precision: Annotated[
        Precision | None, typer.Option("--precision", help="As for facelink cluster.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="S", help="Same seed, same result.")
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Forget what is in the folder and begin anew.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Say what is done and what the rest would take here, after a short measurement; "
            "write nothing.",
        ),
    ] = False,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option("--engine", help="Work in this process, or as tasks of a Ray cluster."),
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="auto|HOST:PORT",
            help="Ray cluster to work on. [default: one of its own, on this machine]",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", min=1, help="Workers of a Ray cluster of its own."),
    ] = None,
    shared: Annotated[
        str | None,
        typer.Option(
            "--shared",
            metavar="URL",
            help="Hand files out to Ray's machines through this place, as s3://bucket/folder. "
            "[default: they all see DIR and the features under the same paths]",
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Group millions of faces: neighbours, links and people, each kept on the disk.

    Interrupted in any way, the same command goes on where it was. Changed
    settings redo only what depends on them. The labels are those of facelink
    cluster, in DIR/labels/labels.npy; DIR/report.md says what it took.

    Example: facelink run features.npy --work people.run --out people.parquet
    """
    _check_engine_options(engine, address=address, workers=workers, shared=shared)
    is_config = source.suffix.lower() == ".toml"
    settings = RunSettings.read(source) if is_config else RunSettings(source)
    settings = settings.with_options(
        {
            "out": out,
            "dim": dim,
            "neighbor_method": method,
            "recall": recall,
            "model": model,
            "k_at_hop": tuple(k_at_hop) if k_at_hop else None,
            "n_edge_neighbors": edge_neighbors,
            "combine": combine,
            "merge": merge,
            "threshold": threshold,
            "threshold_step": threshold_step,
            "max_cluster_size": max_cluster_size,
            "must_link": must_link,
            "cannot_link": cannot_link,
            "labels_true": labels_true,
            "memory": memory,
            "block_rows": block_rows,
            "index_shards": index_shards,
            "device": device,
            "precision": precision,
            "seed": seed,
        }
    )
    if dry_run:
        kind = RayEngine if engine == "ray" else LocalEngine
        _print_plan(settings, work, kind, restart=restart, as_json=json)
        return
    try:
        with _engine(engine, address, workers, settings.memory_bytes, shared) as chosen:
            result = run_stages(settings, work, engine=chosen, listener=_Notes(), restart=restart)
    except KeyboardInterrupt:
        note("stopped. What is finished is kept; the same command goes on from there.")
        raise typer.Exit(INTERRUPTED) from None
    facts = dict(result.report)
    if not json:
        for name in ("stages", "machine", "cluster_sizes", "scores"):
            facts.pop(name, None)
    print_facts({**facts, "labels": str(work / "labels" / "labels.npy")}, as_json=json)


def _check_engine_options(engine: str, **given: object) -> None:
    """Raise `InputError` for options of Ray without it, and for two that exclude each other."""
    for name, value in given.items():
        if value is not None and engine != "ray":
            raise InputError(f"--{name} without --engine ray; only Ray's workers need it.")
    if given["address"] is not None and given["workers"] is not None:
        raise InputError("--address and --workers; a cluster that runs has its own workers.")


@contextlib.contextmanager
def _engine(
    engine: str,
    address: str | None,
    workers: int | None,
    memory_bytes: int | None,
    shared: str | None,
) -> Iterator[Engine]:
    if engine == "local":
        yield LocalEngine()
        return
    handed_out = None if shared is None else SharedFiles(shared)
    with RayEngine(
        address, n_workers=workers, memory_bytes=memory_bytes, shared=handed_out
    ) as ray_engine:
        yield ray_engine


def _print_plan(
    settings: RunSettings, work: Path, engine: type[Engine], *, restart: bool, as_json: bool
) -> None:
    """Stages with what they would take, as a table or as JSON; nothing is written."""
    if settings.out is not None:
        check_labels_kind(settings.out)
        settings = replace(settings, out=None)
    stages = plan(Task.load(settings, work, restart=restart, engine=engine), work)
    if as_json:
        print_json({"stages": [asdict(stage) for stage in stages]})
        return
    header = ("stage", "done", "seconds", "memory", "disk")
    print_table(header, [_plan_row(stage) for stage in stages])
    seconds, n_bytes = (sum(getattr(one, name) for one in stages) for name in _SUMMED)
    note(
        f"about {seconds:,.0f} s in all; {n_bytes / 2**20:,.0f} MiB of disk, of which "
        f"{free_disk_bytes(work) / 2**20:,.0f} MiB are free"
    )


def _plan_row(stage: StagePlan) -> tuple[str, ...]:
    if stage.is_done:
        return (stage.stage, "all", "–", "–", "–")
    done = f"{stage.n_done:,} of {stage.n_rows:,}" if stage.n_rows else "–"
    memory, disk = (f"{n / 2**20:,.0f} MiB" for n in (stage.memory_bytes, stage.disk_bytes))
    return (stage.stage, done, f"{stage.seconds:,.1f}", memory, disk)
