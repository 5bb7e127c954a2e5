"""`daf compare --until-decided`: play in rounds, and stop when the verdicts are decided."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from daf.episodes.plan import Plan, PlannedEpisode, merged_notes
from daf.episodes.record import EpisodeRecord
from daf.episodes.run import RunResult
from daf.evaluation import Evaluation, analyse, results_data
from daf.evaluation.keeping import write
from daf.playing.contenders import check_several, contenders_of, players_of
from daf.playing.planning import cache_of, check_settings, missions_of, plan_of
from daf.playing.player import Player
from daf.playing.run import play_run
from daf.playing.settings import Settings
from daf.stats.group_sequential import IDENTICAL
from daf.stats.group_verdicts import FamilyLooks, SequentialVerdict
from daf.stats.pair_verdict import PairVerdict
from daf.stats.power import needed_notes
from daf.stats.sentences import counted
from daf.stats.spending import LOOKS, Spending
from daf.storage.atomic import write_json
from daf.storage.jsonable import jsonable
from daf.until_decided._course import FUTILITY, MAX_EPISODES, Course, Method, StoppingRule, course_of
from daf.until_decided._rounds import Needs, open_ones

if TYPE_CHECKING:
    from daf.output_manager import OutputManager

OPERATION = "comparisons"


@dataclass(frozen=True)
class UntilDecided(Settings):
    """Settings of a comparison that is played until decided; `episodes` is then the maximum."""

    until_decided: Method = "group-sequential"
    looks: int | tuple[int, ...] | None = LOOKS
    """None, like the next two, where the method has no planned looks."""
    spending: Spending | None = "hwang-shih-decani"
    futility: float | None = FUTILITY


@dataclass(frozen=True)
class Round:
    """A played round. blocks: per policy and mission, so far. episodes: of this round. open: comparisons that were not
    settled after it.
    """

    blocks: int
    episodes: int
    open: int


@dataclass(frozen=True)
class Decided:
    """A comparison played until decided. evaluation: as of any comparison, its pairs valid at every look. verdicts: in
    the order of the evaluation's pairs.
    """

    evaluation: Evaluation
    rounds: tuple[Round, ...]
    rule: StoppingRule
    verdicts: tuple[SequentialVerdict, ...]

    @property
    def max_episodes(self) -> int:
        """The maximum per policy and mission."""
        return self.rule.max_episodes

    @property
    def families(self) -> tuple[FamilyLooks, ...]:
        """The looks of every family of comparisons; empty where looks were not planned."""
        return self.evaluation.analysis.looks

    @property
    def episodes(self) -> int:
        """Episodes that were played."""
        return sum(item.episodes for item in self.rounds)

    @property
    def fixed(self) -> int:
        """Episodes that a fixed design with `max_episodes` everywhere would have played."""
        plan = self.evaluation.result.plan
        return self.max_episodes * len(plan.missions) * len(plan.contenders)


def compare_until_decided(
    policies: Sequence[Any],
    missions: Any,
    *,
    teams: Sequence[str | Mapping[str, float]] = (),
    max_episodes: int = MAX_EPISODES,
    until_decided: Method = "group-sequential",
    looks: int | Sequence[int] = LOOKS,
    spending: Spending = "hwang-shih-decani",
    futility: float = FUTILITY,
    settings: Settings | None = None,
    output: "OutputManager | None" = None,
    title: str | None = None,
    on_plan: Callable[[Plan], None] | None = None,
    on_record: Callable[[EpisodeRecord], None] | None = None,
    rerun: bool = False,
) -> Decided:
    """Compare every pair on identical episodes, playing further only where the verdict is open.

    max_episodes: per policy and mission; `settings.episodes` has no effect here. until_decided: "group-sequential"
    looks at times fixed beforehand and needs the fewest episodes; "anytime" is valid whenever one looks. looks: equal
    steps up to the maximum, or the blocks at each. spending: of alpha over the looks ("hwang-shih-decani",
    "obrien-fleming", "pocock"). futility: a mission ends when no open pair has this chance of being settled.
    settings.margin: the practical difference, below which policies count as equal. settings.resamples: sign vectors.
    on_plan: called with every round's plan. rerun: as in `daf.evaluation.evaluate`.

    The probability that any "better" or "worse" is false is at most `settings.alpha`, however many looks there were;
    likewise for "equal". Raises `UsageError` for fewer than two policies, and for a maximum or sign vectors with which
    nothing could be decided.
    """
    from daf.output_manager import OutputManager

    steps = looks if isinstance(looks, int) else tuple(looks)
    rule = StoppingRule(until_decided, max_episodes, steps, spending, futility)
    planned = until_decided == "group-sequential"
    asked_for = settings or Settings()
    given = {item.name: getattr(asked_for, item.name) for item in fields(Settings)}
    chosen = UntilDecided(
        **given | {"episodes": max_episodes},
        until_decided=until_decided,
        looks=steps if planned else None,
        spending=spending if planned else None,
        futility=futility if planned else None,
    )
    where = output or OutputManager()
    check_settings(chosen)
    cache = cache_of(chosen, where.base_dir)
    contenders = contenders_of(policies, teams, cache=cache.bundles, runs=where.base_dir)
    check_several(contenders)
    found = missions_of(missions, chosen, players_of(contenders))
    names = [contender.name for contender in contenders]
    whole = plan_of(found, contenders, chosen)
    course = course_of(
        rule, names, [mission.name for mission in found], [mission.config_hash for mission in found],
        {planned.index: planned.spec.seed for planned in whole.episodes},
        alpha=chosen.alpha, margin=chosen.margin, vectors=chosen.resamples,
    )  # fmt: skip
    heading = title or f"{', '.join(names)} on {', '.join(mission.name for mission in found)}, until decided"
    asked = {"policies": names, "missions": [mission.name for mission in found], "cache": str(cache.root)}
    blocks = course.first().blocks
    opening = replace(whole, episodes=tuple(planned for planned in whole.episodes if planned.index < blocks))
    rounds: list[Round] = []

    def play(player: Player) -> RunResult:
        result, rounds[:] = _play(player, whole, course, on_plan)
        return result

    with play_run(
        OPERATION,
        opening,
        chosen,
        cache,
        where,
        title=heading,
        config=asked,
        on_record=on_record,
        play=play,
        rerun=rerun,
    ) as run:
        result = run.result
        common = _common(result)
        verdicts = course.verdicts()
        pairs = tuple(found.verdict for found in verdicts)
        families = tuple(course.families())
        failed = {(r.spec.mission, p.index) for p, r in zip(result.planned, result.records, strict=True) if not r.ok}
        notes = [
            *merged_notes(result.plan),
            *run.failure_notes(len(failed)),
            *_notes(pairs, rounds, common, rule, families),
        ]
        # A profile's band needs a number of blocks that did not depend on the scores.
        analysis = replace(analyse(common, chosen), pairs=pairs, notes=tuple(notes), profiles={}, looks=families)
        decided = Decided(Evaluation(run.timed(), analysis), tuple(rounds), rule, tuple(verdicts))
        if not run.cached:
            write(decided.evaluation)
            write_json(run.run_dir / "results.json", jsonable(decided_data(decided)))
    return decided


def decided_data(decided: Decided) -> dict[str, Any]:
    """What `--json` prints: a comparison's results, and how it was decided."""
    data = results_data(decided.evaluation)
    open_pairs = open_ones(decided.evaluation.analysis.pairs)
    for row, found in zip(data["pairs"], decided.verdicts, strict=True):
        row["settled"] = found.verdict not in open_pairs
        row["median_unbiased"] = found.median_unbiased
        row["look"] = found.look
    data["until_decided"] = {
        "method": decided.rule.until_decided,
        "max_episodes": decided.max_episodes,
        "episodes": decided.episodes,
        "episodes_at_most": decided.fixed,
        "open": len(open_pairs),
        "rounds": [{"blocks": r.blocks, "episodes": r.episodes, "open": r.open} for r in decided.rounds],
        "families": [asdict(family) for family in decided.families],
    }
    return data


