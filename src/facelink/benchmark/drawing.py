"""Drawings as SVG text: the same bytes for the same data, readable on any background.

matplotlib draws them. It is an extra, so it is imported when something is drawn; its
settings are the same whatever a user's own are, and are left as they were.
"""

import io
from collections.abc import Callable
from typing import Any

from facelink.benchmark.document import Figure
from facelink.errors import InputError

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D")
"""Okabe and Ito's colours, which colour-blind readers tell apart, less the yellow."""

INK, GREY, PALE = "#1F2328", "#6E7781", "#D8DCE2"
"""Of text, of what is secondary, and of grids."""

RIGHT, WRONG = PALETTE[0], PALETTE[1]

_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_DASHES = ("-", "--", "-.", ":")

_STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 11,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "grid.color": PALE,
    "grid.linewidth": 0.7,
    "legend.fontsize": 10,
    "legend.framealpha": 0.9,
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.color": GREY,
    "ytick.labelcolor": INK,
}
"""Names may hold a dollar sign, so nothing is read as mathematics; letters are drawn as paths."""

_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def check_drawing() -> None:
    """Raise `InputError` unless figures can be drawn: before work whose results are to be drawn."""
    _matplotlib()


def draw(
    name: str, caption: str, size: tuple[float, float], paint: Callable[[Any], None]
) -> Figure:
    """Draw on a white card.

    Parameters
    ----------
    name, caption
        Of the figure.
    size
        Width and height in inches.
    paint
        Draws on the matplotlib figure that it is given.

    Returns
    -------
    Figure
        Its SVG text depends on nothing but what was drawn and the version of
        matplotlib: no date, no random ids.

    Raises
    ------
    InputError
        If matplotlib is not installed.
    """
    matplotlib = _matplotlib()
    with matplotlib.style.context(["default", {**_STYLE, "svg.hashsalt": name}]):
        sheet = matplotlib.figure.Figure(figsize=size, layout="constrained")
        matplotlib.backends.backend_agg.FigureCanvasAgg(sheet)  # measures text
        paint(sheet)
        stream = io.StringIO()
        sheet.savefig(stream, format="svg", metadata=_NO_METADATA)
    svg = stream.getvalue()
    return Figure(name, caption, svg[svg.index("<svg") :].rstrip())


def series_style(position: int) -> dict[str, Any]:
    """Colour, marker and dashes of the series at a position; 28 differ in one of them at least."""
    return {
        "color": PALETTE[position % len(PALETTE)],
        "marker": _MARKERS[position % len(_MARKERS)],
        "linestyle": _DASHES[position % len(_DASHES)],
    }


def _matplotlib() -> Any:
    try:
        import matplotlib
        import matplotlib.backends.backend_agg
        import matplotlib.figure
        import matplotlib.style
    except ImportError as error:
        raise InputError(
            f"drawing needs matplotlib, which is not installed ({error}); "
            "pip install 'facelink[plots]'."
        ) from error
    return matplotlib
