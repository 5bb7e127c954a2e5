"""The commands that the tests of faults break, and the end result that each must reach all the same.

A scenario is made once: its set-up commands run without faults. Then its command is broken at some call, repeated, and
must reach the result of an uninterrupted run.
"""

import hashlib
import json
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.driving import Ran

MISSION = "memory_mystery_path_easy,max_steps=10"
PLAY = ("--executor", "serial", "--json", "--quiet")
EVALUATE = ("evaluate", "-p", "random", "-p", "noop", "-m", MISSION, "-e", "2", *PLAY)
SWEEP = """
kind: sweep
name: small
missions: ["memory_mystery_path_easy,max_steps=10"]
policy_class_path: random
search_space: {policy.vibe_action_p: {min: 0.0, max: 1.0}}
strategy: tpe
num_trials: 3
episodes_per_trial: 2
held_out_best: 1
held_out_episodes: 2
"""
PIPELINE = """
kind: pipeline
name: small
stages:
  - {use: command, name: first, run: [sh, -c, "echo one > first.txt"]}
  - {use: command, name: second, run: [sh, -c, "echo two > second.txt"], needs: [first]}
"""
POLICY = """
from mettagrid.policy.policy import AgentPolicy, MultiAgentPolicy
from mettagrid.simulator import Action

class Agent(AgentPolicy):
    def step(self, obs):
        return Action(name="noop")

class Still(MultiAgentPolicy):
    short_names = ["still"]
    def agent_policy(self, agent_id):
        return Agent(self.policy_env_info)
"""
TRAIN = (
    "train", "-m", "training_facility_1,max_steps=40", "-p", "lstm", "--steps", "768", "--envs", "6", "--workers", "1",
    "--seed", "7", "--set", "n_steps=16", "--checkpoint-every", "384", "--eval-every", "never",
    "--no-eval-baselines", "--tracker", "jsonl", "--run-dir", "run", "--json", "--quiet",
)  # fmt: skip


@dataclass(frozen=True)
class Scenario:
    """A command under faults.

    files: in the directory before anything runs. before: commands without faults. result: what must be equal in the
    end, from the directory and the last run. committed: the number of results on disk that no repetition may work out
    again, and `reused`, how many a run took from there. ended: whether a repeated command may refuse because all
    is done. modules: imported by the warm process.
    """

    name: str
    argv: Sequence[str]
    result: Callable[[Path, Ran], Any]
    files: dict[str, str]
    before: Sequence[Sequence[str]] = ()
    committed: Callable[[Path], int] = lambda root: 0
    reused: Callable[[Ran], int] = lambda ran: 0
    ended: Callable[[Ran], bool] = lambda ran: False
    modules: Sequence[str] = ()


def _episodes(root: Path, ran: Ran) -> Any:
    data = ran.data()
    rows = [[e[name] for name in ("mission", "seed", "policies", "rewards", "status", "key")] for e in data["episodes"]]
    return [rows, data.get("ranking"), data.get("pairs")]


def _stored_episodes(root: Path) -> int:
    return sum(1 for _ in (root / "out/cache/episodes").glob("*/*.json"))


def _cached_episodes(ran: Ran) -> int:
    return sum(episode["cached"] for episode in ran.data()["episodes"])


def _trials(root: Path, ran: Ran) -> Any:
    data = ran.data()
    names = ("trial_id", "hyperparameters", "values", "status", "mission_results")
    return [[{name: trial[name] for name in names} for trial in data["trials"]], data["held_out"]["winner"]]


def _weights(root: Path, ran: Ran) -> Any:
    data = ran.data()
    final = Path(data["final_checkpoint"])
    lines = [json.loads(line) for line in (root / "run/metrics.jsonl").read_text().splitlines()]
    kept = [{k: v for k, v in line.items() if not k.startswith(("clock/", "system/"))} for line in lines]
    return [_hash(final / "weights.safetensors"), data["steps"], kept]


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _bundle(root: Path, ran: Ran) -> Any:
    return _hash(root / "still.zip")


