"""The page of `daf analyze mission`: the mission, how policies perform and how they fail, with replays."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daf.mission_analysis.facts import MissionAnalysis
from daf.mission_analysis.performance import MissionPerformance
from daf.render.pages.html import page
from daf.render.replays.players import player_of
from daf.render.svg.curves import CurveSeries, curve_figure
from daf.render.svg.events import events_figure
from daf.render.svg.intervals import IntervalRow, interval_figure
from daf.render.text import estimates
from daf.render.theme import styles
from daf.stats.sentences import number


def mission_page(
    analysis: MissionAnalysis,
    *,
    command: str,
    run_id: str | None,
    notes: Sequence[str] = (),
    run_dir: Path | None = None,
) -> str:
    """The page of a `MissionAnalysis`.

    run_id, run_dir: of the run with the episodes, None if none were played. notes: shown at the top of the page.
    """
    rows = analysis.performance
    look = styles([row.policy for row in rows])
    shown = [row for row in rows if row.episodes]
    return page(
        "analyze_mission.html.j2",
        {
            "title": analysis.name,
            "analysis": analysis,
            "facts": facts_of(analysis),
            "command": command,
            "notes": notes,
            "run_id": run_id,
            "headline": headline(analysis),
            "any_failed": any(row.failed for row in rows),
            "rows": [{"slot": look[cells["policy"]].slot, **cells} for cells in summaries_of(rows)],
            "success_figure": _success(shown, look),
            "reward_figure": _rewards(shown, look),
            "events_figure": _events(shown, look, analysis.max_steps),
            "held_figure": _held(shown, look),
            "modes": [
                {
                    "policy": row.policy,
                    "slot": look[row.policy].slot,
                    "episodes": row.episodes,
                    "rows": modes_of(row, run_dir),
                }
                for row in shown
            ],
            "interval": shown[0].interval if shown else 0,
        },
    )


def facts_of(analysis: MissionAnalysis) -> list[tuple[str, str]]:
    """The mission's facts as names and texts."""
    cogs = analysis.cogs_range
    found = {
        "description": analysis.description,
        "agents": f"{analysis.agents}" + (f" ({cogs[0]} to {cogs[1]})" if cogs and cogs[0] != cogs[1] else ""),
        "steps": f"{analysis.max_steps}",
        "map": f"{analysis.size}, {analysis.map_builder}"
        + (f", always with seed {analysis.map_seed}" if analysis.map_seed is not None else ", new for every seed"),
        "teams": ", ".join(analysis.teams),
        "against": ", ".join(analysis.opponents),
        "roles": ", ".join(analysis.roles),
        "resources": ", ".join(analysis.resources),
        "objects": ", ".join(analysis.objects),
        "observation": f"{analysis.observation_tokens} tokens, {analysis.view[0]} × {analysis.view[1]} cells",
        "actions": ", ".join(analysis.actions),
        "vibes": ", ".join(analysis.vibes),
        "cost of a step": ", ".join(f"{amount:g} {item}" for item, amount in analysis.move_cost.items()),
        "initial inventory": ", ".join(f"{amount:g} {item}" for item, amount in analysis.start.items()),
        "limits": "; ".join(f"{name} {text}" for name, text in analysis.limits.items()),
        "success": analysis.criterion or "none: the mission has no reward; set one with --success",
    }
    return [(name, text) for name, text in found.items() if text]


def headline(analysis: MissionAnalysis) -> str:
    """The finding in a sentence or two."""
    rows = [row for row in analysis.performance if row.episodes]
    if not rows:
        return "No episode finished." if analysis.performance else ""
    parts = []
    for row in rows[:4]:
        part = (
            row.policy if row.mean_reward is None else f"{row.policy} scores {number(row.mean_reward)} reward per agent"
        )
        if row.success_rate is not None:
            part = f"{row.policy} succeeds in {row.successes} of {row.episodes} episodes"
        worst = next(iter(row.failure_modes), None)
        if worst is not None:
            times = f"{worst.episodes} of {worst.of_episodes} episodes"
            if worst.agents is not None:
                times = f"{worst.agents} of {worst.of_agents} agents"
            part += f" (most common failure: {worst.title}, {times})"
        parts.append(part)
    return "; ".join(parts) + "."


