"""The page of a benchmark suite: scores between random and the best known policy, and the leaderboard."""

from typing import Any

from daf.render.pages.html import page
from daf.render.svg.intervals import IntervalRow, interval_figure
from daf.render.theme import styles


def suite_page(report: Any, *, command: str) -> str:
    """The page of a `BenchmarkReport`."""
    ranking = report.scores.ranking
    look = styles(report.policies)
    rows = [IntervalRow(row.name, look[row.name], row.mean, row.ci, row.iqm) for row in ranking]
    figure = interval_figure(
        rows, axis_title="score (0 random, 1 best known)", description="Score of each policy with its interval"
    )
    return page(
        "analyze_suite.html.j2",
        {
            "title": f"{report.suite.name}, version {report.suite.version}",
            "report": report,
            "command": command,
            "figure": figure,
            "ranking": [
                {
                    "rank": row.rank,
                    "name": row.name,
                    "slot": look[row.name].slot,
                    "mean": f"{row.mean:.2f}",
                    "ci": _bounds(row.ci),
                    "iqm": f"{row.iqm:.2f}",
                    "iqm_ci": _bounds(row.iqm_ci),
                    "n": row.n,
                    "caveat": row.caveat,
                }
                for row in ranking
            ],
            "missions": [
                {
                    "scale": scale,
                    "random": f"{scale.random_mean:.3g}",
                    "best": f"{scale.best_mean:.3g}",
                    "cells": _cells(report, scale.mission),
                }
                for scale in report.scores.scales
            ],
            "pairs": [pair for pair in report.scores.pairs if pair.stratum is None],
            "board": [
                {"policy": line.policy, "score": f"{line.score:.2f}", "ci": _bounds(line.ci), "when": line.when}
                for line in report.board
            ],
        },
    )


def _bounds(ci: tuple[float, float] | None) -> str:
    return "–" if ci is None else f"[{ci[0]:.2f}, {ci[1]:.2f}]"


def _cells(report: Any, mission: str) -> list[str]:
    scores = {row.name: row.mean for row in report.scores.by_mission.get(mission, ())}
    return [f"{scores[row.name]:.2f}" if row.name in scores else "–" for row in report.scores.ranking]
