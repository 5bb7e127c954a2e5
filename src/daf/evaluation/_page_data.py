"""The content of an evaluation's report as plain values, without engine objects other than results of `daf.stats`.

Code that fills it makes no decision about presentation, and code that draws it looks nothing up. Names may be hostile:
they are made printable and escaped when they are drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from daf.stats.group_verdicts import FamilyLooks
from daf.stats.pair_verdict import PairVerdict
from daf.stats.profiles import Profile
from daf.stats.summaries import PolicySummary


@dataclass(frozen=True)
class MissionRow:
    """A mission that was played. blocks: number of episodes planned for each contender. map_size: (height, width)."""

    name: str
    agents: int
    max_steps: int
    blocks: int
    map_size: tuple[int, int] | None = None


@dataclass(frozen=True)
class PolicyRow:
    """A policy that took part. agents: number that it controls in a mixed team, `None` if it controls all of them."""

    contender: str
    name: str
    class_path: str
    data_path: str | None = None
    kwargs: Mapping[str, object] = field(default_factory=dict)
    agents: float | None = None


@dataclass(frozen=True)
class LatencyRow:
    """Duration of a policy's steps. steps: number measured; slow: number of steps that exceed CoGames' time limit."""

    policy: str
    steps: int
    mean_ms: float
    max_ms: float
    slow: int


@dataclass(frozen=True)
class FailureText:
    """Reason why an episode has no result."""

    kind: str
    message: str
    traceback: str = ""


@dataclass(frozen=True)
class EpisodeRow:
    """One episode in plan order.

    index: of its block within the mission; contenders play the same block. reward_per_agent, steps: `None` if it has no
    result, in which case failure has the reason. replay, player: paths relative to the directory of the report.
    """

    mission: str
    index: int
    seed: int
    contender: str
    key: str
    reward_per_agent: float | None = None
    steps: int | None = None
    cached: bool = False
    rewards: Sequence[float] = ()
    assignment: Sequence[int] = ()
    replay: str | None = None
    player: str | None = None
    failure: FailureText | None = None

    @property
    def status(self) -> str:
        """ "ok" or "failed"."""
        return "ok" if self.reward_per_agent is not None else "failed"


@dataclass(frozen=True)
class EvaluationReport:
    """An evaluation or a comparison, ready to be rendered.

    command: in a form that can be run again. started: date and time as text. seconds: wall-clock time of the run.
    contenders: names in plan order, which determines their colours. environment: versions, host, device. notes: what a
    reader must know before any number, most important first.
    """

    title: str
    command: str
    run_id: str
    started: str
    seconds: float
    contenders: Sequence[str]
    missions: Sequence[MissionRow]
    episodes: Sequence[EpisodeRow]
    ranking: Sequence[PolicySummary] = ()
    by_mission: Mapping[str, Sequence[PolicySummary]] = field(default_factory=dict)
    pairs: Sequence[PairVerdict] = ()
    looks: Sequence[FamilyLooks] = ()
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    notes: Sequence[str] = ()
    policies: Sequence[PolicyRow] = ()
    latencies: Sequence[LatencyRow] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    alpha: float = 0.05
    unit: str = "reward per agent"
