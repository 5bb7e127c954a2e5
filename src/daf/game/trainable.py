"""A policy's network as the trainer calls it: with exactly the inputs that the policy's own `step()` gives it.

Upstream's classes rewrite observations before their network sees them (`lstm` and `puffer` mark padding differently,
`pufferlib_cogs` scales), and their networks want the recurrent state in different shapes. Both are determined by
probing: the policy takes one step on a real observation while its network's inputs are recorded, and a call over
sequences is used for learning only if it gives the same numbers as calls step by step. If probing fails, the policy is
refused.

Importing this module imports torch.
"""

from __future__ import annotations

import contextlib
import itertools
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mettagrid.policy.policy import MultiAgentPolicy
from mettagrid.policy.policy_env_interface import PolicyEnvInterface

from daf.config.training import DAFTrainingConfig
from daf.errors import ConfigError, PolicyError
from daf.game.known_policies import KNOWN
from daf.game.mission import Mission
from daf.game.observations import END, Frame, Observation
from daf.game.onednn import accelerate
from daf.game.policy import Policy
from daf.game.policy_loading import build
from daf.game.rollout import Game
from daf.game.seeding import own_generators, seed_everything
from daf.game.simulation import Simulation, with_map_seed

State = dict[str, torch.Tensor]
"""A network's recurrent state, rows first; empty if it has none."""

TOLERANCE = 1e-4
"""Tolerance between a call over sequences and calls step by step."""


@dataclass(frozen=True, slots=True)
class Shown:
    """How `step()` turns the simulator's bytes into the network's input.

    marked: padding is [255, 0, 0] instead of [255, 255, 255]. scale: factor for the bytes. dtype: as shown.
    """

    marked: bool
    scale: float
    dtype: torch.dtype

    def of(self, observations: torch.Tensor) -> torch.Tensor:
        """(…, tokens, 3) uint8 as the network is to see it."""
        return self.cast(self.bytes_of(observations))

    def bytes_of(self, observations: torch.Tensor) -> torch.Tensor:
        """The part of it that keeps bytes, so that it can be stored: padding marked."""
        if not self.marked:
            return observations
        marked = observations.clone()
        marked[..., 1:] *= observations[..., 1:2] != END
        return marked

    def cast(self, kept: torch.Tensor) -> torch.Tensor:
        """The rest of it."""
        if self.dtype == torch.uint8:
            return kept
        shown = kept.to(self.dtype)
        return shown if self.scale == 1 else shown * self.scale


