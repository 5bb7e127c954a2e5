"""Policies on a suite of missions, scored between `random` and the best known policy, with a leaderboard.

Every policy, `random` and the mission's reference play the same blocks. `scoring` defines the scores, `suites` the
missions, `leaderboard` the terms of a ranking.
"""

import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.benchmark_suites._leaderboard import BoardScore, Terms, add, leaderboard_path, read
from daf.benchmark_suites._scoring import MissionScale, SuiteScores, score
from daf.benchmark_suites._suites import RANDOM, SUITES, Suite, SuiteEntry, suite
from daf.benchmark_suites.page import suite_page
from daf.episodes.plan import Contender, merged_notes
from daf.episodes.run import RunResult
from daf.errors import EpisodeError, UsageError
from daf.evaluation import pair_data, summary_data
from daf.game.policies import each_once, uniquely_named
from daf.game.policy import Policy
from daf.playing.contenders import resolved
from daf.playing.planning import cache_of, check_settings, missions_of, plan_teams
from daf.playing.run import Played, PlayedRun, play_run
from daf.playing.settings import Settings
from daf.storage.atomic import write_json, write_text
from daf.storage.jsonable import jsonable
from daf.storage.printable import terminal_text

if TYPE_CHECKING:
    from rich.console import Console

    from daf.episodes.plan import Plan
    from daf.episodes.record import EpisodeRecord
    from daf.output_manager import OutputManager

__all__ = [
    "SUITES",
    "BenchmarkReport",
    "BoardScore",
    "MissionScale",
    "Suite",
    "SuiteEntry",
    "SuiteScores",
    "Terms",
    "daf_benchmark_suite",
    "read",
    "suite",
]


@dataclass(frozen=True)
class BenchmarkReport(Played):
    """The result of a benchmark.

    scores: 0 is random, 1 the best known policy. board: the leaderboard on the same terms, best first; board_path: its
    file. notes: caveats for the reader.
    """

    suite: Suite
    policies: tuple[str, ...]
    scores: SuiteScores
    board: tuple[BoardScore, ...]
    board_path: Path
    notes: tuple[str, ...]
    run: PlayedRun

    def to_data(self) -> dict[str, Any]:
        """The report as JSON values, episodes included."""
        return {
            "run_id": self.run_id,
            "run_dir": str(self.run_dir),
            "status": self.status,
            "suite": self.suite.name,
            "version": self.suite.version,
            "episodes": self.run.episodes_data(),
            "summary": self.run.counts_data(self.notes),
            "ranking": [summary_data(row) for row in self.scores.ranking],
            "missions": {name: [summary_data(row) for row in rows] for name, rows in self.scores.by_mission.items()},
            "pairs": [pair_data(pair) for pair in self.scores.pairs],
            "scales": [asdict(scale) | {"used": scale.used} for scale in self.scores.scales],
            "leaderboard": [asdict(row) for row in self.board],
            "leaderboard_file": str(self.board_path),
        }

    def print_summary(self, console: "Console | None" = None) -> None:
        """Print scores, verdicts and notes; nothing without a console."""
        if console is None:
            return

        for row in self.scores.ranking:
            bounds = "" if row.ci is None else f" [{row.ci[0]:.2f}, {row.ci[1]:.2f}]"
            console.print(terminal_text(f"{row.rank}. {row.name}: {row.mean:.2f}{bounds}"))
        for pair in self.scores.pairs:
            if pair.stratum is None:
                console.print(terminal_text(pair.sentence))
        for note in self.notes:
            console.print(terminal_text(note))


