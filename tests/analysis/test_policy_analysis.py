import json
from pathlib import Path

import pytest

from daf.errors import MissionError, PolicyError, UsageError
from daf.game.missions import resolve
from daf.output_manager import OutputManager
from daf.policy_analysis import (
    cogs_to_try,
    daf_analyze_policy,
    daf_compare_policy_architectures,
    daf_get_policy_spec,
    daf_list_available_policies,
)
from daf.policy_analysis.page import policy_page
from tests.conftest import SMALL, SMALLEST


def test_a_scripted_policy_is_what_its_class_says() -> None:
    found = daf_analyze_policy("starter", SMALL, steps=20)
    assert found.class_path == "cogames.policy.starter_agent.StarterPolicy"
    assert Path(str(found.source)).is_file()
    assert not found.trainable
    assert found.parameters is None
    assert found.recurrent
    assert "_agent_states" in found.recurrence
    assert found.deterministic
    assert found.agents == 4
    assert found.steps == 20
    assert sum(found.actions.values()) == 4 * 20
    assert set(found.actions) <= set(found.emits)
    assert found.latency.p50 is not None
    assert 0 < found.latency.p50 <= found.latency.p90 <= found.latency.p99 <= found.latency.maximum  # type: ignore[operator]
    assert 0 < found.policy_share < 1
    assert "inv:energy" in found.features


def test_networks_are_counted_and_distinguished() -> None:
    pytest.importorskip("torch")
    found = daf_compare_policy_architectures(["lstm", "stateless"], SMALLEST, steps=5)
    lstm, stateless = found["policies"]
    assert lstm.trainable
    assert "LSTM" in lstm.recurrence
    assert not stateless.recurrent
    assert lstm.parameters == sum(lstm.parts.values()) > stateless.parameters > 0
    assert lstm.network_mib == pytest.approx(lstm.parameters * 4 / 2**20)
    assert lstm.together is not None
    assert found["differences"]["recurrent"] == {"lstm": True, "stateless": False}
    assert "observes" not in found["differences"]
    page = policy_page([lstm, stateless], found["differences"], command="daf", run_id=None)
    assert f"{lstm.parameters:,}" in page


def test_policies_of_one_name_are_distinguished() -> None:
    found = daf_compare_policy_architectures(["noop", "noop"], SMALLEST, steps=3)
    assert [row.name for row in found["policies"]] == ["noop", "noop#2"]
    assert found["differences"] == {}
    with pytest.raises(UsageError, match="two policies"):
        daf_compare_policy_architectures(["noop"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Raises", "RuntimeError: I give up"),
        ("Dies", "ended its process: exit code 7"),
        pytest.param("DiesWhenBuilt", "ended its process: exit code 9", marks=pytest.mark.thorough),
        pytest.param("Unbuildable", "no such moon", marks=pytest.mark.thorough),
        pytest.param("Exits", "ended its process: exit code 3", marks=pytest.mark.thorough),
        ("Hangs", "did not finish within 6 s"),
    ],
)
def test_a_policy_that_misbehaves_is_an_error_that_names_it(bad_policies: str, name: str, said: str) -> None:
    with pytest.raises(PolicyError, match=said) as raised:
        daf_analyze_policy(f"{bad_policies}.{name}", SMALLEST, steps=5, time_limit=6 if name == "Hangs" else 120)
    assert name in str(raised.value)


def test_a_policy_that_eats_memory_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "eats_memory.py").write_text(
        "from mettagrid.policy.noop import NoopPolicy\n"
        "class Eats(NoopPolicy):\n"
        "    def __init__(self, *args, **kwargs):\n"
        "        super().__init__(*args, **kwargs)\n"
        "        self.much = [bytearray(50_000_000) for _ in range(40)]\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PolicyError, match=r"500 MiB|MemoryError"):
        daf_analyze_policy("eats_memory.Eats", SMALLEST, steps=2, memory_limit_mib=500)


def test_a_policy_that_does_not_repeat_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "by_the_clock.py").write_text(
        "import os\n"
        "from mettagrid.policy.random_agent import RandomMultiAgentPolicy\n"
        "from mettagrid.policy.policy import AgentPolicy\n"
        "from mettagrid.simulator import Action\n"
        "class _Agent(AgentPolicy):\n"
        "    def step(self, obs):\n"
        "        names = ['move_north', 'move_south', 'move_east', 'move_west']\n"
        "        return Action(name=names[os.urandom(1)[0] % 4])\n"
        "class Clock(RandomMultiAgentPolicy):\n"
        "    def agent_policy(self, agent_id):\n"
        "        return _Agent(self._policy_env_info)\n"
    )
    monkeypatch.chdir(tmp_path)
    found = daf_analyze_policy("by_the_clock.Clock", SMALL, steps=30)
    assert not found.deterministic
    assert found.difference


def test_more_or_fewer_cogs_are_played_on_equal_seeds(output: OutputManager) -> None:
    found = daf_analyze_policy("starter", SMALL, steps=15, cogs=(1, 3), episodes=2, output_manager=output)
    assert [(row.agents, row.episodes) for row in found.cogs] == [(1, 2), (3, 2)]
    assert cogs_to_try(resolve("arena")[0]) == [1, 2, 4, 8]
    assert cogs_to_try(resolve(SMALLEST)[0]) == []
    with pytest.raises(MissionError, match="takes 1 to 4 cogs, got 9"):
        daf_analyze_policy("starter", SMALL, steps=5, cogs=(9,))


def test_what_can_play_is_listed_and_resolved() -> None:
    listed = {entry["name"]: entry for entry in daf_list_available_policies()}
    assert listed["starter"]["aliases"] == ["baseline"]
    assert listed["lstm"]["needs_torch"]
    assert daf_get_policy_spec("baseline").class_path == listed["starter"]["class_path"]
    with pytest.raises(PolicyError, match="Nearest: starter"):
        daf_analyze_policy("startr", SMALLEST)
    with pytest.raises(UsageError, match="must be at least 1, got 0"):
        daf_analyze_policy("starter", SMALLEST, steps=0)


def test_the_command_line_says_it_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from daf.cli.main import main

    arguments = ["noop", "-m", SMALL, "--max-steps", "5", "--cogs", "1,2", "-e", "2", "--executor", "serial"]
    monkeypatch.setattr("sys.argv", ["daf", "analyze", "policy", *arguments, "--output-dir", str(tmp_path), "--json"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 0
    data = json.loads(capsys.readouterr().out)
    assert data["policies"][0]["actions"] == {"noop": 20}
    assert len(data["episodes"]) == 4
    assert Path(data["run_dir"], "analysis.html").is_file()
