"""The components of an agent's reward: the share of each of its mission's reward entries, so far in the episode.

The simulator adds, per entry and step, either the change of a value (`per_tick` false: the sum so far is the value
itself, which starts at 0) or the value (`per_tick`: a sum that it does not keep). The former are read from the agent's
and the game's stats and its inventory, the latter if the value is a constant. Of the remaining entries, a single one
gets the simulator's total minus the others; several are combined as `OTHER`. So the shares always add up to the total,
and none is a guess.

Importing this module imports mettagrid.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mettagrid.config.game_value import (
    ConstValue,
    InventoryValue,
    MaxGameValue,
    MinGameValue,
    RatioGameValue,
    Scope,
    StatValue,
    SumGameValue,
)

if TYPE_CHECKING:
    from mettagrid.config.reward_config import AgentReward

OTHER = "other"
"""The share of entries that cannot be separated."""

_ROUNDING = 1e-4
"""The simulator adds in 32 bits, so a remainder below this fraction of the total is rounding."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One agent now. core: the simulator's object. inventory: amounts by name. steps: played so far."""

    core: Any
    agent: int
    inventory: Mapping[str, int]
    steps: int


_Reading = Callable[[Moment], float]


class RewardShares:
    """The shares of an agent whose reward entries are `rewards`."""

    def __init__(self, rewards: "Mapping[str, AgentReward]") -> None:
        self._readings: dict[str, _Reading] = {}
        self._rest: list[str] = []
        for name, entry in rewards.items():
            reading = _per_tick(entry.reward) if entry.per_tick else _reading(entry.reward)
            if reading is None:
                self._rest.append(name)
            else:
                self._readings[name] = reading

    def at(self, moment: Moment, total: float) -> dict[str, float]:
        """Each entry's share of `total`, the agent's reward in this episode so far."""
        shares = {name: reading(moment) for name, reading in self._readings.items()}
        rest = total - sum(shares.values())
        if len(self._rest) == 1:
            shares[self._rest[0]] = rest
        elif self._rest or abs(rest) > _ROUNDING * max(1.0, abs(total), *map(abs, shares.values())):
            shares[OTHER] = rest
        return shares


def _reading(value: Any) -> _Reading | None:
    """A function that reads the value now; None if only the simulator knows it (queries, differences)."""
    if isinstance(value, ConstValue):
        constant = value.value
        return lambda moment: constant
    if isinstance(value, InventoryValue) and value.scope == Scope.AGENT:
        item = value.item
        return lambda moment: float(moment.inventory.get(item, 0))
    if isinstance(value, StatValue) and not value.delta:
        name = value.name
        if value.scope == Scope.AGENT:
            return lambda moment: moment.core.get_agent_stat(moment.agent, name) or 0.0
        return lambda moment: moment.core.get_game_stat(name) or 0.0
    if isinstance(value, RatioGameValue):
        return _ratio(_reading(value.numerator), _reading(value.denominator))
    if isinstance(value, SumGameValue):
        return _sum(value)
    if isinstance(value, MaxGameValue | MinGameValue):
        parts = [_reading(part) for part in value.values]
        known = [part for part in parts if part is not None]
        extreme = max if isinstance(value, MaxGameValue) else min
        return (lambda moment: extreme(part(moment) for part in known)) if len(known) == len(parts) else None
    return None


def _sum(value: SumGameValue) -> _Reading | None:
    """Σ weight · value, or with `log` Σ weight · ln(1 + value)."""
    parts = [_reading(part) for part in value.values]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    weighted = list(zip(value.weights or [1.0] * len(known), known, strict=True))
    if value.log:
        return lambda moment: sum(weight * _log1p(part(moment)) for weight, part in weighted)
    return lambda moment: sum(weight * part(moment) for weight, part in weighted)


def _ratio(above: _Reading | None, below: _Reading | None) -> _Reading | None:
    """The quotient; like the simulator, with 1 for a denominator that is not positive."""
    if above is None or below is None:
        return None

    def quotient(moment: Moment) -> float:
        divisor = below(moment)
        return above(moment) / (divisor if divisor > 0 else 1.0)

    return quotient


def _per_tick(value: Any) -> _Reading | None:
    """A constant that is added at every step."""
    if isinstance(value, SumGameValue) and not all(isinstance(part, ConstValue) for part in value.values):
        return None
    if not isinstance(value, ConstValue | SumGameValue):
        return None
    each = _reading(value)
    return None if each is None else lambda moment: each(moment) * moment.steps


def _log1p(value: float) -> float:
    return math.log1p(value) if value > -1 else math.nan
