"""The whole benchmark: labelled faces in, a report's document and records out."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from facelink.baselines.own import by_trained_model
from facelink.baselines.registry import BASELINES
from facelink.benchmark.ablation import TestBench, ablation_tables
from facelink.benchmark.ablation_models import PAPER_BUDGET, SMALL_BUDGET, AblationBudget
from facelink.benchmark.bounds import bounds_table, collection_bounds
from facelink.benchmark.comparison import ComparisonSettings, compare
from facelink.benchmark.context_ablation import NOTES as CONTEXT_NOTES
from facelink.benchmark.context_ablation import ablate_context
from facelink.benchmark.document import Document, Section
from facelink.benchmark.growth import chosen_values, growth_section, measure_growth
from facelink.benchmark.idea_section import idea_section
from facelink.benchmark.kept_runs import KeptRuns
from facelink.benchmark.link_gcn_ablation import NOTES as LINK_GCN_NOTES
from facelink.benchmark.link_gcn_ablation import ablate_link_gcn
from facelink.benchmark.machine import machine, versions
from facelink.benchmark.results import ComparisonRecord
from facelink.benchmark.robustness import RobustnessSettings, measure_robustness
from facelink.benchmark.robustness_tables import robustness_tables
from facelink.benchmark.sections import links_section, methods_section
from facelink.benchmark.toy_section import toy_section
from facelink.errors import InputError
from facelink.models.loading import CONTEXT, COSINE, LinkModel, load_link_model
from facelink.training.face_sets import FaceSet

PARTS = ("methods", "bound", "links", "growth", "ablation", "robustness", "toy", "idea")
"""Parts of a report, in their order."""

BUDGETS: Mapping[str, AblationBudget] = {one.name: one for one in (SMALL_BUDGET, PAPER_BUDGET)}

_LEAST_PEOPLE = 10
_COSINE_METHOD = "cosine"


@dataclass(frozen=True, eq=False)
class BenchmarkInputs:
    """What is compared.

    Parameters
    ----------
    test
        Faces to score on, of at least 10 people.
    training
        Faces of other people by the same embedder: parameters of the methods are chosen on
        them, and the ablation trains LinkGCNs on them.
    strangers
        Faces of others, added as distractors; made up by default.
    models
        Folders of trained models that take part.

    Raises
    ------
    InputError
        If the test has too few people, or widths or names clash.
    """

    test: FaceSet
    training: tuple[FaceSet, ...] = ()
    strangers: FaceSet | None = None
    models: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        n_people = len(set(self.test.labels.tolist()))
        if n_people < _LEAST_PEOPLE:
            raise InputError(
                f"{self.test.name} has {n_people} people; a benchmark needs at least "
                f"{_LEAST_PEOPLE}."
            )
        others = [*self.training, *([] if self.strangers is None else [self.strangers])]
        for other in others:
            if other.features.shape[1] != self.test.features.shape[1]:
                raise InputError(
                    f"{other.name} has {other.features.shape[1]} features and {self.test.name} "
                    f"{self.test.features.shape[1]}; use one embedding model for all."
                )
        names = [self.test.name, *(one.name for one in self.training)]
        if len(set(names)) < len(names):
            raise InputError(f"two collections have one name ({', '.join(names)}); rename a file.")


@dataclass(frozen=True)
class BenchmarkSettings:
    """What is measured, and how much of it.

    Parameters
    ----------
    parts
        Of `PARTS`.
    time_limit : float
        Seconds that a method has for its grid on one collection.
    n_draws : int
        Draws of small sets in the robustness part.
    budget : {"small", "paper"}
        Training that each variant of the ablation gets.
    seed : int
        Of everything that is drawn.
    """

    parts: tuple[str, ...] = PARTS
    time_limit: float = 300.0
    n_draws: int = 5
    budget: str = SMALL_BUDGET.name
    seed: int = 0

    def __post_init__(self) -> None:
        for part in self.parts:
            if part not in PARTS:
                raise InputError(f"part {part!r}; choose from {', '.join(PARTS)}.")
        if self.budget not in BUDGETS:
            raise InputError(f"budget {self.budget!r}; choose from {', '.join(BUDGETS)}.")


@dataclass(frozen=True)
class Benchmark:
    """A report's document, and records by name as JSON values."""

    document: Document
    records: dict[str, Any]


