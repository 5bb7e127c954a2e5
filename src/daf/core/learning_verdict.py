"""Whether a training run learned: its last evaluation against its first, `random` and the teacher, by episode.

Derived from `evaluations.jsonl` alone. All policies played the same seeds, so the returns are paired, and
`compare_pairs` tests the differences as one family. A run without these evaluations gets no claim, and a sentence
with the reason.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daf.core.recorded_training import BASELINE, EVALUATIONS, TrainingEvaluation, evaluations_of, read_lines
from daf.stats.pair_verdict import PairVerdict, difference_text
from daf.stats.sentences import counted, p_text

_Returns = Mapping[str, Sequence[float | None]]


@dataclass(frozen=True)
class LearningVerdict:
    """step: agent steps at the judged evaluation, None if there is none. sentence: the finding, always present.

    pairs: the policy against each baseline, over all missions and then by mission; empty without a claim. left_out:
    episodes that count in no pair, because one of the policies failed in them.
    """

    sentence: str
    step: int | None = None
    pairs: tuple[PairVerdict, ...] = ()
    left_out: int = 0

    @property
    def overall(self) -> tuple[PairVerdict, ...]:
        """The pairs over all missions."""
        return tuple(pair for pair in self.pairs if pair.stratum is None)

    def to_data(self) -> dict[str, Any]:
        """As `learned` in training.json."""
        return {
            "sentence": self.sentence,
            "step": self.step,
            "left_out": self.left_out,
            "comparisons": [
                {
                    "against": pair.name_b,
                    "mission": pair.stratum_name,
                    "verdict": pair.verdict,
                    "difference": pair.difference,
                    "low": None if pair.ci is None else pair.ci[0],
                    "high": None if pair.ci is None else pair.ci[1],
                    "p": pair.p,
                    "p_adjusted": pair.p_adjusted,
                    "episodes": pair.n,
                    "wins": pair.wins,
                    "losses": pair.losses,
                    "ties": pair.ties,
                    "alpha": pair.alpha,
                }
                for pair in self.pairs
            ],
        }


def read_learning_verdict(run_dir: Path) -> LearningVerdict:
    """The verdict on the run in `run_dir`. Raises `StorageError`."""
    return learning_verdict(evaluations_of(read_lines(run_dir / EVALUATIONS).rows))


def learning_verdict(evaluations: Sequence[TrainingEvaluation]) -> LearningVerdict:
    """The verdict from a run's evaluations, in the order in which they were made."""
    later = [one for one in evaluations if one.start is None]
    first = next((one for one in evaluations if one.start is not None), None)
    if not evaluations:
        return _unknown("the policy was not evaluated during training.")
    if not later:
        return _unknown("the policy was not evaluated after its first update.")
    last = later[-1]
    if first is None:
        return _unknown("the initial weights and random were not evaluated on the same episodes.", last.step)
    rivals = [(first.start or "", first), *first.rivals]
    present = [(name, one.returns) for name, one in rivals if _same_seeds(one, last)]
    present = [(name, returns) for name, returns in present if any(_paired([last.returns, returns])[0].values())]
    blocks, left_out = _paired([last.returns, *(returns for _, returns in present)])
    if not present or not any(blocks.values()):
        return _unknown("no episode was finished by both the policy and a baseline.", last.step)
    pairs = _compared([name for name, _ in present], blocks)
    expected = [name for name, _ in rivals] + [BASELINE] * (first.baseline is None)
    absent = [name for name in expected if name not in dict(present)]
    return LearningVerdict(_sentence(last.step, pairs, left_out, absent), last.step, pairs, left_out)


def _unknown(why: str, step: int | None = None) -> LearningVerdict:
    return LearningVerdict(f"Whether the policy learned is not known: {why}", step)


def _same_seeds(one: TrainingEvaluation, other: TrainingEvaluation) -> bool:
    return one.seed is not None and one.seed == other.seed


def _paired(played: Sequence[_Returns]) -> tuple[dict[str, list[tuple[float, ...]]], int]:
    """By mission, the returns of every policy in the episodes that all finished; and the number of other episodes."""
    found: dict[str, list[tuple[float, ...]]] = {}
    left_out = 0
    for mission in played[0]:
        if all(mission in returns for returns in played):
            rows = list(zip(*(returns[mission] for returns in played), strict=False))  # eval_episodes may have changed
            found[mission] = [finished for row in rows if len(finished := _numbers(row)) == len(played)]
            left_out += len(rows) - len(found[mission])
    return found, left_out


def _numbers(row: Iterable[float | None]) -> tuple[float, ...]:
    return tuple(value for value in row if value is not None)


def _compared(rivals: Sequence[str], blocks: Mapping[str, Sequence[tuple[float, ...]]]) -> tuple[PairVerdict, ...]:
    import numpy as np

    from daf.stats.verdicts import compare_pairs

    missions = [mission for mission, rows in blocks.items() if rows]
    scores = np.array([row for mission in missions for row in blocks[mission]]).T
    strata = np.repeat(np.arange(len(missions)), [len(blocks[mission]) for mission in missions])
    pairs = compare_pairs(["the policy", *rivals], scores, strata, missions, only=0)
    return tuple(pair for pair in pairs if pair.stratum is None or len(missions) > 1)


def _sentence(step: int, pairs: Sequence[PairVerdict], left_out: int, absent: Sequence[str]) -> str:
    overall = [pair for pair in pairs if pair.stratum is None]
    clauses, before = [], None
    for does, against in map(_clause, overall):
        clauses.append(against if does == before else f"{does} {against}")
        before = does
    facts = [overall[0].unit, counted(overall[0].n, "paired episode")]
    facts += [f"{100 * (1 - overall[0].alpha):g} % intervals"] if any(pair.ci for pair in overall) else []
    facts += [f"{left_out} left out because a policy failed"] if left_out else []
    facts += [f"no finished episode in common with {name}" for name in absent]
    return f"After {step:,} agent steps, the policy {' and '.join(clauses)} {overall[0].where} ({'; '.join(facts)})."


def _clause(pair: PairVerdict) -> tuple[str, str]:
    """What the policy does, and against which baseline, with numbers."""
    against = pair.name_b
    p = ("adjusted " if pair.family > 1 else "") + p_text(pair.p_adjusted)
    match pair.verdict:
        case "better":
            return "is better", f"than {against} by {difference_text(pair)}, {p},"
        case "worse":
            return "is worse", f"than {against} by {difference_text(pair, flip=True)}, {p},"
        case "identical":
            return "scores exactly the same", f"as {against}"
        case "too few":
            few = "has played too few episodes for a verdict"
            return few, f"against {against} (difference {difference_text(pair)})"
        case _:
            return "shows no significant difference", f"from {against} (difference {difference_text(pair)}, {p})"
