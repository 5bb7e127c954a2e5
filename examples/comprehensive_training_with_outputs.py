"""Train for real on a mission of DAF, and leave everything that a training run can leave: see the README it writes.

Checkpoints, replays with their GIFs and players, figures, statistics as JSON and DuckDB, reports and a log. Every
number is measured; the success rate is by the mission's own criterion, which REPORT.md names.

Time: 240 s
"""

import json
import os
import shutil
from datetime import datetime
from pathlib import Path

from daf.config import DAFTrainingConfig
from daf.evaluation import Settings, evaluate
from daf.mission_analysis import daf_analyze_mission_performance
from daf.output_manager import OutputManager
from daf.replaying import daf_replay_html
from daf.tools.replay_to_gif import ReplayToGifConverter
from daf.tools.visualization_generator import VisualizationGenerator
from daf.training import daf_train_policy

MISSION = "training_facility_1,max_steps=100"
STEPS = int(os.environ.get("DAF_EXAMPLE_STEPS", "200000"))  # agent steps; more learns more
EPISODES = 20
REPLAYS = 6

place = Path(os.environ.get("DAF_EXAMPLE_DIR") or f"comprehensive_{datetime.now():%Y%m%d_%H%M%S}").absolute()
replays, stats, figures = place / "replays", place / "stats", place / "visualizations"
for folder in (replays, stats, figures):
    folder.mkdir(parents=True, exist_ok=True)
output = OutputManager(place / "daf_output")

# Train. A fifth of the steps lies between two checkpoints, and all of them are kept.
config = DAFTrainingConfig(
    mission=MISSION,
    policy="token_lstm",
    total_timesteps=STEPS,
    num_envs=16,
    checkpoint_frequency=STEPS // 5,
    keep_last_checkpoints=20,
    eval_frequency=STEPS // 2,
    eval_episodes=EPISODES,
)
training = daf_train_policy(config=config, output=output)
shutil.copytree(training.run_dir / "checkpoints", place / "checkpoints", dirs_exist_ok=True)

# Play the result and a random policy on the same episodes, and record the trained one's.
evaluation = evaluate(
    [str(training.run_dir), "random"],
    [MISSION],
    settings=Settings(episodes=EPISODES, seed=1000, save_replays="all"),
    output=OutputManager(output.base_dir),
    operation="comparisons",
)
performance = daf_analyze_mission_performance(
    str(training.run_dir), MISSION, episodes=EPISODES, seed=1000, output_manager=OutputManager(output.base_dir)
)

# Replays of the trained policy, their GIFs and players.
recorded = sorted((evaluation.run_dir / "replays").glob("*.json.z"))
for replay in [path for path in recorded if "random" not in path.name][:REPLAYS]:
    shutil.copy2(replay, replays)
gifs = ReplayToGifConverter(replays).batch_convert(replays)
for replay in sorted(replays.glob("*.json.z")):
    daf_replay_html(replay, replays / f"{replay.name.removesuffix('.json.z')}.html")

# Figures of fixed sizes, at 150 DPI.
generator = VisualizationGenerator(figures)
drawn = [
    generator.generate_training_curves(training.run_dir),
    generator.generate_reward_distribution(evaluation.run_dir),
    generator.generate_performance_comparison(evaluation.run_dir),
    generator.generate_summary_dashboard(training.run_dir),
]

# Statistics.
shutil.copy2(evaluation.run_dir / "stats" / "episodes.duckdb", stats)
ranking = {row.name: {"mean_reward": row.mean, "interval": row.ci} for row in evaluation.analysis.ranking}
numbers = {
    "mission": MISSION,
    "agent_steps": training.steps,
    "seconds": round(training.wall_seconds, 1),
    "learned": training.learned["sentence"],
    "ranking": ranking,
    "success_rate": performance.success_rate,
    "success_criterion": performance.criterion,
    "episodes": EPISODES,
}
(stats / "results.json").write_text(json.dumps(numbers, indent=2) + "\n")

# Reports, and what there is.
shutil.copy2(training.run_dir / "report.html", place / "training.html")
shutil.copy2(evaluation.run_dir / "report.html", place / "comparison.html")
rows = "\n".join(f"| {name} | {row['mean_reward']:.4g} |" for name, row in ranking.items())
rate = "no criterion" if performance.success_rate is None else f"{performance.success_rate:.0%}"
(place / "REPORT.md").write_text(
    f"# token_lstm on {MISSION}\n\n{training.learned['sentence']}\n\n{training.steps:,} agent steps in "
    f"{training.wall_seconds:.0f} s.\n\n| policy | mean reward per agent, {EPISODES} episodes |\n|---|---:|\n{rows}\n\n"
    f"Success rate of the trained policy: {rate} of {EPISODES} episodes (criterion: {performance.criterion}).\n\n"
    "[Training](training.html) · [Comparison](comparison.html)\n"
)
(place / "README.md").write_text(
    "# A training run and all that it left\n\n"
    "| file | content |\n|---|---|\n"
    "| `REPORT.md`, `training.html`, `comparison.html` | results |\n"
    "| `checkpoints/` | networks; `daf train --resume` and `-p` take the run in `daf_output/` |\n"
    "| `replays/` | episodes: `.json.z` for MettaScope and `daf replay`, `.gif`, `.html` |\n"
    "| `stats/` | `results.json`, and `episodes.duckdb` for SQL |\n"
    "| `visualizations/` | figures |\n"
    "| `daf_output/` | the run directories of DAF, with logs |\n"
)
found = {
    "checkpoints": len(list((place / "checkpoints").glob("step_*"))),
    "replays": len(list(replays.glob("*.json.z"))),
    "GIFs": len(gifs),
    "figures": len(drawn),
}
print(", ".join(f"{count} {name}" for name, count in found.items()), "in", place)
print(training.learned["sentence"])
print(f"success rate: {rate} ({performance.criterion})")
