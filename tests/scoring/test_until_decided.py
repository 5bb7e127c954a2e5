"""Playing until decided: it stops where the verdict is in, errs no more often than it says, and resumes."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from daf.errors import UsageError
from daf.evaluation import Settings
from daf.output_manager import OutputManager
from daf.stats.pair_verdict import PairVerdict
from daf.until_decided import Needs, compare_until_decided, decided_data, first_round, look, next_round, open_ones

MINER = "tutorial.miner,max_steps=40"
ARENA = "arena,cogs=4,max_steps=40"
NAMES = ("a", "b", "c")


def settings(**changes: object) -> Settings:
    return Settings(**{"executor": "serial", "jobs": 1, "resamples": 1000, **changes})  # type: ignore[arg-type]


def decide(
    play: Callable[[int, int, int], float],
    missions: int,
    most: int,
    margin: float | None = None,
    names: tuple[str, ...] = NAMES,
) -> tuple[list[PairVerdict], list[Needs]]:
    """The rounds on made-up scores: play(contender, mission, block)."""
    where = [f"m{index}" for index in range(missions)]
    needs: Needs | None = first_round(len(names), missions, most)
    scores: dict[tuple[int, int], dict[int, float]] = {}
    verdicts: list[PairVerdict] = []
    rounds: list[Needs] = []
    while needs is not None:
        for place in needs.places:
            row = scores.setdefault(place, {})
            row |= {block: play(*place, block) for block in range(len(row), needs.blocks)}
        verdicts = look(names, where, scores, alpha=0.05, margin=margin, earlier=verdicts)
        rounds.append(needs)
        needs = next_round(needs, verdicts, missions, most)
    return verdicts, rounds


def test_rounds_grow_and_leave_out_what_is_settled() -> None:
    draws = np.random.default_rng(0).normal(size=(3, 2, 200))
    lead = np.array([[5.0, 5.0], [0.0, 0.0], [0.0, -5.0]])
    verdicts, rounds = decide(lambda c, m, b: float(lead[c, m] + draws[c, m, b]), 2, 100)
    assert rounds[0] == Needs(8, frozenset((c, m) for c in range(3) for m in range(2)))
    assert rounds[-1].blocks == 100
    assert rounds[-1].places == {(1, 0), (2, 0)}
    for earlier, later in itertools.pairwise(rounds):
        assert later.blocks > earlier.blocks
        assert later.places <= earlier.places
    still = open_ones(verdicts)
    assert [(v.name_a, v.name_b, v.stratum) for v in still] == [("b", "c", 0)]
    assert max(v.n for v in verdicts if v.stratum is not None and v not in still) < 40


def test_a_settled_verdict_is_kept_whatever_comes_later() -> None:
    verdicts, rounds = decide(
        lambda c, m, b: float((c == 0) * (10.0 if b < 8 else -10.0) + 0.1 * ((b * 7 + c) % 5)), 1, 60
    )
    first = [v for v in verdicts if 0 in (v.a, v.b) and v.stratum is None]
    assert len(rounds) > 1
    assert all((v.verdict, v.n) == ("better", 8) for v in first)


@pytest.mark.parametrize(
    ("names", "families", "most"),
    [
        pytest.param(("a", "b"), 60, 40, marks=pytest.mark.thorough),
        pytest.param(NAMES, 150, 80, marks=pytest.mark.slow),
    ],
)
def test_stopping_when_decided_errs_no_more_often_than_alpha(names: tuple[str, ...], families: int, most: int) -> None:
    wrong = 0
    for family in range(families):
        draws = np.random.default_rng([11, family])
        scores = draws.normal(size=(3, most)) + 2 * draws.normal(size=most)
        verdicts, _ = decide(lambda c, m, b, scores=scores: float(scores[c, b]), 1, most, names=names)
        wrong += any(v.verdict in ("better", "worse") for v in verdicts)
    assert wrong / families <= 0.05 + 2 * (0.05 * 0.95 / families) ** 0.5, wrong


def test_with_a_practical_difference_equal_policies_are_settled_as_equal() -> None:
    draws = np.random.default_rng(5).normal(0, 0.1, size=(3, 200))
    verdicts, rounds = decide(lambda c, m, b: float(draws[c, b]), 1, 200, margin=0.5)
    assert {v.verdict for v in verdicts} == {"equal"}
    assert rounds[-1].blocks < 60
    without, most = decide(lambda c, m, b: float(draws[c, b]), 1, 60)
    assert most[-1].blocks == 60
    assert open_ones(without)


def test_policies_that_never_differ_are_not_played_on_and_not_called_decided() -> None:
    verdicts, rounds = decide(lambda c, m, b: float(b % 7), 1, 200)
    assert rounds[-1].blocks == 20
    assert {v.verdict for v in verdicts} == {"identical"}
    assert len(open_ones(verdicts)) == len(verdicts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("decided")


POLICIES = ["starter", "noop", "miner"]


def test_real_policies_are_decided_with_fewer_episodes_and_the_same_again_plays_nothing(folder: Path) -> None:
    def run() -> dict[str, object]:
        decided = compare_until_decided(
            POLICIES, [MINER, ARENA], max_episodes=12, settings=settings(), output=OutputManager(folder)
        )
        assert decided.evaluation.status == "ok"
        assert decided.episodes == len(decided.evaluation.result.records)
        return decided_data(decided)

    first, again = run(), run()
    assert first["summary"]["played"] > 0  # type: ignore[index]
    assert again["summary"]["played"] == 0  # type: ignore[index]
    assert first["pairs"] == again["pairs"]
    data = first["until_decided"]
    assert data["episodes"] < data["episodes_at_most"] == 12 * 2 * 3  # type: ignore[index]
    pairs = {(p["a"], p["b"], p["mission"]): p for p in first["pairs"]}  # type: ignore[attr-defined]
    assert pairs["starter", "miner", MINER]["settled"]
    assert pairs["starter", "miner", MINER]["n"] < 12


def test_after_ctrl_c_the_same_command_comes_to_the_same_end(folder: Path, tmp_path: Path) -> None:
    def run(place: Path, stop_after: int | None) -> dict[str, object]:
        seen = []

        def count(record: object) -> None:
            seen.append(record)
            if len(seen) == stop_after:
                raise KeyboardInterrupt

        return decided_data(
            compare_until_decided(
                ["starter", "noop"], MINER, max_episodes=16, settings=settings(), output=OutputManager(place),
                on_record=count,
            )
        )  # fmt: skip

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", 11)
    resumed, whole = run(tmp_path / "broken", None), run(folder / "whole", None)
    assert 0 < resumed["summary"]["played"] < whole["summary"]["played"]  # type: ignore[index]
    assert resumed["pairs"] == whole["pairs"]
    assert resumed["until_decided"] == whole["until_decided"]


def test_a_report_of_the_anytime_method_says_that_its_verdicts_hold_at_every_look(folder: Path) -> None:
    decided = compare_until_decided(
        ["starter", "noop"],
        MINER,
        max_episodes=16,
        until_decided="anytime",
        settings=settings(),
        output=OutputManager(folder),
    )
    page = (decided.evaluation.run_dir / "report.html").read_text()
    assert "1 / e of an e-process" in page
    assert "flipping the signs" not in page
    assert decided_data(decided)["until_decided"]["families"] == []


def test_a_report_shows_the_looks_their_boundaries_and_why_it_stopped(folder: Path) -> None:
    decided = compare_until_decided(
        ["starter", "noop"],
        MINER,
        max_episodes=16,
        looks=[8, 12],
        spending="pocock",
        settings=settings(),
        output=OutputManager(folder),
    )
    page = (decided.evaluation.run_dir / "report.html").read_text()
    assert "1 / e of an e-process" not in page
    assert "<h2>Looks</h2>" in page
    data = decided_data(decided)
    assert data["settings"]["looks"] == (8, 12)
    assert data["settings"]["spending"] == "pocock"
    (family,) = data["until_decided"]["families"]
    assert [look["blocks"] for look in family["looks"]] == [8, 12, 16][: len(family["looks"])]
    assert family["end"] in ("decided", "futility", "maximum")
    assert data["until_decided"]["method"] == "group-sequential"
    for pair in data["pairs"]:
        assert pair["settled"] == (pair["look"] is not None)
        assert pair["median_unbiased"] is not None


def test_a_maximum_that_decides_nothing_is_refused_before_anything_is_played(folder: Path) -> None:
    with pytest.raises(UsageError, match="at least 6 blocks"):
        compare_until_decided(
            ["starter", "noop"], MINER, max_episodes=4, settings=settings(), output=OutputManager(folder)
        )
    with pytest.raises(UsageError, match="first look"):
        compare_until_decided(
            ["starter", "noop"],
            MINER,
            max_episodes=8,
            looks=(10, 20),
            settings=settings(),
            output=OutputManager(folder),
        )
    with pytest.raises(UsageError, match="anytime"):
        compare_until_decided(
            ["starter", "noop"],
            MINER,
            until_decided="anytim",  # type: ignore[arg-type]
            settings=settings(),
            output=OutputManager(folder),
        )


def test_a_policy_that_fails_is_failed_and_not_decided(folder: Path, bad_policies: str) -> None:
    decided = compare_until_decided(
        ["starter", f"class={bad_policies}.Raises"],
        MINER,
        max_episodes=8,
        settings=settings(),
        output=OutputManager(folder),
    )
    assert decided.evaluation.status == "failed"
    assert {pair.verdict for pair in decided.evaluation.analysis.pairs} == {"too few"}
    assert any("I give up" in note for note in decided.evaluation.analysis.notes)


def test_one_policy_is_no_comparison(folder: Path) -> None:
    with pytest.raises(UsageError, match="two different policies"):
        compare_until_decided(["starter"], MINER, settings=settings(), output=OutputManager(folder))


def test_daf_compare_policies_plays_until_decided(folder: Path) -> None:
    from daf.comparison import daf_compare_policies

    report = daf_compare_policies(
        ["starter", "noop"],
        MINER,
        until_decided=True,
        max_episodes=12,
        practical_difference=0.01,
        executor="serial",
        output_manager=OutputManager(folder),
    )
    pair = report.pairwise_comparisons["starter", "noop"]
    assert pair.episodes == len(report.policy_mission_rewards["starter"][MINER]) <= 12
    assert any(note.startswith("Played until decided") for note in report.notes)
