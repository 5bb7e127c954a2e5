"""Where an episode's time goes, measured while it is played.

`measured()` times two of the engine's own calls during a block: the simulator's step and reading the game stats after
each step. Policies' time is in every `Outcome`; the rest is the engine's loop.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any


@dataclass(slots=True)
class Spent:
    """Seconds in the block. simulator: stepping, in C++. statistics: game stats for their time averages."""

    simulator: float = 0.0
    statistics: float = 0.0


@contextlib.contextmanager
def measured() -> Iterator[Spent]:
    """Time the object and batch engines' simulator and statistics in this block, in this process."""
    from daf.game._time_averages import TimeAverages
    from daf.game.simulation import Simulation

    spent = Spent()
    step, on_step = Simulation.step, TimeAverages.on_step

    def timed_step(self: Any) -> bool:
        started = perf_counter()
        done = step(self)
        spent.simulator += perf_counter() - started
        return done

    def timed_on_step(self: Any) -> None:
        started = perf_counter()
        on_step(self)
        elapsed = perf_counter() - started
        spent.statistics += elapsed
        spent.simulator -= elapsed  # it runs inside the simulation's step

    Simulation.step, TimeAverages.on_step = timed_step, timed_on_step  # type: ignore[method-assign]
    try:
        yield spent
    finally:
        Simulation.step, TimeAverages.on_step = step, on_step  # type: ignore[method-assign]
