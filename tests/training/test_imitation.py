"""Learning from a teacher: the loss, the metrics, exact resume, and what is refused."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from daf.config import DAFTrainingConfig
from daf.core._imitation import MOST_WEIGHT, action_weights, drawn, imitate, imitating, teacher_led
from daf.core._lessons import Lessons
from daf.core._optimizers import make_optimizer, schedule
from daf.core._peers import Alone
from daf.core._rollout_buffer import RolloutBuffer, advantages
from daf.core._teachers import Teachers
from daf.errors import ConfigError, PolicyError, UsageError
from daf.game import missions, policies
from daf.game.rollout import Game
from daf.game.teaching import UNLABELLED
from daf.game.trainable import Trainable, trainable
from daf.output_manager import OutputManager
from daf.training import TrainingResult, daf_train_policy
from tests.training.tiny import AGENTS, MISSION, STEPS_PER_UPDATE, TINY, metrics_of, weights_of

TEACHER = "facility_solver"
REMEMBERS = """
from mettagrid.policy.policy import AgentPolicy, MultiAgentPolicy
from mettagrid.simulator import Action

class Agent(AgentPolicy):
    seen = asked = 0
    def step(self, obs):
        self.observe(obs)
        return self.act()
    def observe(self, obs):
        self.seen += sum(token.value for token in obs.tokens) % 5
    def act(self):
        self.asked += 1
        return Action(name=self.policy_env_info.action_names[(self.seen + self.asked) % 5])

class Teacher(MultiAgentPolicy):
    def agent_policy(self, agent_id):
        return Agent(self.policy_env_info)
"""

SIDES = """
from mettagrid.policy.policy import AgentPolicy, MultiAgentPolicy
from mettagrid.simulator import Action

class Agent(AgentPolicy):
    def __init__(self, info, name):
        super().__init__(info)
        self.name = name
    def step(self, obs):
        return Action(name=self.name)

class Teacher(MultiAgentPolicy):
    def agent_policy(self, agent_id):
        return Agent(self.policy_env_info, "ODD" if agent_id % 2 else "move_north")
