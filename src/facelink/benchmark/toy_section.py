"""The toy example as a section of the report: drawn, and in numbers."""

from typing import Any

from facelink.benchmark.document import Figure, Section, Table
from facelink.benchmark.drawing import GREY, RIGHT, WRONG, draw
from facelink.benchmark.toy import ITERATIONS, STAGES, ToyExample, ToyPanel, make_toy_example

_TEXT = """\
After the paper's figure 4: the neighbourhood of one face, whose person (the positives) and other
people (the negatives) overlap in the two dimensions that the network sees, and two graph
convolutions of width 2. Edges join faces that are near each other in the space of all dimensions.
The network was trained on other faces of the same people; what is drawn and measured here it has
not seen.

Unlike the paper, the claim is measured. Right is the share of direct neighbours on the right side
of the straight line that fits the neighbourhood trained on best. Tightness is how far positives
scatter around their centre, in distances between the two kinds' centres; smaller is tighter. The
last row is a network trained alike but without edges: what its layers do by themselves."""


def toy_section(seed: int = 0) -> Section:
    """Make the toy example and show it."""
    example = make_toy_example(seed)
    return Section(
        "What graph convolutions do: a toy example",
        _TEXT,
        (toy_table(example),),
        (toy_figure(example),),
    )


def toy_table(example: ToyExample) -> Table:
    """Share of neighbours on the right side, and tightness, of every panel."""
    rows = [(f"{each:,}", _of(example.panels, each)) for each in ITERATIONS]
    rows.append((f"{ITERATIONS[-1]:,}, no edges", example.without_edges))
    columns = [f"{stage}: {what}" for stage in STAGES for what in ("right", "tightness")]
    return Table(
        "toy-example",
        "Positives and negatives of the unseen neighbourhood, by steps of training",
        ("steps of training", *columns),
        tuple(
            (name, *(cell for panel in panels for cell in _cells(panel))) for name, panels in rows
        ),
        f"{int(example.neighborhood.is_one_hop.sum())} direct neighbours, "
        f"{_n_positives(example)} of them positives. Of several random starts the one whose loss "
        "on the neighbourhood trained on ended lowest is shown.",
    )


def toy_figure(example: ToyExample) -> Figure:
    """Draw the panels as a grid: one row for each iteration, one column for each stage."""
    caption = (
        "Values of a neighbourhood's faces at the input and after each graph convolution, by steps "
        "of training. Blue: the pivot's person; orange: others. Large: direct neighbours of the "
        "pivot; small: their neighbours. Above each panel, the share of direct neighbours that a "
        "straight line puts on the right side."
    )

    def paint(sheet: Any) -> None:
        grid = sheet.subplots(len(ITERATIONS), len(STAGES))
        for row, iteration in zip(grid, ITERATIONS, strict=True):
            for axes, panel in zip(row, _of(example.panels, iteration), strict=True):
                _draw_panel(axes, panel, example)
            row[0].set_ylabel(f"{iteration} steps")
        for axes, stage in zip(grid[0], STAGES, strict=True):
            axes.set_title(stage)
        handles = [_dot(grid[0, 0], RIGHT, "pivot's person"), _dot(grid[0, 0], WRONG, "others")]
        handles.append(_dot(grid[0, 0], GREY, "neighbours of neighbours", size=3))
        sheet.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)

    return draw("toy-example-panels", caption, (6.8, 8.2), paint)


def _of(panels: tuple[ToyPanel, ...], iteration: int) -> tuple[ToyPanel, ...]:
    return tuple(panel for panel in panels if panel.iteration == iteration)


def _cells(panel: ToyPanel) -> tuple[str, str]:
    return f"{100 * panel.accuracy:.1f} %", f"{panel.tightness:.2f}"


def _n_positives(example: ToyExample) -> int:
    neighborhood = example.neighborhood
    return int((neighborhood.is_one_hop & neighborhood.is_same).sum())


def _draw_panel(axes: Any, panel: ToyPanel, example: ToyExample) -> None:
    neighborhood = example.neighborhood
    for is_same, color in ((False, WRONG), (True, RIGHT)):
        for is_one_hop, size in ((False, 9), (True, 30)):
            mask = (neighborhood.is_same == is_same) & (neighborhood.is_one_hop == is_one_hop)
            axes.scatter(
                *panel.values[mask].T,
                s=size,
                c=color,
                alpha=0.7,
                linewidths=0.4,
                edgecolors="white",
            )
    axes.margins(0.12)
    axes.tick_params(labelbottom=False, labelleft=False, length=0)
    axes.set_title(f"{100 * panel.accuracy:.0f} %", loc="right")


def _dot(axes: Any, color: str, label: str, size: float = 6) -> Any:
    """An entry of the legend."""
    return axes.plot([], [], "o", color=color, markersize=size, label=label)[0]
