"""Missions in files, and splitting a file's path from the options after it.

A Python file is executed in a separate process with limits, which returns its config; a YAML or JSON file is read with
bounds on its size, nesting and aliases. No file executes anything in this process.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from daf.errors import ConfigError, DAFError, MissionError, StorageError, quoted
from daf.game import isolated
from daf.game.mission import dump_config, load_config, typed
from daf.storage.paths import existing, leading_path
from daf.storage.yaml_strict import read_document

if TYPE_CHECKING:
    from mettagrid import MettaGridConfig

SUFFIXES = (".yaml", ".yml", ".json", ".py")
SECONDS = 120.0
MOST_AGENTS = 10_000
MOST_VALUES = 400_000
"""Keys and values in a mission's YAML file; arena's has 181,000."""
LONGEST_TEXT = 16_384
"""Characters of a mission string."""


def split(text: str) -> tuple[str, list[str]]:
    """The mission at the start of a mission string, and its options.

    The longest start that is an existing mission file is taken as one, whatever separators its path contains.
    """
    leading = leading_path(text, accept=is_mission_file) if len(text) <= LONGEST_TEXT else None
    head, rest = (text[: len(text) - len(leading[1])], leading[1]) if leading is not None else _at_comma(text)
    return head.strip(), [entry.strip() for entry in rest[1:].split(",")] if rest else []


def anchored(text: str) -> str:
    """The mission string with a relative path made absolute, so that it means the same from any folder."""
    leading = leading_path(text, accept=is_mission_file)
    return text if leading is None else f"{leading[0].absolute()}{leading[1]}"


def check_text(text: str) -> None:
    """Raise `MissionError` for what can't be a mission string, before it reaches the file system."""
    if len(text) > LONGEST_TEXT:
        raise MissionError(
            f"{quoted(text)} has {len(text):,} characters; a mission string has at most {LONGEST_TEXT:,}."
        )
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise MissionError(f"{quoted(text)} is not a mission: it contains bytes that are not text (UTF-8).")


def is_mission_file(path: Path) -> bool:
    """Whether an existing path is a regular file with a mission's suffix."""
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


def load(text: str) -> "MettaGridConfig":
    """The config in the mission file at the path `text`. Raises `MissionError`."""
    file = existing(text)
    if file is None or not file.is_file():
        raise MissionError(f"no mission file {quoted(text)}. Give the path of an existing .yaml, .json or .py file.")
    from mettagrid import MettaGridConfig

    if file.suffix.lower() == ".py":
        data = isolated.call(
            config_of_python, str(file.absolute()), seconds=SECONDS, doing=f"the mission {quoted(text)}",
            too_long="It must build its config and nothing else.", error=MissionError,
        )  # fmt: skip
        return load_config(data)
    try:
        value = read_document(file, most=MOST_VALUES).value
        if not isinstance(value, dict):
            raise MissionError(f"{text} is not a mission config: it is a {type(value).__name__}, not a mapping.")
        config = MettaGridConfig(**typed(value))
    except (ConfigError, StorageError) as error:
        hint = " CoGames writes YAML that it can't read back; save the mission as .json." if "tag" in str(error) else ""
        raise MissionError(f"{text} is not a mission config: {error}{hint}") from error
    except MissionError:
        raise
    except Exception as error:
        raise MissionError(f"{text} is not a mission config: {_problem(error)}") from error
    if config.game.num_agents > MOST_AGENTS:
        raise MissionError(f"{text}: game.num_agents is {config.game.num_agents:,}; at most {MOST_AGENTS:,}.")
    return config


def config_of_python(path: str) -> str:
    """The config of a Python file as JSON. Called in a separate process only. Raises `MissionError`."""
    from daf.game import compat

    compat.install()
    from cogames.cli.mission import load_mission_config_from_python

    try:
        return dump_config(load_mission_config_from_python(Path(path))).decode()
    except SyntaxError as error:
        raise MissionError(f"{error.filename}:{error.lineno}: {error.msg}.") from error
    except DAFError:
        raise
    except Exception as error:
        raise MissionError(f"{path} is not a mission config: {type(error).__name__}: {_problem(error)}") from error


def _at_comma(text: str) -> tuple[str, str]:
    head, comma, rest = text.partition(",")
    return head, comma + rest


def _problem(error: Exception) -> str:
    """The problem as text: of pydantic's errors the first, with its field."""
    if hasattr(error, "errors"):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'it'}: {first['msg']}"
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