"""


def config(**fields: Any) -> DAFTrainingConfig:
    base = {**TINY, "eval_frequency": None, "trackers": [], "log_agents": 0, "teacher": TEACHER}
    return DAFTrainingConfig(**{**base, **fields})


def test_a_teacher_is_an_argument_too_and_wins_over_the_configuration(tmp_path: Path) -> None:
    chosen = config(teacher="starter", total_timesteps=STEPS_PER_UPDATE)
    result = daf_train_policy(
        MISSION, "stateless", config=chosen, teacher=TEACHER, report=False, output=OutputManager(tmp_path)
    )
    assert result.hyperparameters["teacher"] == TEACHER
    assert metrics_of(result.run_dir)[0]["loss/imitation"] > 0
    with pytest.raises(UsageError, match="teacher"):
        daf_train_policy(resume="latest", teacher=TEACHER, output=OutputManager(tmp_path))


def trained(folder: Path, policy: str = "lstm", *, stop_at: int | None = None, **fields: Any) -> TrainingResult:
    result = daf_train_policy(
        MISSION, policy, config=config(**fields), run_dir=folder, stop_at=stop_at, report=False,
        output=OutputManager(folder.parent),
    )  # fmt: skip
    assert result.status in ("done", "stopped"), result.error
    return result


@pytest.mark.thorough
@pytest.mark.parametrize(("policy", "odd"), [
    # CoGames' encoders hardly see which agent they are, so these imitate a teacher that is the same for all.
    ("lstm", "move_north"), ("puffer", "move_north"), ("token_lstm", "move_south"), ("token_grid", "move_south"),
])  # fmt: skip
def test_every_network_learns_what_the_teacher_does(tmp_path: Path, policy: str, odd: str) -> None:
    file = tmp_path / "sides.py"
    file.write_text(SIDES.replace("ODD", odd))
    fields = {"total_timesteps": 10 * STEPS_PER_UPDATE, "learning_rate": 3e-3, "lr_schedule": "constant", "n_epochs": 4}
    trained(tmp_path / "run", policy, teacher=str(file), **fields)
    lines = metrics_of(tmp_path / "run")
    assert lines[-1]["loss/imitation"] < 0.25 * lines[0]["loss/imitation"]
    agreement = [line["imitation/agreement"] for line in lines]
    assert agreement[0] < 0.8
    assert min(agreement[-3:]) > 0.9
    assert {line["imitation/labelled"] for line in lines} == {1.0}
    assert "loss/policy" not in lines[0]


def test_metrics_tell_students_and_teachers_apart(tmp_path: Path) -> None:
    fields = {"teacher_led": 0.5, "teacher_led_final": None, "stagger_episodes": False}
    trained(tmp_path / "run", total_timesteps=3 * STEPS_PER_UPDATE, **fields)
    lines = metrics_of(tmp_path / "run")
    ended = lines[-1]
    assert ended["episode/count"] == 6
    assert ended["imitation/teacher_return"] > ended["imitation/student_return"] + 2
    assert (ended["imitation/teacher_return"] + ended["imitation/student_return"]) / 2 == pytest.approx(
        ended["episode/return"]
    )
    assert {line["imitation/teacher_led"] for line in lines} == {0.5}
    recalls = [value for name, value in ended.items() if name.startswith("imitation/recall/")]
    assert len(recalls) >= 3
    assert all(0 <= value <= 1 for value in [*recalls, ended["imitation/agreement_when_led"]])


@pytest.fixture(scope="module")
def remembering(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("teacher") / "remembers.py"
    file.write_text(REMEMBERS)
    return str(file)


@pytest.mark.thorough
def test_a_run_resumes_exactly_in_every_phase(tmp_path: Path, remembering: str) -> None:
    """With a teacher that remembers and labels a share, stopped while it teaches, and again when PPO has begun."""
    fields = {
        "total_timesteps": 7 * STEPS_PER_UPDATE, "imitate_steps": 4 * STEPS_PER_UPDATE, "teacher": remembering,
        "label_share": 0.5, "num_workers": 2, "idle_steps": 2, "learned_share": 0.6,
    }  # fmt: skip
    trained(tmp_path / "whole", **fields)
    for stop in (1, 3, 5):
        trained(tmp_path / "parts", stop_at=stop * STEPS_PER_UPDATE, **fields)
    trained(tmp_path / "parts", **fields)
    lines = metrics_of(tmp_path / "whole")
    assert metrics_of(tmp_path / "parts") == lines
    final = Path("checkpoints", "final")
    assert weights_of(tmp_path / "parts" / final) == weights_of(tmp_path / "whole" / final)
    assert ["loss/imitation" in line for line in lines] == [True] * 4 + [False] * 3
    assert ["loss/policy" in line for line in lines] == [False] * 4 + [True] * 3
    for line in lines[:4]:  # all that it leads, and half of the rest
        led = line["imitation/teacher_led"]
        assert line["imitation/labelled"] == pytest.approx(led + (1 - led) / 2, abs=0.08)


@pytest.mark.thorough
def test_a_network_teaches_with_its_probabilities_and_resumes_exactly(tmp_path: Path) -> None:
    teacher = trained(tmp_path / "teacher", total_timesteps=2 * STEPS_PER_UPDATE, learning_rate=0.01).final_checkpoint
    fields = {
        "teacher": str(teacher), "imitation_loss": "kl", "total_timesteps": 8 * STEPS_PER_UPDATE,
        "learning_rate": 3e-3, "seed": 8,
    }  # fmt: skip
    trained(tmp_path / "whole", **fields)
    lines = metrics_of(tmp_path / "whole")
    assert 0 <= lines[-1]["loss/imitation"] < 0.5 * lines[0]["loss/imitation"]
    trained(tmp_path / "parts", stop_at=3 * STEPS_PER_UPDATE, **fields)
    trained(tmp_path / "parts", **fields)
    assert metrics_of(tmp_path / "parts") == lines


def test_each_agent_has_its_own_teacher_in_a_mixed_team(tmp_path: Path) -> None:
    teacher = trained(tmp_path / "teacher", total_timesteps=STEPS_PER_UPDATE).final_checkpoint
    names = [TEACHER, "noop", str(teacher), TEACHER]
    trained(tmp_path / "run", total_timesteps=STEPS_PER_UPDATE, teacher=names)
    (line,) = metrics_of(tmp_path / "run")
    assert line["imitation/labelled"] == 1.0
    assert "imitation/recall/noop" in line


class Seats:
    """A student with a buffer of drawn experience, and lessons with drawn labels."""

    def __init__(self, settings: DAFTrainingConfig, tmp_path: Path) -> None:
        (mission,) = missions.resolve(MISSION)
        policy = policies.resolve("stateless", cache=tmp_path)
        self.model: Trainable = trainable(policy, Game(mission.config), device="cpu", seed=1)
        generator = torch.Generator().manual_seed(0)
        rows, steps = AGENTS, settings.n_steps
        tokens = self.model.interface.observation_space.shape[0]
        self.buffer = RolloutBuffer(rows, steps, tokens, steps, self.model.device)
        self.buffer.observations = torch.randint(0, 200, self.buffer.observations.shape, generator=generator).byte()
        self.buffer.rewards = torch.randn(rows, steps, generator=generator)
        self.buffer.values = torch.randn(rows, steps, generator=generator)
        teachers = Teachers((policy,), (0,) * AGENTS, {}, on_demand=False)
        self.lessons = Lessons(
            settings, teachers, self.model, [slice(0, rows)], rows=rows, own=range(rows), all_rows=rows, seed=0
        )
        self.lessons.labels = torch.randint(-1, self.model.actions, (rows, steps), generator=generator)
        self.lessons.views = torch.randint(1, 5, (rows, steps), generator=generator)
        self.lessons.count(Alone(1))


def test_a_step_is_the_one_computed_by_hand(tmp_path: Path) -> None:
    settings = config(
        n_epochs=1, optimizer="sgd", adam_beta1=0.0, max_grad_norm=None, lr_schedule="constant", n_steps=8,
        learned_share=1.0, repeated_view_weight=0.3,
    )  # fmt: skip
    seats = Seats(settings, tmp_path)
    model, buffer, labels = seats.model, seats.buffer, seats.lessons.labels
    before = {name: parameter.detach().clone() for name, parameter in model.network.named_parameters()}
    logits, values = model.learn(buffer.observations, {}, buffer.begins)
    counts = torch.tensor([(labels == action).sum() for action in range(model.actions)]).double()
    weight = torch.tensor([min(MOST_WEIGHT, float(counts.mean() / count) ** 0.5) for count in counts])
    total, norm = torch.zeros(()), 0.0
    for row in range(AGENTS):
        for step in range(8):
            action = int(labels[row, step])
            if action != UNLABELLED:
                counted = weight[action] / int(seats.lessons.views[row, step]) ** 0.3
                total = total - counted * torch.log_softmax(logits[row, step], -1)[action]
                norm += float(counted)
    target = advantages(buffer, buffer.values, settings) + buffer.values
    (total / norm + settings.vf_coef * 0.5 * ((values - target) ** 2).mean()).backward()
    expected = {
        name: before[name] - settings.learning_rate * parameter.grad
        for name, parameter in model.network.named_parameters()
        if parameter.grad is not None
    }
    losses = imitate(
        model, make_optimizer(model.network, settings), buffer, seats.lessons, settings, schedule(settings, 0),
        batch=AGENTS, chunk=1, generator=torch.Generator(), peers=Alone(1),
    )  # fmt: skip
    assert losses["loss/imitation"] == pytest.approx(float(total.detach()) / norm, rel=1e-5)
    for name, parameter in model.network.named_parameters():
        assert torch.allclose(parameter, expected[name], atol=1e-6), name


def test_sequences_are_drawn_in_proportion_to_the_weight_of_their_labels() -> None:
    generator = torch.Generator().manual_seed(0)
    weights = torch.tensor([[1.0, 1.0], [0.0, 0.0], [0.0, 0.5], [3.0, 2.5]])
    assert sorted(drawn(weights, 1.0, generator).tolist()) == [0, 1, 2, 3]
    firsts = torch.stack([drawn(weights, 0.25, generator) for _ in range(4000)])
    assert firsts.shape == (4000, 1)
    shares = firsts.flatten().bincount(minlength=4) / 4000
    assert shares.tolist() == pytest.approx([0.25, 0, 0.0625, 0.6875], abs=0.025)
    twos = [drawn(weights, 0.5, generator).tolist() for _ in range(50)]
    assert all(len({*each}) == 2 for each in twos), "no sequence twice in a pass"
    assert len(drawn(torch.zeros(4, 2), 0.5, generator)) == 2
    assert len(drawn(weights, 0.01, generator)) == 1


def test_rare_actions_weigh_more_up_to_a_bound() -> None:
    counts = torch.tensor([800.0, 200.0, 0.0, 1e-9 + 1])
    assert action_weights(counts, 0.0).tolist() == [1, 1, 1, 1]
    found = action_weights(counts, 0.5).tolist()
    assert found[1] == pytest.approx(2 * found[0])
    assert found[2] == 1.0
    assert action_weights(torch.tensor([1e6, 1.0]), 1.0)[1] == MOST_WEIGHT


def test_the_teachers_share_falls_to_the_end_of_the_phase() -> None:
    settings = config(total_timesteps=1000, imitate_steps=400, teacher_led=0.9, teacher_led_final=0.1)
    assert [teacher_led(settings, steps) for steps in (0, 200, 400)] == pytest.approx([0.9, 0.5, 0.0])
    assert [imitating(settings, steps) for steps in (0, 399, 400)] == [True, True, False]
    assert not imitating(DAFTrainingConfig(), 0)


@pytest.mark.parametrize(("fields", "says"), [
    ({"teacher": [TEACHER, "noop", TEACHER]}, "names 3 policies, and training_facility_1.* has 4 agents"),
    ({"imitation_loss": "kl"}, "the teacher facility_solver has actions only: use nll"),
    ({"teacher": None, "teacher_led": 0.3}, "teacher_led 0.3 has no effect without a teacher"),
    ({"label_share": 0.5}, r"label_share 0.5 has no effect: facility_solver has no observe\(\) and act\(\)"),
])  # fmt: skip
def test_teachings_that_cannot_be_are_refused(tmp_path: Path, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        trained(tmp_path / "run", **fields)
    assert not (tmp_path / "run").exists()


def test_a_phase_of_no_steps_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"imitate_steps: 0 is below the minimum 1"):
        config(imitate_steps=0)


def test_a_teacher_of_another_mission_is_refused(tmp_path: Path) -> None:
    teacher = daf_train_policy(
        "arena,max_steps=20", "token_lstm", run_dir=tmp_path / "teacher", report=False, output=OutputManager(tmp_path),
        config=DAFTrainingConfig(
            n_steps=4, num_envs=2, num_workers=1, total_timesteps=64, eval_frequency=None, trackers=[], log_agents=0
        ),
    ).final_checkpoint  # fmt: skip
    with pytest.raises(PolicyError, match=r"the teacher .* can't play training_facility_1.*weights"):
        trained(tmp_path / "run", teacher=str(teacher))


def test_a_teacher_that_cannot_play_all_agents_or_raises_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "few.py"
    file.write_text(
        REMEMBERS.replace(
            "return Agent(", "if agent_id > 2:\n            raise KeyError(agent_id)\n        return Agent("
        )
    )
    with pytest.raises(PolicyError, match=r"can't play training_facility_1.* with 4 agents: .*KeyError: 3"):
        trained(tmp_path / "run", teacher=str(file))


@pytest.mark.thorough
def test_a_teacher_that_fails_in_the_middle_ends_the_run_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "fails.py"
    file.write_text(
        REMEMBERS.replace("self.asked += 1", "self.asked += 1\n        assert self.asked < 21, 'lost its way'")
    )
    command = [
        *(sys.executable, "-m", "daf", "train", "-m", MISSION, "-p", "stateless", "--teacher", str(file), "--json"),
        *("--run-dir", str(tmp_path / "run"), "--steps", str(4 * STEPS_PER_UPDATE), "--envs", "6", "--no-report"),
        *("--set", "n_steps=16", "--workers", "1", "--tracker", "jsonl", "--eval-every", "never"),
    ]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 1, run.stderr
    error = json.loads(run.stdout)["error"]
    assert 'the teacher "fails' in error["message"]
    assert "episode 0, step 20): AssertionError: lost its way" in error["message"]
    assert "Imitating fails" in run.stderr
    assert "labels all of the other states" in run.stderr
