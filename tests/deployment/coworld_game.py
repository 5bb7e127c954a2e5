"""A local game that speaks `coworld.player.v1` as CoGames' missions do, in both variants that are known.

Each player connects to the slot in its address. The simulation takes a step when every player has answered.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from mettagrid.policy.policy_env_interface import PolicyEnvInterface
from mettagrid.simulator import Action, Simulator
from websockets.asyncio.server import ServerConnection, serve

TOKEN = "canary-of-the-seat-51"
Variant = Literal["mission", "connection"]


@dataclass
class Game:
    """An episode, and what was heard from the players.

    before: called before an observation is sent. odd: messages that players must ignore. ending: how it ends after the
    last step.
    """

    env: Any
    variant: Variant = "mission"
    seed: int = 3
    ending: Literal["final", "close", "cut"] = "final"
    before: Callable[[int], None] = lambda step: None
    odd: Sequence[str] = ()
    answers: list[list[dict[str, Any]]] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    port: int = 0

    def address(self, slot: int) -> str:
        return f"ws://127.0.0.1:{self.port}/player?slot={slot}&token={TOKEN}"

    def names(self) -> list[list[str]]:
        """The actions by slot."""
        return [[answer["action_name"] for answer in heard] for heard in self.answers]


def config_message(env: Any, slot: int, variant: Variant) -> dict[str, Any]:
    """A `player_config`, with fields that a player does not know."""
    policy_env = PolicyEnvInterface.from_mg_cfg(env).model_dump(mode="json")
    message: dict[str, Any] = {"type": "player_config", "protocol": "coworld.player.v1", "slot": slot, "new": {"x": 1}}
    policy_env["unknown"] = True
    policy_env["talk"]["unknown"] = True
    for feature in policy_env["obs_features"]:
        feature["unknown"] = None
    if variant == "mission":
        return {**message, "mission": "arena", "policy_env": policy_env}
    names = policy_env["action_names"] + policy_env.pop("vibe_action_names")
    del policy_env["action_names"]
    return {**message, "connection_id": f"player-{slot}", "action_names": names, "policy_env": policy_env}


@contextmanager
def playing(game: Game) -> Iterator[Game]:
    """`game`, which waits for its players on the loopback interface."""
    loop = asyncio.new_event_loop()
    started = threading.Event()

    async def run() -> None:
        stop.append(asyncio.get_running_loop().create_future())
        table = _Table(game)
        async with serve(table.seat, "127.0.0.1", game.port, ping_interval=None, compression=None) as server:
            game.port = next(iter(server.sockets)).getsockname()[1]
            started.set()
            await stop[0]

    stop: list[asyncio.Future[None]] = []
    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    started.wait()
    try:
        yield game
    finally:
        loop.call_soon_threadsafe(stop[0].set_result, None)
        thread.join()
        loop.close()


class _Table:
    def __init__(self, game: Game) -> None:
        self.game = game
        self.sim = Simulator().new_simulation(game.env, seed=game.seed)
        count = self.sim.num_agents
        game.answers = [[] for _ in range(count)]
        self.chosen: dict[int, str] = {}
        self.stepped = asyncio.Condition()

    async def seat(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        query = parse_qs(urlsplit(socket.request.path).query)
        assert query["token"] == [TOKEN]
        slot, game = int(query["slot"][0]), self.game
        await socket.send(json.dumps(config_message(game.env, slot, game.variant)))
        while not self.sim.is_done():
            step = self.sim.current_step
            game.before(step)
            for message in game.odd:
                await socket.send(message)
            await socket.send(json.dumps(self._observation(slot, step)))
            answer = json.loads(await socket.recv())
            game.answers[slot].append(answer)
            await self._choose(slot, answer["action_name"])
        await self._end(socket)

    def _observation(self, slot: int, step: int) -> dict[str, Any]:
        tokens = self.sim._c_sim.observations()[slot].tolist()
        message = {"type": "observation", "protocol": "coworld.player.v1", "slot": slot, "step": step, "new": [1]}
        if self.game.variant == "mission":
            return {**message, "observation": tokens, "mission": "arena", "visible_talk": []}
        return {**message, "observation": [token for token in tokens if token[1] != 255]}

    async def _choose(self, slot: int, name: str) -> None:
        async with self.stepped:
            self.chosen[slot] = name
            if len(self.chosen) < self.sim.num_agents:
                step = self.sim.current_step
                await self.stepped.wait_for(lambda: self.sim.current_step > step)
                return
            for agent, action in self.chosen.items():
                self.sim.agent(agent).set_action(Action(name=action))
            self.chosen = {}
            self.sim.step()
            self.game.rewards = [float(reward) for reward in self.sim.episode_rewards]
            self.stepped.notify_all()

    async def _end(self, socket: ServerConnection) -> None:
        if self.game.ending == "final":
            await socket.send(json.dumps({"type": "final", "scores": self.game.rewards}))
            await socket.wait_closed()
        elif self.game.ending == "cut":
            socket.transport.abort()


def played_alone(env: Any, policy: Any, seed: int = 3) -> tuple[list[list[str]], list[float]]:
    """The actions by agent, and the rewards, of `policy` in the simulator itself."""
    sim = Simulator().new_simulation(env, seed=seed)
    agents = [policy.agent_policy(agent) for agent in range(sim.num_agents)]
    for agent in agents:
        agent.reset()
    names: list[list[str]] = [[] for _ in agents]
    while not sim.is_done():
        chosen = [agent.step(sim.agent(index).observation) for index, agent in enumerate(agents)]
        for index, action in enumerate(chosen):
            names[index].append(action.name)
            sim.agent(index).set_action(action)
        sim.step()
    return names, [float(reward) for reward in sim.episode_rewards]