def _play(
    player: Player, whole: Plan, course: Course, on_plan: Callable[[Plan], None] | None
) -> tuple[RunResult, list[Round]]:
    place = {mission.config_hash: index for index, mission in enumerate(whole.missions)}
    scores: dict[tuple[int, int], dict[int, float]] = {}
    played: dict[PlannedEpisode, EpisodeRecord] = {}
    rounds: list[Round] = []
    needs: Needs | None = course.first()
    before, stopped = 0, None
    while needs is not None and stopped is None:
        todo = tuple(
            planned
            for planned in whole.episodes
            if before <= planned.index < needs.blocks
            and (planned.contender, place[planned.spec.config_hash]) in needs.places
        )
        plan = replace(whole, episodes=todo)
        if on_plan is not None:
            on_plan(plan)
        result = player.play(plan)
        stopped = result.stopped
        for planned, record in zip(result.planned, result.records, strict=True):
            played[planned] = record
            if record.ok:
                where = (planned.contender, place[planned.spec.config_hash])
                scores.setdefault(where, {})[planned.index] = record.reward_per_agent()
        before = needs.blocks
        needs = course.after(scores)
        rounds.append(Round(before, len(result.records), course.open()))
    there = tuple(planned for planned in whole.episodes if planned in played)
    plan = replace(whole, episodes=there)
    return RunResult(plan, there, tuple(played[planned] for planned in there), stopped), rounds


