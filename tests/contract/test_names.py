"""Every name of CONTRACT.md is there, takes the arguments that it promises, with these defaults, and has its fields."""

import dataclasses
import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from tests.contract.contract_data import (
    CONTRACT,
    REQUIRED,
    Promised,
    commands,
    common_options,
    methods,
    names,
    operations,
    playing_commands,
)


def found(case: Promised) -> Any:
    """What the promised name stands for."""
    value: Any = import_module(case.module)
    for part in case.path.split("."):
        value = getattr(value, part)
    return value


def parameters(called: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return {name: one for name, one in inspect.signature(called).parameters.items() if name != "self"}


def default_of(called: Any, parameter: inspect.Parameter) -> Any:
    """The default, also of pydantic's fields with a factory."""
    fields = getattr(called, "model_fields", {})
    if parameter.name in fields:
        return fields[parameter.name].get_default(call_default_factory=True)
    return parameter.default


def check_arguments(called: Any, promised: dict[str, Any]) -> None:
    has = parameters(called)
    keywords = next((one for one in has.values() if one.kind is one.VAR_KEYWORD), None)
    for name, default in promised.items():
        if name.startswith("**"):
            assert keywords is not None, f"no {name}"
            continue
        assert name in has, f"no argument {name}; there are {', '.join(has)}"
        if default is not REQUIRED:
            assert default_of(called, has[name]) == default, f"{name} is {default_of(called, has[name])!r}"
    positional = [name for name, one in has.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
    shared = [name for name in promised if name in positional]
    assert shared == [name for name in positional if name in shared], f"the order is {', '.join(positional)}"


def has_field(kind: type, name: str) -> bool:
    fields = {field.name for field in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else set()
    return hasattr(kind, name) or name in fields or name in getattr(kind, "model_fields", {})


@pytest.mark.parametrize("case", names())
def test_a_promised_name_has_its_arguments_defaults_and_fields(case: Promised) -> None:
    value = found(case)
    if case.spec.get("error"):
        from daf.errors import DAFError

        assert issubclass(value, DAFError)
        return
    assert callable(value)
    check_arguments(value, case.arguments)
    fields = case.spec.get("fields", [])
    missing = [f for f in (fields.split() if isinstance(fields, str) else fields) if not has_field(value, f)]
    assert not missing, f"{case.path} lacks {missing}"


@pytest.mark.parametrize("case", methods())
def test_a_promised_method_is_there_with_its_arguments(case: Promised) -> None:
    check_arguments(found(case), case.arguments)


@pytest.mark.parametrize("case", operations())
def test_an_operation_takes_a_console(case: Promised) -> None:
    called = found(case)
    has = parameters(called)
    if "console" not in has:  # **look: Unpack[Look]
        keywords = [one for one in has.values() if one.kind is one.VAR_KEYWORD]
        assert keywords, f"{case.path} takes {', '.join(has)}"
        assert "Look" in str(keywords[0].annotation)
        return
    assert has["console"].default is None


def options_of(words: tuple[str, ...]) -> set[str]:
    from daf.cli.main import _app

    command: Any = _app()
    for word in words:
        context = command.make_context(word, [], resilient_parsing=True)
        command = command.get_command(context, word)
        assert command is not None, f"no command {word}"
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize(("words", "kind"), commands())
def test_a_command_has_the_common_options_of_its_kind(words: tuple[str, ...], kind: str | None) -> None:
    missing = [option for option in common_options(kind) if option not in options_of(words)]
    assert not missing, f"daf {' '.join(words)} lacks {', '.join(missing)}"


@pytest.mark.parametrize("words", playing_commands())
def test_what_plays_or_trains_takes_a_name_tags_and_a_note(words: tuple[str, ...]) -> None:
    assert set(CONTRACT["common_options"]["named"]) <= options_of(words)


def test_every_group_of_the_command_line_is_promised() -> None:
    from daf.cli.main import COMMANDS

    assert set(COMMANDS) == set(CONTRACT["commands"])
