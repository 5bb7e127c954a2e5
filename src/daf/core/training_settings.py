"""Settings of a training run from text, as the command line has them: `learning_rate=3e-4`, `hidden_size=128`.

A name is a hyperparameter's, its own or an alias; else an argument of the policy's class, which may also be written
`network.NAME`. What is neither is refused with the nearest names.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from daf.config.hyperparameters import HYPERPARAMETERS, Hyperparameter, find
from daf.config.training import ALIASES, DAFTrainingConfig, without_aliases
from daf.errors import UsageError, unknown
from daf.game.policy_arguments import arguments_of
from daf.game.policy_strings import typed

NETWORK = "network."


def parse_settings(texts: Iterable[str], *, policy: str, cache: Path, runs: Path | None) -> dict[str, Any]:
    """The fields of `DAFTrainingConfig` that `NAME=VALUE` texts set, arguments of the policy's class in `network`.

    policy: the policy string that trains; it is looked at only where a name is no hyperparameter's. cache, runs: as in
    `daf.game.policies.resolve`. Raises `UsageError`.
    """
    fields: dict[str, Any] = {}
    network: dict[str, Any] = {}
    for text in texts:
        name, separator, value = (part.strip() for part in text.partition("="))
        if not separator or not name or not value:
            raise UsageError(f'--set "{text}" is no NAME=VALUE, such as learning_rate=3e-4.')
        hyper = find(name)
        into, key = (fields, hyper.name) if hyper is not None else (network, name.removeprefix(NETWORK))
        if key in into:
            raise UsageError(f"--set {text}: {key} is set twice.")
        if hyper is None:
            _check_argument(name, policy, cache, runs)
        given = typed(value) if hyper is None else value_of(hyper, value)
        into[key] = given if hyper is None else without_aliases({name: given})[key]
    return {**fields, "network": network} if network else fields


def value_of(hyper: Hyperparameter, text: str) -> Any:
    """The value that `text` is for a hyperparameter; its bounds are the configuration's to check."""
    if text == "none" and hyper.optional:
        return None
    value = typed(text)
    return whole(value) if hyper.kind == "int" else value


def whole(value: Any) -> Any:
    """2e6 as the whole number it is; anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def count(option: str, text: str) -> int:
    """The whole number above 0 that `text` is: 2000000, 2_000_000 or 2e6. Raises `UsageError`."""
    value = whole(typed(text.replace("_", "")))
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError(f'{option} "{text}" is no whole number above 0; write for example 2000000 or 2e6.')
    return value


def with_settings(base: DAFTrainingConfig, fields: dict[str, Any]) -> DAFTrainingConfig:
    """`base` with other fields; `network` is added to. Raises `ConfigError`."""
    network = fields.get("network")
    return base.replace(**{**fields, **({"network": {**base.network, **network}} if network else {})})


def _check_argument(name: str, policy: str, cache: Path, runs: Path | None) -> None:
    """Raise `UsageError` where `name` is no argument of the policy's class."""
    taken = arguments_of(policy, cache=cache, runs=runs)
    arguments = list(taken.whole)
    if name.removeprefix(NETWORK) in arguments or (taken.open_ended and name.startswith(NETWORK)):
        return
    if name.startswith(NETWORK):
        raise UsageError(f"--set {name}: {unknown(f'argument of {policy}', name.removeprefix(NETWORK), arguments)}")
    hint = "`daf train --list-hyperparameters` lists them; arguments of the policy's own class may be set too"
    known = [*HYPERPARAMETERS, *ALIASES, *arguments]
    raise UsageError(unknown("hyperparameter", name, known, hint=f"{hint} ({', '.join(arguments) or 'it has none'})."))