def summaries_of(rows: Sequence[MissionPerformance]) -> list[dict[str, str]]:
    """The policies' rows as texts; rewards have the same number of decimals."""
    rewards = estimates([row.mean_reward for row in rows], [row.reward_ci for row in rows])
    return [_summary(*row) for row in zip(rows, *rewards, strict=True)]


def _summary(row: MissionPerformance, reward: str, reward_ci: str) -> dict[str, str]:
    return {
        "policy": row.policy,
        "success": "–" if row.success_rate is None else f"{row.successes} of {row.episodes}",
        "rate": "–" if row.success_rate is None else f"{row.success_rate:.0%}",
        "rate_ci": "–" if row.success_ci is None else f"[{row.success_ci[0]:.0%}, {row.success_ci[1]:.0%}]",
        "completion": "–" if row.completion is None else f"{row.completion:.0%}",
        "reward": reward,
        "reward_ci": reward_ci,
        "steps": "–" if row.steps is None else f"{row.steps:.0f}",
        "failed": str(row.failed),
        "roles": ", ".join(f"{round(count, 2):g} {role}" for role, count in row.roles.items()),
    }


def modes_of(row: MissionPerformance, run_dir: Path | None = None) -> list[dict[str, Any]]:
    """A policy's failure modes as texts. run_dir: where the players of examples are."""
    found = []
    for mode in row.failure_modes:
        example = mode.example
        who = f"agent {example.agent} " if example.agent is not None else ""
        found.append(
            {
                "title": mode.title,
                "what": mode.what,
                "episodes": f"{mode.episodes} of {mode.of_episodes}",
                "agents": "–" if mode.agents is None else f"{mode.agents} of {mode.of_agents}",
                "share": f"{mode.share:.0%}",
                "roles": ", ".join(
                    f"{name} {seen} of {of}" for name, (seen, of) in {**mode.by_policy, **mode.by_role}.items()
                ),
                "evidence": f"Seed {example.seed}: {who}{example.evidence}.",
                "replay": example.replay,
                "player": None if run_dir is None else player_of(run_dir, example.replay),
            }
        )
    return found


def _success(rows: Sequence[MissionPerformance], look: Any) -> Any:
    if not rows or rows[0].success_rate is None:
        return None
    drawn = [IntervalRow(row.policy, look[row.policy], row.success_rate, row.success_ci) for row in rows]
    return interval_figure(
        drawn, axis_title="success rate", description="Success rate of each policy with its interval"
    )


def _rewards(rows: Sequence[MissionPerformance], look: Any) -> Any:
    if not rows:
        return None
    drawn = [IntervalRow(row.policy, look[row.policy], row.mean_reward, row.reward_ci) for row in rows]
    return interval_figure(drawn, axis_title="reward per agent", description="Mean reward of each policy")


def _events(rows: Sequence[MissionPerformance], look: Any, steps: int) -> Any:
    events: dict[str, list[tuple[str, float | None, tuple[float, float] | None, str]]] = {}
    for row in rows:
        for event in row.key_events:
            count_text = f"{event.happened} of {len(event.times)}"
            events.setdefault(event.name, []).append((row.policy, event.median, event.quartiles, count_text))
    return events_figure(events, look, steps=steps) if events else None


def _held(rows: Sequence[MissionPerformance], look: Any) -> Any:
    lines = {row.policy: row.held for row in rows if row.held}
    if not any(y for line in lines.values() for _, y in line):
        return None
    drawn = [
        CurveSeries(policy, look[policy], [step for step, _ in line], [held for _, held in line], smooth=False)
        for policy, line in lines.items()
    ]
    return curve_figure(
        drawn, x_title="step", y_title="junctions held", description="Junctions held over time", size="full", zero=True
    ).svg