@dataclass(eq=False)
class _Run:
    """Inputs and settings at hand, and what the parts so far have found."""

    inputs: BenchmarkInputs
    settings: BenchmarkSettings
    work: Path
    progress: Callable[[str], None]
    records: dict[str, Any] = field(default_factory=dict)
    comparison: ComparisonRecord | None = None

    @cached_property
    def bench(self) -> TestBench:
        """The test faces with their neighbours, searched once for all parts."""
        return TestBench.of(self.inputs.test)


def run_benchmark(
    inputs: BenchmarkInputs,
    settings: BenchmarkSettings | None = None,
    *,
    work: Path,
    progress: Callable[[str], None] | None = None,
) -> Benchmark:
    """Measure every part that is wanted.

    Parameters
    ----------
    inputs, settings
        What is measured.
    work
        Folder that keeps finished runs of methods and trained models: a benchmark that was
        cut off goes on.
    progress
        Called with a line before each step.

    Raises
    ------
    InputError
        If the collections do not allow a part.
    OutputError
        If the folder cannot be written.
    """
    settings = settings or BenchmarkSettings()
    run = _Run(inputs, settings, work, progress or (lambda line: None))
    sections = [
        section for part in PARTS if part in settings.parts for section in _SECTIONS[part](run)
    ]
    document = Document(f"facelink benchmark: {inputs.test.name}", _facts(run), tuple(sections))
    tables = (table for section in sections for table in section.tables)
    run.records["tables"] = [asdict(table) for table in tables]
    return Benchmark(document, run.records)


def _methods(run: _Run) -> Iterator[Section]:
    inputs, settings = run.inputs, ComparisonSettings(run.settings.time_limit, run.settings.seed)
    models = {by_trained_model(folder): folder for folder in inputs.models}
    baselines = [*BASELINES, *models]
    folders = {baseline.key: folder for baseline, folder in models.items()}
    kept = KeptRuns(run.work / "runs", [inputs.test, *inputs.training], settings, folders)
    run.comparison = compare(
        [inputs.test],
        inputs.training,
        baselines,
        settings,
        progress=run.progress,
        finished=kept.keep,
        known=kept.load([baseline.key for baseline in baselines]),
    )
    run.records["methods"] = replace(run.comparison, grids=()).as_dict()
    run.records["methods-grids"] = run.comparison.as_dict()["grids"]
    yield methods_section(run.comparison, inputs.test.name)


def _bound(run: _Run) -> Iterator[Section]:
    collections = [run.inputs.test, *run.inputs.training]
    bounds = []
    for collection in collections:
        run.progress(f"{collection.name}: upper bound by k")
        bounds.append(collection_bounds(collection))
    run.records["upper-bound"] = [bound.as_dict() for bound in bounds]
    yield Section(
        "Upper bound by k",
        "What perfect links could reach (the paper's Table 1): faces that no chain of nearest "
        "neighbours connects stay apart whatever a model says.",
        (bounds_table(bounds),),
    )


def _links(run: _Run) -> Iterator[Section]:
    run.progress(f"{run.inputs.test.name}: links")
    models = {"facelink (default)": load_link_model(CONTEXT), **_trained(run)}
    section, run.records["links"] = links_section(
        run.bench, {**models, "cosine": load_link_model(COSINE)}
    )
    yield section


def _growth(run: _Run) -> Iterator[Section]:
    test = run.inputs.test
    run.progress(f"{test.name}: time against size")
    values = {} if run.comparison is None else chosen_values(run.comparison, test.name)
    points = measure_growth(
        test,
        values,
        run.settings.seed,
        on_point=lambda point: run.progress(f"{point.method}: {point.n_faces:,} faces"),
    )
    run.records["growth"] = [point.as_dict() for point in points]
    yield growth_section(test, points)


