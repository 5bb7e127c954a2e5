"""Whether the options of stages are options of their commands, found out before any stage runs.

The commands themselves parse them, in one other process, without running anything.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from daf.config.stage import DAFStageConfig
from daf.errors import ConfigError, DAFError
from daf.orchestrators._commands import COMMANDS, arguments_of, executor_of, options_of
from daf.orchestrators._references import replaced

UNKNOWN = "314159265"
"""In the place of an output that is not known yet; a text, a path and a number at once."""
_SECONDS = 120.0
_ANY_FILE = Path(__file__)
"""For the check only: a file that exists."""


def check_options(stages: Sequence[DAFStageConfig], *, executor: str | None = None) -> None:
    """Raises `ConfigError` that names the first stage whose command would refuse its options."""
    lines = {}
    for stage in stages:
        if stage.use != "command":
            filled = stage.replace(options=replaced(stage.options, lambda _: UNKNOWN))
            command = COMMANDS[stage.use]
            file = None if stage.config is None else _ANY_FILE
            argv = [*command.words, *options_of(filled, file)]
            argv += executor_of(stage, executor)
            lines[stage.title] = [*argv, "--json", *arguments_of(filled, file)]
    answer = subprocess.run(
        [sys.executable, "-m", "daf.cli.parse_only"], input=json.dumps(lines), capture_output=True, text=True,
        timeout=_SECONDS, check=False,
    )  # fmt: skip
    if answer.returncode != 0:
        raise DAFError(f"the options of the stages could not be checked: {answer.stderr.strip()[-2000:]}")
    for name, message in json.loads(answer.stdout).items():
        if UNKNOWN not in message:
            raise ConfigError(f"stage {name}: {message}")
    for stage in stages:
        _check_inputs(stage)


def _check_inputs(stage: DAFStageConfig) -> None:
    """Raises `ConfigError` if neither the options nor a configuration can name what the command works on."""
    given = {name.replace("-", "_") for name, value in stage.options.items() if value not in (None, [], False)}
    if stage.config is not None or "config" in given:
        return
    for names in COMMANDS[stage.use].inputs if stage.use != "command" else ():
        if not given & set(names):
            ways = " or ".join(f"options.{name}" for name in names)
            raise ConfigError(f"stage {stage.title}: an input of {stage.use} is missing. Set {ways}.")
