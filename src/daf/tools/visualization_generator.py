"""The standard figures as PNG files of fixed sizes, as a class and as a standalone program.

    python -m daf.tools.visualization_generator RUN [--output-dir D]

At 150 DPI: training_curves.png 1500×1000, reward_distribution.png and performance_comparison.png 1500×500, heatmap.png
1500×1000, summary_dashboard.png 1800×1200 pixels. `daf plot` draws these and more, in any format.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daf.errors import DAFError, DataError
from daf.render.figures.curves import curves_figure
from daf.render.figures.frame import finite_values
from daf.render.figures.matrix import matrix_figure
from daf.render.figures.means import means_figure
from daf.render.figures.spread import spread_figure
from daf.render.theme import DPI, save_figure, themed
from daf.tools._session_directory import SessionDirectory
from daf.visualization import daf_generate_summary_dashboard
from daf.visualization.policy_plots import (
    comparison_caption,
    comparison_panel,
    policies_label,
    spread_caption,
    spread_panels,
)
from daf.visualization.returns import returns_of
from daf.visualization.training_data import training_groups
from daf.visualization.training_plots import CURVES, training_panels, training_title, x_label

CURVES_SIZE, HALF_SIZE = (10.0, 20 / 3), (10.0, 10 / 3)
"""Inches: 1500×1000 and 1500×500 pixels."""


class VisualizationGenerator(SessionDirectory):
    """Writes figures into `output_dir`; None means the visualizations directory of this session.

    Data are any input of the `daf_plot_*` functions: runs (directories, ids), reports, rows, columns, plain numbers.
    Each method returns the path of its file, and raises `DataError` if there is nothing to draw.
    """

    def generate_training_curves(
        self, data: Any, filename: str = "training_curves.png", *, title: str | None = None
    ) -> Path:
        """Returns, lengths, rewards and entropy over agent steps, or any other metrics in `data`: 1500×1000."""
        groups = training_groups(data)
        panels, caption = training_panels(groups, None, CURVES, None)
        shown = panels[:9]
        more = f" {len(panels) - len(shown)} more metrics are not shown." if len(panels) > len(shown) else ""
        figure = curves_figure(
            shown,
            names=list(groups),
            x_label=x_label(groups),
            title=title or training_title("Training", list(groups)),
            caption=caption + more,
            size=CURVES_SIZE,
        )
        return self._save(figure, filename)

    def generate_reward_distribution(
        self, data: Any, filename: str = "reward_distribution.png", *, title: str | None = None
    ) -> Path:
        """The return of every episode, with quartiles and means, of up to two missions: 1500×500."""
        found = returns_of(data)
        figure = spread_figure(
            spread_panels(found)[:2],
            found.policies,
            title=title or f"Returns of episodes: {policies_label(found)}",
            caption=spread_caption(found),
            size=HALF_SIZE,
        )
        return self._save(figure, filename)

    def generate_performance_comparison(
        self, data: Any, filename: str = "performance_comparison.png", *, title: str | None = None
    ) -> Path:
        """The mean return of every policy, with its interval: 1500×500."""
        found = returns_of(data)
        figure = means_figure(
            [comparison_panel(found)],
            found.policies,
            title=title or f"Returns of {policies_label(found)}",
            caption=comparison_caption(found),
            size=HALF_SIZE,
        )
        return self._save(figure, filename)

    def generate_heatmap(
        self,
        data: Any,
        filename: str = "heatmap.png",
        *,
        rows: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        title: str = "Heat map",
        unit: str = "value",
    ) -> Path:
        """A matrix of numbers as coloured cells: 1500×1000.

        data: rows of numbers, {row: {column: number}}, or the returns of policies on several missions. A missing cell
        (None, NaN) is hatched. rows, columns: names, for numbers that have none.
        """
        values, named_rows, named_columns = _matrix(data)
        figure = matrix_figure(
            values,
            list(rows or named_rows),
            list(columns or named_columns),
            title=title,
            caption=f"n = {int(np.isfinite(values).sum())} values.",
            unit=unit,
            size=CURVES_SIZE,
        )
        return self._save(figure, filename)

    def generate_summary_dashboard(
        self, data: Any, filename: str = "summary_dashboard.png", *, title: str | None = None
    ) -> Path:
        """One sheet on a training run, a comparison or a sweep: 1800×1200."""
        target = self.output_dir / filename
        named = {} if title is None else {"title": title}
        return daf_generate_summary_dashboard(data, target, **named).path  # type: ignore[arg-type]

    def _save(self, figure: Any, filename: str) -> Path:
        with themed():
            return save_figure(figure, self.output_dir / filename, dpi=DPI)


def _matrix(data: Any) -> tuple[np.ndarray, list[str], list[str]]:
    if isinstance(data, Mapping) and data and all(isinstance(row, Mapping) for row in data.values()):
        columns = list(dict.fromkeys(str(column) for row in data.values() for column in row))
        values = np.full((len(data), len(columns)), np.nan)
        for place, row in enumerate(data.values()):
            for column, value in row.items():
                values[place, columns.index(str(column))] = np.nan if value is None else _number(value)
        return values, [str(name) for name in data], columns
    try:
        values = np.array([[np.nan if value is None else value for value in row] for row in data], dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError("a heat map needs rows of equal length, or {row: {column: number}}.") from None
    if values.ndim != 2:
        raise DataError(f"a heat map needs rows of numbers, got an array of shape {values.shape}.")
    return values, [str(number) for number in range(len(values))], [str(number) for number in range(values.shape[1])]


def _number(value: Any) -> float:
    """One number, or the mean of several."""
    return float(value) if np.ndim(value) == 0 else float(finite_values(list(value), "a cell").mean())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    from daf.visualization.run_figures import daf_plot_run

    parser = argparse.ArgumentParser(prog="visualization_generator", description="Draw the figures of a run.")
    parser.add_argument("run", metavar="RUN", help="a run directory, a run id or a replay file")
    parser.add_argument("--output-dir", help="where to write figures (default: visualizations in the run directory)")
    chosen = parser.parse_args(arguments)
    try:
        for path in daf_plot_run(chosen.run, output_dir=chosen.output_dir).paths:
            sys.stdout.write(f"{path}\n")
    except DAFError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
