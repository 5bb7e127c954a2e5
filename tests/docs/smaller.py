"""Makes what the documentation shows cheap to run: shorter missions, fewer episodes and steps, small networks.

Only sizes change. Names, options and their order stay as they are written, so that a wrong one is found.
"""

import re
from typing import Any

from typer import _click as click
from typer.core import TyperGroup

from daf.cli.main import _app

STEPS = 20
TRAINING = {"n_steps": 16, "num_envs": 2, "num_workers": 1}
PYTHON = [
    (r'"arena(,max_steps=200)?"', f'"arena,cogs=4,max_steps={STEPS}"'),
    (r"episodes_per_mission=\d+", "episodes_per_mission=2"),
    (r'daf_train_policy\("[^"]*", "lstm"', 'daf_train_policy("training_facility_1,max_steps=40", "lstm"'),
    (r"total_timesteps=[\d_]+", "total_timesteps=1_024"),
    (r'\{"learning_rate": 3e-4\}', '{"learning_rate": 3e-4, "n_steps": 16, "num_envs": 2, "num_workers": 1}'),
    (r"DAFRlConfig\(", "DAFRlConfig(n_steps=16, num_envs=2, num_workers=1, "),
    (r'"training_facility_1(,max_steps=60)?"\)', '"training_facility_1,max_steps=40")'),
    (r"num_steps=100_000", "num_steps=1_024, num_envs=2, n_steps=16"),
    (r"train_episodes\(100\)", "train_episodes(2)"),
    (r"episodes=(50|20)\b", "episodes=2"),
    (r"rounds=50", "rounds=2"),
    (r"DAFTournamentConfig\(", "DAFTournamentConfig(validation_episodes=1, "),
]
SPREAD = (200, "6")
"""Steps and episodes of commands that need episodes with different returns."""
MISSIONS = {"-m", "--mission", "--missions", "--eval-mission", "--gate-mission"}
VALUES = {
    ("-e", "--episodes"): "",
    ("--eval-episodes",): "2",
    ("--max-episodes",): "8",
    ("--looks",): "4,8",
    ("--steps",): "512",
    ("--eval-every",): "512",
    ("--checkpoint-every",): "512",
    ("--envs",): "2",
    ("--workers",): "1",
    ("--stop-at",): "256",
    ("--threshold",): "0",
}
MISSION = re.compile(r"(arena|machina_1|tutorial|memory_|training_facility|assembler)[\w.*]*(,.*)?")
FIELDS: dict[str, Any] = {
    "episodes_per_mission": 2,
    "episodes_per_trial": 1,
    "episodes": 2,
    "held_out_best": 1,
    "held_out_episodes": 2,
    "num_trials": 2,
    "num_runs": 2,
    "total_timesteps": 512,
    "max_steps_per_episode": STEPS,
    "steps": 512,
    "min_timesteps": 256,
    "min_steps": 256,
    "validation_episodes": 2,
}
TRAINS = {"train", "clone"}
VALIDATES = {"validate", "deploy"}
SERVERS = {"serve", "dashboard"}
"""They listen on a port that is free, since tests run at the same time."""


def mission(text: str, steps: int = STEPS, *, few: bool = True) -> str:
    """The mission with few steps; few: and with few agents on `arena`."""
    name, *options = text.split(",")
    kept = [option for option in options if not option.startswith("max_steps=")]
    if few and name == "arena" and not any(option.startswith("cogs=") for option in kept):
        kept.append("cogs=4")
    return ",".join([name, *kept, f"max_steps={steps}"])


def command(given: list[str]) -> list[str]:
    """The words of a `daf` command, with small sizes, and what `for_tests` adds."""
    path, _ = _options(given)
    values = {flag: value for flags, value in VALUES.items() for flag in flags}
    small = list(given)
    steps, episodes = SPREAD if path[:1] in (["metrics"], ["power"]) else (STEPS, "2")
    for place, word in enumerate(given):
        before = given[place - 1] if place else ""
        if before in values:
            small[place] = values[before] or episodes
        elif before in MISSIONS or (path[:1] == ["analyze"] and MISSION.fullmatch(word) and before[:1] != "-"):
            small[place] = word if word.endswith((".yaml", ".py", ".json")) else mission(word, steps)
    if path and path[-1] in TRAINS and "--config" not in given and "--resume" not in given:
        sizes = [f"{name}={TRAINING[name]}" for name in ("n_steps", *(() if "--envs" in given else ("num_envs",)))]
        small += [word for size in sizes if size not in given for word in ("--set", size)]
        small += [] if "--steps" in given else ["--steps", "512"]
    if path and path[-1] in VALIDATES and not MISSIONS & set(given):
        small += ["-m", mission("arena")]
    if path == ["submit"]:
        small += ["--validation-episodes", "1"]
    return for_tests(small)


def for_tests(given: list[str]) -> list[str]:
    """The words of a `daf` command, with options without which tests would be slow, or get into each other's way.

    One process plays, unless an option chooses how.
    """
    path, options = _options(given)
    small = list(given)
    chosen = {"--executor", "--jobs", "-j", "--address", "--nproc", "--nodes"} & set(given)
    if "--executor" in options and not chosen and not {*path} & TRAINS:
        small += ["--executor", "serial"]
    if path and path[-1] in SERVERS and "--port" not in given:
        small += ["--port", "0"]
    if "--no-browser" in options:
        small += ["--no-browser"]
    return small


def _options(given: list[str]) -> tuple[list[str], set[str]]:
    """The names of the command in `given`, and the options it has."""
    found: click.Command = _app()
    path: list[str] = []
    for word in given[1:]:
        if not isinstance(found, TyperGroup):
            break
        inner = found.get_command(click.Context(found), word)
        if inner is None:
            break
        path.append(word)
        found = inner
    return path, {name for param in found.params for name in param.opts}


def python(text: str) -> str:
    """A Python block with small sizes."""
    for pattern, smaller in PYTHON:
        text = re.sub(pattern, smaller, text)
    return text


def data(shown: Any) -> Any:
    """The content of a configuration file with small sizes."""
    if isinstance(shown, list):
        return [data(item) for item in shown]
    if not isinstance(shown, dict):
        return shown
    small = {}
    for name, value in shown.items():
        if name == "curriculum":  # its missions have options
            small[name] = value
        elif name in ("mission", "missions", "gate_missions", "validation_missions"):
            names = [value] if isinstance(value, str) else value
            shown = [mission(each, few=False) for each in names]  # a search space may choose the number of agents
            small[name] = shown[0] if isinstance(value, str) else shown
        elif name in FIELDS and not isinstance(value, (dict, list)):
            small[name] = FIELDS[name]
        else:
            small[name] = data(value)
        if name in ("training", "training_config"):
            small[name] |= TRAINING
    if small.get("kind") == "training":
        small |= TRAINING
    if small.get("use") == "train":
        small["options"]["set"] = [f"{name}={TRAINING[name]}" for name in ("n_steps", "num_envs")]
    return small
