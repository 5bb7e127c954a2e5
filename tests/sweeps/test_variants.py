"""Variant sweeps: paired with the base mission, corrected, nothing left out, nothing played twice."""

import json

import numpy as np
import pytest

from daf.cli import main
from daf.config import DAFVariantConfig
from daf.errors import MissionError, UsageError
from daf.evaluation import Settings, evaluate
from daf.output_manager import OutputManager
from daf.reporting import daf_report
from daf.stats.multiple import holm
from daf.sweeps import daf_variant_sweep
from daf.sweeps.variants_result import VariantSweepResult

BASE = "training_facility_1,max_steps=60"
VARIANTS = ["sparse", "large", "desert"]
SERIAL = Settings(executor="serial")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("variants")


@pytest.fixture(scope="module")
def found(folder):
    return daf_variant_sweep("random", BASE, VARIANTS, 8, settings=SERIAL, output_manager=OutputManager(folder))


def row_of(found, *names):
    return next(row for row in found.rows if row.variants == names)


def test_every_variant_and_every_pair_has_a_row_in_the_order_given(found):
    assert [row.name for row in found.rows] == [
        "sparse", "large", "desert", "sparse+large", "sparse+desert", "large+desert",
    ]  # fmt: skip
    assert found.status == "ok"


def test_differences_are_paired_by_seed_with_what_an_evaluation_gives(found, folder):
    missions = [BASE, f"{BASE},variants=sparse", f"{BASE},variants=sparse+large", f"{BASE},variants=large"]
    played = evaluate(
        ["random"], missions, settings=Settings(executor="serial", episodes=8), output=OutputManager(folder)
    )
    values = {mission: [] for mission in missions}
    for record in sorted(played.result.records, key=lambda record: record.spec.seed):
        values[record.spec.mission].append(record.reward_per_agent())
    plain, sparse, both, large = (np.array(values[mission]) for mission in missions)
    for row, changed in ((row_of(found, "sparse"), sparse), (row_of(found, "sparse", "large"), both)):
        assert (row.base, row.mean) == pytest.approx((plain.mean(), changed.mean()))
        assert row.difference == pytest.approx((changed - plain).mean())
        assert (row.more, row.less, row.n) == ((changed > plain).sum(), (changed < plain).sum(), 8)
        assert row.ci[0] <= row.difference <= row.ci[1]
    assert row_of(found, "sparse", "large").together == pytest.approx((both - sparse - large + plain).mean())
    assert found.base_mean == pytest.approx(plain.mean())


def test_p_values_are_corrected_over_all_that_was_compared(found):
    rows = found.played
    assert [row.p_adjusted for row in rows] == pytest.approx(holm([row.p for row in rows]).tolist())
    assert all((row.verdict in ("raises", "lowers")) == (row.p_adjusted <= 0.05) for row in rows)


def test_a_variant_that_the_mission_refuses_is_reported_and_so_are_its_pairs(found):
    desert = row_of(found, "desert")
    assert desert.refused
    assert desert.difference is None
    assert "takes only its own variants" in desert.reason
    assert row_of(found, "sparse", "desert").reason == "desert cannot be played by itself."
    assert any("desert, sparse+desert, large+desert" in note for note in found.notes)


def test_the_same_call_again_plays_nothing(found, folder):
    def records():
        return {path: path.stat().st_mtime_ns for path in (folder / "cache").rglob("*") if path.is_file()}

    before = records()
    again = daf_variant_sweep("random", BASE, VARIANTS, 8, settings=SERIAL, output_manager=OutputManager(folder))
    assert records() == before
    assert again.rows == found.rows


def test_the_result_survives_its_file_and_the_page_says_it(found):
    data = json.loads((found.run_dir / "variants.json").read_text())
    assert VariantSweepResult.from_data(data) == found
    page, markdown = found.run_dir / "report.html", found.run_dir / "REPORT.md"
    first = page.read_text(encoding="utf-8")
    assert row_of(found, "sparse").sentence.split(":")[0] in first
    assert "takes only its own variants" in first
    assert "sparse+large" in markdown.read_text(encoding="utf-8")
    page.unlink()
    assert daf_report(found.run_dir).html.read_text(encoding="utf-8") == first


