"""`daf_analyze_logs`: what it reads, what it writes, and what it says where it cannot."""

import json
import os
import re
from pathlib import Path

import pytest
from log_makers import flush, write_array
from PIL import Image

from daf.errors import DataError, StorageError, UsageError
from daf.log_analysis import FORMATS, LogAnalysis, daf_analyze_logs, daf_compare_logs, describe
from daf.streams.finding import find_logs, find_variant, read_constants
from daf.streams.records import RunConstants


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


@pytest.mark.thorough
def test_a_rerun_writes_the_same_bytes_and_every_file_that_was_asked_for(experiments: Path) -> None:
    run = experiments / "v1" / "20250102_120000"
    first = daf_analyze_logs(run, formats=FORMATS)
    assert first.output_dir == run / "plots"
    before = contents(run / "plots")
    stem = "v1_20250102_120000"
    kinds = [f"{kind}.{suffix}" for kind in ("rewards", "heatmap", "statistics") for suffix in ("png", "pdf", "svg")]
    kinds += ["report.html", "report.pdf", "animation.gif", "summary.json"]
    assert sorted(before) == sorted(f"{stem}_{kind}" for kind in kinds)
    daf_analyze_logs(run, formats=FORMATS)
    after = contents(run / "plots")
    assert [name for name in before if before[name] != after[name]] == []


def test_a_rerun_writes_the_same_pictures(experiments: Path) -> None:
    run = experiments / "v1" / "20250102_120000"
    daf_analyze_logs(run, formats=("svg",))
    before = contents(run / "plots")
    assert {name.rpartition(".")[2] for name in before} == {"svg", "json"}
    daf_analyze_logs(run, formats=("svg",))
    after = contents(run / "plots")
    assert [name for name in before if before[name] != after[name]] == []


def test_by_default_a_log_leaves_pictures_one_page_and_its_summary(experiments: Path) -> None:
    run = experiments / "v1" / "20250102_120000"
    written = daf_analyze_logs(run).written
    kinds = ("summary.json", "rewards.png", "heatmap.png", "statistics.png", "report.html")
    assert [path.name for path in written] == [f"v1_20250102_120000_{kind}" for kind in kinds]
    page = (run / "plots" / "v1_20250102_120000_report.html").read_text()
    assert "Rewards over training" in page
    assert "Where the agents went" in page


def test_pictures_are_300_dpi_and_the_animation_moves(experiments: Path, tmp_path: Path) -> None:
    daf_analyze_logs(variant="v1", experiments=experiments, output_dir=tmp_path / "out", formats=("png", "gif"))
    with Image.open(tmp_path / "out" / "v1_20250102_120000_rewards.png") as picture:
        assert [round(dpi) for dpi in picture.info["dpi"]] == [300, 300]
        assert picture.width == 3000
    with Image.open(tmp_path / "out" / "v1_20250102_120000_animation.gif") as picture:
        assert picture.n_frames > 10


def test_pages_are_small_and_fetch_nothing(experiments: Path, tmp_path: Path) -> None:
    daf_analyze_logs(variant="v1", experiments=experiments, output_dir=tmp_path, formats=("html",))
    for page in tmp_path.glob("*.html"):
        text = page.read_text()
        assert len(text) < 500_000, page
        assert "<script src" not in text
        assert 'rel="stylesheet"' not in text
        assert "default-src 'none'" in text


def test_names_from_a_log_cannot_become_markup(tmp_path: Path) -> None:
    records = flush("nested", envs=2, length=20)
    for record in records:
        record["rewards"]["components"] = {"</script><img src=x onerror=alert(1)>": 1.0, "fine": 2.0}
    path = write_array(tmp_path / "json_logs" / "stats_1753500000.json", records)
    daf_analyze_logs(path, output_dir=tmp_path / "out", formats=("html",))
    for page in (tmp_path / "out").glob("*.html"):
        assert "<img src=x" not in page.read_text(), page


def test_the_summary_holds_what_was_counted(experiments: Path, tmp_path: Path) -> None:
    analysis = daf_analyze_logs(variant="v1", experiments=experiments, output_dir=tmp_path, formats=())
    summary = json.loads((tmp_path / "v1_20250102_120000_summary.json").read_text())
    assert summary["records"] == analysis.summary.records == 360
    assert summary["sampling_ratio"] == 1.0
    assert summary["step_range"] == [0, 119]
    assert summary["damage"] == []
    text = "\n".join(describe(analysis))
    assert "360 records in 3 files" in text
    assert "steps: 0 to 119, no gaps" in text


