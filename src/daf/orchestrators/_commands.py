"""The commands that stages run: how their options are written, and which outputs other stages can refer to."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daf.config.stage import DAFStageConfig
from daf.errors import ConfigError


@dataclass(frozen=True)
class StageCommand:
    """A command of DAF. words: after `daf`. arguments: its positional arguments, in order. outputs: names of what other
    stages can refer to, in addition to run_id, run_dir and report.

    config: the option that takes the configuration file, or "argument"; None if there is none. kind: word for that
    file's `kind:`. plays: it has --executor; trains: with local or ray. labels: it has --tag. resume: the words that
    resume a run of it. kept: False for what describes the present, and so always runs. inputs: options without which
    the command has nothing to work on, as alternatives; a configuration file may hold them instead.
    """

    words: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    config: str | None = None
    kind: str | None = None
    plays: bool = False
    trains: bool = False
    labels: bool = False
    resume: tuple[str, ...] = ()
    kept: bool = True
    inputs: tuple[tuple[str, ...], ...] = ()


def _playing(*words: str, **fields: Any) -> StageCommand:
    return StageCommand(words, plays=True, labels=True, **fields)


_MISSION = ("mission",)
_CONTENDERS = (("policy", "team"), _MISSION)


COMMANDS: dict[str, StageCommand] = {
    "check": StageCommand(("doctor",), kept=False),
    "train": StageCommand(
        ("train",), outputs=("policy", "checkpoint"), config="--config", kind="training", trains=True, labels=True,
        resume=("train", "--resume"), inputs=(("mission", "curriculum", "resume"),),
    ),
    "clone": StageCommand(
        ("clone",), arguments=("teacher",), outputs=("policy", "checkpoint"), config="--config", kind="training",
        trains=True, labels=True, resume=("clone", "--resume"), inputs=(("teacher", "resume"), ("mission", "resume")),
    ),
    "sweep": StageCommand(
        ("sweep", "run"), outputs=("best", "hyperparameters"), arguments=("config",), config="argument", kind="sweep",
        plays=True, labels=True, resume=("sweep", "resume"),
    ),
    "evaluate": _playing(
        "evaluate", outputs=("best",), config="--config", kind="comparison", inputs=_CONTENDERS
    ),
    "compare": _playing("compare", outputs=("best",), config="--config", kind="comparison", inputs=_CONTENDERS),
    "power": _playing("power", config="--config", kind="comparison"),
    "score": _playing(
        "score", arguments=("candidate",), inputs=(("pool",), ("mission", "as_pickup"))
    ),
    "crossplay": _playing("crossplay", inputs=(("policy",), _MISSION)),
    "metrics": _playing("metrics", inputs=(_MISSION,)),
    "analyze mission": _playing("analyze", "mission", arguments=("mission",)),
    "analyze missions": _playing("analyze", "missions", arguments=("missions",)),
    "analyze policy": _playing("analyze", "policy", arguments=("policy",)),
    "analyze suite": _playing("analyze", "suite", arguments=("suite",)),
    "analyze ablation": _playing("analyze", "ablation", arguments=("policy",)),
    "report": StageCommand(("report",), arguments=("run",)),
    "package": StageCommand(("package",), outputs=("bundle",)),
    "inspect": StageCommand(("inspect",), arguments=("bundle",)),
    "validate": StageCommand(("validate",), arguments=("bundle",)),
    "deploy": StageCommand(
        ("deploy",), arguments=("bundle",), outputs=("release",), config="--config", kind="deployment"
    ),
}  # fmt: skip
COMMON_OUTPUTS = ("run_id", "run_dir", "report")
OWNED = ("json", "output_dir", "help")
"""Options that the pipeline itself gives to every stage."""
_PLACE = ("executor", "address", "cpus_per_episode", "allow_version_mismatch", "max_restarts", "join_timeout")
"""Options of a stage that trains which say where: a run that is resumed takes them again."""


def outputs_of(stage: DAFStageConfig) -> tuple[str, ...]:
    """The names of the outputs that other stages can refer to; also result.… for anything that the command printed."""
    own = COMMANDS[stage.use].outputs if stage.use != "command" else ("stdout",)
    return (*own, *COMMON_OUTPUTS)


def command_line(
    stage: DAFStageConfig, *, base: Path, tag: str, config_file: Path | None, executor: str | None
) -> list[str]:
    """The stage's program and arguments. config_file: where its `config` was written. Raises `ConfigError`."""
    if stage.use == "command":
        return list(stage.run)
    command = COMMANDS[stage.use]
    argv = [sys.executable, "-m", "daf", *command.words]
    argv += options_of(stage, config_file)
    if command.labels:
        argv += ["--tag", tag]
    argv += executor_of(stage, executor)
    argv += ["--json", "--output-dir", str(base)]
    return argv + arguments_of(stage, config_file)