def test_a_variant_that_changes_nothing_is_reported_as_such(folder):
    found = daf_variant_sweep(
        "noop", "arena,cogs=2,max_steps=3", ["territory"], 2, pairs=False,
        settings=Settings(executor="serial", report=False), output_manager=OutputManager(folder),
    )  # fmt: skip
    (row,) = found.rows
    assert (row.verdict, row.p, row.p_adjusted) == ("identical", None, None)
    assert row.sentence.endswith("exactly the same in all 2 episodes: it changes nothing in this mission.")


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ([], UsageError, "a variant at least"),
        (["spares"], MissionError, "sparse"),
        (["sparse", "sparse"], UsageError, "twice"),
        ("sparse", UsageError, "list of names"),
        (["desert"], MissionError, "no variant of training_facility_1,max_steps=60 can be played"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_played(names, error, message, tmp_path):
    with pytest.raises(error, match=message):
        daf_variant_sweep("random", BASE, names, 2, settings=SERIAL, output_manager=OutputManager(tmp_path))
    assert not (tmp_path / "comparisons").exists()


def test_the_command_prints_one_object(folder, monkeypatch, capfd):
    asked = ["-p", "random", "-m", BASE, "-V", "sparse+large", "-e", "8", "--executor", "serial", "--json", "--quiet"]
    monkeypatch.setattr("sys.argv", ["daf", "sweep", "variants", *asked, "--no-report", "--output-dir", str(folder)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    data = json.loads(capfd.readouterr().out)
    assert {"run_id", "run_dir", "status", "rows"} <= data.keys()
    assert [row["variants"] for row in data["rows"]] == [["sparse"], ["large"], ["sparse", "large"]]
    missions = [BASE, *(row["mission"] for row in data["rows"])]
    assert [(episode["mission"], episode["index"]) for episode in data["episodes"]] == [
        (mission, index) for mission in missions for index in range(8)
    ]
    assert data["summary"]["episodes"] == 4 * 8


def test_a_variant_configuration_sets_the_variants_and_the_base_mission(tmp_path, monkeypatch, capfd):
    path = tmp_path / "variants.yaml"
    DAFVariantConfig(variant_names=["sparse"], difficulty="large", num_cogs=2).to_yaml(path)
    command = ["daf", "sweep", "variants", "-p", "noop", "-m", "training_facility_1,max_steps=20", "-e", "2", "--json"]
    command += ["--config", str(path), "--executor", "serial", "--output-dir", str(tmp_path / "out"), "--no-report"]

    def answer(*more):
        monkeypatch.setattr("sys.argv", [*command, "--quiet", *more])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
        return json.loads(capfd.readouterr().out)

    first = answer()
    assert first["mission"] == "training_facility_1,cogs=2,max_steps=20,variants=large"
    assert [row["variants"] for row in first["rows"]] == [["sparse"]]
    assert [row["variants"] for row in answer("-V", "unshaped")["rows"]] == [["unshaped"]]


@pytest.mark.parametrize(
    ("fields", "mission", "said"),
    [
        ({"difficulty": "sparse"}, BASE, "among variant_names too"),
        ({"num_cogs": 3}, f"{BASE},cogs=4", "give one of them"),
        ({"num_cogs": 400}, BASE, "cogs, got 400"),
        ({"difficulty": "hard"}, BASE, "no variant"),
    ],
)
def test_a_variant_configuration_that_cannot_be_is_refused_before_anything_is_played(tmp_path, fields, mission, said):
    with pytest.raises(UsageError, match=said):
        daf_variant_sweep(
            "noop", mission, DAFVariantConfig(variant_names=["sparse"], **fields), 2,
            settings=SERIAL, output_manager=OutputManager(tmp_path),
        )  # fmt: skip
    assert not list(tmp_path.iterdir())
