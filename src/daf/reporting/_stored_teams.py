"""Scores and cross-plays loaded from their run directories and analysed again from the records."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from daf.crossplay.analysis import analyse_crossplay
from daf.crossplay.operation import rate
from daf.crossplay.result import CrossplayReport
from daf.crossplay.teams import mixes
from daf.episodes.results_file import FILE, CrossplayResults, ScoreResults, read_results
from daf.episodes.run import RunResult
from daf.errors import DataError
from daf.game.policy import Policy
from daf.playing.contenders import team
from daf.playing.run import stored_run
from daf.playing.settings import Settings, settings_from
from daf.scoring_analysis.plan import plan_score
from daf.scoring_analysis.result import ScoreReport
from daf.scoring_analysis.vor import analyse_vor

if TYPE_CHECKING:
    from daf.output_manager import RunInfo


def stored_score(info: "RunInfo", config: Mapping[str, Any]) -> ScoreReport:
    """The score in a run directory. Raises `DataError` if it kept no records, `DamagedFileError`."""
    results = _results(info, ScoreResults)
    settings = _settings(config)
    run = stored_run(info, results, settings)
    result = run.result
    names = [results["candidate"], *results["pool"]]
    _, teams = plan_score(result.plan.missions, _players(result, names), settings, as_pickup=False)
    budget = results["budget"]
    analysis = analyse_vor(
        result,
        teams,
        alpha=settings.alpha,
        resamples=max(1_000, settings.resamples // 2),
        seed=settings.seed,
        precision=None if budget is None else budget["precision"],
    )
    return ScoreReport(
        candidate=names[0],
        pool=tuple(names[1:]),
        analysis=analysis,
        notes=tuple(results["summary"]["notes"]),
        run=run,
        teams=teams,
        as_pickup=results["as_pickup"],
    )


def stored_crossplay(info: "RunInfo", config: Mapping[str, Any]) -> CrossplayReport:
    """The cross-play in a run directory. Raises `DataError` if it kept no records, `DamagedFileError`."""
    results = _results(info, CrossplayResults)
    settings = _settings(config)
    run = stored_run(info, results, settings)
    result = run.result
    names = list(results["policies"])
    players = _players(result, names)
    teams = {
        mission.name: {
            team(players, counts).name: counts
            for counts in mixes(mission.num_agents, len(players), results["mixes"], where=mission.name)
        }
        for mission in result.plan.missions
    }
    analysis = analyse_crossplay(
        result, names, teams, alpha=settings.alpha, resamples=settings.resamples, seed=settings.seed
    )
    return CrossplayReport(
        analysis=analysis,
        ratings=rate(analysis, seed=settings.seed),
        notes=tuple(results["summary"]["notes"]),
        mixes=results["mixes"],
        run=run,
    )


def _settings(config: Mapping[str, Any]) -> Settings:
    known = {item.name for item in fields(Settings)}
    return settings_from({name: value for name, value in config.items() if name in known})


def _players(result: RunResult, names: Sequence[str]) -> list[Policy]:
    found = {policy.name: policy for contender in result.plan.contenders for policy in contender.policies}
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(f"the plan of the run has no policy {missing[0]}.")
    return [found[name] for name in names]


def _results[T](info: "RunInfo", kind: type[T]) -> T:
    results = read_results(info.path, kind)
    if results is None:
        raise DataError(f"{info.path} has no {FILE}: the run did not finish.")
    return results
