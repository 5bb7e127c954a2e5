"""The arguments that a policy's class takes, from its signature."""

from dataclasses import dataclass
from pathlib import Path

from daf.errors import PolicyError, unknown
from daf.game import policies, policy


@dataclass(frozen=True)
class Arguments:
    """whole: for each name whether it is annotated as a whole number. open_ended: any other name is taken too."""

    whole: dict[str, bool]
    open_ended: bool


def arguments_of(policy: str, *, cache: Path, runs: Path | None) -> Arguments:
    """What the class of the policy string takes by name, without what every policy is given (mission, device).

    cache, runs: as in `daf.game.policies.resolve`. Raises `UsageError`, `PolicyError`.
    """
    facts = policies.class_facts(policies.resolve(policy, cache=cache, runs=runs), cache=cache)
    return Arguments(facts.arguments, facts.open_ended)


def check_arguments(policy: policy.Policy, *, cache: Path) -> None:
    """Raise `PolicyError` for an argument of `policy` that its class does not take; the class is not instantiated."""
    facts = policies.class_facts(policy, cache=cache)
    for name in policy.kwargs:
        if name not in facts.arguments and not facts.open_ended and name != "device":
            raise PolicyError(f'policy "{policy.name}": {unknown("constructor argument", name, facts.arguments)}')