def _common(result: RunResult) -> RunResult:
    """The blocks that all policies played: the basis of the ranking."""
    count: dict[tuple[str, int], int] = {}
    for planned in result.planned:
        key = (planned.spec.config_hash, planned.index)
        count[key] = count.get(key, 0) + 1
    everybody = len(result.plan.contenders)
    kept = [
        (planned, record)
        for planned, record in zip(result.planned, result.records, strict=True)
        if count[planned.spec.config_hash, planned.index] == everybody
    ]
    return replace(result, planned=tuple(planned for planned, _ in kept), records=tuple(record for _, record in kept))


def _named(verdicts: Sequence[PairVerdict]) -> str:
    """The pairs of the first verdicts, each once: over a single mission there is a second verdict on it."""
    pairs = list(dict.fromkeys(f"{v.name_a} and {v.name_b} {v.where}" for v in verdicts))
    more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
    return ", ".join(pairs[:3]) + more


def _notes(
    verdicts: Sequence[PairVerdict],
    rounds: Sequence[Round],
    common: RunResult,
    rule: StoppingRule,
    families: Sequence[FamilyLooks],
) -> list[str]:
    same = [v for v in verdicts if v.verdict == "identical"]
    still = [v for v in open_ones(verdicts) if v not in same]
    looks = "1 look" if len(rounds) == 1 else f"{len(rounds)} looks"
    if rule.until_decided == "anytime":
        how = (
            "Verdicts hold at every look: p is 1 / e of an e-process and intervals are confidence sequences, so "
            "stopping early does not invalidate them."
        )
    else:
        how = (
            "The looks were fixed beforehand and share alpha (group-sequential sign-flip test), so stopping early does "
            "not invalidate verdicts, and intervals hold at all looks and for all pairs together."
        )
    notes = [f"Played until decided, in {looks}. {how} n is the number of blocks that each pair needed."]
    futile = [family for family in families if family.end == "futility"]
    if futile and still:
        ended = "; ".join(f"{family.where} after {family.looks[-1].blocks} blocks" for family in futile[:3])
        more = f"; and {len(futile) - 3} more" if len(futile) > 3 else ""
        notes.append(
            f"Ended because no open pair had a {rule.futility:.0%} chance of being settled by {rule.max_episodes} "
            f"episodes: {ended}{more}."
        )
    if still:
        way = "" if still[0].margin is not None else " With --practical-difference, equal policies are decided as well."
        within = counted(rule.max_episodes, "episode")
        notes.append(f"Not decided within {within}: {_named(still)}. Increase --max-episodes.{way}")
    if same:
        ended = f", and not played further from {IDENTICAL} blocks on" if any(v.n >= IDENTICAL for v in same) else ""
        notes.append(f"Exactly equal in every block{ended}: {_named(same)}.")
    blocks = {planned.index for planned in common.planned}
    if any(verdict.n > len(blocks) for verdict in verdicts):
        notes.append(
            "The ranking uses the blocks that all policies played; pairs that needed more blocks use all of theirs."
        )
    return notes + needed_notes(verdicts)
