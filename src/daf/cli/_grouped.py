"""Commands that take their options as typed objects.

Typer reads one parameter per option. `options` lets a command take a frozen dataclass instead: each field that is
annotated with a `typer.Option` or `typer.Argument` becomes a parameter for Typer, and the command receives the object.
mypy then follows an option from its declaration to its use. Fields without such an annotation keep their defaults.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, get_origin, get_type_hints


def options(command: Callable[..., None]) -> Callable[..., None]:
    """`command` for Typer: a parameter for each field of the dataclasses that it takes."""
    groups: dict[str, Any] = {}
    names: dict[str, list[str]] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        if not is_dataclass(parameter.annotation):
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        own = _parameters(parameter.annotation)
        groups[parameter.name] = parameter.annotation
        names[parameter.name] = [one.name for one in own]
        parameters += own

    @functools.wraps(command)
    def called(**values: Any) -> None:
        for group, kind in groups.items():
            values[group] = kind(**{name: values.pop(name) for name in names[group]})
        command(**values)

    del called.__wrapped__  # typer and inspect would look at the original signature through it
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return called


def _parameters(kind: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(
            item.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if item.default is MISSING else item.default,
            annotation=hints[item.name],
        )
        for item in fields(kind)
        if get_origin(hints[item.name]) is Annotated
    ]
