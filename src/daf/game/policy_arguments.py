"""The arguments that a policy's class takes, read off its signature."""

import inspect
from dataclasses import dataclass
from pathlib import Path

from daf.game import policies
from daf.game.policy_loading import importing_from, load_class


@dataclass(frozen=True)
class Arguments:
    """whole: for each name whether it is annotated as a whole number. open_ended: any other name is taken too."""

    whole: dict[str, bool]
    open_ended: bool


def arguments_of(policy: str, *, cache: Path, runs: Path | None) -> Arguments:
    """What the class of the policy string takes by name, without what every policy is given (mission, device).

    cache, runs: as in `daf.game.policies.resolve`. Raises `UsageError`, `PolicyError`.
    """
    resolved = policies.resolve(policy, cache=cache, runs=runs)
    with importing_from(resolved.import_roots):
        parameters = list(inspect.signature(load_class(resolved.class_path, shown=policy)).parameters.values())[1:]
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != "device"]
    return Arguments(
        {parameter.name: parameter.annotation in (int, "int") for parameter in named},
        any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters),
    )
