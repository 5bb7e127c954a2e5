"""The page of `daf analyze missions`: missions from easiest to hardest as measured, and what variants change."""

from collections.abc import Mapping, Sequence

from daf.mission_analysis.sets import MissionOutcome, MissionSetAnalysis, VariantAnalysis
from daf.render.pages.html import page
from daf.render.svg.intervals import IntervalRow, interval_figure
from daf.render.text import same_decimals
from daf.render.theme import styles


def missions_page(
    found: MissionSetAnalysis,
    changes: Mapping[str, Sequence[VariantAnalysis]],
    *,
    command: str,
    run_id: str,
    notes: Sequence[str] = (),
) -> str:
    """The page of a `MissionSetAnalysis`, with `VariantAnalysis`es by mission. notes: shown at the top of the page."""
    policies = list(dict.fromkeys(row.policy for row in found.outcomes))
    look = styles(policies)
    ordered = [row for name in found.order for row in found.outcomes if row.mission == name]
    figures = []
    for policy in policies:
        own = [row for row in ordered if row.policy == policy and row.success_rate is not None]
        heads = [row.mission.split(",")[0] for row in own]
        names = heads if len(set(heads)) == len(heads) else [row.mission for row in own]
        rows = [
            IntervalRow(name, look[policy], row.success_rate, row.success_ci)
            for name, row in zip(names, own, strict=True)
        ]
        if rows:
            text = f"Success rate of {policy} on every mission"
            figure = interval_figure(rows, axis_title="success rate", description=text)
            figures.append({"policy": policy, "slot": look[policy].slot, "figure": figure})
    return page(
        "analyze_missions.html.j2",
        {
            "title": f"{len(found.missions)} mission{'s' if len(found.missions) != 1 else ''}",
            "command": command,
            "notes": notes,
            "run_id": run_id,
            "policies": [{"name": name, "slot": look[name].slot} for name in policies],
            "missions": found.missions,
            "rows": [
                {"place": found.order.index(row.mission) + 1, "slot": look[row.policy].slot, **_row(row, reward)}
                for row, reward in zip(ordered, same_decimals([row.mean_reward for row in ordered]), strict=True)
            ],
            "figures": figures,
            "changes": changes,
        },
    )


def _row(row: MissionOutcome, reward: str) -> dict[str, str]:
    return {
        "mission": row.mission,
        "policy": row.policy,
        "criterion": row.criterion or "no criterion",
        "episodes": str(row.episodes),
        "failed": str(row.failed),
        "rate": "–" if row.success_rate is None else f"{row.success_rate:.0%}",
        "rate_ci": "–" if row.success_ci is None else f"[{row.success_ci[0]:.0%}, {row.success_ci[1]:.0%}]",
        "completion": "–" if row.completion is None else f"{row.completion:.0%}",
        "reward": reward,
    }
