"""The rows of a comparison as tables of a report."""

from facelink.benchmark.document import Table
from facelink.benchmark.results import ComparisonRecord, MethodResult
from facelink.metrics import ClusteringScores, PrecisionRecallF

_COLUMNS = (
    "method",
    "chosen on",
    "value",
    "pairwise F (P/R)",
    "BCubed F (P/R)",
    "NMI",
    "clusters",
    "seconds",
    "peak memory",
    "extra: without predicted singletons, pairwise / BCubed F",
)

_CHOSEN = {"none": "no parameter", "separate": "other people", "oracle": "the test labels (oracle)"}

_NOTHING = "–"


def method_table(record: ComparisonRecord, collection: str) -> Table:
    """Every method on one collection: all measures together, and what each method cost."""
    rows = tuple(_row(result) for result in record.results if result.collection == collection)
    limits = [
        f"{result.title}: {result.limit}"
        for result in record.results
        if result.collection == collection and result.limit and result.tuning != "separate"
    ]
    return Table(
        name=f"{collection}-methods",
        caption=f"{collection}: {_size(record, collection)}",
        columns=_COLUMNS,
        rows=rows,
        note=" ".join([_note(record, collection), *limits]),
    )


def overview_table(record: ComparisonRecord) -> Table:
    """Pairwise / BCubed F of every method on every test collection, tuned and by the oracle."""
    collections = tuple(record.tuned_on)
    columns = ("method", *(f"{name}, {how}" for name in collections for how in ("tuned", "oracle")))
    titles = {result.method: result.title for result in record.results}
    rows = tuple(
        (title, *(
            _pair_of(record, name, method, tuning)
            for name in collections
            for tuning in ("separate", "oracle")
        ))
        for method, title in titles.items()
    )  # fmt: skip
    note = (
        "Pairwise F / BCubed F, in %. Tuned: the parameter was chosen on other people; oracle: on "
        "the test labels themselves, which no user can do. A method without a parameter shows the "
        "same in both."
    )
    return Table("methods-overview", "Every method on every collection", columns, rows, note)


def readable_memory(n_bytes: int | None) -> str:
    """Whole MiB."""
    return _NOTHING if n_bytes is None else f"{n_bytes / 2**20:,.0f} MiB"


def readable_scores(scores: PrecisionRecallF) -> str:
    """F with precision and recall, in %."""
    precision, recall = 100 * scores.precision, 100 * scores.recall
    return f"{100 * scores.fscore:.1f} ({precision:.1f}/{recall:.1f})"


def _pair(scores: ClusteringScores | None) -> str:
    if scores is None:
        return _NOTHING
    return f"{100 * scores.pairwise.fscore:.1f} / {100 * scores.bcubed.fscore:.1f}"


def _pair_of(record: ComparisonRecord, collection: str, method: str, tuning: str) -> str:
    for result in record.results:
        is_it = (result.collection, result.method) == (collection, method)
        if is_it and result.tuning in ("none", tuning):
            return _pair(result.scores)
    return _NOTHING


def _row(result: MethodResult) -> tuple[str, ...]:
    scores = result.scores
    if scores is None:
        empty = (_NOTHING,) * (len(_COLUMNS) - 2)
        return (result.title, _CHOSEN[result.tuning], *empty)
    return (
        result.title,
        _CHOSEN[result.tuning],
        _NOTHING if result.value is None else f"{result.parameter} {result.value:g}",
        readable_scores(scores.pairwise),
        readable_scores(scores.bcubed),
        f"{100 * scores.nmi_arithmetic:.2f}",
        f"{scores.n_clusters:,}",
        f"{sum((result.seconds or {}).values()):.1f}",
        readable_memory(result.peak_memory_bytes),
        _pair(scores.without_singletons),
    )


def _size(record: ComparisonRecord, collection: str) -> str:
    facts = next(one for one in record.collections if one.name == collection)
    return (
        f"{facts.n_faces:,} faces of {facts.n_people:,} people, {facts.n_singletons:,} of them "
        f"with one face, the largest with {facts.largest:,}"
    )


def _note(record: ComparisonRecord, collection: str) -> str:
    return (
        f"In %; NMI over the arithmetic mean. Other people: {record.tuned_on[collection]}. The "
        "oracle's value has the best mean of pairwise and BCubed F on the test labels. Seconds "
        "include finding the neighbours where a method uses them, and all that its grid shares; "
        "memory is that of a process of its own, Python and libraries included. Faces that a "
        f"method leaves out count as groups of their own. Each had {record.time_limit:g} s for its "
        "whole grid."
    )
