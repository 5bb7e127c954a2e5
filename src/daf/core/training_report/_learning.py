"""Whether the policy is better than before training, than `random` and than its teacher, on a training run's page."""

from daf.core.learning_verdict import LearningVerdict
from daf.core.recorded_training import RecordedTraining, TrainingEvaluation
from daf.render.pages.parts import Column, Part, Section, Table, Text, cell
from daf.render.text import estimates, interval
from daf.stats.pair_verdict import PairVerdict
from daf.stats.sentences import amount_text, p_text

NOTE = (
    "Differences are paired: the policies play the same seeds. Positive numbers favour the trained policy. The p "
    "values are adjusted for the comparisons in this table; intervals are each at 95 %."
)


def learning_section(run: RecordedTraining, verdict: LearningVerdict) -> list[Section]:
    """The section; empty if the run makes no claim."""
    if not verdict.pairs:
        return []
    several = any(pair.stratum is not None for pair in verdict.pairs)
    texts = estimates([pair.difference for pair in verdict.pairs], [pair.ci for pair in verdict.pairs])
    rows = [
        [
            cell(pair.name_b),
            *([cell(pair.stratum_name or "all")] if several else []),
            cell(_finding(pair), strong=pair.verdict in ("better", "worse")),
            cell(difference),
            cell(ci),
            cell(p_text(pair.p_adjusted)),
            cell(f"{pair.wins} of {pair.n}"),
        ]
        for pair, difference, ci in zip(verdict.pairs, *texts, strict=True)
    ]
    columns = [
        Column("Against"),
        *([Column("Mission")] if several else []),
        Column("Finding"),
        Column("Difference in reward per agent", number=True),
        Column("95 % interval", number=True),
        Column("Adjusted p", number=True),
        Column("Ahead in episodes", number=True),
    ]
    caveats = [f"Against {pair.name_b}: {pair.caveat}" for pair in verdict.overall if pair.caveat]
    parts: list[Part] = [Table(columns, rows, note=" ".join([NOTE, *caveats]))]
    scores = [f"{name} scores {_score(one)}" for name, one in _baselines(run) if one.mean is not None]
    if scores:
        parts.append(Text([f"On these episodes, in reward per agent: {', '.join(scores)}."], muted=True))
    return [Section("learning", "Did it learn?", parts)]


def _baselines(run: RecordedTraining) -> list[tuple[str, TrainingEvaluation]]:
    first = next(one for one in run.evaluations if one.start is not None)
    return [(first.start or "", first), *first.rivals]


def _score(one: TrainingEvaluation) -> str:
    return amount_text(one.mean or 0.0, interval(one.low, one.high))


def _finding(pair: PairVerdict) -> str:
    """What the test found about the trained policy."""
    match pair.verdict:
        case "better" | "worse":
            return f"{pair.verdict} than {pair.name_b}"
        case "equal" | "identical":
            return f"{pair.verdict} to {pair.name_b}"
        case "too few":
            return "too few episodes for a verdict"
        case "undecided":
            return f"no significant difference from {pair.name_b}"
