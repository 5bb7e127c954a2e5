import json
from pathlib import Path

import numpy as np
import pytest

from daf.ablation import AblationReport, daf_policy_ablation, parse_components
from daf.errors import MetricError, MissionError, PolicyError, UsageError
from daf.evaluation import Settings
from daf.game.masking import features, masked, matching
from daf.game.mission_changes import with_variant, without_role
from daf.game.missions import check_runs, resolve
from daf.game.policies import resolve as resolve_policy
from daf.game.rollout import Game, Play, play
from daf.output_manager import OutputManager
from tests.conftest import SMALL

SETTINGS = Settings(episodes=10, report=False, executor="serial", resamples=2_000)
COMPONENTS = ["mask:tag", "mask:last_reward", "role:miner"]


@pytest.fixture(scope="module")
def report(output: OutputManager) -> AblationReport:
    return daf_policy_ablation("miner", SMALL, COMPONENTS, settings=SETTINGS, output_manager=output)


def test_components_that_a_policy_needs_are_distinguished_from_others(report: AblationReport) -> None:
    by_name = {row.component: row for row in report.overall}
    assert by_name["mask:last_reward"].verdict == "identical"
    assert by_name["mask:last_reward"].same == 10
    for name in ("mask:tag", "role:miner"):
        assert by_name[name].verdict == "lowers"
        assert by_name[name].difference < 0
        assert by_name[name].p <= by_name[name].p_adjusted <= 0.05
        assert by_name[name].ci is not None
        assert by_name[name].ci[0] <= by_name[name].difference <= by_name[name].ci[1] < 0
    assert report.overall[0].difference <= report.overall[-1].difference


def test_differences_are_those_of_equal_seeds(report: AblationReport) -> None:
    rewards: dict[str, dict[int, float]] = {}
    for record in report.result.records:
        rewards.setdefault(record.spec.name, {})[record.spec.seed] = record.reward_per_agent()
    blind = next(name for name in rewards if name.endswith("without seeing tag"))
    plain = {
        r.spec.seed: r.reward_per_agent()
        for r in report.result.records
        if r.spec.mission == SMALL and r.spec.name == "miner"
    }
    row = next(row for row in report.overall if row.component == "mask:tag")
    assert rewards[blind].keys() == plain.keys()
    apart = [rewards[blind][seed] - plain[seed] for seed in plain]
    assert row.difference == pytest.approx(np.mean(apart))
    assert row.less == sum(value < 0 for value in apart)
    assert (row.unchanged, row.changed) == (
        pytest.approx(np.mean(list(plain.values()))),
        pytest.approx(np.mean(list(rewards[blind].values()))),
    )


def test_the_run_folder_holds_the_ablation_and_its_tables(report: AblationReport, tmp_path: Path) -> None:
    kept = json.loads((report.run_dir / "ablation.json").read_text())
    assert [row["component"] for row in kept["overall"]] == [row.component for row in report.overall]
    assert len(kept["episodes"]) == 40
    assert (report.run_dir / "stats" / "episodes.duckdb").is_file()
    page = (report.run_dir / "report.html").read_text()
    assert all(row.component in page for row in report.overall)
    assert "<svg" in page
    assert json.loads(report.save_json(tmp_path / "a.json").read_text())["status"] == "ok"


def test_the_same_ablation_again_plays_nothing(report: AblationReport, output: OutputManager) -> None:
    again = daf_policy_ablation(
        "miner", SMALL, COMPONENTS, settings=SETTINGS, output_manager=OutputManager(output.base_dir)
    )
    assert again.result.played == 0
    assert again.overall == report.overall


def test_arguments_and_other_metrics_are_components_too(output: OutputManager) -> None:
    found = daf_policy_ablation(
        "random",
        [SMALL, "arena,max_steps=20"],
        ["kw.vibe_action_p=0.0"],
        metric="agent.action.move.success@sum",
        settings=SETTINGS,
        output_manager=output,
    )
    assert found.overall[0].verdict == "raises"
    assert {row.mission for row in found.by_mission} == {SMALL, "arena,max_steps=20"}
    assert all(row.verdict == "raises" for row in found.by_mission)
    assert "with vibe_action_p=0.0" in found.overall[0].sentence


