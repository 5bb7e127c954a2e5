"""Compare policies on identical episodes: `daf_compare_policies` and its report.

Every policy plays the same blocks of mission, seed and assignment, so that differences are paired. Scores are returns
per agent, straight from the simulator; nothing is combined or rescaled.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from daf.ablation import daf_policy_ablation as daf_policy_ablation
from daf.benchmark_suites import daf_benchmark_suite as daf_benchmark_suite
from daf.compute.interface import THIS_MACHINE, ClusterOptions
from daf.episodes.tables import stat_names
from daf.errors import DataError, UsageError
from daf.evaluation import Evaluation, Settings, evaluate
from daf.metrics import daf_analyze_distributions as daf_analyze_distributions
from daf.metrics import daf_correlate_metrics as daf_correlate_metrics
from daf.scoring_analysis import ScoreReport, daf_score
from daf.scoring_analysis.vor import sentence
from daf.stats.pair_verdict import PairVerdict
from daf.stats.spending import LOOKS, Spending
from daf.stats.verdicts import compare_pairs
from daf.storage.atomic import write_json
from daf.storage.jsonable import jsonable
from daf.storage.printable import terminal_text
from daf.until_decided import FUTILITY, MAX_EPISODES, Method, compare_until_decided

if TYPE_CHECKING:
    from rich.console import Console

    from daf.config import DAFComparisonConfig
    from daf.output_manager import OutputManager


@dataclass(frozen=True)
class PolicyComparisonResult:
    """Policy A against policy B over all missions of a comparison; positive differences favour A.

    p_value: sign-flip permutation test on paired differences. p_adjusted: within the whole comparison's family (Holm).
    is_significant: p_adjusted <= alpha. effect_size: d_z, None if the differences have no spread.
    ci: of the difference, None with too few episodes. wins, losses, ties: of A, by episode.
    """

    policy_a_name: str
    policy_b_name: str
    missions: tuple[str, ...]
    avg_reward_a: float
    avg_reward_b: float
    difference: float
    ci: tuple[float, float] | None
    p_value: float
    p_adjusted: float
    is_significant: bool
    effect_size: float | None
    prob_improvement: float
    wins: int
    losses: int
    ties: int
    episodes: int
    verdict: str
    sentence: str

    def summary_string(self) -> str:
        """The finding in one sentence."""
        return self.sentence


@dataclass
class ComparisonReport:
    """The result of a comparison; built by `daf_compare_policies`, or by hand with `add_policy_results`.

    policy_mission_rewards: per policy and mission the mean return per agent of each episode, in the order of the seeds.
    policy_detailed_metrics: per policy the mean of each of the simulator's counters per agent, over all its episodes.
    policy_replicate_metrics: per policy one mapping per episode: mission, seed, reward_per_agent, steps, counters.
    evaluation: the run behind it, None for a report built by hand.
    """

    policies: list[str] = field(default_factory=list)
    missions: list[str] = field(default_factory=list)
    policy_mission_rewards: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    pairwise_comparisons: dict[tuple[str, str], PolicyComparisonResult] = field(default_factory=dict)
    mission_comparisons: list[PairVerdict] = field(default_factory=list)
    policy_detailed_metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    policy_replicate_metrics: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    alpha: float = 0.05
    seed: int = 42
    resamples: int = 10_000
    notes: list[str] = field(default_factory=list)
    evaluation: Evaluation | None = None

    @property
    def policy_averages(self) -> dict[str, float]:
        """Mean of the missions' mean returns, so every mission has equal weight."""
        return {policy: float(np.mean(self._means(policy))) for policy in self._scored()}

    @property
    def policy_std_devs(self) -> dict[str, float]:
        """Standard deviation of the returns within missions: the root of the missions' mean variance (n - 1)."""
        found = {}
        for policy in self._scored():
            rewards = [r for r in self.policy_mission_rewards[policy].values() if r]
            variances = [np.var(r, ddof=1) if len(r) > 1 else math.nan for r in rewards]
            known = [variance for variance in variances if not math.isnan(variance)]
            found[policy] = float(np.sqrt(np.mean(known))) if known else math.nan
        return found

    @property
    def summary_statistics(self) -> dict[str, Any]:
        """Numbers of policies, missions, episodes and significant pairs, and the ranking by average."""
        averages = self.policy_averages
        return {
            "num_policies": len(self.policies),
            "num_missions": len(self.missions),
            "num_episodes": sum(len(r) for rewards in self.policy_mission_rewards.values() for r in rewards.values()),
            "num_significant_pairs": sum(c.is_significant for c in self.pairwise_comparisons.values()),
            "ranking": sorted(averages, key=lambda policy: -averages[policy]),
            "best_policy": max(averages, key=lambda policy: averages[policy]) if averages else None,
            "notes": list(self.notes),
        }

    def add_policy_results(
        self,
        policy: str,
        mission: str,
        rewards: Sequence[float],
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Add a policy's returns on a mission: one per episode, in the same order of seeds for every policy.

        Raises `DataError` for a return that is not finite, `UsageError` if the policy already has results there.
        """
        values = [float(reward) for reward in rewards]
        if not values or not all(math.isfinite(value) for value in values):
            raise DataError(
                f"{policy} on {mission}: returns must be finite numbers, one per episode; got {values[:5]}."
            )
        by_mission = self.policy_mission_rewards.setdefault(policy, {})
        if mission in by_mission:
            raise UsageError(f"{policy} already has results on {mission}.")
        by_mission[mission] = values
        if policy not in self.policies:
            self.policies.append(policy)
        if mission not in self.missions:
            self.missions.append(mission)
        if metrics is not None:
            self.policy_detailed_metrics.setdefault(policy, {}).update({k: float(v) for k, v in metrics.items()})

    def compute_pairwise_comparisons(self) -> dict[tuple[str, str], PolicyComparisonResult]:
        """Compare every pair of policies on the missions that all of them played; also kept in the report.

        Raises `DataError` if policies have different numbers of episodes on a mission: they could not be paired.
        """
        scored = self._scored()
        shared = [m for m in self.missions if all(m in self.policy_mission_rewards[p] for p in scored)]
        self.pairwise_comparisons, self.mission_comparisons = {}, []
        if len(scored) < 2:
            return self.pairwise_comparisons
        if not shared:
            raise DataError("no mission was played by all policies, so they cannot be compared.")
        for mission in shared:
            counts = {policy: len(self.policy_mission_rewards[policy][mission]) for policy in scored}
            if len(set(counts.values())) > 1:
                raise DataError(f"on {mission} the policies have different numbers of episodes: {counts}.")
        scores = np.array([[r for m in shared for r in self.policy_mission_rewards[p][m]] for p in scored])
        strata = [index for index, m in enumerate(shared) for _ in self.policy_mission_rewards[scored[0]][m]]
        pairs = compare_pairs(
            scored, scores, np.array(strata), shared, alpha=self.alpha, seed=self.seed, resamples=self.resamples
        )
        self._take(pairs, shared)
        return self.pairwise_comparisons

    def to_data(self) -> dict[str, Any]:
        """The report as JSON data; pairs are keyed "A vs B"."""
        data: dict[str, Any] = jsonable(self._parts())
        return data

    def save_json(self, path: str | Path) -> Path:
        """Write `to_data` as JSON."""
        target = Path(path)
        write_json(target, self.to_data())
        return target

    def _parts(self) -> dict[str, Any]:
        return {
            "policies": self.policies,
            "missions": self.missions,
            "policy_averages": self.policy_averages,
            "policy_std_devs": self.policy_std_devs,
            "policy_mission_rewards": self.policy_mission_rewards,
            "pairwise_comparisons": {f"{a} vs {b}": asdict(c) for (a, b), c in self.pairwise_comparisons.items()},
            "policy_detailed_metrics": self.policy_detailed_metrics,
            "policy_replicate_metrics": self.policy_replicate_metrics,
            "summary_statistics": self.summary_statistics,
        }

    def print_summary(self, console: "Console | None" = None) -> None:
        """Print averages and verdicts; nothing without a console."""
        if console is None:
            return
        from rich.table import Table

        table = Table(title="Reward per agent")
        table.add_column("policy")
        for name in ("average", "std", "episodes"):
            table.add_column(name, justify="right")
        averages, deviations = self.policy_averages, self.policy_std_devs
        for policy in self.summary_statistics["ranking"]:
            count = sum(len(rewards) for rewards in self.policy_mission_rewards[policy].values())
            table.add_row(terminal_text(policy), f"{averages[policy]:.4g}", f"{deviations[policy]:.3g}", str(count))
        console.print(table)
        for comparison in self.pairwise_comparisons.values():
            console.print(terminal_text(comparison.sentence))
        for note in self.notes:
            console.print(terminal_text(note))

    def _scored(self) -> list[str]:
        return [policy for policy in self.policies if self.policy_mission_rewards.get(policy)]

    def _means(self, policy: str) -> list[float]:
        return [float(np.mean(rewards)) for rewards in self.policy_mission_rewards[policy].values() if rewards]

    def _take(self, pairs: Sequence[PairVerdict], missions: Sequence[str]) -> None:
        self.mission_comparisons = [pair for pair in pairs if pair.stratum is not None]
        for pair in pairs:
            if pair.stratum is not None:
                continue
            a, b = self._scored()[pair.a], self._scored()[pair.b]
            means = [
                float(np.mean([np.mean(self.policy_mission_rewards[policy][m]) for m in missions])) for policy in (a, b)
            ]
            self.pairwise_comparisons[(a, b)] = PolicyComparisonResult(
                policy_a_name=a,
                policy_b_name=b,
                missions=tuple(missions),
                avg_reward_a=means[0],
                avg_reward_b=means[1],
                difference=pair.difference,
                ci=pair.ci,
                p_value=pair.p,
                p_adjusted=pair.p_adjusted,
                is_significant=pair.verdict in ("better", "worse"),
                effect_size=pair.effect_size,
                prob_improvement=pair.prob_improvement,
                wins=pair.wins,
                losses=pair.losses,
                ties=pair.ties,
                episodes=pair.n,
                verdict=pair.verdict,
                sentence=pair.sentence,
            )


def daf_compare_policies(
    policies: Sequence[Any],
    missions: Any,
    episodes_per_mission: int = 5,
    action_timeout_ms: float = 250,
    seed: int = 42,
    *,
    slow_step_ms: float | None = None,
    enforce_timeouts: int | None = None,
    significance_level: float = 0.05,
    resamples: int = 10_000,
    max_steps: int | None = None,
    jobs: int | str = "auto",
    executor: str = "local",
    cluster: ClusterOptions = THIS_MACHINE,
    game: str = "cogs_vs_clips",
    use_cache: bool = True,
    save_replays: str = "none",
    until_decided: bool | Method = False,
    max_episodes: int = MAX_EPISODES,
    looks: int | Sequence[int] = LOOKS,
    spending: Spending = "hwang-shih-decani",
    futility: float = FUTILITY,
    practical_difference: float | None = None,
    rerun: bool = False,
    output_manager: "OutputManager | None" = None,
    console: "Console | None" = None,
) -> ComparisonReport:
    """Compare policies on identical episodes of every mission.

    policies: policy strings, `PolicySpec`s or paths, at least two. missions: mission strings, configs, or
    `(name, config)` pairs. slow_step_ms: slower steps are counted as slow in the records; `action_timeout_ms` is the
    same. enforce_timeouts: replace steps that take longer than this, in milliseconds, by noop, and count them as slow
    unless slow_step_ms is given. significance_level: probability of any false verdict.
    until_decided: play more episodes only for open verdicts, up to max_episodes per policy and mission, instead of
    episodes_per_mission; True means "group-sequential". looks, spending, futility: see `compare_until_decided`.
    practical_difference: smaller differences count as equal.
    rerun: make a new run directory, also if an equal comparison left an intact one, which is named otherwise.
    Leaves a run directory under `comparisons`. Failed episodes are in the report's notes, never counted as 0.
    """
    if len(policies) < 2:
        raise UsageError("a comparison needs at least two policies.")
    settings = Settings(
        episodes=episodes_per_mission,
        seed=seed,
        jobs=jobs,
        executor=executor,
        cluster=cluster,
        game=game,
        slow_step_ms=slow_step_ms if slow_step_ms is not None else enforce_timeouts or action_timeout_ms,
        enforce_timeouts=enforce_timeouts,
        max_steps=max_steps,
        use_cache=use_cache,
        save_replays=save_replays,
        alpha=significance_level,
        resamples=resamples,
        margin=practical_difference,
    )
    if until_decided:
        decided = compare_until_decided(
            policies, missions, max_episodes=max_episodes,
            until_decided="group-sequential" if until_decided is True else until_decided,
            looks=looks, spending=spending, futility=futility, settings=settings, output=output_manager, rerun=rerun,
        )  # fmt: skip
        evaluation = decided.evaluation
    else:
        evaluation = evaluate(
            policies, missions, settings=settings, output=output_manager, operation="comparisons", rerun=rerun
        )
    report = report_of(evaluation)
    report.print_summary(console)
    return report


@dataclass(frozen=True)
class VorComparison:
    """A candidate against each policy of a pool. comparison: alone, on identical episodes. score: its value over
    replacement in teams with them; the teams without others reuse the comparison's episodes.
    """

    comparison: ComparisonReport
    score: ScoreReport

    @property
    def vor(self) -> float:
        """Overall value over replacement, with equal weight for every mission."""
        return self.score.analysis.value


def daf_compare_with_vor(
    candidate: Any,
    pool: Sequence[Any],
    missions: Any,
    episodes: int = 20,
    *,
    seed: int = 42,
    significance_level: float = 0.05,
    max_steps: int | None = None,
    jobs: int | str = "auto",
    executor: str = "local",
    cluster: ClusterOptions = THIS_MACHINE,
    game: str = "cogs_vs_clips",
    use_cache: bool = True,
    output_dir: str | Path | None = None,
    console: "Console | None" = None,
) -> VorComparison:
    """Compare `candidate` with every policy of `pool`, and score it in teams with them, on the same seeds.

    Leaves two run directories, and plays the episodes that both need once. Raises `UsageError` for an empty pool.
    """
    from daf.output_manager import OutputManager

    settings = Settings(
        episodes=episodes,
        seed=seed,
        jobs=jobs,
        executor=executor,
        cluster=cluster,
        game=game,
        max_steps=max_steps,
        use_cache=use_cache,
        alpha=significance_level,
    )
    score = daf_score(candidate, pool, missions, settings=settings, output=OutputManager(output_dir))
    evaluation = evaluate(
        [candidate, *pool], missions, settings=settings, output=OutputManager(output_dir), operation="comparisons"
    )
    found = VorComparison(report_of(evaluation), score)
    found.comparison.print_summary(console)
    if console is not None:
        console.print(terminal_text(sentence(score.analysis, score.candidate)))
    return found


def daf_run_comparison(
    config: "DAFComparisonConfig", *, output_manager: "OutputManager | None" = None
) -> ComparisonReport:
    """The comparison that `config` describes; every field takes effect."""
    policies = [
        f"class={policy},data={config.policy_weights[policy]}" if policy in config.policy_weights else policy
        for policy in config.policies
    ]
    settings = Settings(
        episodes=config.episodes_per_mission,
        seed=config.seed,
        max_steps=config.max_steps_per_episode,
        alpha=config.significance_level,
        resamples=config.bootstrap_samples,
        report=config.generate_html_report,
        keep_records=config.save_raw_results,
    )
    evaluation = evaluate(
        policies, config.missions, settings=settings, output=output_manager, operation="comparisons", title=config.name
    )
    return report_of(evaluation)


def report_of(evaluation: Evaluation) -> ComparisonReport:
    """The report of an evaluation of several policies, on the blocks that all of them finished."""
    scores = evaluation.analysis.scores
    settings = evaluation.settings
    report = ComparisonReport(
        policies=[contender.name for contender in evaluation.result.plan.contenders],
        missions=[mission.name for mission in evaluation.result.plan.missions],
        alpha=settings.alpha,
        seed=settings.seed,
        resamples=settings.resamples,
        notes=list(evaluation.analysis.notes),
        evaluation=evaluation,
    )
    for row, policy in enumerate(scores.names):
        report.policy_mission_rewards[policy] = {
            mission: scores.scores[row, scores.strata == index].tolist()
            for index, mission in enumerate(scores.missions)
        }
    report._take(evaluation.analysis.pairs, scores.missions)
    _add_metrics(report, evaluation)
    return report


def _add_metrics(report: ComparisonReport, evaluation: Evaluation) -> None:
    """Counters per episode and their means; a counter is 0 where it never changed but occurs in that mission."""
    result = evaluation.result
    names, _ = stat_names(result.records)
    for planned, record in zip(result.planned, result.records, strict=True):
        if record.outcome is None:
            continue
        mission, agents = record.spec.mission, record.outcome.agent_stats
        counters = {name: sum(stats.get(name, 0.0) for stats in agents) / len(agents) for name in names[mission]}
        replicate: dict[str, Any] = {"mission": mission, "seed": record.spec.seed, "steps": record.outcome.steps}
        replicate |= {"reward_per_agent": record.reward_per_agent(), **counters}
        policy = result.plan.contenders[planned.contender].name
        report.policy_replicate_metrics.setdefault(policy, []).append(replicate)
    for policy, replicates in report.policy_replicate_metrics.items():
        found: dict[str, list[float]] = {}
        for replicate in replicates:
            for name in replicate.keys() - {"mission", "seed"}:
                found.setdefault(name, []).append(replicate[name])
        report.policy_detailed_metrics[policy] = {name: float(np.mean(found[name])) for name in sorted(found)}
