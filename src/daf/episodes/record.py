"""The record of an episode: a reproducible result, a measurement, or a failure.

On disk a record is two lines: the JSON object, and the SHA-256 of that line. If the second line does not match the
first, the file is damaged, and reading it raises `DamagedRecord`.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypedDict

import msgspec

from daf.episodes.spec import RECORD_FORMAT, EpisodeSpec
from daf.errors import DataError
from daf.game.outcome import Latencies, Outcome, Series
from daf.game.rollout import PlayedEpisode
from daf.storage.hashing import canonical_json, hash_json


class DamagedRecord(DataError):
    """A record's file is not what was written."""


@dataclass(frozen=True, slots=True)
class EpisodeFailure:
    """Why an episode has no result.

    kind: policy (it raised), time-out, crash (its process died), reward (not a finite number).
    """

    kind: str
    message: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Values that depend on the machine and the moment; never compared.

    engine: how it was played. seconds: set-up and play. latencies: per policy. host: the machine's name.
    """

    engine: str
    set_up_seconds: float
    play_seconds: float
    latencies: tuple[Latencies, ...]
    host: str


@dataclass(frozen=True, slots=True)
class EpisodeRecord:
    """An episode that was played or tried: exactly one of `outcome` and `failure` is set.

    outcome: rewards, stats, steps. replay_hash: of the replay's content, if one was recorded. cached: it was read and
    not played now.
    """

    spec: EpisodeSpec
    outcome: Outcome | None
    failure: EpisodeFailure | None = None
    measurement: Measurement | None = None
    replay_hash: str | None = None
    cached: bool = False

    @property
    def ok(self) -> bool:
        return self.outcome is not None

    @property
    def result_hash(self) -> str:
        """Hash of the result part without the replay; equal for equal episodes on any machine."""
        return hash_json(result_part(self.played))

    @property
    def played(self) -> Outcome:
        """The outcome. Raises `DataError` for a failed episode."""
        if self.outcome is None:
            raise DataError(f"the episode of {self.spec.name} on {self.spec.mission} (seed {self.spec.seed}) failed.")
        return self.outcome

    def agents_of(self, policy: int) -> list[int]:
        """The agents that policy number `policy` of the spec played."""
        return [agent for agent, index in enumerate(self.spec.assignment) if index == policy]

    def reward_per_agent(self, policy: int | None = None) -> float:
        """Mean return per agent, of all agents or of those that one policy controlled."""
        agents: Sequence[int] = range(len(self.spec.assignment)) if policy is None else self.agents_of(policy)
        rewards = self.played.rewards
        return sum(rewards[agent] for agent in agents) / len(agents)

    @property
    def timed_out(self) -> bool:
        """Whether a step exceeded an enforced time limit, so that the result depended on the clock."""
        return self.outcome is not None and any(self.outcome.timeouts)


def from_played(spec: EpisodeSpec, played: PlayedEpisode, host: str) -> EpisodeRecord:
    """The record of an episode that was played."""
    measurement = Measurement(
        engine=played.engine,
        set_up_seconds=played.set_up_seconds,
        play_seconds=played.play_seconds,
        latencies=played.outcome.latencies,
        host=host,
    )
    return EpisodeRecord(spec, played.outcome, measurement=measurement, replay_hash=played.replay_hash)


def result_part(outcome: Outcome) -> dict[str, Any]:
    """The reproducible part of a record, as JSON values."""
    part: dict[str, Any] = {
        "rewards": list(outcome.rewards),
        "steps": outcome.steps,
        "game_stats": outcome.game_stats,
        "agent_stats": list(outcome.agent_stats),
        "time_averaged_game_stats": outcome.time_averaged_game_stats,
        "timeouts": list(outcome.timeouts),
    }
    if outcome.series is not None:
        part["series"] = asdict(outcome.series)
    return part


def to_bytes(record: EpisodeRecord) -> bytes:
    """The file of a record that has an outcome."""
    measurement = record.measurement
    body = {
        "format": RECORD_FORMAT,
        "key": record.spec.key,
        "spec": spec_part(record.spec),
        "result": result_part(record.played),
        "result_hash": record.result_hash,
        "replay_hash": record.replay_hash,
        "measurement": asdict(measurement) if measurement is not None else None,
    }
    line = canonical_json(body)
    return line + b"\n" + hashlib.sha256(line).hexdigest().encode() + b"\n"


def spec_part(spec: EpisodeSpec) -> dict[str, Any]:
    """A spec as JSON values, for people and for tables; the hash covers `EpisodeSpec.content`."""
    return {
        "mission": spec.mission,
        "config_hash": spec.config_hash,
        "max_steps": spec.max_steps,
        "policies": [
            {
                "name": policy.name,
                "class": policy.class_path,
                "data": policy.data_path,
                "kwargs": policy.kwargs,
                "network": policy.network,
                "identity": policy.identity,
            }
            for policy in spec.policies
        ],
        "assignment": list(spec.assignment),
        "seed": spec.seed,
        "content": spec.content(),
    }


class _File(TypedDict):
    """The fields that are read from a record's file."""

    key: str
    result: Outcome
    replay_hash: str | None
    measurement: Measurement | None


