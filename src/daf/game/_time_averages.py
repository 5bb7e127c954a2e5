"""Each game stat's mean over the steps of an episode, exactly as upstream's `TimeAveragedStatsHandler` has it.

Nearly all of the time that this takes is the simulator's, which hands out the stats of the game and of all agents
together. Asking for known names alone takes a third of it, but a stat may occur for the first time at any step, and its
values from then on could only be had by playing the episode again.

Importing this module imports mettagrid.
"""

from __future__ import annotations

from mettagrid.simulator.interface import SimulatorEventHandler


class TimeAverages(SimulatorEventHandler):
    """Adds up the game stats after every step.

    A stat counts from the step at which it first occurs, and the mean is over all steps.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._steps = 0
        self._sums: dict[str, float] = {}

    def on_step(self) -> None:
        self._steps += 1
        sums = self._sums
        for name, value in self._sim._c_sim.get_episode_stats()["game"].items():
            sums[name] = sums.get(name, 0.0) + value

    def release(self) -> None:
        """Drop the simulation, which would otherwise live until the next garbage collection."""
        del self._sim

    def means(self) -> dict[str, float]:
        """Mean of each stat; empty before the first step."""
        return {name: total / self._steps for name, total in self._sums.items()}
