"""How every chart is drawn: palette, type, and pictures that are equal for equal data.

What belongs here: what charts share. What a chart shows belongs to `charts`.

Matplotlib is imported when a chart is drawn, never before: it takes half a second, and reads fonts.
"""

import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442")
"""Seven colours that colour-blind readers tell apart (Okabe & Ito 2008)."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""A shape for each colour, so that a chart can be read without colours."""
INK = "#333333"
PALE = "#9A9A9A"

_STYLE: Mapping[Any, Any] = {
    "axes.edgecolor": PALE,
    "axes.grid": False,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.dpi": 100,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "font.size": 9,
    "legend.frameon": False,
    "savefig.dpi": 150,
    # Letters stay letters: they can be found and read aloud, and a browser has the scripts that
    # DejaVu Sans lacks.
    "svg.fonttype": "none",
    # Ids inside the file would else be random.
    "svg.hashsalt": "segmentation",
    "text.color": INK,
    # A category may hold a dollar sign.
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
}


@dataclass(frozen=True)
class Sheet:
    """What a chart is drawn on: its width in inches.

    Letters have one size in inches, so that a narrow sheet is read where a wide one would be shrunk
    beyond that.
    """

    width: float

    @property
    def is_narrow(self) -> bool:
        """Whether a legend has to stand below the chart, and names have to be short."""
        return self.width < 5.0


SCREEN = Sheet(6.4)
"""For Dagster's UI."""
PAGE = Sheet(7.4)
"""For the column of a page that is 1,000 px wide or printed."""
PHONE = Sheet(3.3)
"""For the screen of a phone, 360 px wide."""


@dataclass(frozen=True, eq=False)
class Chart:
    """A picture, and what it shows in words; drawn when one asks for it, as what one asks for.

    Dagster's UI shows the PNG and a page the SVG, and to draw both took twice as long. Neither has
    dates or versions in it. The SVG is a document of its own: two of them in one page would share
    ids, so that `embedding` gives them others.
    """

    figure: "Figure" = field(repr=False)
    alt: str

    @cached_property
    def svg(self) -> str:
        """The picture as SVG."""
        with _style():
            text = io.StringIO()
            self.figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
            return text.getvalue()

    @cached_property
    def png(self) -> bytes:
        """The picture as PNG."""
        with _style():
            content = io.BytesIO()
            self.figure.savefig(content, format="png", metadata={"Software": None})
            return content.getvalue()


@contextmanager
def canvas(width: float, height: float) -> Iterator["Figure"]:
    """Give an empty figure, in inches, to draw on under the style of the house.

    A reader's own `matplotlibrc` changes nothing. The style is matplotlib's global one for as long
    as the block lasts, so charts are drawn one after the other, never in threads.
    """
    with _style():
        yield _figure_class()(figsize=(width, height), layout="constrained")


@cache
def _figure_class() -> type["Figure"]:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    class LaidOutFigure(Figure):
        """Is laid out before it is drawn, and not drawn into nothing besides.

        `savefig` draws a figure with a layout engine twice: with a renderer that draws nothing,
        since drawing lays it out, and then without the engine. The first took a third of the time.
        """

        def draw(self, renderer: Any) -> None:
            engine = self.get_layout_engine()
            if isinstance(engine, ConstrainedLayoutEngine):
                engine.execute(self)
            else:  # A placeholder, for as long as the figure is being saved.
                super().draw(renderer)

    return LaidOutFigure


def principal_components(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], list[float]]:
    """The first two principal components of rows (n, d): (n, 2), and their shares of variance.

    A component points to where its largest loading is positive. Where d is 1, or the rows lie on a
    line, the second one is 0.
    """
    centred = rows - rows.mean(axis=0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    axes, variances = axes[:2], sizes**2
    largest = np.abs(axes).argmax(axis=1)
    signs = np.sign(axes[np.arange(len(axes)), largest])
    points = np.zeros((len(rows), 2))
    points[:, : len(axes)] = centred @ (axes * signs[:, np.newaxis]).T
    total = float(variances.sum())
    shares = [float(one) / total if total > 0 else 0.0 for one in variances[:2]]
    return points, [*shares, 0.0][:2]


def shortened(text: object, longest: int = 28) -> str:
    """Put a name on one line, and cut it where it is too long for a chart.

    >>> shortened("Head of the department of surgery", 12)
    'Head of the…'
    """
    line = " ".join(str(text).split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


@contextmanager
def _style() -> Iterator[None]:
    with _quietly():
        import matplotlib as mpl

        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(_STYLE)
            yield


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep matplotlib from writing about folders and fonts, which are no reader's concern.

    Where the home folder can't be written to, it says so and caches in a temporary one; for letters
    that its font lacks it draws boxes in the PNG, and warns.
    """
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            yield
    finally:
        logger.setLevel(level)