def parse(data: bytes) -> dict[str, Any]:
    """A record file's JSON object, its checksum and the types of its fields verified. Raises `DamagedRecord`."""
    line, _, rest = data.partition(b"\n")
    if rest.strip() != hashlib.sha256(line).hexdigest().encode():
        raise DamagedRecord("its checksum does not match its content")
    try:
        body = json.loads(line)  # not msgspec: a stat may be NaN
    except (ValueError, RecursionError) as error:
        raise DamagedRecord(f"it is not JSON ({error})") from error
    if not isinstance(body, dict) or body.get("format") != RECORD_FORMAT:
        raise DamagedRecord(f"its record format is not {RECORD_FORMAT}")
    try:
        msgspec.convert(body, _File)
    except msgspec.ValidationError as error:
        raise DamagedRecord(str(error)) from error
    return body


def from_bytes(data: bytes, spec: EpisodeSpec) -> EpisodeRecord:
    """The record of `spec` that `data` holds. Raises `DamagedRecord`."""
    body = parse(data)
    if body["key"] != spec.key:
        raise DamagedRecord(f"it is the record of another episode ({body['key']})")
    outcome, measurement = parts(body)
    agents = len(spec.assignment)
    if not len(outcome.rewards) == len(outcome.agent_stats) == len(outcome.timeouts) == agents:
        raise DamagedRecord(f"it does not hold rewards, stats and time-outs of {agents} agents")
    return EpisodeRecord(spec, outcome, measurement=measurement, replay_hash=body["replay_hash"], cached=True)


def parts(body: dict[str, Any]) -> tuple[Outcome, Measurement | None]:
    """Outcome and measurement of a parsed record."""
    result = body["result"]
    outcome = Outcome(
        rewards=tuple(result["rewards"]),
        steps=result["steps"],
        game_stats=result["game_stats"],
        agent_stats=tuple(result["agent_stats"]),
        time_averaged_game_stats=result["time_averaged_game_stats"],
        timeouts=tuple(result["timeouts"]),
        series=_series(result["series"]) if "series" in result else None,
    )
    measured = body["measurement"]
    if measured is None:
        return outcome, None
    latencies = tuple(Latencies(**values) for values in measured["latencies"])
    return replace(outcome, latencies=latencies), Measurement(**{**measured, "latencies": latencies})


def _series(values: dict[str, Any]) -> Series:
    return Series(
        interval=values["interval"],
        steps=tuple(values["steps"]),
        game={name: tuple(series) for name, series in values["game"].items()},
        agents=tuple({name: tuple(series) for name, series in agent.items()} for agent in values["agents"]),
        positions=tuple(tuple((row, col) for row, col in places) for places in values["positions"]),
    )
