"""What a training run shows on a console is what its metrics say."""

import io

import pytest
from rich.console import Console

from daf.core import training_progress
from daf.core.training_progress import TrainingProgress, evaluation_text

UPDATE = {
    "episode/return": 2.0,
    "episode/length": 100.0,
    "episode/count": 10,
    "loss/entropy": 1.5,
    "gradient/norm": 0.25,
}
EVALUATION = {"step": 20_000, "missions": {"arena": {}}, "mean": 3.214, "low": 2.9, "high": 3.5, "n": 20, "failed": 0}


def console(*, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=120)


def text(of: Console) -> str:
    assert isinstance(of.file, io.StringIO)
    return of.file.getvalue()


def test_the_line_reports_progress_speed_returns_and_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_progress, "LEAST_SECONDS", 0.0)
    with TrainingProgress(None, title="lstm on arena", total_timesteps=100_000) as progress:
        progress.update(10_000, UPDATE)
        progress.update(
            20_000, {"episode/return": 5.0, "episode/length": 40.0, "episode/count": 20, "loss/entropy": 1.4}
        )
        progress.update(30_000, {"loss/entropy": 1.3, "episode/count": 0})
    line = progress.line()
    assert "30,000 of 100,000 steps (30 %)" in line
    assert "steps/s, about" in line
    assert "return 4.00 per agent, 60 steps per episode (last 30)" in line  # weighted by episodes; the gap is kept
    assert "entropy 1.30" in line


def test_the_speed_of_a_resumed_run_counts_only_what_it_did_itself() -> None:
    progress = TrainingProgress(None, title="", total_timesteps=1_000_000, begun_at=900_000)
    assert progress.line() == "900,000 of 1,000,000 steps (90 %)"
    progress.update(900_000, {})
    assert "steps/s" not in progress.line()


def test_the_first_evaluation_shows_the_baseline_and_does_not_count_as_training_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(training_progress, "LEAST_SECONDS", 0.0)
    now = [0.0]
    monkeypatch.setattr(training_progress.time, "monotonic", lambda: now[0])
    shown = console()
    progress = TrainingProgress(shown, title="", total_timesteps=100_000)
    now[0] = 90.0
    progress.evaluation({**EVALUATION, "step": 0, "start": "untrained", "random": {**EVALUATION, "mean": 1.05}})
    assert text(shown).splitlines() == [
        "evaluated at 0 steps: 3.2 [2.9, 3.5] per agent, 20 episodes",
        "random on the same episodes: 1.1 [2.9, 3.5] per agent, 20 episodes",
    ]
    now[0] = 92.0
    progress.update(10_000, {})
    assert "5,000 steps/s" in progress.line()


def test_elsewhere_than_on_a_terminal_lines_come_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = console()
    with TrainingProgress(shown, title="lstm on arena", total_timesteps=100_000) as progress:
        progress.update(10_000, UPDATE)
        assert text(shown) == ""
        monkeypatch.setattr(training_progress, "PLAIN_LINE_SECONDS", 0.0)
        progress.update(20_000, UPDATE)
        progress.evaluation(EVALUATION)
    assert text(shown).splitlines() == [
        line for line in text(shown).splitlines() if line.startswith(("20,000 of 100,000 steps", "evaluated at 20,000"))
    ]
    assert len(text(shown).splitlines()) == 2


def test_a_terminal_shows_every_group_of_metrics_with_names_as_they_are() -> None:
    shown = console(terminal=True)
    with TrainingProgress(shown, title="[my] policy on arena", total_timesteps=100_000) as progress:
        progress.update(
            10_000,
            {**UPDATE, "stats/agent.carbon[a].gained": 3.0, "stats/objects.wall": 9.0, "system/cpu_percent": 180.0},
        )
        progress.evaluation(EVALUATION)
    for expected in ("[my] policy on arena", "carbon[a].gained", "entropy", "CPU %", "3.2 [2.9, 3.5] per agent"):
        assert expected in text(shown)
    assert "objects.wall" not in text(shown)


def test_an_evaluation_says_what_failed_and_gives_no_score_without_episodes() -> None:
    assert evaluation_text(EVALUATION) == "evaluated at 20,000 steps: 3.2 [2.9, 3.5] per agent, 20 episodes"
    none = {**EVALUATION, "mean": None, "low": None, "high": None, "n": 0, "failed": 4}
    assert evaluation_text(none) == "evaluated at 20,000 steps: no score, 0 episodes, 4 failed"