def executor_of(stage: DAFStageConfig, executor: str | None) -> list[str]:
    """The option --executor for a stage that takes the pipeline's `executor` and names none itself.

    Training has no executor "serial": it leaves the pipeline's to the stages that play.
    """
    command = COMMANDS[stage.use]
    takes = command.plays or (command.trains and executor != "serial")
    return ["--executor", executor] if executor is not None and takes and "executor" not in stage.options else []


def resume_line(stage: DAFStageConfig, run: str, *, base: Path, executor: str | None) -> list[str]:
    """The command that resumes the run `run` of an earlier attempt at the stage, where the stage runs."""
    command = COMMANDS[stage.use]
    place: list[str] = []
    if command.trains:  # other runs remember it themselves
        named = {name: value for name, value in stage.options.items() if name.replace("-", "_") in _PLACE}
        place = [*options_of(stage.replace(options=named, config=None)), *executor_of(stage, executor)]
    return [sys.executable, "-m", "daf", *command.resume, run, *place, "--json", "--output-dir", str(base)]


def options_of(stage: DAFStageConfig, config_file: Path | None = None) -> list[str]:
    """The options as they are written on the command line. Raises `ConfigError`."""
    command = COMMANDS[stage.use]
    argv: list[str] = []
    for name, value in stage.options.items():
        if name.replace("-", "_") in OWNED:
            raise ConfigError(f"stage {stage.title}: the pipeline sets {name} itself; leave it out of options.")
        if name not in command.arguments:
            argv += _option(stage, name, value)
    if config_file is not None and command.config not in (None, "argument"):
        argv += [str(command.config), str(config_file)]
    return argv


def arguments_of(stage: DAFStageConfig, config_file: Path | None = None) -> list[str]:
    """The positional arguments. Raises `ConfigError`."""
    command = COMMANDS[stage.use]
    found: list[str] = []
    for name in command.arguments:
        if command.config == "argument" and config_file is not None:
            if name in stage.options:
                raise ConfigError(f"stage {stage.title}: give either config: or the option {name}.")
            found.append(str(config_file))
            continue
        value = stage.options.get(name)
        found += [
            _word(stage, name, each) for each in (value if isinstance(value, list) else [value]) if each is not None
        ]
    return ["--", *found] if found else []


def _option(stage: DAFStageConfig, name: str, value: Any) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    if value is None:
        return []
    if isinstance(value, bool):
        return [flag] if value else [f"--no-{flag[2:]}"]
    if isinstance(value, list):
        return [part for each in value for part in (flag, _word(stage, name, each))]
    if isinstance(value, Mapping):
        return [part for key, each in value.items() for part in (flag, f"{key}={_word(stage, name, each)}")]
    return [f"{flag}={_word(stage, name, value)}"]


def _word(stage: DAFStageConfig, name: str, value: Any) -> str:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise ConfigError(f"stage {stage.title}: options.{name} must be text, a number, or a list of these, got {value!r}.")
