"""Training runs in the trainer's format, of a learner small enough for a test: REINFORCE on a bandit of four arms.

Every number in the files is what this learner measured; only its size is not that of a policy in the game.
"""

import json
from pathlib import Path

import numpy as np

from daf.output_manager import OutputManager

ARMS = np.array([0.1, 0.3, 0.5, 0.9])


def train_bandit(
    base: Path,
    *,
    updates: int = 60,
    evaluate_every: int = 10,
    mission: str = "bandit,arms=4",
    policy: str = "softmax",
    title: str = "softmax on bandit",
    error: str | None = None,
    missions: int = 1,
) -> Path:
    """Train, and return the run folder. error: the run fails with this message after its last update."""
    output = OutputManager(base, monitor_system_stats=False)
    generator = np.random.default_rng(7)
    weights, steps = np.zeros(4), 0
    metrics, evaluations = [], []
    folder = output.log_operation_start("training", title=title, config={"mission": mission, "policy": policy})
    for update in range(1, updates + 1):
        chances = np.exp(weights) / np.exp(weights).sum()
        arms = generator.choice(4, size=128, p=chances)
        rewards = ARMS[arms] + generator.normal(0, 0.2, size=128)
        gradient = np.zeros(4)
        for arm, reward in zip(arms, rewards, strict=True):
            gradient += (reward - rewards.mean()) * (np.eye(4)[arm] - chances)
        weights = weights + 0.5 * gradient / 128
        steps += 128
        after = np.exp(weights) / np.exp(weights).sum()
        metrics.append(
            {
                "step": steps,
                "update": update,
                "episode/return": float(rewards.mean()),
                "episode/length": 1.0,
                "loss/entropy": float(-(chances * np.log(chances)).sum()),
                "loss/approx_kl": float((chances * np.log(chances / after)).sum()),
                "gradient/norm": float(np.linalg.norm(gradient) / 128),
                "stats/best_arm": float((arms == 3).mean()),
                "curriculum/entropy": 0.0,
                "clock/sps": 128.0 * update,
            }
        )
        if update % evaluate_every == 0 or update == updates:
            evaluations.append(_evaluation(generator, after, steps, update, mission, missions))
    _lines(folder / "metrics.jsonl", metrics)
    _lines(folder / "evaluations.jsonl", evaluations)
    for name in (f"step_{steps:012d}", "final"):
        (folder / "checkpoints" / name).mkdir(parents=True)
        (folder / "checkpoints" / name / "state.json").write_text(json.dumps({"weights": weights.tolist()}))
    result = {
        "status": "failed" if error else "done",
        "steps": steps,
        "total_timesteps": steps,
        "updates": updates,
        "mission": mission,
        "policy": policy,
        "seed": 7,
        "final_checkpoint": None if error else "checkpoints/final",
        "wall_seconds": 1.0,
        "metrics": {},
        "evaluation": evaluations[-1],
        "error": {"type": "TrainingDiverged", "message": error} if error else None,
        "hyperparameters": {"learning_rate": 0.5, "gamma": 0.99, "own_argument": 3},
    }
    (folder / "training.json").write_text(json.dumps(result))
    output.log_operation_complete("training", "failed" if error else "completed", error=error)
    return folder


def _evaluation(
    generator: np.random.Generator, chances: np.ndarray, steps: int, update: int, mission: str, missions: int
) -> dict[str, object]:
    by_mission = {}
    for number in range(missions):
        scores = ARMS[generator.choice(4, size=20, p=chances)]
        half = 1.96 * float(scores.std(ddof=1)) / np.sqrt(20)
        mean = float(scores.mean())
        name = mission if missions == 1 else f"{mission} {number}"
        by_mission[name] = {"mean": mean, "low": mean - half, "high": mean + half, "iqm": mean, "n": 20}
    mean = float(np.mean([row["mean"] for row in by_mission.values()]))
    half = float(np.mean([row["high"] - row["mean"] for row in by_mission.values()])) / np.sqrt(missions)
    overall = {"mean": mean, "low": mean - half, "high": mean + half, "n": 20 * missions}
    return {
        "step": steps,
        "update": update,
        "missions": by_mission,
        "seed": 1000,
        "replays": [],
        "seconds": 0.1,
        **overall,
    }


def _lines(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
