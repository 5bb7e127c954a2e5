"""Time series of an episode: named stats and positions, sampled at an interval while it is played."""

from typing import TYPE_CHECKING, Any

from mettagrid.simulator.interface import SimulatorEventHandler

from daf.game.outcome import Positions, Series, SeriesRequest

if TYPE_CHECKING:
    from mettagrid.simulator.simulator import Simulation


class SeriesRecorder(SimulatorEventHandler):
    """Samples an episode while it runs; `series()` afterwards."""

    def __init__(self, request: SeriesRequest) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._request = request
        self._steps: list[int] = []
        self._game: dict[str, list[float]] = {name: [] for name in request.game}
        self._agents: list[dict[str, list[float]]] = []
        self._positions: list[Positions] = []

    def on_step(self) -> None:
        simulation: Simulation = self._sim
        if simulation.current_step % self._request.interval:
            return
        self._steps.append(int(simulation.current_step))
        if not self._agents:
            self._agents = [{name: [] for name in self._request.agent} for _ in range(simulation.num_agents)]
        if self._request.game or self._request.agent:
            stats: dict[str, Any] = simulation.episode_stats  # type: ignore[assignment]
            for name, values in self._game.items():
                values.append(float(stats["game"].get(name, 0.0)))
            for agent, sampled in zip(stats["agent"], self._agents, strict=True):
                for name, values in sampled.items():
                    values.append(float(agent.get(name, 0.0)))
        if self._request.positions:
            places = simulation._agent_locations()
            self._positions.append(tuple((places[i].row, places[i].col) for i in range(simulation.num_agents)))

    def series(self) -> Series:
        """What was sampled."""
        return Series(
            interval=self._request.interval,
            steps=tuple(self._steps),
            game={name: tuple(values) for name, values in self._game.items()},
            agents=tuple({name: tuple(values) for name, values in agent.items()} for agent in self._agents),
            positions=tuple(self._positions),
        )
