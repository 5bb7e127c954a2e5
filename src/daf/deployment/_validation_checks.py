"""From what a bundle's episodes showed to checks that passed or failed, one sentence each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from daf.deployment._validation_play import EpisodesFound, MissionRequest
from daf.stats.sentences import amount_text, counted, number

Status = Literal["passed", "failed", "skipped"]
NAMES = ("bundle", "set-up", "cogames", "episodes", "actions", "determinism", "latency", "memory", "returns")
OPTIONAL = ("determinism", "latency")
"""Checks that a user may leave out; the others decide whether the policy plays at all."""
NO_SET_UP = "there is no set-up script"
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Check:
    """name: one of `NAMES`. message: one sentence without its full stop where it passed."""

    name: str
    status: Status
    message: str


@dataclass(frozen=True, slots=True)
class MissionReturns:
    """The validation episodes of a mission: mean reward per agent with its 95 % interval (None for one episode).

    criterion: of success; None without one, and then no successes. success_low: the lower bound of the success rate's
    one-sided 95 % interval (Clopper and Pearson). keys: of the episodes.
    """

    mission: str
    n: int
    mean: float
    ci: tuple[float, float] | None
    criterion: str | None
    successes: int | None
    success_low: float | None
    keys: tuple[str, ...]


def not_reached(after: str, failed: str) -> list[Check]:
    """The checks after `after`, skipped because `failed` failed."""
    return [Check(name, "skipped", f"not reached: {failed} failed") for name in NAMES[NAMES.index(after) + 1 :]]


def returns_of(found: EpisodesFound, missions: Sequence[MissionRequest]) -> tuple[MissionReturns, ...]:
    """The returns of every mission of which an episode was played."""
    made = []
    for mission, results in zip(missions, found.missions, strict=False):  # none if the process died
        if not results.rewards:
            continue
        n, judged = len(results.rewards), mission.criterion is not None
        successes = sum(results.successes) if judged else None
        made.append(
            MissionReturns(
                mission=mission.name,
                n=n,
                mean=sum(results.rewards) / n,
                ci=_mean_interval(results.rewards),
                criterion=mission.criterion,
                successes=successes,
                success_low=_success_low(successes, n) if successes is not None else None,
                keys=tuple(results.keys),
            )
        )
    return tuple(made)


def _mean_interval(rewards: Sequence[float]) -> tuple[float, float] | None:
    import numpy as np

    from daf.stats.student import student_interval

    if len(rewards) < 2:
        return None
    low, high = student_interval(np.array([rewards]), np.zeros(len(rewards), dtype=np.int64), "mean")
    return float(low[0]), float(high[0])


def _success_low(successes: int, n: int) -> float:
    """Source: Clopper and Pearson, Biometrika 26, 1934."""
    from scipy.stats import binomtest

    found = binomtest(successes, n, alternative="greater").proportion_ci(confidence_level=CONFIDENCE, method="exact")
    return float(found.low)


def of_episodes(
    found: EpisodesFound,
    returns: Sequence[MissionReturns],
    step_limit_ms: float,
    planned: int,
    threshold: float | None,
) -> list[Check]:
    """The checks from "episodes" on."""
    played = sum(row.n for row in returns)
    if found.failure is not None:
        ended = f"{played} of {counted(planned, 'episode')} finished"
        failed = Check(found.failure.check, "failed", f"{ended}; {_stop(found.failure.message)}")
        return [failed if check.name == failed.name else check for check in not_reached("cogames", failed.name)]
    return [
        Check("episodes", "passed", f"{counted(played, 'episode')} finished ({found.engine} engine)"),
        _actions(found),
        _determinism(found, returns),
        _latency(found, step_limit_ms),
        _memory(found),
        _returns(returns, threshold),
    ]


def _stop(message: str) -> str:
    return message if message.endswith(".") else f"{message}."


def _actions(found: EpisodesFound) -> Check:
    total = sum(found.actions.values())
    most = sorted(found.actions.items(), key=lambda item: (-item[1], item[0]))[:3]
    shares = ", ".join(f"{name} {count / total:.0%}" for name, count in most)
    return Check("actions", "passed", f"all {total:,} are legal ({shares})")


def _determinism(found: EpisodesFound, returns: Iterable[MissionReturns]) -> Check:
    if found.differences:
        return Check(
            "determinism", "failed",
            f"two episodes with one seed differ, so results can't be repeated: {'; '.join(found.differences)}. Draw "
            "random numbers from the random, numpy or torch module's global generator.",
        )  # fmt: skip
    missions = counted(sum(1 for _ in returns), "mission")
    return Check("determinism", "passed", f"an episode played twice is equal, on {missions}")


def _latency(found: EpisodesFound, limit: float) -> Check:
    times = found.step_times
    if times is None:
        return Check("latency", "skipped", "no step was played")
    text = (
        f"a step of all agents takes {number(times.p50)} ms (p90 {number(times.p90)}, p99 {number(times.p99)}, "
        f"longest {number(times.max)}) over {counted(times.n, 'step')}; the limit is {limit:,.0f} ms"
    )
    if times.over:
        were = "exceeded it and would become noops" if times.over > 1 else "exceeded it and would become noop"
        return Check("latency", "failed", f"{text}, and {counted(times.over, 'step')} {were}.")
    return Check("latency", "passed", text)


def _memory(found: EpisodesFound) -> Check:
    use = found.memory
    text = f"{use['peak']:,.0f} MiB at most, {use['before']:,.0f} MiB before the policy was loaded"
    grown = use["end"] - use["first"]
    if grown > 1:
        text += f"; it grew by {grown:,.0f} MiB after the first episode"
    return Check("memory", "passed", text)


def _returns(returns: Sequence[MissionReturns], threshold: float | None) -> Check:
    scores = [f"{row.mission} {amount_text(row.mean, row.ci)} reward per agent (n={row.n})" for row in returns]
    if threshold is None:
        return Check("returns", "skipped", f"no --threshold is given; {', '.join(scores)}")
    parts = []
    for row in returns:
        assert row.success_low is not None
        parts.append(f"{row.mission} {row.successes} of {row.n}, so at least {row.success_low:.2f} ({row.criterion})")
    text = f"successes, with the lower 95 % bound of their rate: {'; '.join(parts)}; the threshold is {threshold:g}"
    below = [row for row in returns if (row.success_low or 0.0) < threshold]
    if not below:
        return Check("returns", "passed", text)
    if all((row.successes or 0) / row.n >= threshold for row in below):
        return Check("returns", "failed", f"{text}. The rates reach it; more episodes (-e) would narrow the bound.")
    return Check("returns", "failed", f"{text}.")