def test_runs_are_latest_all_or_named(experiments: Path) -> None:
    names = [len(find_variant(experiments, "v1", run)) for run in ("latest", "all", "20250101_120000")]
    assert names == [3, 4, 1]
    analysis = daf_analyze_logs(variant="v1", experiments=experiments, run="all", formats=())
    assert analysis.summary.records == 480
    assert analysis.output_dir == experiments / "v1" / "plots"
    with pytest.raises(UsageError, match=r'no run "20250101"\. Nearest: .*20250101_120000'):
        find_variant(experiments, "v1", "20250101")


def test_files_are_ordered_by_the_time_in_their_names(tmp_path: Path) -> None:
    for name in ("stats_final_1753500300.json", "stats_1753500200.json", "stats_999999999.json", "notes.txt"):
        (tmp_path / name).write_text("[]")
    assert [file.path.name for file in find_logs([tmp_path])] == [
        "stats_999999999.json",
        "stats_1753500200.json",
        "stats_final_1753500300.json",
    ]


def test_a_comparison_shows_variants_side_by_side(experiments: Path) -> None:
    comparison = daf_compare_logs(["v1", "v2"], experiments=experiments, formats=("png", "html"))
    assert comparison.output_dir == experiments / "plots"
    assert [analysis.summary.records for analysis in comparison.analyses] == [360, 200]
    names = sorted(path.name for path in comparison.written)
    stem = "v1_20250102_120000_vs_v2_20250103_120000"
    assert names == sorted(f"{stem}_{kind}" for kind in ("summary.json", "rewards.png", "heatmap.png", "report.html"))
    page = (experiments / "plots" / f"{stem}_report.html").read_text()
    assert "v1, run 20250102_120000" in page
    with pytest.raises(UsageError, match="at least 2"):
        daf_compare_logs(["v1"], experiments=experiments)
    with pytest.raises(UsageError, match="all logs to compare have the name"):
        daf_compare_logs(["v1", "v1"], experiments=experiments)


