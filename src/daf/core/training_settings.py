"""Settings of a training run from text, as on the command line: `learning_rate=3e-4`, `hidden_size=128`.

A name is a hyperparameter, or an alias of one; otherwise an argument of the policy's class, which may also be written
`network.NAME`. Any other name is rejected with the closest matches.
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
    """The fields of `DAFTrainingConfig` set by `NAME=VALUE` texts, with arguments of the policy's class in `network`.

    policy: the policy string to train; loaded only if a name is not a hyperparameter. cache, runs: as in
    `daf.game.policies.resolve`. Raises `UsageError`.
    """
    fields: dict[str, Any] = {}
    network: dict[str, Any] = {}
    for text in texts:
        name, separator, value = (part.strip() for part in text.partition("="))
        if not separator or not name or not value:
            raise UsageError(f'--set "{text}": must be NAME=VALUE, for example learning_rate=3e-4.')
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
    """`text` as a value of a hyperparameter; the configuration checks its bounds."""
    if text == "none" and hyper.optional:
        return None
    value = typed(text)
    return whole(value) if hyper.kind == "int" else value


def whole(value: Any) -> Any:
    """2e6 as an integer; anything else unchanged."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def count(option: str, text: str) -> int:
    """`text` as an integer above 0: 2000000, 2_000_000 or 2e6. Raises `UsageError`."""
    value = whole(typed(text.replace("_", "")))
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError(f'{option} must be an integer above 0, got "{text}"; for example 2000000 or 2e6.')
    return value


def with_settings(base: DAFTrainingConfig, fields: dict[str, Any]) -> DAFTrainingConfig:
    """`base` with `fields` changed; `network` is merged. Raises `ConfigError`."""
    network = fields.get("network")
    return base.replace(**{**fields, **({"network": {**base.network, **network}} if network else {})})


def _check_argument(name: str, policy: str, cache: Path, runs: Path | None) -> None:
    """Raise `UsageError` if `name` is not an argument of the policy's class."""
    taken = arguments_of(policy, cache=cache, runs=runs)
    arguments = list(taken.whole)
    if name.removeprefix(NETWORK) in arguments or (taken.open_ended and name.startswith(NETWORK)):
        return
    if name.startswith(NETWORK):
        raise UsageError(f"--set {name}: {unknown(f'argument of {policy}', name.removeprefix(NETWORK), arguments)}")
    hint = "`daf train --list-hyperparameters` lists them; arguments of the policy's own class may be set too"
    known = [*HYPERPARAMETERS, *ALIASES, *arguments]
    raise UsageError(unknown("hyperparameter", name, known, hint=f"{hint} ({', '.join(arguments) or 'it has none'})."))
