"""Reports of runs that played episodes, made anew from their records, and leaderboards of them."""

import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from reports import Page

from daf.comparison import ComparisonReport
from daf.comparison import report_of as comparison_of
from daf.crossplay import daf_crossplay
from daf.errors import DataError, UsageError
from daf.evaluation import Evaluation, Settings, evaluate
from daf.output_manager import OutputManager
from daf.playing.recording import how_to_record
from daf.reporting import daf_export_comparison_html, daf_generate_leaderboard, daf_report
from daf.scoring_analysis import ScoreReport, daf_score
from tests.conftest import SMALL, SMALLEST

SETTINGS = Settings(episodes=3, executor="serial", jobs=1, resamples=1000, save_replays="best")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def compared(base: Path) -> Evaluation:
    return evaluate(
        ["noop", "random"], SMALLEST, settings=SETTINGS, output=OutputManager(base), operation="comparisons"
    )


@pytest.fixture(scope="module")
def scored(base: Path) -> ScoreReport:
    return daf_score("random", ["noop"], SMALL, settings=SETTINGS, output=OutputManager(base))


def test_a_comparison_is_written_again_as_it_was_with_the_machine_of_the_run(compared):
    first = (compared.run_dir / "report.html").read_text(encoding="utf-8")
    (compared.run_dir / "report.html").unlink()
    log = json.loads((compared.run_dir / "execution_log.json").read_text())
    log["versions"]["cogames"] = "0.0.1"
    (compared.run_dir / "execution_log.json").write_text(json.dumps(log))
    files = daf_report(compared.run_dir)
    again = Page(files.html.read_text(encoding="utf-8"))
    assert (files.kind, files.kept) == ("comparison", False)
    assert again.by_id["finding"] == Page(first).by_id["finding"]
    assert again.by_id["all-episodes"] == Page(first).by_id["all-episodes"]
    assert "0.0.1" in again.by_id["run"]


def test_a_comparison_without_records_keeps_its_page_and_without_a_page_shows_its_results(base):
    bare = replace(SETTINGS, keep_records=False, save_replays="none")
    done = evaluate(["noop", "random"], SMALLEST, settings=bare, output=OutputManager(base))
    assert daf_report(done.run_dir).kept
    (done.run_dir / "report.html").unlink()
    files = daf_report(done.run_dir)
    page = Page(files.html.read_text(encoding="utf-8"))
    assert not files.kept
    assert done.analysis.pairs[0].sentence in page.by_id["finding"]
    assert len([row for row in page.rows if "ok" in row]) == 6


def test_a_score_is_written_again_with_its_episodes_and_replays(scored):
    first = Page((scored.run_dir / "report.html").read_text(encoding="utf-8"))
    files = daf_report(scored.run_dir)
    page = Page(files.html.read_text(encoding="utf-8"))
    assert files.kind == "score"
    assert page.by_id["finding"] == first.by_id["finding"]
    assert page.by_id["overall"] == first.by_id["overall"]
    seeds = [row[2] for row in page.rows if len(row) > 6 and row[6] == "ok"]
    assert len(seeds) == len(scored.result.records)
    assert set(seeds) == {"42", "43", "44"}
    links = [values["href"] for tag, values in page.elements if tag == "a" and "replays/" in (values.get("href") or "")]
    assert {unquote(link).removeprefix("./") for link in links if link.endswith(".html")} == {
        path.relative_to(scored.run_dir).as_posix().replace(".json.z", ".html") for path in scored.replays.values()
    }
    assert "cogames" in page.by_id["run"]


def links_of(html):
    elements = Page(html.read_text(encoding="utf-8")).elements
    links = [values["href"] for tag, values in elements if tag == "a" and values.get("href")]
    return [unquote(link) for link in links if not link.startswith("#")]


def test_every_recorded_episode_links_to_its_player_and_no_link_is_dead(compared):
    for html in (compared.run_dir / "report.html", daf_report(compared.run_dir).html):
        links = links_of(html)
        players = [link for link in links if "/replays/" in link and link.endswith(".html")]
        assert len(players) == len(compared.replays) > 0
        for link in links:
            assert (html.parent / link).exists(), link
        for link in players:
            assert "<title>" in (html.parent / link).read_text(encoding="utf-8")[:2_000]


def test_an_episode_without_a_recording_shows_the_command_that_makes_one(compared, scored):
    for done in (compared, scored):
        assert len(done.replays) < len(done.result.records)
        text = Page(daf_report(done.run_dir).html.read_text(encoding="utf-8")).text
        pairs = zip(done.result.planned, done.result.records, strict=True)
        first, record = next(pair for pair in pairs if pair[1].spec.key not in done.replays)
        name, spec = done.result.plan.contenders[first.contender].name, record.spec
        who = f"--team {name.replace('+', ',')}" if "=" in name else f"-p {name}"
        assert f"daf evaluate {who} -m {spec.mission} -e 1 --seed {spec.seed} --save-replays all" in text


def test_the_command_of_a_run_records_all_of_its_episodes_once():
    hint = how_to_record("daf compare -p a -p b --save-replays best -m arena", team="a", mission="arena", seed=42)
    assert hint[1] == "daf compare -p a -p b -m arena --save-replays all"
    alone = how_to_record("daf analyze mission arena -p a", team="a", mission="arena", seed=42)
    assert alone[1] == "daf evaluate -p a -m arena -e 1 --seed 42 --save-replays all"


def test_a_deleted_or_damaged_recording_leaves_no_dead_link(base):
    done = evaluate(["noop"], SMALL, settings=SETTINGS, output=OutputManager(base))
    (replay,) = done.replays.values()
    player = replay.with_name(replay.name.replace(".json.z", ".html"))
    player.unlink()
    replay.unlink()
    replay.write_bytes(b"not a replay")
    files = daf_report(done.run_dir)
    assert not player.exists()
    assert all((files.html.parent / link).exists() for link in links_of(files.html))
    replay.unlink()
    daf_report(done.run_dir)
    assert all((files.html.parent / link).exists() for link in links_of(files.html))


