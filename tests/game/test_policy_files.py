"""Policies in Python files, paths in front of options, and what looking at a policy must not do."""

import os
import sys
from pathlib import Path

import pytest

from daf.errors import PolicyError, UsageError
from daf.game import _class_facts, policies, policy
from daf.game.missions import resolve as resolve_mission
from daf.game.policy_arguments import arguments_of
from daf.game.rollout import Game, Play, play
from daf.playing.contenders import contenders_of

MY_POLICY = """
from helper_of_mine import ACTION
from mettagrid.policy.policy import AgentPolicy, MultiAgentPolicy
from mettagrid.types import Action


class Agent(AgentPolicy):
    def step(self, obs):
        return Action(name=ACTION)


class MyPolicy(MultiAgentPolicy):
    '''Does one thing.'''

    def __init__(self, policy_env_info, device="cpu", speed: int = 1, title=""):
        super().__init__(policy_env_info, device=device)

    def agent_policy(self, agent_id):
        return Agent(self._policy_env_info)
"""


def resolve(text: object, tmp_path: Path) -> policy.Policy:
    return policies.resolve(text, cache=tmp_path / "bundles")  # type: ignore[arg-type]


def written(folder: Path, action: str = "noop", name: str = "my_policy.py") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "helper_of_mine.py").write_text(f"ACTION = {action!r}\n")
    (folder / name).write_text(MY_POLICY)
    return folder / name


def moves(policy: policy.Policy) -> float:
    """How often the agents chose to do something else than noop in a short episode."""
    mission = resolve_mission("memory_mystery_path_easy,max_steps=6")[0]
    played = play(Play(Game(mission.config), (policy,), (0,) * mission.num_agents, 0))
    stats = played.outcome.agent_stats
    return sum(value for agent in stats for name, value in agent.items() if name.startswith("action.move."))


def test_a_python_file_is_a_policy(tmp_path: Path) -> None:
    file = written(tmp_path / "a")
    policy = resolve(file, tmp_path)
    assert (policy.name, policy.class_path, policy.network) == ("my_policy", "my_policy.MyPolicy", False)
    assert resolve(f"{file}:MyPolicy", tmp_path).identity == policy.identity
    fast = resolve(f"{file}:MyPolicy,kw.speed=2,name=fast", tmp_path)
    assert (fast.name, fast.kwargs) == ("fast", {"speed": 2})
    assert moves(policy) == 0


def test_a_changed_file_plays_again_in_the_same_process(tmp_path: Path) -> None:
    file = written(tmp_path / "a")
    before = resolve(file, tmp_path)
    assert moves(before) == 0
    (file.parent / "helper_of_mine.py").write_text("ACTION = 'move_north'\n")
    after = resolve(file, tmp_path)
    assert after.identity != before.identity
    assert moves(after) > 0


def test_files_of_one_name_in_two_folders_are_two_policies(tmp_path: Path) -> None:
    still, moving = (resolve(written(tmp_path / name, action), tmp_path) for name, action in (("a", "noop"),
                     ("b", "move_north")))  # fmt: skip
    assert still.identity != moving.identity
    assert [moves(policy) > 0 for policy in (still, moving, still, moving)] == [False, True, False, True]
    assert [policy.name for policy in policies.uniquely_named([still, moving])] == [
        "my_policy[a/my_policy]", "my_policy[b/my_policy]",
    ]  # fmt: skip


def test_the_arguments_of_a_file_s_class_are_known_without_importing_it_here(tmp_path: Path) -> None:
    file = written(tmp_path / "a", name="imported_elsewhere.py")
    taken = arguments_of(str(file), cache=tmp_path / "bundles", runs=None)
    assert taken.whole == {"speed": True, "title": False}
    assert "imported_elsewhere" not in sys.modules


@pytest.mark.parametrize(("content", "says"), [
    ("def broken(:\n    pass\n", r"my_policy\.py:1: invalid syntax"),
    ("x = 1\n\ny = (\n", r"my_policy\.py:3: "),
    ("X = 3\n", "defines no policy"),
    (MY_POLICY.replace("helper_of_mine", "helper_that_is_not_here"), "No module named 'helper_that_is_not_here'"),
    ("1 / 0\n", r"ZeroDivisionError: division by zero \(.*my_policy\.py:1\)"),
    ("raise SystemExit(3)\n", "exit code 3"),
    ("import os\nos._exit(5)\n", "exit code 5"),
    ("import os\nos.kill(os.getpid(), 9)\n", "signal SIGKILL"),
    (MY_POLICY + "\n\nclass Other(MyPolicy):\n    pass\n", r"Name one: my_policy\.py:MyPolicy, my_policy\.py:Other"),
    ("\0", r"my_policy\.py"),
    ("(" * 5_000, r"my_policy\.py"),
])  # fmt: skip
def test_a_file_without_one_policy_says_why(tmp_path: Path, content: str, says: str) -> None:
    file = written(tmp_path / "a")
    file.write_text(content)
    with pytest.raises(PolicyError, match=says) as raised:
        resolve(file, tmp_path)
    assert len(str(raised.value)) < 1_000


