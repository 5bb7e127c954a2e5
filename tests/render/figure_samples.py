"""Data for figures, drawn by seeded generators, and the figures whose pictures are kept to compare with.

    python -m tests.render.figure_samples

draws the kept pictures anew, after a change that is meant to be seen.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from daf.game.replays import Replay, read_replay
from daf.visualization import (
    Plot,
    daf_generate_summary_dashboard,
    daf_plot_cumulative_performance,
    daf_plot_episode_reward_distribution,
    daf_plot_learning_dynamics,
    daf_plot_policy_comparison,
    daf_plot_policy_radar,
    daf_plot_position_heatmap,
    daf_plot_sweep_heatmap,
    daf_plot_sweep_parallel_coordinates,
    daf_plot_sweep_results,
    daf_plot_training_curves,
)

KEPT = Path(__file__).parent / "kept_figures"
DPI = 45


def returns(policies: int = 3, episodes: int = 12, missions: int = 2) -> dict[str, dict[str, list[float]]]:
    generator = np.random.default_rng(5)
    return {
        f"policy_{p}": {
            f"mission_{m}": generator.normal(p + 2 * m, 0.8, size=episodes).tolist() for m in range(missions)
        }
        for p in range(policies)
    }


def rows(updates: int = 60, seed: int = 1, scale: float = 1.0) -> list[dict[str, float]]:
    generator = np.random.default_rng(seed)
    found = []
    for update in range(1, updates + 1):
        row = {
            "step": update * 1_000.0,
            "update": float(update),
            "loss/entropy": 1.4 * float(np.exp(-update / 30)),
            "loss/value": float(generator.gamma(2)) / update,
            "loss/policy": float(generator.normal(0, 0.01)),
            "schedule/learning_rate": 1e-3 * (1 - update / updates),
        }
        if update > 5:
            row["episode/return"] = scale * (1 - float(np.exp(-update / 20))) + float(generator.normal(0, 0.1))
            row["episode/count"] = float(generator.integers(1, 9))
        found.append(row)
    return found


def trials(count: int = 40, *, grid: bool = False) -> list[dict[str, object]]:
    generator = np.random.default_rng(9)
    found: list[dict[str, object]] = []
    for number in range(count):
        rate = [1e-4, 1e-3, 1e-2][number % 3] if grid else float(10 ** generator.uniform(-5, -1))
        size = [64, 128][number // 3 % 2] if grid else int(generator.choice([64, 128, 256]))
        values = generator.normal(2 - (np.log10(rate) + 3) ** 2, 0.2, size=5).tolist()
        settings = {"learning_rate": rate, "hidden_size": size, "optimizer": ["adam", "muon"][number % 2]}
        failed = number % 8 == 5
        found.append(
            {
                "hyperparameters": settings,
                "primary_metric": None if failed else sum(values) / 5,
                "mission_results": {} if failed else {"arena": {"values": values}},
                "status": "failed" if failed else "complete",
            }
        )
    return found


def metrics() -> dict[str, dict[str, list[float]]]:
    generator = np.random.default_rng(2)
    return {
        f"policy_{p}": {f"agent.metric_{m}": generator.normal(10 * p + m, 1 + m, size=6).tolist() for m in range(5)}
        for p in range(3)
    }


def wheel_replay() -> Replay:
    """A small replay of the installed mettagrid package."""
    import mettagrid

    return read_replay(Path(mettagrid.__file__).parent / "nim/mettascope/data/replays/pens.json.z")


FIGURES: dict[str, Callable[[Path], Plot]] = {
    "training_curves": lambda path: daf_plot_training_curves(rows(), path, dpi=DPI),
    "seeds": lambda path: daf_plot_learning_dynamics(
        {"a": [rows(seed=1), rows(seed=2)], "b": [rows(seed=3, updates=50), rows(seed=4)]}, path, dpi=DPI, dark=True
    ),
    "comparison": lambda path: daf_plot_policy_comparison(returns(), path, dpi=DPI),
    "distribution": lambda path: daf_plot_episode_reward_distribution(returns(9, 30, 1), path, dpi=DPI, dark=True),
    "cumulative": lambda path: daf_plot_cumulative_performance(returns(), path, dpi=DPI),
    "radar": lambda path: daf_plot_policy_radar(metrics(), path, dpi=DPI),
    "sweep": lambda path: daf_plot_sweep_results(trials(), path, dpi=DPI),
    "sweep_grid": lambda path: daf_plot_sweep_heatmap(trials(24, grid=True), path, dpi=DPI),
    "parallel": lambda path: daf_plot_sweep_parallel_coordinates(trials(), path, dpi=DPI, dark=True),
    "positions": lambda path: daf_plot_position_heatmap(wheel_replay(), path, dpi=DPI),
    "sheet": lambda path: daf_generate_summary_dashboard({"training": rows(), "returns": returns()}, path, dpi=DPI),
}

if __name__ == "__main__":
    for name, draw in FIGURES.items():
        print(draw(KEPT / f"{name}.png").path)
