"""The page of `daf analyze policy`: policies compared, their actions, and their rewards by number of cogs."""

from collections.abc import Mapping, Sequence
from typing import Any

from daf.policy_analysis._facts import PolicyAnalysis
from daf.render.pages.html import page
from daf.render.svg.intervals import IntervalRow, interval_figure
from daf.render.text import estimates
from daf.render.theme import styles
from daf.stats.sentences import counted, number


def policy_page(
    rows: Sequence[PolicyAnalysis], differences: Mapping[str, Any], *, command: str, run_id: str | None
) -> str:
    """The page of `PolicyAnalysis`es. differences: facts in which they differ. run_id: of the run by number of cogs."""
    look = styles([row.name for row in rows])
    played = [(row, cogs) for row in rows for cogs in row.cogs]
    rewards = estimates([cogs.mean_reward for _, cogs in played], [cogs.ci for _, cogs in played])
    by_cogs = [
        IntervalRow(f"{row.name}, {counted(cogs.agents, 'cog')}", look[row.name], cogs.mean_reward, cogs.ci)
        for row, cogs in played
    ]
    figure = None
    if by_cogs:
        figure = interval_figure(by_cogs, axis_title="reward per agent", description="Reward by number of cogs")
    return page(
        "analyze_policy.html.j2",
        {
            "title": " and ".join(row.name for row in rows),
            "command": command,
            "run_id": run_id,
            "rows": [
                {"name": row.name, "slot": look[row.name].slot, "facts": dict(facts_of(row)), "row": row}
                for row in rows
            ],
            "facts": [name for name, _ in facts_of(rows[0])],
            "actions": [_actions(row) for row in rows],
            "differences": {
                fact: {name: _text(value) for name, value in values.items()} for fact, values in differences.items()
            },
            "cogs_figure": figure,
            "cogs": [
                {
                    "name": row.name,
                    "slot": look[row.name].slot,
                    "agents": cogs.agents,
                    "episodes": cogs.episodes,
                    "reward": reward,
                    "ci": ci,
                }
                for (row, cogs), reward, ci in zip(played, *rewards, strict=True)
            ],
        },
    )


def facts_of(row: PolicyAnalysis) -> list[tuple[str, str]]:
    """A policy's facts as names and texts, the same names for every policy."""
    latency = row.latency
    if latency.p50 is not None:
        times = f"median {latency.p50:.3f}, 90 % {latency.p90:.3f}, 99 % {latency.p99:.3f}, max {latency.maximum:.2f}"
        times += f"; first step {latency.first:.2f}"
    else:
        times = f"mean {latency.mean:.3f}, max {latency.maximum:.2f}"
    deterministic = (
        "yes: two episodes with the same seed were identical" if row.deterministic else f"no: {row.difference}"
    )
    return [
        ("class", row.class_path),
        ("description", row.description or "–"),
        ("source", row.source or "not Python"),
        ("arguments", ", ".join(n if d is None else f"{n}={d}" for n, d in row.arguments.items()) or "none"),
        ("arguments set", ", ".join(f"{name}={value}" for name, value in row.kwargs.items()) or "–"),
        ("weights", row.data_path or "–"),
        ("trainable", "yes" if row.trainable else "no"),
        ("memory between steps", row.recurrence),
        ("network", row.network or "none"),
        (
            "parameters",
            "–" if row.parameters is None else f"{row.parameters:,} ({row.trainable_parameters:,} trainable)",
        ),
        ("parameters by module", ", ".join(f"{name} {count:,}" for name, count in row.parts.items()) or "–"),
        ("memory of the network", "–" if row.network_mib is None else f"{row.network_mib:.1f} MiB"),
        (
            "loading",
            f"{row.load_seconds:.1f} s, {row.load_mib:.0f} MiB including all imports; peak {row.peak_mib:.0f} MiB",
        ),
        ("observations", f"{row.observes}; {len(row.features)} features"),
        ("actions", ", ".join(row.emits)),
        ("measured on", f"{row.mission}, {row.agents} agents, {row.steps} steps, {row.engine} engine"),
        ("speed", f"{row.steps_per_second:,.0f} steps/s, {row.agent_steps_per_second:,.0f} agent-steps/s"),
        ("speed, batched episodes", "–" if row.together is None else f"{row.together:,.0f} agent-steps/s"),
        ("share of time in the policy", f"{row.policy_share:.0%}"),
        ("milliseconds per call", f"{times} ({latency.of})"),
        ("deterministic", deterministic),
        ("different seed", "different episode" if row.seed_matters else "same episode"),
        ("reward per agent", number(row.reward_per_agent)),
    ]


def _text(value: Any) -> str:
    """A value as text."""
    if value is None or value in ({}, [], ()):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(str(part) for part in value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _actions(row: PolicyAnalysis) -> dict[str, Any]:
    total = sum(row.actions.values())
    shares = [
        {"name": name, "share": f"{count / total:.1%}", "count": f"{count:,}"} for name, count in row.actions.items()
    ]
    return {"name": row.name, "shares": shares, "never": [name for name in row.emits if name not in row.actions]}