def test_a_file_that_never_finishes_its_import_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_class_facts, "SECONDS", 3.0)
    file = written(tmp_path / "a")
    file.write_text("while True:\n    print('and on')\n")
    with pytest.raises(PolicyError, match=r"importing my_policy did not finish within 3 s"):
        resolve(file, tmp_path)


@pytest.mark.parametrize(("text", "says"), [
    ("my_policy.py:MyPolcy", "Nearest: MyPolicy"),
    ("my_policy.py:", "names no class after the colon"),
    ("my_polcy.py", "Nearest there: my_policy.py"),
    ("missing.py:MyPolicy", 'no file or directory "missing.py"'),
    ("random.py", "Rename the file"),
    ("torch.py", "Rename the file"),
    ("my.policy.py", "Rename the file"),
    ("data.txt", "is not a policy: pass a Python file"),
    ("/", "contains no policy"),
])  # fmt: skip
def test_a_wrong_path_is_refused_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    folder = written(tmp_path / "a").parent
    for name in ("random.py", "torch.py", "my.policy.py", "data.txt"):
        (folder / name).write_text(MY_POLICY)
    monkeypatch.chdir(folder)
    with pytest.raises(PolicyError, match=says):
        resolve(text, tmp_path)


@pytest.mark.parametrize("name", ["lr=0.001", "lr=0.001,seed=1", "a:b", "a+b", "run:1", "class=lstm", "päth ünd"])
def test_an_existing_path_comes_before_the_language_of_policies_and_teams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    file = written(tmp_path / name / "walker")
    monkeypatch.chdir(tmp_path)
    expected = resolve(file, tmp_path).identity
    text = f"{name}/walker/my_policy.py"
    assert resolve(f"./{text}", tmp_path).identity == expected
    assert resolve(text, tmp_path).identity == expected
    assert resolve(f"./{text}:MyPolicy,kw.speed=3", tmp_path).kwargs == {"speed": 3}
    for team in (f"./{text}=3,random=2", f"random=2,./{text}=3", f"random=2+./{text},kw.speed=1=3"):
        (contender,) = contenders_of([], [team], cache=tmp_path / "bundles", runs=None)
        found = {
            policy.class_path.rpartition(".")[2]: n
            for policy, n in zip(contender.policies, contender.counts, strict=True)
        }
        assert found == {"MyPolicy": 3, "RandomMultiAgentPolicy": 2}, team


def test_weights_may_lie_at_a_path_with_separators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tmp_path / "lr=0.001,seed=1" / "w.pt"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    monkeypatch.chdir(tmp_path)
    policy = resolve("class=lstm,data=lr=0.001,seed=1/w.pt,name=mine", tmp_path)
    assert (policy.data_path, policy.name) == (str(weights), "mine")


def test_an_argument_in_quotes_may_hold_commas(tmp_path: Path) -> None:
    policy = resolve(f"{written(tmp_path / 'a')},kw.title='a, b=c',kw.speed=2", tmp_path)
    assert policy.kwargs == {"title": "a, b=c", "speed": 2}


def test_a_folder_that_only_looks_like_a_short_name_is_not_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "random").mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve("random", tmp_path).class_path == "mettagrid.policy.random_agent.RandomMultiAgentPolicy"


@pytest.mark.parametrize("text", [
    "a" * 200_000, "," * 200_000, "/" * 200_000, "x,kw.a=" + "1" * 100_000, "\0", "a\0b.py", "./a\0", "\udc80",
    "./" + "a/" * 3_000 + "x.py", "a" * 300 + ".py", "~nobody_of_that_name/x.py", "class=lstm,data=" + "a" * 5_000,
    "class=lstm,data=/dev/zero", "\x1b[31mred", "./\n", "=", ",", ":", "x:", "kw.a=1", "starter,,", "**.py", "run:",
    "run:../../etc", "class=../x.Y", "class=...,", "class=a..b", "a.\0.b", "class=os.system",
])  # fmt: skip
def test_absurd_policies_are_refused_in_one_short_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError) as raised:
        policies.resolve(text, cache=tmp_path / "bundles", runs=tmp_path)
    assert len(str(raised.value)) < 1_200
    assert str(raised.value).isprintable()
    with pytest.raises(UsageError):
        contenders_of([], [f"{text}=1,random=1"], cache=tmp_path / "bundles", runs=tmp_path)


def test_a_pipe_is_not_taken_for_weights(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "w.pt")
    with pytest.raises(PolicyError, match="neither a file nor a directory"):
        resolve(f"class=lstm,data={tmp_path / 'w.pt'}", tmp_path)
