"""The failure modes, each a pure function of one episode's counters and samples.

The thresholds are choices, named here and printed next to every finding; a mode is a symptom, not a cause.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from daf.mission_analysis.success import Criterion
from daf.mission_analysis.watching import NO_GEAR, Watched

STUCK_BOX = 4
"""Cells between the outermost places of an agent that counts as staying where it is."""
STUCK_SHARE = 0.5
STARVED_SHARE = 0.25
EARLY = 0.5
BLOCKED_SHARE = 0.5
ALONE_SHARE = 0.8
ALONE_LEAST = 3.0
LOST_LEAST = 0.5
SCOUTED = 0.05

Found = tuple[int | None, str]
"""Agent (None for the whole team) and the evidence in a sentence without its subject."""


@dataclass(frozen=True, slots=True)
class Mode:
    """A failure mode. what: its definition. of_team: it concerns an episode, not an agent."""

    name: str
    title: str
    what: str
    look: Callable[[Watched, Criterion | None], Iterator[Found]]
    of_team: bool = False


def never_moves(w: Watched, _: Criterion | None) -> Iterator[Found]:
    for agent in w.agents:
        if w.final(agent, "cell.unique_visited") <= 1 and len(np.unique(w.places(agent), axis=0)) <= 1:
            yield agent, f"stays in one cell for all {w.outcome.steps} steps"


def _stuck(w: Watched, _: Criterion | None) -> Iterator[Found]:
    for agent in w.agents:
        done = w.done(agent)
        until = len(w.steps) if done is None else int(np.searchsorted(w.steps, done))
        start, length = _longest_stay(w.places(agent)[:until])
        if length < 2 or not w.outcome.steps:
            continue
        steps = (length - 1) * w.samples.interval
        if steps >= STUCK_SHARE * w.outcome.steps:
            row, column = w.places(agent)[start]
            yield (
                agent,
                f"stays within {STUCK_BOX + 1} × {STUCK_BOX + 1} cells around row {row}, column {column} for {steps} "
                f"of {w.outcome.steps} steps, starting at step {w.steps[start]}",
            )


def _longest_stay(places: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]") -> tuple[int, int]:
    """(first sample, number of samples) of the longest run within a box of `STUCK_BOX` + 1 cells a side."""
    best, start = (0, 0), 0
    for end in range(len(places)):
        while np.ptp(places[start : end + 1], axis=0).max() > STUCK_BOX:
            start += 1
        if end - start + 1 > best[1]:
            best = (start, end - start + 1)
    return best


def _starves(w: Watched, _: Criterion | None) -> Iterator[Found]:
    if w.rules.energy <= 0 or not len(w.steps):
        return
    for agent in w.agents:
        share = float((w.over_time(agent, "energy.amount") < w.rules.energy).mean())
        if share >= STARVED_SHARE:
            failed = w.final(agent, "action.move.failed")
            yield (
                agent,
                f"has less energy than a step costs ({w.rules.energy:g}) in {share:.0%} of the samples; "
                f"{failed:.0f} of its moves failed",
            )


def _blocked(w: Watched, _: Criterion | None) -> Iterator[Found]:
    for agent in w.agents:
        failed, made = w.final(agent, "action.move.failed"), w.final(agent, "action.move.success")
        if w.done(agent) is None and failed > BLOCKED_SHARE * (failed + made) and failed >= 10:
            yield agent, f"fails {failed:.0f} of {failed + made:.0f} moves"


def _dies_early(w: Watched, _: Criterion | None) -> Iterator[Found]:
    for agent in w.agents:
        step = w.first(agent, "death")
        if step is not None and step <= EARLY * w.record.spec.max_steps:
            lost = "" if w.roles[agent] == NO_GEAR else f", and loses its {w.roles[agent]} gear"
            yield agent, f"is dead by step {step} of {w.record.spec.max_steps}{lost}"


def _no_gear(w: Watched, _: Criterion | None) -> Iterator[Found]:
    if not w.rules.gear:
        return
    for agent in w.agents:
        if w.roles[agent] == NO_GEAR and not any(w.final(agent, f"{gear}.gained") for gear in w.rules.gear):
            yield agent, f"never takes any gear in {w.outcome.steps} steps"


def _gear_unused(w: Watched, _: Criterion | None) -> Iterator[Found]:
    for agent in w.agents:
        for gear in w.rules.gear:
            taken = w.first(agent, f"{gear}.gained")
            if taken is None:
                continue
            unused = _unused(w, agent, gear, taken)
            if unused is not None:
                yield agent, f"has {gear} gear by step {taken} and {unused}"
                break


def _unused(w: Watched, agent: int, gear: str, taken: int) -> str | None:
    if gear == "miner" and w.rules.goods:
        return None if w.total(agent, [f"{good}.gained" for good in w.rules.goods]) else "never gathers anything"
    if gear == "aligner" and w.rules.junctions:
        return None if w.final(agent, "junction.aligned_by_agent") else "never aligns a junction"
    if gear == "scrambler" and "junction.scrambled_by_agent" in w.rules.events:
        return None if w.final(agent, "junction.scrambled_by_agent") else "never scrambles a junction"
    left = w.outcome.steps - taken
    cells = w.final(agent, "cell.unique_visited")
    if gear == "scout" and left >= 100 and cells < SCOUTED * left:
        return f"sees {cells:.0f} different cells in {left} more steps"
    return None


def _hoards(w: Watched, _: Criterion | None) -> Iterator[Found]:
    for agent in w.agents:
        gathered = w.total(agent, [f"{good}.gained" for good in w.rules.goods])
        if gathered and not w.total(agent, [f"{good}.lost" for good in w.rules.goods]):
            yield agent, f"gathers {gathered:g} resources and deposits none"


def _hearts_unused(w: Watched, _: Criterion | None) -> Iterator[Found]:
    for agent in w.agents:
        hearts = w.final(agent, "heart.gained")
        if hearts and not w.final(agent, "heart.lost"):
            yield agent, f"takes hearts ({hearts:g}) and uses none"


def _never_aligns(w: Watched, _: Criterion | None) -> Iterator[Found]:
    if w.rules.aligning and "aligner" in w.rules.gear:
        if sum(w.final(agent, "junction.aligned_by_agent") for agent in w.agents):
            return
        hearts = sum(w.final(agent, "heart.gained") for agent in w.agents)
        gears = sum(w.final(agent, "aligner.gained") > 0 for agent in w.agents)
        yield None, f"no junction is aligned; hearts taken: {hearts:g}, agents with aligner gear: {gears}"


def _loses_junctions(w: Watched, _: Criterion | None) -> Iterator[Found]:
    for team in w.rules.teams if w.rules.junctions and len(w.steps) > 1 else ():
        held = np.diff(w.team_over_time(f"{team}/aligned.junction.held"), prepend=0.0) / w.samples.interval
        peak = int(held.argmax())
        if held[peak] - held[-1] >= LOST_LEAST:
            yield None, f"{team} holds {held[peak]:g} junctions around step {w.steps[peak]} and {held[-1]:g} at the end"


def _out_of_time(w: Watched, criterion: Criterion | None) -> Iterator[Found]:
    if criterion is not None and w.outcome.steps >= w.record.spec.max_steps and not criterion.fulfilled(w.record):
        reached = criterion.completion(w.record)
        yield (
            None,
            f"the episode ends at the step limit of {w.record.spec.max_steps} without success ({reached:.0%} reached)",
        )


def _slow(w: Watched, _: Criterion | None) -> Iterator[Found]:
    for agent in w.agents:
        if w.outcome.timeouts[agent]:
            yield agent, f"exceeds the time limit in {w.outcome.timeouts[agent]} of {w.outcome.steps} steps"


def _alone(w: Watched, _: Criterion | None) -> Iterator[Found]:
    if len(w.agents) < 3:
        return
    works = {
        "alignments": ["junction.aligned_by_agent"],
        "scrambles": ["junction.scrambled_by_agent"],
        "gathered resources": [f"{good}.gained" for good in w.rules.goods],
    }
    for work, names in works.items():
        each = [w.total(agent, names) for agent in w.agents]
        total, most = sum(each), max(each)
        if total >= ALONE_LEAST and most >= ALONE_SHARE * total:
            agent = each.index(most)
            share = f"{most / total:.0%}"
            yield None, f"agent {agent} ({w.roles[agent]}) does {share} of {total:g} {work}"


MODES: tuple[Mode, ...] = (
    Mode("never_moves", "never moves", "The agent stays in the same cell for the whole episode.", never_moves),
    Mode(
        "stuck",
        "stuck",
        f"The agent stays within {STUCK_BOX + 1} × {STUCK_BOX + 1} cells for {STUCK_SHARE:.0%} of the episode or "
        "longer.",
        _stuck,
    ),
    Mode(
        "starves",
        "runs out of energy",
        f"The agent has less energy than a step costs in at least {STARVED_SHARE:.0%} of the samples.",
        _starves,
    ),
    Mode(
        "blocked", "runs into obstacles", f"More than {BLOCKED_SHARE:.0%} of the moves fail, and at least 10.", _blocked
    ),
    Mode("dies_early", "dies early", f"The agent dies within the first {EARLY:.0%} of the step limit.", _dies_early),
    Mode("no_gear", "never takes gear", "The agent never takes any gear.", _no_gear),
    Mode(
        "gear_unused",
        "takes gear but never uses it",
        "Miners that gather nothing, aligners that align nothing, scramblers that scramble nothing, scouts that see "
        f"fewer new cells than {SCOUTED:.0%} of their steps.",
        _gear_unused,
    ),
    Mode("hoards", "gathers but never deposits", "The agent gains resources and loses none.", _hoards),
    Mode("hearts_unused", "takes hearts but never uses them", "The agent gains hearts and loses none.", _hearts_unused),
    Mode(
        "never_aligns",
        "never aligns",
        "The reward pays for aligned junctions, and no agent aligns one.",
        _never_aligns,
        of_team=True,
    ),
    Mode(
        "loses_junctions",
        "loses junctions",
        "A team holds fewer junctions at the end than at its peak (averages over sampling intervals).",
        _loses_junctions,
        of_team=True,
    ),
    Mode("out_of_time", "times out", "The step limit ends the episode without success.", _out_of_time, of_team=True),
    Mode("slow", "too slow", "Actions are replaced by noop because the policy exceeds the time limit.", _slow),
    Mode(
        "alone",
        "one agent does most of the work",
        f"Of {ALONE_LEAST:g} or more alignments, scrambles or resources, one of three or more agents makes up "
        f"{ALONE_SHARE:.0%} or more.",
        _alone,
        of_team=True,
    ),
)