def test_a_log_that_grew_is_continued_from_where_it_was(tmp_path: Path) -> None:
    """Records in the part before the last are never read again: damage done to their middle goes unnoticed."""
    from daf.streams import keeping, planning, running, summary

    path = write_array(tmp_path / "stats_1753500000.json", flush("nested", envs=12, length=100), None)
    records = json.loads(path.read_text())
    text = "\n".join(json.dumps(r) for r in records) + "\n"
    log = tmp_path / "grow.jsonl"
    log.write_text(text[: text.index("\n", 5 * len(text) // 8) + 1])

    def analyse() -> tuple[summary.LogSummary, keeping.Keeper]:
        keeper = keeping.Keeper(tmp_path / "state", 0, 200)
        parts = planning.plan_parts(find_logs([log]), part=len(text) // 6, growing=True)
        counted, _ = running.count(parts, sample_size=200, keeper=keeper)
        return summary.summarize(counted), keeper

    first, keeper = analyse()
    assert keeper.reused == 0
    again, keeper = analyse()
    assert keeper.reused_bytes == log.stat().st_size
    assert again.components.equals(first.components)
    with log.open("a") as file:
        file.write(text[log.stat().st_size :])
    grown, keeper = analyse()
    assert 0 < keeper.reused_bytes < log.stat().st_size
    fresh = keeping.Keeper(tmp_path / "elsewhere", 0, 200)
    parts = planning.plan_parts(find_logs([log]), part=len(text) // 6, growing=True)
    whole, _ = running.count(parts, sample_size=200, keeper=fresh)
    expected = summary.summarize(whole)
    assert fresh.reused == 0
    assert grown.records == expected.records == len(records)
    assert grown.components.equals(expected.components)
    assert grown.sample.equals(expected.sample)
    assert grown.timeline.equals(expected.timeline)


def test_records_appended_while_a_log_is_read_are_found_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from daf.streams import keeping, planning, running

    log = tmp_path / "grow.jsonl"
    lines = [json.dumps(record) + "\n" for record in flush("nested", envs=1, length=150)]
    log.write_text("".join(lines[:100]))
    count_part = running.count_part

    def count_and_append(*args, **options):  # type: ignore[no-untyped-def]
        counted = count_part(*args, **options)
        with log.open("a") as file:
            file.write("".join(lines[100:]))
        return counted

    def analyse() -> int:
        keeper = keeping.Keeper(tmp_path / "state", 0, 50)
        return running.count(planning.plan_parts(find_logs([log]), growing=True), sample_size=50, keeper=keeper)[
            0
        ].records

    with monkeypatch.context() as patch:
        patch.setattr(running, "count_part", count_and_append)
        assert analyse() == 100
    assert [analyse(), analyse()] == [150, 150]


def test_counts_of_a_longer_log_are_not_used_where_their_sample_is_too_thin(tmp_path: Path) -> None:
    from daf.streams import keeping, planning, running

    def analyse(keeper: keeping.Keeper | None) -> list[int]:
        parts = planning.plan_parts(find_logs([tmp_path / "json_logs"]), growing=True)
        sample = running.count(parts, sample_size=50, keeper=keeper)[0].sample
        sample.sort()
        return sample.hashes.tolist()

    def write(number: int, length: int) -> Path:
        records = [
            {"step": i, "total_steps": number, "position": {"x": 1, "y": 1, "map": 1}, "rewards": {"total": 1.0}}
            for i in range(length)
        ]
        return write_array(tmp_path / "json_logs" / f"stats_{1753500000 + number}.json", records, None)

    write(1, 500)
    large = write(2, 20_000)
    analyse(keeping.Keeper(tmp_path / "state", 0, 50))
    large.unlink()
    write(3, 500)
    assert analyse(keeping.Keeper(tmp_path / "state", 0, 50)) == analyse(None)


def test_a_log_that_was_rewritten_is_read_again(tmp_path: Path) -> None:
    path = write_array(tmp_path / "stats_1753500000.json", flush("nested", length=20, seed=1))
    first = daf_analyze_logs(path, output_dir=tmp_path / "out", formats=(), incremental=True)
    known = daf_analyze_logs(path, output_dir=tmp_path / "out", formats=(), incremental=True)
    assert (first.bytes_reused, known.bytes_reused) == (0, path.stat().st_size)
    write_array(path, flush("nested", length=20, seed=2))
    os.utime(path, ns=(1, 1))
    other = daf_analyze_logs(path, output_dir=tmp_path / "out", formats=(), incremental=True)
    assert other.bytes_reused == 0
    assert other.summary.components.loc["event", "mean"] != first.summary.components.loc["event", "mean"]


def test_a_damaged_state_is_reported_and_its_log_read_again(tmp_path: Path) -> None:
    path = write_array(tmp_path / "stats_1753500000.json", flush("nested", length=20))

    def analyse() -> LogAnalysis:
        return daf_analyze_logs(path, output_dir=tmp_path / "out", formats=(), incremental=True)

    first = analyse()
    [state] = (tmp_path / "out").glob("*_state/*.part")
    whole = state.read_bytes()
    spread = range(0, len(whole), len(whole) // 40)
    broken = [whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :] for place in spread]
    for content in (*broken, whole[:-100], b""):
        state.write_bytes(content)
        again = analyse()
        assert again.bytes_reused == 0
        assert again.summary.components.equals(first.summary.components)
        assert len(again.notes) == 1
        assert f"{state.name} is damaged" in again.notes[0]
    assert any("is damaged" in line for line in describe(again))
    known = analyse()
    assert (known.bytes_reused, known.notes) == (path.stat().st_size, ())
    assert known.summary.components.equals(first.summary.components)


def test_a_pipe_in_the_place_of_a_state_is_not_waited_for(tmp_path: Path) -> None:
    path = write_array(tmp_path / "stats_1753500000.json", flush("nested", length=20))
    daf_analyze_logs(path, output_dir=tmp_path / "out", formats=(), incremental=True)
    [state] = (tmp_path / "out").glob("*_state/*.part")
    state.unlink()
    os.mkfifo(state)
    again = daf_analyze_logs(path, output_dir=tmp_path / "out", formats=(), incremental=True)
    assert "not a regular file" in again.notes[0]


def test_a_summary_next_to_the_logs_is_not_read_as_a_log(tmp_path: Path) -> None:
    for name in ("a.json", "episode_summary.json"):
        write_array(tmp_path / "plain" / name, flush("nested", length=20))
    for _ in range(2):
        analysis = daf_analyze_logs(tmp_path / "plain", output_dir=tmp_path / "plain", formats=())
        assert (tmp_path / "plain" / "plain_summary.json").exists()
        assert analysis.summary.damage.empty
        assert len(analysis.summary.files) == 2


def test_damage_stands_in_the_summary_and_on_the_page(tmp_path: Path) -> None:
    path = write_array(tmp_path / "json_logs" / "stats_1753500000.json", flush("nested", length=30))
    path.write_text(path.read_text()[:-200])
    analysis = daf_analyze_logs(tmp_path, formats=("html",))
    [row] = analysis.summary.damage.to_dict("records")
    assert row["file"] == str(path)
    assert row["reason"] == "cut short in mid-record"
    page = next(path for path in analysis.written if path.name.endswith("report.html")).read_text()
    assert "1 damaged stretch" in page
    assert any("cut short" in line for line in describe(analysis))


def test_logs_without_positions_or_totals_are_drawn_all_the_same(tmp_path: Path) -> None:
    records = [{"step": i, "reward_novelty": i * 0.5} for i in range(50)]
    path = write_array(tmp_path / "log.json", records)
    analysis = daf_analyze_logs(path, output_dir=tmp_path / "out")
    assert analysis.summary.component_names == ["novelty"]
    assert not [path for path in analysis.written if path.suffix == ".gif"]
    assert (tmp_path / "out" / "log_heatmap.png").exists()


def test_constants_come_from_the_runs_yaml_or_are_absent(tmp_path: Path) -> None:
    assert read_constants(tmp_path) == (RunConstants(None, None), ())
    (tmp_path / "a.yaml").write_text("env:\n  reward_scale: 2\n")
    assert read_constants(tmp_path) == (RunConstants(2.0, None), ())
    (tmp_path / "a.yaml").write_text("reward_scale:\n  desc: null\n  value: 5e-1\nexplore_weight: {value: 0.25}\n")
    assert read_constants(tmp_path) == (RunConstants(0.5, 0.25), ())


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("reward_scale: 3\n", r"reward_scale is 2 in .*a.yaml and 3 in .*b.yaml"),
        ("reward_scale: high\n", r"b.yaml: reward_scale is 'high', not a number"),
        ("x: !!python/object/apply:os.system [ls]\n", r"b.yaml is not read.*the tag"),
        ("a:\n\tb: 1\n", r"b.yaml is not read.*a tab"),
        ("a: [", r"b.yaml is not read.*not YAML"),
        ("\xff", r"b.yaml is not read"),
    ],
)
def test_a_yaml_file_next_to_logs_never_stops_their_analysis(tmp_path: Path, text: str, note: str) -> None:
    write_array(tmp_path / "stats_1753500000.json", flush("flat", envs=1, length=20))
    (tmp_path / "a.yaml").write_text("reward_scale: 2\n")
    (tmp_path / "b.yaml").write_text(text, encoding="latin-1")
    analysis = daf_analyze_logs(tmp_path, output_dir=tmp_path / "out", formats=())
    assert analysis.summary.records == 20
    assert len(analysis.notes) == 1
    assert re.search(note, analysis.notes[0])
    derived = "heal" in analysis.summary.components.index
    assert derived is ("reward_scale is 2 in" not in note)
    assert any(line == f"note: {analysis.notes[0]}" for line in describe(analysis))
    assert json.loads((analysis.written[0]).read_text())["notes"] == list(analysis.notes)


def test_a_missing_log_is_an_error_that_names_what_exists(experiments: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r'no variant "v11"\. Nearest: v1'):
        daf_analyze_logs(variant="v11", experiments=experiments)
    with pytest.raises(UsageError, match="no logs given"):
        daf_analyze_logs()
    with pytest.raises(UsageError, match="pass only one of them"):
        daf_analyze_logs(tmp_path, variant="v1", experiments=experiments)
    with pytest.raises(UsageError, match='no format "jpeg"'):
        daf_analyze_logs(experiments, formats=("jpeg",))
    with pytest.raises(UsageError, match="smooth_window must be at least 1 bin, got 0"):
        daf_analyze_logs(experiments, smooth_window=0)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UsageError, match="it contains nothing"):
        daf_analyze_logs(empty)
    with pytest.raises(UsageError, match="runs that do: 20250101_120000, 20250102_120000"):
        daf_analyze_logs(experiments / "v1")
    with pytest.raises(UsageError, match=r"Nearest: .*stats_1753500000.json"):
        daf_analyze_logs(experiments / "v1" / "20250101_120000" / "json_logs" / "stats_175350000.json")


def test_logs_of_another_format_say_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"loss": 1.0, "epoch": 2}, {"loss": 0.5, "epoch": 3}]')
    with pytest.raises(DataError, match="keys loss, epoch"):
        daf_analyze_logs(tmp_path / "a.json")
    (tmp_path / "b.json").write_text("not json at all")
    with pytest.raises(DataError, match="not JSON: 'not json at "):
        daf_analyze_logs(tmp_path / "b.json")
    (tmp_path / "c.json").write_text("")
    with pytest.raises(DataError, match="Found: nothing"):
        daf_analyze_logs(tmp_path / "c.json")
    (tmp_path / "d.csv").write_text("loss,epoch\n1.0,2\n")
    with pytest.raises(DataError, match="columns loss, epoch"):
        daf_analyze_logs(tmp_path / "d.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission_is_a_storage_error(experiments: Path) -> None:
    folder = experiments / "v1" / "20250101_120000" / "json_logs"
    folder.chmod(0)
    try:
        with pytest.raises(StorageError, match="no permission"):
            daf_analyze_logs(folder)
    finally:
        folder.chmod(0o755)


def test_a_place_that_cannot_be_written_is_a_storage_error(experiments: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        daf_analyze_logs(variant="v1", experiments=experiments, output_dir=tmp_path / "file" / "plots", formats=())