def test_a_crossplay_is_written_again_with_its_episodes(base):
    done = daf_crossplay(["noop", "random"], SMALL, settings=SETTINGS, output=OutputManager(base))
    first = Page((done.run_dir / "report.html").read_text(encoding="utf-8"))
    page = Page(daf_report(done.run_dir).html.read_text(encoding="utf-8"))
    assert page.by_id["finding"] == first.by_id["finding"]
    assert page.by_id["mixes"] == first.by_id["mixes"]
    assert len([row for row in page.rows if len(row) > 6 and row[6] == "ok"]) == len(done.result.records)


def test_an_exported_comparison_links_to_the_replays_of_its_run(compared, tmp_path):
    target = daf_export_comparison_html(comparison_of(compared), tmp_path / "deep" / "page.html", title="Mine")
    page = Page(target.read_text(encoding="utf-8"))
    links = [
        values["href"] or "" for tag, values in page.elements if tag == "a" and "replays/" in (values.get("href") or "")
    ]
    assert links
    assert all((target.parent / unquote(link)).is_file() for link in links)
    assert "Mine" in page.text


def test_returns_given_by_hand_are_shown_and_said_to_be_so(tmp_path):
    report = ComparisonReport(policies=[], missions=[])
    report.add_policy_results("mine", "arena", [3.0, 4.0, 5.0, 6.5, 7.0, 8.0])
    report.add_policy_results("theirs", "arena", [1.0, 2.0, 3.5, 4.0, 5.0, 6.5])
    page = Page(daf_export_comparison_html(report, tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "mine beats theirs on arena" in page.by_id["finding"]
    assert "added by hand" in page.by_id["warnings"]
    with pytest.raises(DataError, match="no returns"):
        daf_export_comparison_html(ComparisonReport(policies=[], missions=[]), tmp_path / "none.html")


def by_hand(**returns: list[float]) -> ComparisonReport:
    report = ComparisonReport(policies=[], missions=[])
    for policy, values in returns.items():
        report.add_policy_results(policy, "arena", values)
    return report


def test_a_leaderboard_names_the_first_and_those_without_a_significant_difference():
    low = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
    near = [value + (0.3 if index % 2 else -0.3) for index, value in enumerate(low)]
    board = json.loads(daf_generate_leaderboard(by_hand(top=[v + 5 for v in low], b=low, c=near), format="json"))
    rows = {row["policy"]: row for row in board["rows"]}
    assert rows["top"]["place"] == [1, 1]
    assert rows["top"]["tied_with"] == []
    assert rows["b"]["place"] == rows["c"]["place"] == [2, 3]
    assert rows["b"]["tied_with"] == ["c"]
    assert rows["top"]["ci"][0] < rows["top"]["mean"] == 10.5 < rows["top"]["ci"][1]
    assert all(row["n"] == 10 for row in board["rows"])
    text = daf_generate_leaderboard(by_hand(top=[v + 5 for v in low], b=low, c=near))
    assert "| 2–3 | b |" in text
    assert "top is first: it is significantly better than every other policy." in text


def test_a_leaderboard_of_two_runs_ranks_on_the_blocks_that_all_played(base, compared):
    more = evaluate(["starter"], SMALLEST, settings=replace(SETTINGS, episodes=2), output=OutputManager(base))
    board = json.loads(daf_generate_leaderboard([compared, str(more.run_dir)], format="json"))
    assert {row["policy"] for row in board["rows"]} == {"noop", "random", "starter"}
    assert board["blocks"] == 2
    assert "1 block that not every policy finished is excluded." in board["notes"]


def test_the_same_policy_in_two_runs_is_one_line_with_both_runs(base, compared):
    again = evaluate(["noop"], SMALLEST, settings=SETTINGS, output=OutputManager(base))
    board = json.loads(daf_generate_leaderboard([compared.run_dir, again.run_dir], format="json"))
    noop = next(row for row in board["rows"] if row["policy"] == "noop")
    assert noop["runs"] == [compared.run_id, again.run_id]
    assert len(board["rows"]) == 2


def test_runs_that_share_no_episode_are_not_ranked_together(base, compared):
    other = evaluate(["starter"], SMALLEST, settings=replace(SETTINGS, seed=900), output=OutputManager(base))
    with pytest.raises(DataError, match=r"no block .* was played by all 3 policies"):
        daf_generate_leaderboard([compared, other])


def test_a_leaderboard_page_and_file_and_a_wrong_format(compared, tmp_path):
    text = daf_generate_leaderboard(compared, tmp_path / "board.html", "html")
    assert (tmp_path / "board.html").read_text(encoding="utf-8") == text
    page = Page(text)
    assert {"noop", "random"} <= {row[1] for row in page.rows if len(row) > 4}
    with pytest.raises(UsageError, match=r'no format of leaderboards "htlm"\. Nearest: html'):
        daf_generate_leaderboard(compared, format="htlm")  # type: ignore[arg-type]


def test_only_comparisons_have_a_leaderboard(scored):
    with pytest.raises(UsageError, match="is not an evaluation or comparison"):
        daf_generate_leaderboard(scored.run_dir)


def test_a_replay_has_a_report_with_the_returns_of_its_agents(compared):
    replay = next(iter(compared.replays.values()))
    files = daf_report(replay)
    page = Page(files.html.read_text(encoding="utf-8"))
    assert "An episode of 20 steps" in page.by_id["finding"]
    player = replay.parent / files.html.name.replace("-report.html", ".html")
    assert player.is_file()