def daf_benchmark_suite(
    specs: Sequence[Any],
    benchmark_name: str = "standard",
    episodes: int = 10,
    *,
    seed: int = 42,
    max_steps: int | None = None,
    settings: Settings | None = None,
    leaderboard: str | Path | None = None,
    output_manager: "OutputManager | None" = None,
    console: "Console | None" = None,
    on_plan: "Callable[[Plan], None] | None" = None,
    on_record: "Callable[[EpisodeRecord], None] | None" = None,
) -> BenchmarkReport:
    """Score policies on a suite ("standard", "integrated", "spanning", "diagnostic"), and add them to its leaderboard.

    episodes, seed, max_steps are ignored if `settings` is given. leaderboard: its file (default: below the output
    folder, `leaderboards/SUITE-vN.jsonl`). If an episode failed, the others are scored, and nothing is added. Leaves a
    run directory under `comparisons`. Raises `UsageError` for an unknown suite.
    """
    from daf.output_manager import OutputManager

    chosen_suite = suite(benchmark_name)
    if not specs:
        raise UsageError("a benchmark needs at least one policy, for example starter.")
    chosen = settings or Settings(episodes=episodes, seed=seed, max_steps=max_steps, report=False, resamples=4_000)
    check_settings(chosen)
    output = output_manager or OutputManager()
    cache = cache_of(chosen, output.base_dir)
    needed = list(dict.fromkeys([RANDOM, *(entry.best for entry in chosen_suite.entries)]))
    asked, known = _players(specs, needed, resolved([*specs, *needed], cache, output))
    missions = missions_of([entry.mission for entry in chosen_suite.entries], chosen)
    teams = [_once([*asked, known[RANDOM], known[entry.best]]) for entry in chosen_suite.entries]
    plan = plan_teams(missions, teams, chosen)
    names = [contender.name for contender in asked]
    settled = {"policies": names, "suite": chosen_suite.name, "version": chosen_suite.version}
    title = f"{chosen_suite.name} benchmark of {', '.join(names)}"
    with play_run(
        "comparisons", plan, chosen, cache, output, title=title, config=settled, on_plan=on_plan, on_record=on_record
    ) as run:
        references = {
            mission.name: (known[RANDOM].name, known[entry.best].name)
            for mission, entry in zip(missions, chosen_suite.entries, strict=True)
        }
        returns = _returns(run.result)
        absent = [name for name in names if not any(contender == name for contender, _ in returns)]
        scored = [contender for contender in asked if contender.name not in absent]
        if not scored:
            raise EpisodeError(f"no policy finished an episode. {run.failure_notes()[0]}")
        scores = score(
            returns, [contender.name for contender in scored], references, alpha=chosen.alpha,
            resamples=chosen.resamples, seed=chosen.seed,
        )  # fmt: skip
        usual = leaderboard_path(output.base_dir, chosen_suite.name, chosen_suite.version)
        path = Path(leaderboard) if leaderboard else usual
        terms = _terms(chosen_suite, chosen)
        add(path, terms, _lines(scores, scored, run))
        report = BenchmarkReport(
            suite=chosen_suite,
            policies=tuple(names),
            scores=scores,
            board=tuple(row for _, row in read(path, terms)),
            board_path=path,
            notes=tuple(_notes(run, scores, absent)),
            run=run.timed(),
        )
        write_json(run.run_dir / "benchmark.json", jsonable(report.to_data()))
        write_text(run.run_dir / "report.html", suite_page(report, command=run.command))
    report.print_summary(console)
    return report


def _players(
    specs: Sequence[Any], needed: Sequence[str], found: Sequence[Policy]
) -> tuple[list[Contender], dict[str, Contender]]:
    """The requested contenders, and those that the scale needs, by their policy strings; equal ones are shared."""
    wanted = each_once(found[: len(specs)])
    there = {policy.identity for policy in wanted}
    others = {policy.identity: policy for policy in found[len(specs) :] if policy.identity not in there}
    contenders = [Contender(policy.name, (policy,)) for policy in uniquely_named([*wanted, *others.values()])]
    by_identity = {contender.policies[0].identity: contender for contender in contenders}
    known = {name: by_identity[policy.identity] for name, policy in zip(needed, found[len(specs) :], strict=True)}
    return contenders[: len(wanted)], known


def _once(contenders: Sequence[Contender]) -> list[Contender]:
    return list({contender.name: contender for contender in contenders}.values())


def _returns(result: RunResult) -> dict[tuple[str, str], dict[int, float]]:
    found: dict[tuple[str, str], dict[int, float]] = {}
    for planned, record in zip(result.planned, result.records, strict=True):
        if record.ok:
            contender = result.plan.contenders[planned.contender].name
            found.setdefault((contender, record.spec.mission), {})[planned.index] = record.reward_per_agent()
    return found


def _terms(chosen: Suite, settings: Settings) -> Terms:
    return Terms(
        suite=chosen.name,
        version=chosen.version,
        seed=settings.seed,
        episodes=settings.episodes,
        max_steps=settings.max_steps,
        cogames=importlib.metadata.version("cogames"),
        mettagrid=importlib.metadata.version("mettagrid"),
    )


def _lines(scores: SuiteScores, asked: Sequence[Contender], run: PlayedRun) -> list[BoardScore]:
    """Lines for the policies that finished every episode; none if a block of any policy is missing.

    Equal terms mean equal seeds, on which random and the references repeat: the missions that count are the same.
    """
    by_name = {contender.name: contender.policies[0].identity for contender in asked}
    rows: list[BoardScore] = []
    for row in scores.ranking if run.status == "ok" else ():
        name = asked[row.policy].name
        missions = {
            mission: next(line.mean for line in lines if line.policy == row.policy)
            for mission, lines in scores.by_mission.items()
        }
        rows.append(BoardScore(name, by_name[name], row.mean, row.ci, row.n, missions, run.run_id, run.started_text))
    return rows


def _notes(run: PlayedRun, scores: SuiteScores, absent: Sequence[str]) -> list[str]:
    lost = run.failure_notes(scores.left_out)
    lost += [f"{name} finished no episode and is not scored." for name in absent]
    notes = [*merged_notes(run.result.plan), *lost]
    if lost:
        notes.append("Scores of an incomplete run are not added to the leaderboard.")
    notes += [
        f"{scale.mission} is excluded from all scores: {scale.best} does not beat random there on these "
        f"{scale.blocks} blocks ({scale.best_mean:.3g} against {scale.random_mean:.3g} per agent)."
        for scale in scores.scales
        if not scale.used
    ]
    return notes