def _ablation(run: _Run) -> Iterator[Section]:
    test, bench = run.inputs.test, run.bench
    rows = []
    for row in ablate_context(bench):
        run.progress(f"{row.study}: {row.method}")
        rows.append(row)
    run.records["ablation-context"] = [row.as_dict() for row in rows]
    yield Section(
        "Ablation: the default path",
        "The shipped context model, changed in one thing at a time.",
        ablation_tables(test, rows, CONTEXT_NOTES),
    )
    if not run.inputs.training:
        return
    budget = BUDGETS[run.settings.budget]
    rows = []
    for row in ablate_link_gcn(bench, run.inputs.training, run.work / "models", budget):
        run.progress(f"{row.study}: {row.method}")
        rows.append(row)
    run.records["ablation-link-gcn"] = [row.as_dict() for row in rows]
    yield Section(
        "Ablation: the paper's network",
        f"LinkGCNs trained with the {budget.name} budget"
        + (f" of {budget.max_faces:,} faces a set" if budget.max_faces else "")
        + f", {budget.training.epochs} epochs, each different from the first in one thing.",
        ablation_tables(test, rows, LINK_GCN_NOTES),
    )


def _robustness(run: _Run) -> Iterator[Section]:
    fixed = None
    if run.comparison is not None:
        fixed = chosen_values(run.comparison, run.inputs.test.name).get(_COSINE_METHOD)
    measured = measure_robustness(
        run.inputs.test,
        run.inputs.strangers,
        RobustnessSettings(fixed, n_draws=run.settings.n_draws, seed=run.settings.seed),
        models={name: model for name, model in _trained(run).items() if model is not None},
        on_case=lambda case: run.progress(f"{case.family}: {case.name}"),
    )
    run.records["robustness"] = measured.as_dict()
    yield Section(
        "Robustness",
        "The collection, changed. Beside facelink stand the cosine threshold chosen on other "
        "people, and the one that is best for the labels of each case.",
        robustness_tables(measured),
    )


def _toy(run: _Run) -> Iterator[Section]:
    run.progress("toy example")
    yield toy_section(run.settings.seed)


def _idea(run: _Run) -> Iterator[Section]:
    run.progress("the idea")
    try:
        yield idea_section(run.inputs.test, seed=run.settings.seed)
    except InputError as error:  # few neighbourhoods show it, and small collections have few
        run.progress(f"the idea is shown on made-up faces: {error}")
        yield idea_section(seed=run.settings.seed)


_SECTIONS: Mapping[str, Callable[[_Run], Iterator[Section]]] = {
    "methods": _methods,
    "bound": _bound,
    "links": _links,
    "growth": _growth,
    "ablation": _ablation,
    "robustness": _robustness,
    "toy": _toy,
    "idea": _idea,
}


def _trained(run: _Run) -> dict[str, LinkModel | None]:
    return {folder.name: load_link_model(str(folder)) for folder in run.inputs.models}


def _facts(run: _Run) -> tuple[tuple[str, str], ...]:
    """Circumstances of the run, as shown at the top of the report."""
    inputs, settings, of_machine = run.inputs, run.settings, machine()
    others = ", ".join(f"{one.name} ({one.n_faces:,})" for one in inputs.training)
    memory = of_machine["memory_bytes"] / 2**30
    return (
        ("faces", f"{inputs.test.name} ({inputs.test.n_faces:,})"),
        ("values chosen on", others or "people held out of the same collection"),
        ("strangers", "made up" if inputs.strangers is None else inputs.strangers.name),
        ("parts", ", ".join(part for part in PARTS if part in settings.parts)),
        ("seconds a method has", f"{settings.time_limit:g}"),
        ("seed", str(settings.seed)),
        ("date", datetime.now(UTC).isoformat(timespec="seconds")),
        ("machine", f"{of_machine['cpu']}, {of_machine['n_usable_cores']} cores, {memory:.0f} GiB"),
        (
            "threads",
            f"torch {of_machine['n_torch_threads']}, numba {of_machine['n_numba_threads']}",
        ),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions().items())),
    )