def _live(root: Path, ran: Ran) -> Any:
    pointer = [json.loads(path.read_text()) for path in (root / "registry").rglob("*.json") if "log" not in path.name]
    return sorted(str(entry.get("version")) for entry in pointer if isinstance(entry, dict))


def _runs_left(root: Path, ran: Ran) -> Any:
    return sorted(path.name for path in (root / "out").glob("evaluations/*") if not path.name.startswith("."))


def _archive(root: Path, ran: Ran) -> Any:
    with tarfile.open(root / "exported.tar.gz") as archive:
        return sorted((item.name, item.size) for item in archive if item.isfile())


def _tables(root: Path, ran: Ran) -> Any:
    import duckdb

    (folder,) = (root / "out/evaluations").iterdir()
    found = {}
    for path in sorted((folder / "stats").glob("*.parquet")):
        rows = duckdb.sql(f"select * from read_parquet('{path}')").fetchall()
        found[path.name] = len(rows)
    return found, (folder / "report.html").is_file(), _results(folder)


def _results(folder: Path) -> Any:
    path = folder / "results.json"
    return json.loads(path.read_text())["summary"] if path.is_file() else None


def _log_counts(root: Path, ran: Ran) -> Any:
    return ran.data()["summary"]


def _stages(root: Path, ran: Ran) -> Any:
    data = ran.data()
    return [
        data["status"],
        data["stages_completed"],
        (root / "first.txt").read_text(),
        (root / "second.txt").read_text(),
    ]


LOG = "".join(json.dumps({"step": step, "x": 1, "y": 2, "map": 1, "event": 0.5}) + "\n" for step in range(200))

SCENARIOS = [
    Scenario("evaluate", (*EVALUATE, "--save-replays", "all"), _episodes, {}, (), _stored_episodes, _cached_episodes),
    Scenario(
        "compare", ("compare", *EVALUATE[1:-len(PLAY) - 1], "3", *PLAY), _episodes, {}, (), _stored_episodes,
        _cached_episodes,
    ),
    Scenario("sweep", ("sweep", "run", "sweep.yaml", *PLAY), _trials, {"sweep.yaml": SWEEP}),
    Scenario("train", TRAIN, _weights, {}, modules=("torch", "daf.training", "daf.core.rl_trainer")),
    Scenario("pipeline", ("pipeline", "run", "pipeline.yaml", "--json", "--quiet"), _stages,
             {"pipeline.yaml": PIPELINE}, modules=("daf.cli.pipeline", "daf.orchestrators")),
    Scenario("package", ("package", "-p", "still.py", "-o", "still.zip", "--json"), _bundle, {"still.py": POLICY},
             modules=("daf.cli.package", "daf.deployment")),
    Scenario(
        "deploy", ("deploy", "still.zip", "--version", "1.1.0", "--mode", "skip", "--registry", "registry", "--json"),
        _live, {"still.py": POLICY},
        (("package", "-p", "still.py", "-o", "still.zip", "--json"),
         ("deploy", "still.zip", "--version", "1.0.0", "--mode", "skip", "--registry", "registry", "--json")),
        modules=("daf.cli.deploy", "daf.deployment"),
    ),
    Scenario("report", ("report", "latest", "--json"), _tables, {}, (EVALUATE,)),
    Scenario("rebuild", ("runs", "rebuild", "latest", "--json"), _tables, {}, (EVALUATE,)),
    Scenario("clean", ("runs", "clean", "--older-than", "0h", "--yes", "--json"), _runs_left, {}, (EVALUATE,)),
    Scenario("export", ("runs", "export", "latest", "--to", "exported.tar.gz", "--json"), _archive, {}, (EVALUATE,),
             ended=lambda ran: "is there already" in ran.stdout),
    Scenario("logs", ("logs", "log.jsonl", "--incremental", "--output-dir", "plots", "--jobs", "1", "--json"),
             _log_counts, {"log.jsonl": LOG},
             modules=("daf.cli.logs", "daf.log_analysis", "matplotlib.backends.backend_agg")),
]  # fmt: skip
