"""One style for every figure: the same series has the same colour and marker wherever it appears.

`styles(names)` gives the styles; the same names in the same order give the same styles, in HTML, in PNG and in a plot
of another module. Within `series_order`, that order decides, whichever of the names a figure shows. Colours are
distinct under the three kinds of colour blindness, and every series also has a marker and, from the sixth on, a dashed
line, so that nothing relies on colour alone. A file that `save_figure` writes depends on the figure only: no date, no
version, no random ids.
"""

import contextlib
import contextvars
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.errors import UsageError, unknown
from daf.storage import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150

LIGHT = ("#0b63b8", "#d1570a", "#014319", "#a9017c", "#499fbd", "#775200", "#9c6dfb", "#ab6460", "#272a2e", "#048a92")
DARK = ("#6cb2ff", "#ff9a52", "#bafac6", "#a75d75", "#3192c3", "#fed757", "#8753ec", "#d73418", "#a6acb3", "#64e6f6")
"""Series colours on a light and on a dark ground; each position has the same hue in both.

Found by a search that maximizes the smallest distance (Oklab) under normal vision and the three dichromacies, as
simulated by Machado et al. (2009): 0.087 among the first eight, compared with 0.076 for Okabe and Ito's eight, at a
contrast of at least 3.
"""

MARKERS = ("circle", "square", "diamond", "up", "down", "plus", "cross")
"""Names of marker shapes; their number and the number of colours are coprime, so 70 series all differ."""

DASHES = ("solid", "dash", "dot", "dashdot")
"""Names of line patterns. Five series share one, so that figures with few series stay simple."""

MATPLOTLIB_DASHES: dict[str, Any] = {
    "solid": "-",
    "dash": (0, (4, 1.6)),
    "dot": (0, (1.2, 1.4)),
    "dashdot": (0, (5, 1.5, 1.2, 1.5)),
}

MATPLOTLIB_MARKERS = {"circle": "o", "square": "s", "diamond": "D", "up": "^", "down": "v", "plus": "P", "cross": "X"}


@dataclass(frozen=True)
class Ground:
    """The colours around the data."""

    background: str
    text: str
    muted: str
    grid: str


LIGHT_GROUND = Ground(background="#ffffff", text="#1b1f24", muted="#5b6470", grid="#e3e6ea")
DARK_GROUND = Ground(background="#14171b", text="#e8eaed", muted="#9aa4b1", grid="#2b3138")


@dataclass(frozen=True)
class SeriesStyle:
    """How one series is drawn. slot: position in `LIGHT` and `DARK`; marker: of `MARKERS`; dash: of `DASHES`."""

    slot: int
    marker: str
    dash: str = "solid"

    def color(self, *, dark: bool = False) -> str:
        """The colour as #rrggbb."""
        return (DARK if dark else LIGHT)[self.slot]


def style(position: int) -> SeriesStyle:
    """The style of series number `position`, starting at 0; the first 70 are all different."""
    return SeriesStyle(position % len(LIGHT), MARKERS[position % len(MARKERS)], DASHES[position // 5 % len(DASHES)])


_ORDER: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar("daf_series_order", default=())


def styles(names: Sequence[str]) -> dict[str, SeriesStyle]:
    """A style for each name, by its position in the `series_order`, or else among the distinct `names`."""
    order = _ORDER.get()
    if not set(names) <= set(order):
        order = tuple(dict.fromkeys(names))
    return {name: style(order.index(name)) for name in dict.fromkeys(names)}


@contextlib.contextmanager
def series_order(names: Sequence[str]) -> Iterator[None]:
    """Within the block, a figure whose series are all among `names` gives each the style of its position there."""
    token = _ORDER.set(tuple(dict.fromkeys(names)))
    try:
        yield
    finally:
        _ORDER.reset(token)


def ground(*, dark: bool = False) -> Ground:
    """Background, text and grid."""
    return DARK_GROUND if dark else LIGHT_GROUND


def matplotlib_rc(*, dark: bool = False) -> dict[str, Any]:
    """Matplotlib settings for this style, as for `matplotlib.rc_context`; "$" in a name stays a dollar sign."""
    from cycler import cycler

    around = ground(dark=dark)
    return {
        "figure.dpi": DPI,
        "savefig.dpi": DPI,
        "figure.facecolor": around.background,
        "savefig.facecolor": around.background,
        "axes.facecolor": around.background,
        "axes.edgecolor": around.muted,
        "axes.labelcolor": around.text,
        "axes.titlecolor": around.text,
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "axes.titlesize": 11,
        "axes.labelsize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.prop_cycle": cycler(color=list(DARK if dark else LIGHT)),
        "grid.color": around.grid,
        "grid.linewidth": 0.8,
        "text.color": around.text,
        "text.parse_math": False,
        "xtick.color": around.muted,
        "ytick.color": around.muted,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "legend.frameon": False,
        "legend.fontsize": 9,
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 10,
        "lines.linewidth": 1.8,
        "lines.markersize": 5,
        "svg.hashsalt": "daf",
        "svg.fonttype": "path",
        "pdf.fonttype": 42,
    }


def legend(target: "Figure | Axes", handles: Sequence[Any], names: Sequence[str], **options: Any) -> Any:
    """The legend of `target`, with `names` taken literally.

    When matplotlib collects handles itself, it skips labels that begin with "_", as file and class names may. So the
    handles are passed explicitly, and their texts are set afterwards.
    """
    made = target.legend(list(handles), [str(place) for place in range(len(names))], **options)
    for text, name in zip(made.get_texts(), names, strict=True):
        text.set_text(name)
    return made


@contextlib.contextmanager
def themed(*, dark: bool = False) -> Iterator[None]:
    """Figures made and saved inside the block have this style, whatever the user's settings are; these are restored
    after it.
    """
    import matplotlib as mpl

    settings: Any = matplotlib_rc(dark=dark)
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        yield


def save_figure(figure: "Figure", path: str | Path, *, dpi: int = DPI) -> Path:
    """Write `figure` in the format of `path`'s suffix (.png, .pdf, .svg), atomically. Returns the path.

    The same figure gives the same bytes. Raises `UsageError` for another suffix, `StorageError` if it cannot write.
    """
    import matplotlib as mpl

    target = Path(path)
    metadata: dict[str, dict[str, Any]] = {
        ".png": {"Software": None},
        ".pdf": {"Creator": "daf", "Producer": "daf", "CreationDate": None},
        ".svg": {"Creator": "daf", "Date": None},
    }
    suffix = target.suffix.lower()
    if suffix not in metadata:
        raise UsageError(unknown("figure format", suffix or target.name, metadata))
    with mpl.rc_context({"svg.hashsalt": "daf"}), atomic.writing(target) as temporary:
        figure.savefig(temporary, format=suffix[1:], dpi=dpi, metadata=metadata[suffix])
    return target
