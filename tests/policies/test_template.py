"""`daf policies --new` writes a policy that plays."""

from pathlib import Path

import pytest

from daf.errors import UsageError
from daf.evaluation import Settings, evaluate
from daf.output_manager import OutputManager
from daf.policy_analysis import new_policy


def test_the_template_plays_and_does_more_than_nothing(tmp_path: Path) -> None:
    file = new_policy(tmp_path / "mine.py")
    evaluation = evaluate(
        [str(file)],
        ["training_facility_1,max_steps=60"],
        settings=Settings(episodes=2, executor="serial", report=False),
        output=OutputManager(tmp_path / "out"),
    )
    assert evaluation.status == "ok"
    for record in evaluation.result.records:
        moved = sum(stats.get("action.move.success", 0) for stats in record.played.agent_stats)
        gained = sum(v for stats in record.played.agent_stats for name, v in stats.items() if name.endswith(".gained"))
        assert moved > 0
        assert gained > 0


def test_the_template_names_its_own_file_in_the_commands_it_shows(tmp_path: Path) -> None:
    assert f"daf evaluate -p {tmp_path / 'mine.py'}" in new_policy(tmp_path / "mine.py").read_text()


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        new_policy(file)
    assert file.read_text() == "mine"
    with pytest.raises(UsageError, match=r"Name it .*mine\.py"):
        new_policy(tmp_path / "mine.txt")
