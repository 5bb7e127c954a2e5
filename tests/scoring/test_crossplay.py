"""`daf crossplay`: the matrix is the episodes', verdicts hold, and wrong use is told."""

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from daf.crossplay import CrossplayReport, crossplay_data, daf_crossplay, mixes
from daf.crossplay._words import amount, headline, sentences
from daf.crossplay.analysis import analyse_crossplay
from daf.errors import DataError, UsageError
from daf.evaluation import Settings
from daf.output_manager import OutputManager
from daf.render.svg.matrix import MatrixCell, matrix_svg

MINER = "tutorial.miner,max_steps=30"
THREE = "tutorial.miner,cogs=3,max_steps=20"


def settings(**changes: object) -> Settings:
    return Settings(**{"episodes": 3, "executor": "serial", "jobs": 1, "resamples": 2000, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("crossplay")


@pytest.fixture(scope="module")
def report(folder: Path) -> CrossplayReport:
    return daf_crossplay(
        ["starter", "noop", "miner"], [MINER, THREE], settings=settings(), output=OutputManager(folder)
    )


def test_even_mixes_are_fair_to_both() -> None:
    assert mixes(4, 2, "even", where="m") == [(4, 0), (0, 4), (2, 2)]
    assert mixes(3, 2, "even", where="m") == [(3, 0), (0, 3), (2, 1), (1, 2)]


def test_all_mixes_are_every_composition() -> None:
    found = mixes(4, 3, "all", where="m")
    assert len(found) == len(set(found)) == 15
    assert set(found) == {c for c in itertools.product(range(5), repeat=3) if sum(c) == 4}
    assert len(mixes(4, 3, "pairs", where="m")) == 3 + 3 * 3


@pytest.mark.parametrize(
    ("agents", "policies", "kind", "message"),
    [
        (1, 2, "even", "m has 1 agent, fewer than the 2 policies"),
        (2, 3, "all", "m has 2 agents, fewer than the 3 policies"),
        (4, 1, "even", "at least two policies"),
        (4, 2, "evn", 'no choice for --mixes "evn". Nearest: even'),
        (24, 5, "all", "the maximum is 400"),
    ],
)
def test_teams_that_cannot_be_are_refused(agents: int, policies: int, kind: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        mixes(agents, policies, kind, where="m")


def test_the_matrix_is_the_mean_of_the_episodes(report: CrossplayReport) -> None:
    own: dict[tuple[int, int], dict[str, list[float]]] = {}
    names = report.analysis.names
    for record in report.result.records:
        there = [policy.name for policy in record.spec.policies]
        for place, name in enumerate(there):
            partner = next((other for other in there if other != name), name)
            key = (names.index(name), names.index(partner))
            own.setdefault(key, {}).setdefault(record.spec.mission, []).append(record.reward_per_agent(place))
    for (policy, partner), by_mission in own.items():
        expected = np.mean([np.mean(values) for values in by_mission.values()])
        assert report.analysis.cell(policy, partner).own == pytest.approx(expected)


def test_gains_compare_the_same_seats_of_the_same_seeds(report: CrossplayReport) -> None:
    analysis, names = report.analysis, report.analysis.names
    alone = {
        (record.spec.policies[0].name, record.spec.mission, record.spec.seed): record.played.rewards
        for record in report.result.records
        if len(record.spec.policies) == 1
    }
    gains: dict[tuple[str, str], dict[str, list[float]]] = {}
    for record in report.result.records:
        if len(record.spec.policies) == 1:
            continue
        for place, policy in enumerate(record.spec.policies):
            seats = record.agents_of(place)
            before = alone[policy.name, record.spec.mission, record.spec.seed]
            gain = np.mean([record.played.rewards[seat] - before[seat] for seat in seats])
            partner = record.spec.policies[1 - place].name
            gains.setdefault((policy.name, partner), {}).setdefault(record.spec.mission, []).append(float(gain))
    for (policy, partner), by_mission in gains.items():
        found = analysis.cell(names.index(policy), names.index(partner)).gain
        assert found is not None
        assert found.difference == pytest.approx(np.mean([np.mean(values) for values in by_mission.values()]))
    for row in analysis.policies:
        partners = [analysis.cell(row.policy, j).gain for j in range(3) if j != row.policy]
        assert row.gap.difference == pytest.approx(-np.mean([gain.difference for gain in partners if gain]))
        assert row.gap.difference == pytest.approx(row.self_play - row.cross_play)
        best = analysis.cell(row.policy, row.best).gain
        assert best is not None
        assert best.difference == max(gain.difference for gain in partners if gain)
    assert analysis.family == 3 + 6 + 3 + 3


def test_the_gap_has_one_sign_everywhere(report: CrossplayReport) -> None:
    data, page = crossplay_data(report), (report.run_dir / "report.html").read_text()
    for row, entry in zip(report.analysis.policies, data["policy_summaries"], strict=True):
        assert entry["generalisation_gap"]["difference"] == pytest.approx(entry["self_play"] - entry["cross_play"])
        sentence = next(line for line in data["findings"] if line.startswith(f"{entry['policy']}: generalisation gap "))
        size = "0" if row.gap.change == "same" else amount(row.gap, signed=True)
        assert f"generalisation gap {size}," in sentence
        assert f"<strong>{size if size != '0' else amount(row.gap, signed=True)}</strong>" in page
        assert sentence.replace("'", "&#39;") in page


def test_odd_agents_are_played_both_ways(report: CrossplayReport) -> None:
    teams = [row.counts for row in report.analysis.mixes if row.mission == THREE]
    assert {(2, 1, 0), (1, 2, 0)} <= set(teams)
    assert len(teams) == 9


def test_a_run_leaves_pages_tables_and_the_figure(report: CrossplayReport) -> None:
    for name in ("report.html", "REPORT.md", "results.json", "stats/episodes.duckdb", "visualizations/crossplay.png"):
        assert (report.run_dir / name).stat().st_size > 500, name
    page = (report.run_dir / "report.html").read_text()
    assert all(name in page for name in report.analysis.names)
    data = json.loads((report.run_dir / "results.json").read_text())
    assert len(data["matrix"]) == 9
    assert data["episodes"][0]["assignment"]


def test_the_same_again_plays_nothing_and_finds_the_same(report: CrossplayReport, folder: Path) -> None:
    again = daf_crossplay(
        ["starter", "noop", "miner"], [MINER, THREE], settings=settings(), output=OutputManager(folder)
    )
    assert again.result.played == 0
    assert again.cached
    changing = {"cached", "episodes", "summary"}
    first, second = ({k: v for k, v in crossplay_data(r).items() if k not in changing} for r in (report, again))
    assert first == second


def test_the_same_policy_twice_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="noop is given more than once"):
        daf_crossplay(["noop", "noop"], MINER, settings=settings(), output=OutputManager(folder))


def test_a_policy_that_fails_leaves_no_numbers(folder: Path, bad_policies: str) -> None:
    with pytest.raises(DataError, match="I give up"):
        daf_crossplay(
            ["noop", f"class={bad_policies}.Raises"], MINER, settings=settings(episodes=1), output=OutputManager(folder)
        )


def made_up(returns: dict[tuple[int, ...], tuple[float, ...]], *, blocks: int, noise: float, seed: int):
    """A run of teams of 4 in which each policy's agents get these returns, and noise shared within a block."""
    draws = np.random.default_rng(seed)
    count = len(next(iter(returns)))
    teams = {"m": {str(counts): counts for counts in returns}}
    planned, records = [], []
    for block in range(blocks):
        difficulty = draws.normal(0, 3)
        for team, (counts, own) in enumerate(returns.items()):
            there = [policy for policy in range(count) if counts[policy]]
            drawn = {policy: own[policy] + difficulty + draws.normal(0, noise) for policy in there}
            rewards = tuple(drawn[policy] for policy in there for _ in range(counts[policy]))
            seats = tuple(place for place, policy in enumerate(there) for _ in range(counts[policy]))
            planned.append(SimpleNamespace(index=block, contender=team))
            spec = SimpleNamespace(mission="m", assignment=seats)
            outcome = SimpleNamespace(rewards=rewards)
            records.append(SimpleNamespace(ok=True, failure=None, outcome=outcome, spec=spec))
    plan = SimpleNamespace(
        missions=[SimpleNamespace(name="m")], contenders=[SimpleNamespace(name=str(counts)) for counts in returns]
    )
    result = SimpleNamespace(planned=planned, records=records, plan=plan, failures=[], stopped=None)
    return analyse_crossplay(result, ("strong", "weak"), teams, resamples=2000, seed=seed)  # type: ignore[arg-type]


CARRIED = {(4, 0): (5.0, 0.0), (0, 4): (0.0, 1.0), (2, 2): (4.0, 3.0)}
LEVEL = {(4, 0): (2.0, 0.0), (0, 4): (0.0, 2.0), (2, 2): (2.0, 2.0)}


def test_who_carries_and_who_is_carried_is_found() -> None:
    analysis = made_up(CARRIED, blocks=20, noise=0.3, seed=1)
    pair = analysis.pairs[0]
    assert (pair.relation, pair.carrier) == ("strong carries weak", 0)
    assert analysis.policies[0].gap.change == "more"
    assert analysis.policies[0].gap.difference == pytest.approx(1.0, abs=0.3)
    assert analysis.policies[1].gap.change == "less"
    assert headline(analysis) == "strong carries weak."
    assert any("weak gains 2" in sentence for sentence in sentences(analysis))


def test_verdicts_on_equal_policies_are_false_no_more_often_than_alpha() -> None:
    wrong = sum(
        any(
            test.change in ("more", "less")
            for test in (
                *(cell.gain for cell in analysis.cells if cell.gain is not None),
                *(row.gap for row in analysis.policies),
                *(pair.apart for pair in analysis.pairs),
            )
        )
        for analysis in (made_up(LEVEL, blocks=12, noise=1.0, seed=seed) for seed in range(150))
    )
    assert wrong / 150 <= 0.05 + 2 * (0.05 * 0.95 / 150) ** 0.5, wrong


def test_the_matrix_figure_escapes_names_and_shows_every_number() -> None:
    cells = [
        [MatrixCell(float(i + j), f"{i + j}.5", "0 to 9", "▲" if i < j else "") for j in range(2)] for i in range(2)
    ]
    drawn = matrix_svg(["<b>", "plain"], cells, description="a & b")
    assert "<b>" not in drawn
    wide, narrow, _ = drawn.split("</svg>")
    assert wide.count("0 to 9") == narrow.count("0 to 9") == 4
    assert "1.5 ▲" in drawn
    with pytest.raises(DataError):
        matrix_svg(["one"], cells, description="")


def test_names_that_look_like_markup_are_shown_as_text(folder: Path) -> None:
    from daf.scoring_analysis import daf_score

    odd = "noop,name=<i>x</i>"
    output = OutputManager(folder)
    cross = daf_crossplay([odd, "starter"], MINER, settings=settings(episodes=1), output=output)
    score = daf_score(odd, ["starter"], MINER, settings=settings(episodes=1), output=OutputManager(folder))
    for run in (cross, score):
        page = (run.run_dir / "report.html").read_text()
        assert "<i>x</i>" not in page
        assert "&lt;i&gt;x&lt;/i&gt;" in page
