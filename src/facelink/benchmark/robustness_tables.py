"""Tables of robustness: a summary, and every metric of each family of cases."""

from collections.abc import Callable, Sequence
from statistics import fmean

from facelink.benchmark.document import Table
from facelink.benchmark.robustness import CaseResult, CaseScores, Robustness
from facelink.benchmark.scored import percent

_NOTES = {
    "strangers": (
        "Scores are those of the people's own faces; strangers taken in: the share of the "
        "strangers who were put with one of them. Among only strangers there is no pair to find, "
        "so that one false pair makes a pairwise F of 0: read BCubed F and the clusters."
    ),
    "outliers": (
        "Scores are those of the collection's own faces. Blurred faces keep their person and move "
        "towards the mean of all faces."
    ),
    "one person alone": "Faces of one person only: every cluster beyond the first is a split.",
    "fewer faces": (
        "Pairs changed: of the pairs of remaining faces that are together before or after, the "
        "share that are not together in both."
    ),
    "other embedders": (
        "The same faces as further embedders might describe them. The drawn ones come from the "
        "generator that the context model's training draws from, the others do not."
    ),
}

_Draws = Sequence[CaseScores]

_METRICS: dict[str, Callable[[_Draws], str]] = {
    "pairwise F": lambda draws: percent(_mean(draws, "pairwise")),
    "BCubed F": lambda draws: percent(_mean(draws, "bcubed")),
    "worst draw: pairwise F": lambda draws: _worst(draws, "pairwise"),
    "worst draw: BCubed F": lambda draws: _worst(draws, "bcubed"),
    "NMI": lambda draws: percent(fmean(draw.scores.nmi_arithmetic for draw in draws)),
    "people": lambda draws: f"{fmean(draw.scores.n_identities for draw in draws):,.0f}",
    "clusters": lambda draws: f"{fmean(draw.scores.n_clusters for draw in draws):,.0f}",
    "strangers taken in": lambda draws: percent(draws[0].strangers_taken),
    "pairs changed": lambda draws: percent(draws[0].flipped),
    "seconds": lambda draws: f"{fmean(draw.seconds for draw in draws):.2f}",
}


def robustness_tables(robustness: Robustness) -> tuple[Table, ...]:
    """Show a summary of all cases, then every metric of each family of cases."""
    by_family: dict[str, list[CaseResult]] = {}
    for result in robustness.results:
        by_family.setdefault(result.family, []).append(result)
    families = (_family_table(robustness, name, cases) for name, cases in by_family.items())
    return (_summary(robustness), *families)


def _mean(draws: _Draws, metric: str) -> float:
    return fmean(getattr(draw.scores, metric).fscore for draw in draws)


def _worst(draws: _Draws, metric: str) -> str:
    if len(draws) == 1:
        return percent(None)
    return percent(min(getattr(draw.scores, metric).fscore for draw in draws))


def _n_faces(draws: Sequence[CaseResult]) -> str:
    return f"{fmean(draw.n_faces for draw in draws):,.0f}"


def _by_name(cases: Sequence[CaseResult]) -> dict[tuple[str, str], list[CaseResult]]:
    """Draws of each case, in order."""
    found: dict[tuple[str, str], list[CaseResult]] = {}
    for case in cases:
        found.setdefault((case.family, case.name), []).append(case)
    return found


def _by_method(draws: Sequence[CaseResult]) -> dict[str, list[CaseScores]]:
    """Scores of each method over the draws of a case."""
    found: dict[str, list[CaseScores]] = {}
    for draw in draws:
        for grouping in draw.groupings:
            found.setdefault(grouping.method, []).append(grouping)
    return found


def _family_table(robustness: Robustness, family: str, cases: Sequence[CaseResult]) -> Table:
    rows = [
        (name, _n_faces(draws), method, *(show(scores) for show in _METRICS.values()))
        for (_, name), draws in _by_name(cases).items()
        for method, scores in _by_method(draws).items()
    ]
    columns = ("case", "faces", "groups by", *_METRICS)
    used = [i for i in range(len(columns)) if any(row[i] != percent(None) for row in rows)]
    return Table(
        name=f"{robustness.collection}-robustness-{family.replace(' ', '-')}",
        caption=f"{robustness.collection}: {family}",
        columns=tuple(columns[i] for i in used),
        rows=tuple(tuple(row[i] for i in used) for row in rows),
        note=_NOTES.get(family, ""),
    )


def _summary(robustness: Robustness) -> Table:
    cases = _by_name(robustness.results)
    methods = list(dict.fromkeys(m for draws in cases.values() for m in _by_method(draws)))
    rows = []
    for (family, name), draws in cases.items():
        by_method = _by_method(draws)
        cells = [
            percent(_mean(by_method[method], metric)) if method in by_method else percent(None)
            for method in methods
            for metric in ("bcubed", "pairwise")
        ]
        rows.append((family, name, _n_faces(draws), *cells))
    heads = [f"{method}: {metric} F" for method in methods for metric in ("BCubed", "pairwise")]
    return Table(
        name=f"{robustness.collection}-robustness",
        caption=f"{robustness.collection}, changed; strangers: {robustness.strangers}",
        columns=("change", "case", "faces", *heads),
        rows=tuple(rows),
        note=(
            "In %; means over the draws of a case. The best threshold is chosen on the labels of "
            "the case itself, which no user could do: the greatest mean of both F. The tables "
            "below have every metric."
        ),
    )
