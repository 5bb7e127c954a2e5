"""A figure that was drawn, and where it was written.

Every `daf_plot_*` function ends here: the figure is written to `output_path`, or into this session's run directory for
visualizations, in every requested format, each file atomically. The same data give the same bytes.
"""

import functools
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from daf.errors import UsageError, unknown
from daf.render.theme import DPI, save_figure, series_order, themed
from daf.storage.printable import terminal_text
from daf.visualization._runs_given import contenders_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Console

    from daf.output_manager import OutputManager

FORMATS = ("png", "pdf", "svg")
LEAST_DPI, MOST_DPI = 30, 1200


class Look(TypedDict, total=False):
    """The settings that every plotting function takes in addition to its data.

    title: above the figure (default: what it shows). dark: use a dark ground. dpi: resolution of a PNG, 150 by default.
    formats: of png, pdf, svg; used if the output path has no suffix. output_manager: its run directory gets the files
    if there is no path (default: this session's). console: where the file names are printed.
    """

    title: str
    dark: bool
    dpi: int
    formats: Sequence[str]
    output_manager: "OutputManager | None"
    console: "Console | None"


@dataclass(frozen=True)
class Plot:
    """name: what was drawn. paths: the files, one per format. figure: the matplotlib figure, to view or modify.

    Usable wherever a path is: it stands for its first file.
    """

    name: str
    paths: tuple[Path, ...]
    figure: "Figure"
    dark: bool = False

    @property
    def path(self) -> Path:
        """The first file."""
        return self.paths[0]

    def __fspath__(self) -> str:
        return str(self.path)

    def _repr_png_(self) -> bytes:
        """The figure as a PNG, for notebooks."""
        buffer = io.BytesIO()
        with themed(dark=self.dark):
            self.figure.savefig(buffer, format="png", dpi=DPI)
        return buffer.getvalue()


def is_dark(look: Look) -> bool:
    """Whether to draw the figure on a dark ground; checks the other settings too, before any work.

    Raises `UsageError` for an unknown format and for a resolution out of bounds.
    """
    for name in look.get("formats", ()):
        if name not in FORMATS:
            raise UsageError(unknown("figure format", name, FORMATS))
    if "formats" in look and not look["formats"]:
        raise UsageError(f"formats is empty: choose at least one of {', '.join(FORMATS)}.")
    dpi = look.get("dpi", DPI)
    if not LEAST_DPI <= dpi <= MOST_DPI:
        raise UsageError(f"dpi={dpi} is outside {LEAST_DPI} to {MOST_DPI}.")
    return look.get("dark", False)


def in_plan_order[**P, R](draw: Callable[P, R]) -> Callable[P, R]:
    """`draw(source, …)` with each policy in the style of its position in the run's plan.

    So it keeps its colour in every figure and page of the run, even if a figure leaves out policies without a result.
    """

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        base_dir: Any = kwargs.get("base_dir")
        with series_order(contenders_of(args[0] if args else kwargs.get("source"), base_dir)):
            return draw(*args, **kwargs)

    return drawn


def finish(figure: "Figure", name: str, output_path: str | Path | None, look: Look) -> Plot:
    """Write `figure`, and report where. Raises `UsageError`, `StorageError`."""
    dark = is_dark(look)
    paths = _targets(name, output_path, look)
    with themed(dark=dark):
        for path in paths:
            save_figure(figure, path, dpi=look.get("dpi", DPI))
    console = look.get("console")
    if console is not None:
        for path in paths:
            console.print(terminal_text(str(path)), soft_wrap=True)
    return Plot(name, tuple(paths), figure, dark)


def titled(look: Look, default: str) -> str:
    """The requested title, or else `default`."""
    return look.get("title") or default


def _targets(name: str, output_path: str | Path | None, look: Look) -> list[Path]:
    formats = list(dict.fromkeys(look.get("formats", ("png",))))
    if output_path is None:
        from daf.output_manager import get_output_manager

        output: Any = look.get("output_manager") or get_output_manager()
        return [output.get_operation_dir("visualizations") / f"{name}.{kind}" for kind in formats]
    path = Path(output_path).expanduser()
    if path.is_dir():
        return [path / f"{name}.{kind}" for kind in formats]
    if not path.suffix:
        return [path.with_name(f"{path.name}.{kind}") for kind in formats]
    if path.suffix[1:].lower() not in FORMATS:
        raise UsageError(f"{path}: {unknown('figure format', path.suffix[1:], FORMATS)}")
    others = [path.with_suffix(f".{kind}") for kind in look.get("formats", ()) if f".{kind}" != path.suffix.lower()]
    return [path, *others]