def test_too_few_episodes_are_reported(output: OutputManager) -> None:
    found = daf_policy_ablation(
        "miner", SMALL, ["role:miner"], settings=Settings(episodes=3, executor="serial"), output_manager=output
    )
    assert found.overall[0].verdict == "too few"
    assert "3 episodes" in found.overall[0].sentence


@pytest.mark.parametrize(
    ("components", "error", "said"),
    [
        ([], UsageError, "needs at least one component"),
        (["mask:"], UsageError, "has no value"),
        (["kw.x"], UsageError, "has no value"),
        (["masks:tag"], UsageError, "Nearest: mask"),
        (["mask:tag", "mask:tag"], UsageError, "given twice"),
        (["mask:taag"], UsageError, "Nearest: tag"),
        (["role:minor"], MissionError, "Nearest: miner"),
        (["variant:no_clip"], MissionError, "no_clips"),
        (["kw.nonsense=1"], PolicyError, "nonsense"),
    ],
)
def test_a_wrong_component_is_refused_before_anything_is_played(
    components: list[str], error: type[Exception], said: str, output: OutputManager
) -> None:
    with pytest.raises(error, match=said):
        daf_policy_ablation("miner", SMALL, components, settings=SETTINGS, output_manager=output)


def test_a_wrong_metric_is_refused(output: OutputManager) -> None:
    with pytest.raises(MetricError, match="Nearest"):
        daf_policy_ablation(
            "miner", SMALL, ["mask:tag"], metric="agent.hart.gained", settings=SETTINGS, output_manager=output
        )


def test_components_are_read_by_kind() -> None:
    found = parse_components(["kw.a=b=c", "variant:no_clips", "mask:inv:*+tag"])
    assert [(c.kind, c.what) for c in found] == [("kw", "a=b=c"), ("variant", "no_clips"), ("mask", "inv:*+tag")]


def test_masking_hides_the_features_and_nothing_else(tmp_path: Path) -> None:
    mission = resolve(SMALL)[0]
    assert matching(["inv:*"], mission) == [name for name in features(mission) if name.startswith("inv:")]
    plain = resolve_policy("starter", cache=tmp_path)
    game = Game(mission.config)

    def outcome(policy: object) -> object:
        return play(Play(game, (policy,), (0,) * 4, 42)).outcome  # type: ignore[arg-type]

    assert outcome(masked(plain, ["last_reward"])) == outcome(plain)
    assert outcome(masked(plain, ["tag"])) != outcome(plain)
    assert masked(plain, ["tag"]).identity != masked(plain, ["last_reward"]).identity != plain.identity


def test_a_network_can_be_masked(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    mission = resolve("memory_mystery_path_easy,max_steps=10")[0]
    policy = resolve_policy("stateless", cache=tmp_path)
    every = masked(policy, features(mission))
    played = play(Play(Game(mission.config), (every,), (0,), 42))
    assert played.engine == "object"
    assert every.network
    assert play(Play(Game(mission.config), (every,), (0,), 42)).outcome == played.outcome


def test_changed_missions_differ_in_what_was_changed_only() -> None:
    arena = resolve("arena")[0]
    before = arena.config_hash
    without = without_role(arena, "miner")
    check_runs(without)
    assert without.name == "arena,without_role=miner"
    assert without.config.game.objects["c:miner"].on_use_handler is None
    assert without.config.game.objects["c:scout"].on_use_handler is not None
    assert (
        with_variant(resolve("arena,cogs=4,variants=talk")[0], "no_clips").name == "arena,cogs=4,variants=talk+no_clips"
    )
    assert "clips:ship:0" in arena.config.game.objects
    assert "clips:ship:0" not in with_variant(arena, "no_clips").config.game.objects
    assert arena.config_hash == before
    with pytest.raises(MissionError, match="role"):
        without_role(resolve("memory_mystery_path_easy")[0], "miner")
