"""Reports made of drawn returns, with the real statistics, for tests of how they are shown."""

from collections.abc import Callable, Sequence
from html.parser import HTMLParser

import numpy as np

from daf.evaluation.page import EpisodeRow, EvaluationReport, FailureText, LatencyRow, MissionRow, PolicyRow
from daf.stats.summaries import summarise
from daf.stats.verdicts import compare_pairs

FAILURE = FailureText("policy", "ValueError: no such action", 'Traceback:\n  File "bad.py", line 3\nValueError')


def report_of(
    policies: Sequence[str] = ("starter", "random", "noop"),
    missions: Sequence[str] = ("arena", "tutorial.miner"),
    *,
    blocks: int = 10,
    step: float = 0.5,
    value: float | None = None,
    fails: Callable[[int, int, int], bool] = lambda mission, block, policy: False,
    failure: FailureText = FAILURE,
    agents: int = 8,
    notes: Sequence[str] = (),
) -> EvaluationReport:
    """Each policy scores `step` less than the one before it, or everything scores `value`."""
    generator = np.random.default_rng(7)
    episodes, columns, strata = [], [], []
    for m, mission in enumerate(missions):
        for block in range(blocks):
            base, column = generator.gamma(4), []
            for p, policy in enumerate(policies):
                noise = generator.normal(0, 0.3)
                reward = float(base + noise - step * p) if value is None else value
                played = not fails(m, block, p)
                episodes.append(
                    EpisodeRow(
                        mission=mission,
                        index=block,
                        seed=42 + block,
                        contender=policy,
                        key=f"{m:02d}{block:04d}{p:02d}" * 8,
                        reward_per_agent=reward if played else None,
                        steps=1000 if played else None,
                        cached=played and block % 2 == 1,
                        rewards=tuple(reward + 0.125 * agent for agent in range(agents)) if played else (),
                        assignment=(0,) * agents,
                        replay=f"replays/{mission}-{p}.json.z" if played and block == 0 else None,
                        player=f"replays/{mission}-{p}.html" if played and block == 0 else None,
                        failure=None if played else failure,
                    )
                )
                column.append(reward if played else None)
            if None not in column:
                columns.append(column)
                strata.append(m)
    scores, groups = np.array(columns, dtype=float).reshape(len(columns), len(policies)).T, np.array(strata, dtype=int)
    complete = len(columns) > 0
    return EvaluationReport(
        title="Who mines best?",
        command="daf compare -p starter -p random -m arena -e 10 --seed 42",
        run_id="20261120_101500",
        started="2026-11-20 10:15:00",
        seconds=83.2,
        contenders=policies,
        missions=[MissionRow(mission, agents, 1000, blocks, (50, 60)) for mission in missions],
        episodes=episodes,
        ranking=summarise(policies, scores, groups, resamples=1000) if complete else (),
        by_mission={
            mission: summarise(policies, scores[:, groups == m], resamples=1000)
            for m, mission in enumerate(missions)
            if m in strata
        },
        pairs=compare_pairs(policies, scores, groups, missions, resamples=1000) if complete else (),
        notes=notes,
        policies=[PolicyRow(policy, policy, f"games.{policy}.Policy", None, {"depth": 3}) for policy in policies],
        latencies=[LatencyRow(policy, 12345, 0.43, 12.3, 2) for policy in policies],
        settings={"episodes": blocks, "margin": None, "use_cache": True},
        environment={"cogames": "0.25.7"},
    )


class Page(HTMLParser):
    """What a browser would make of a page: its elements with attributes, and its text without style and script."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.texts: list[str] = []
        self.by_id: dict[str, str] = {}
        self._silent = 0
        self._in_cell = False
        self._id: str | None = None
        self.feed(html)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.elements.append((tag, values))
        self._id = values.get("id") or self._id
        self._silent += tag in ("style", "script", "title")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("style", "script", "title")
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        self.texts.append(data)
        if self._in_cell:
            self.rows[-1][-1] += data
        if self._id:
            self.by_id[self._id] = self.by_id.get(self._id, "") + data
