"""Which checkpoints stay, whatever the order in which they came."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daf.core.retention import Checkpoint, Retention
from daf.errors import UsageError


def checkpoints(scores: dict[int, float | None]) -> list[Checkpoint]:
    return [Checkpoint(Path(f"step_{step:012d}"), step, score) for step, score in scores.items()]


def kept(retention: Retention, scores: dict[int, float | None]) -> list[int]:
    deleted = {checkpoint.step for checkpoint in retention.to_delete(checkpoints(scores))}
    return sorted(set(scores) - deleted)


def test_the_last_the_best_and_the_milestones_stay() -> None:
    scores = {100: 1.0, 200: 9.0, 300: 2.0, 400: 8.0, 500: None, 600: 3.0, 700: 1.0}
    assert kept(Retention(keep_last=2, keep_best=2), scores) == [200, 400, 600, 700]
    assert kept(Retention(keep_last=1, keep_best=1, milestone_every=300), scores) == [200, 300, 600, 700]
    assert kept(Retention(keep_last=1, keep_best=1, larger_is_better=False), scores) == [700]


def test_of_equal_scores_the_later_one_is_the_better() -> None:
    assert kept(Retention(keep_last=1, keep_best=1), {100: 5.0, 200: 5.0, 300: 1.0}) == [200, 300]


def test_a_score_that_is_no_number_is_none() -> None:
    assert kept(Retention(keep_last=1, keep_best=1), {100: float("nan"), 200: 1.0, 300: None}) == [200, 300]


@given(
    steps=st.lists(st.integers(0, 10_000), unique=True, min_size=1),
    scores=st.lists(st.one_of(st.none(), st.floats(-5, 5)), min_size=50, max_size=50),
    keep_last=st.integers(1, 4),
    keep_best=st.integers(0, 4),
    every=st.one_of(st.none(), st.integers(1, 3000)),
)
def test_deleting_after_every_checkpoint_never_takes_the_newest_or_the_best(
    steps: list[int], scores: list[float | None], keep_last: int, keep_best: int, every: int | None
) -> None:
    retention = Retention(keep_last, keep_best, every)
    there: list[Checkpoint] = []
    best: float | None = None
    for index, step in enumerate(sorted(steps)):
        score = scores[index % 50]
        there.append(Checkpoint(Path(str(step)), step, score))
        gone = retention.to_delete(there)
        there = [checkpoint for checkpoint in there if checkpoint not in gone]
        best = score if best is None else best if score is None else max(best, score)
        assert there[-1].step == step
        assert best is None or any(checkpoint.score == best for checkpoint in there)


def test_numbers_that_would_keep_nothing_are_refused() -> None:
    for wrong in ({"keep_last": 0}, {"keep_last": 1, "keep_best": -1}, {"keep_last": 1, "milestone_every": 0}):
        with pytest.raises(UsageError, match=r"must be . or more"):
            Retention(**wrong)