class Trainable:
    """A policy that trains, with its network on `device`.

    sequences: whether learning calls the network over whole sequences; else step by step, which is slower but correct.
    dtype: of logits, values and everything that is learned from: float64 if the network's weights are, else float32.
    """

    def __init__(self, policy: MultiAgentPolicy, name: str, game: Game, device: str) -> None:
        """Raises `PolicyError` if the policy has no network, or probing cannot determine how it is called."""
        network: Any = policy.network()
        if network is None:
            trainable = sorted(short for short, known in KNOWN.items() if known.needs_torch)
            raise PolicyError(
                f'policy "{name}" cannot be trained: it has no network. Trainable policies of CoGames and DAF: '
                f"{', '.join(trainable)}."
            )
        self.policy, self.name = policy, name
        self.network: torch.nn.Module = network.to(device)
        self.device = torch.device(device)
        self.dtype = torch.float64 if _is_double(self.network) else torch.float32
        self.recurrent = bool(getattr(policy, "is_recurrent", bool)())
        self.handles_dones = bool(getattr(network, "handles_dones", False))
        self._eval: Callable[..., Any] = getattr(network, "forward_eval", network)
        self.interface: PolicyEnvInterface = policy.policy_env_info
        self.actions = len(self.interface.action_names)
        self._layout: Callable[[torch.Tensor], torch.Tensor] = _as_it_is
        with own_generators(), torch.random.fork_rng(enabled=device.startswith("cuda")):
            observations = _observations(game)
            self.shown = _shown(policy, network, observations, game, name)
            self._zero = self._first_state(observations)
            self.sequences = self._find_layout(observations)

    def compile(self) -> None:
        """Let torch compile the network, for single steps and for sequences."""
        self._eval = torch.compile(self._eval)
        self.network.compile()  # type: ignore[no-untyped-call]

    def accelerate(self) -> None:
        """Use faster kernels for the network's layers; results change in their last bits."""
        accelerate(self.network)

    def initial_state(self, rows: int) -> State:
        """The state at the start of episodes."""
        return {
            key: torch.zeros((rows, *part.shape[1:]), dtype=part.dtype, device=self.device)
            for key, part in self._zero.items()
        }

    def prepared(self, observations: torch.Tensor) -> torch.Tensor:
        """(…, tokens, 3) uint8 of the simulator as `act` and `learn` take them: bytes, on the network's device."""
        return self.shown.bytes_of(observations.to(self.device, non_blocking=True))

    def act(self, observations: torch.Tensor, state: State) -> tuple[torch.Tensor, torch.Tensor, State]:
        """One step: prepared (rows, tokens, 3) to logits (rows, actions), values (rows,) and the next state."""
        carried: dict[str, Any] = dict(state) if self.recurrent else {}
        logits, values = self._eval(self.shown.cast(observations), carried if self.recurrent else None)[:2]
        after = {key: carried[key] for key in state}
        return logits.to(self.dtype), values.to(self.dtype).reshape(-1), after

    def learn(
        self, observations: torch.Tensor, state: State, begins: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Sequences: prepared (rows, time, tokens, 3), the state before them, and where episodes begin in them.

        begins: (rows, time) bool; the state is zero before such a step. At time 0 `state` already is. Returns logits
        (rows, time, actions) and values (rows, time).
        """
        rows, time = observations.shape[:2]
        if not self.recurrent:
            logits, values, _ = self.act(observations.flatten(0, 1), {})
            return logits.view(rows, time, -1), values.view(rows, time)
        if self.handles_dones or not begins[:, 1:].any():
            return self._sequence(observations, state, begins)
        patterns, which = torch.unique(begins[:, 1:], dim=0, return_inverse=True)
        order: list[torch.Tensor] = []
        parts: list[tuple[torch.Tensor, torch.Tensor]] = []
        for number, pattern in enumerate(patterns):
            chosen = (which == number).nonzero().squeeze(1)
            order.append(chosen)
            cuts = [0, *(pattern.nonzero().squeeze(1) + 1).tolist(), time]
            pieces = []
            for first, last in itertools.pairwise(cuts):
                before = (
                    {key: part[chosen] for key, part in state.items()}
                    if first == 0
                    else self.initial_state(len(chosen))
                )
                pieces.append(self._sequence(observations[chosen, first:last], before, begins[chosen, first:last]))
            parts.append((torch.cat([p[0] for p in pieces], 1), torch.cat([p[1] for p in pieces], 1)))
        back = torch.argsort(torch.cat(order))
        return torch.cat([p[0] for p in parts])[back], torch.cat([p[1] for p in parts])[back]

    def _sequence(
        self, observations: torch.Tensor, state: State, begins: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        rows, time = observations.shape[:2]
        if not self.sequences:
            steps = []
            for now in range(time):
                logits, values, state = self.act(observations[:, now], state)
                steps.append((logits, values))
            return torch.stack([s[0] for s in steps], 1), torch.stack([s[1] for s in steps], 1)
        carried: dict[str, Any] = {key: self._layout(part) for key, part in state.items()}
        if self.handles_dones:
            carried["done"] = begins
        logits, values = self.network(self.shown.cast(observations), carried)[:2]
        return logits.to(self.dtype).reshape(rows, time, -1), values.to(self.dtype).reshape(rows, time)

    def _first_state(self, observations: torch.Tensor) -> State:
        """A state of the shapes that the network gives back."""
        if not self.recurrent:
            return {}
        size = getattr(self.network, "hidden_size", None)
        if not isinstance(size, int):
            raise PolicyError(
                f'policy "{self.name}" declares that it is recurrent, but its network has no integer `hidden_size`, '
                "which PufferLib's training contract requires."
            )
        rows = len(observations)
        first: dict[str, Any] = {
            key: torch.zeros(rows, size, dtype=self.dtype, device=self.device) for key in ("lstm_h", "lstm_c")
        }
        with torch.no_grad():
            _, _, after = self.act(self.prepared(observations), first)
        for key, part in after.items():
            if part is None or part.shape[0] != rows:
                raise PolicyError(
                    f'policy "{self.name}": after a call its state["{key}"] has the shape '
                    f"{None if part is None else tuple(part.shape)}; the first axis must be the {rows} rows."
                )
        return after

    def _find_layout(self, observations: torch.Tensor) -> bool:
        """Whether a call over a sequence agrees with single steps, and in which layout it takes the state."""
        if not self.recurrent:
            return True
        sequence = self.prepared(observations).unsqueeze(1).expand(-1, 3, -1, -1).contiguous()
        sequence[:, 1] = sequence[:, 1].roll(1, 0)
        generator = torch.Generator().manual_seed(0)
        state = {
            key: (torch.randn(part.shape, generator=generator) * 0.5).to(self.device, part.dtype)
            for key, part in self._zero.items()
        }
        begins = torch.zeros(sequence.shape[:2], dtype=torch.bool, device=self.device)
        with torch.no_grad():
            self.sequences = False
            expected = self._sequence(sequence, state, begins)
            self.sequences = True
            for layout in (_as_it_is, _layers_first):
                self._layout = layout
                with contextlib.suppress(Exception):  # the network does not accept this layout, so it is not its layout
                    given = self._sequence(sequence, state, begins)
                    if all(torch.allclose(a, b, atol=TOLERANCE) for a, b in zip(given, expected, strict=True)):
                        return True
        return False


def _is_double(network: torch.nn.Module) -> bool:
    return any(parameter.dtype == torch.float64 for parameter in network.parameters())


def trainable(policy: Policy, game: Game, *, device: str, seed: int) -> Trainable:
    """The policy built for `game`, its new weights drawn from `seed`. Raises `PolicyError`."""
    seed_everything("weights", seed)
    interface = PolicyEnvInterface.from_mg_cfg(game.config)
    with keeping_interrupts(), one_thread():  # the last bits of orthogonal weights depend on the number of threads
        built = build(policy, interface, device=device)
        return Trainable(built, policy.name, game, device)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_alike(missions: Sequence[Mission]) -> None:
    """Raise `ConfigError` where the missions can't be trained on side by side."""
    first = missions[0]
    for mission in missions[1:]:
        if mission.num_agents != first.num_agents:
            raise ConfigError(
                f"{first.name} has {first.num_agents} agents and {mission.name} {mission.num_agents}: missions trained "
                "on together need the same number. Set it with cogs=N, for example "
                f"{mission.name},cogs={first.num_agents}."
            )
    check_plays(first, missions[1:])


def check_plays(first: Mission, others: Sequence[Mission]) -> None:
    """Raise `ConfigError` where a network for `first` can't take the observations or actions of the others."""
    expected = PolicyEnvInterface.from_mg_cfg(first.config)
    for mission in others:
        found = PolicyEnvInterface.from_mg_cfg(mission.config)
        for what in ("observation_space", "action_names"):
            if getattr(found, what) != getattr(expected, what):
                raise ConfigError(
                    f"{first.name} and {mission.name} differ in their {what.replace('_', ' ')}: one network can't play "
                    "both."
                )


def check_meanings(model: Trainable, policy: Policy, first: Mission, others: Sequence[Mission]) -> list[str]:
    """Where the same numbers in observations have another meaning in the others than in `first`: a sentence each.

    CoGames numbers features and tags mission by mission. Raises `ConfigError` if the policy, which was built for
    `first`, refuses its own weights there.
    """
    own = _vocabulary(first)
    warnings: dict[tuple[tuple[str, ...], tuple[str, ...]], str] = {}
    for mission in others:
        vocabulary = _vocabulary(mission)
        if vocabulary == own or vocabulary in warnings:
            continue
        features, tags = (
            sum(a != b for a, b in itertools.zip_longest(mine, theirs))
            for mine, theirs in zip(own, vocabulary, strict=True)
        )
        what = f"{features} features and {tags} tags of observations have other numbers on {mission.name} than on"
        with tempfile.TemporaryDirectory(prefix="daf-weights-") as folder:
            weights = str(Path(folder) / "weights.pt")
            model.policy.save_policy_data(weights)
            try:
                build(replace(policy, data_path=weights), PolicyEnvInterface.from_mg_cfg(mission.config))
            except PolicyError as error:
                raise ConfigError(
                    f"{what} {first.name}, and {policy.name} is made for one of the two ({error.__cause__ or error}). "
                    "Train and evaluate it on similar missions, or on one."
                ) from error
        warnings[vocabulary] = f"{what} {first.name}: the network has to distinguish the missions itself."
    return list(warnings.values())


def _vocabulary(mission: Mission) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of features and of tags, by their numbers in observations."""
    interface = PolicyEnvInterface.from_mg_cfg(mission.config)
    names = {feature.id: feature.name for feature in interface.obs_features}
    features = tuple(names.get(number, "") for number in range(max(names, default=-1) + 1))
    return features, tuple(interface.tags)


def save_memory(policy: Any, config: DAFTrainingConfig) -> None:
    """Let the policy save memory as configured. Raises `ConfigError` if it does not support that."""
    if config.gradient_checkpointing:
        if not hasattr(policy, "enable_gradient_checkpointing"):
            raise ConfigError(
                f"gradient_checkpointing: {type(policy).__name__} offers no enable_gradient_checkpointing(); train "
                "without it, or with token_lstm."
            )
        policy.enable_gradient_checkpointing()
    if config.precision == "bfloat16" and hasattr(policy, "use_mixed_precision"):
        policy.use_mixed_precision()


@contextlib.contextmanager
def keeping_interrupts() -> Iterator[None]:
    """Undo what importing `pufferlib.pufferl` does to Ctrl-C: it ends the process without a message."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _as_it_is(part: torch.Tensor) -> torch.Tensor:
    return part


def _layers_first(part: torch.Tensor) -> torch.Tensor:
    return part.unsqueeze(0)


def _observations(game: Game) -> torch.Tensor:
    """(agents, tokens, 3): the agents' observations at the start of an episode."""
    simulation = Simulation(with_map_seed(game.config, 0), game.converted, 0, [])
    return torch.from_numpy(np.array(simulation._c_sim.observations()))


def _shown(policy: MultiAgentPolicy, network: Any, observations: torch.Tensor, game: Game, name: str) -> Shown:
    """How the policy's `step` shows an observation to its network."""
    heard: list[torch.Tensor] = []
    if not (observations[0, :, 1] == END).any():  # all tokens are used, so add padding to see what becomes of it
        observations = observations.clone()
        observations[0, -1] = END
    single = observations[:1]

    def listen(_module: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        tensor = arguments[0] if arguments else next(iter(named.values()))
        heard.append(tensor.detach().cpu())

    hook = network.register_forward_pre_hook(listen, with_kwargs=True)
    original = getattr(network, "forward_eval", None)
    if original is not None:

        def forward_eval(*arguments: Any, **named: Any) -> Any:
            listen(network, arguments, named)
            return original(*arguments, **named)

        network.forward_eval = forward_eval
    try:
        agent = policy.agent_policy(0)
        agent.reset()
        with torch.no_grad():
            agent.step(Observation(0, Frame(game.converted.tokens, observations.numpy()), []))
    except Exception as error:
        raise PolicyError(f'policy "{name}" could not take a step: {type(error).__name__}: {error}') from error
    finally:
        hook.remove()
        if original is not None:
            del network.forward_eval
    if not heard or heard[0].numel() != single.numel():
        raise PolicyError(
            f'policy "{name}" can\'t be trained: its step() shows its network '
            f"{f'a tensor of shape {tuple(heard[0].shape)}' if heard else 'nothing'}, not the observation "
            f"{tuple(single.shape)}. The network must be trained on exactly what step() gives it."
        )
    seen = heard[0].reshape(single.shape)
    for marked in (False, True):
        for scale in (1.0, 1.0 / 255.0):
            shown = Shown(marked, scale, seen.dtype)
            if torch.allclose(shown.of(single).float(), seen.float(), atol=1e-6):
                return shown
    raise PolicyError(
        f'policy "{name}" can\'t be trained: its step() changes observations in a way that DAF does not know (not the '
        "bytes as they are, padding as [255, 0, 0], or divided by 255). Let the network do it instead."
    )
