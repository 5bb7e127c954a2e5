import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from mettagrid.policy.policy import PolicySpec

from daf.errors import PolicyError
from daf.game import policies, policy
from daf.game.known_policies import KNOWN
from daf.game.policy_strings import typed, with_arguments
from tests.conftest import BUNDLES

MY_POLICY = """
from helper_of_mine import ACTION
from mettagrid.policy.policy import AgentPolicy, MultiAgentPolicy
from mettagrid.types import Action


class Agent(AgentPolicy):
    def step(self, obs):
        return Action(name=ACTION)


class MyPolicy(MultiAgentPolicy):
    def __init__(self, policy_env_info, device="cpu", speed=1):
        super().__init__(policy_env_info, device=device)
        self.speed = speed

    def agent_policy(self, agent_id):
        return Agent(self._policy_env_info)


class OnlyAnAgent(Agent):
    pass


NOT_A_CLASS = 3
"""


def resolve(text: object, tmp_path: Path, **options: object) -> policy.Policy:
    return policies.resolve(text, cache=tmp_path / "bundles", **options)  # type: ignore[arg-type]


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "my_module_of_policies.py").write_text(MY_POLICY)
    (folder / "helper_of_mine.py").write_text("ACTION = 'noop'\n")
    monkeypatch.syspath_prepend(str(folder))
    for name in ("my_module_of_policies", "helper_of_mine"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return folder


@pytest.mark.thorough
def test_the_table_of_short_names_is_upstreams() -> None:
    """In a process of its own, since it imports every policy module there is."""
    code = (
        "from mettagrid.policy.loader import discover_and_register_policies as discover\n"
        "from mettagrid.policy.policy_registry import get_policy_registry as registry\n"
        "discover()\n"
        "for name, path in registry().items(): print(name, path)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    upstream = dict(line.split() for line in run.stdout.splitlines())
    theirs = {name: known.class_path for name, known in KNOWN.items() if not known.class_path.startswith("daf.")}
    theirs["lstm"] = theirs.pop("cogames_lstm")  # `lstm` is DAF's class of the same network, which has a width
    assert theirs == upstream


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_a_known_policy_needs_torch_exactly_where_the_table_says(name: str) -> None:
    if name in ("starter", "lstm", "random"):
        code = f"import sys, importlib; importlib.import_module({KNOWN[name].class_path.rpartition('.')[0]!r})\n"
        code += "print('torch' in sys.modules)"
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert run.stdout.strip() == str(KNOWN[name].needs_torch)
    assert policies.resolve(name, cache=BUNDLES).network == KNOWN[name].needs_torch


def test_the_batched_classes_are_those_with_an_adapter() -> None:
    from daf.game.batch_networks import _ADAPTERS
    from daf.game.known_policies import BATCHED

    assert set(_ADAPTERS) == BATCHED


def test_baseline_means_starter_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        assert resolve("baseline", tmp_path).identity == resolve("starter", tmp_path).identity
    assert '"baseline" is "starter"' in caplog.text


def test_a_class_path_and_its_short_name_are_one_policy(tmp_path: Path) -> None:
    path = KNOWN["starter"].class_path
    for text in (path, f"class={path}", "class=starter", PolicySpec(class_path="starter")):
        assert resolve(text, tmp_path) == resolve("starter", tmp_path)


@pytest.mark.parametrize(("text", "value"), [
    ("1", 1), ("-3", -3), ("1.5", 1.5), ("1e-4", 1e-4), ("true", True), ("False", False), ("null", None),
    ("abc", "abc"), ("'1'", "1"), ("1.", 1.0), (".5", 0.5), ("1_000", "1_000"), ("yes", "yes"), ("", ""),
])  # fmt: skip
def test_arguments_have_the_types_of_yaml(text: str, value: object) -> None:
    assert typed(text) == value
    assert type(typed(text)) is type(value)


@pytest.mark.parametrize("value", [
    "a", "", "a,b", "./lr=0.1,seed=1/w.pt", "1", "true", " a", "it's", "'a'", '"a"', "a,'b'", "null", 1, 1.5, True,
    None,
])  # fmt: skip
def test_every_argument_comes_back_from_a_policy_string_as_it_was(tmp_path: Path, value: object) -> None:
    text = with_arguments("random", {"vibe_action_p": value, "other": 3})
    found = resolve(text, tmp_path).kwargs
    assert found == {"vibe_action_p": value, "other": 3}
    assert type(found["vibe_action_p"]) is type(value)


def test_the_type_of_an_argument_belongs_to_the_policy(tmp_path: Path) -> None:
    texts = ("random,kw.vibe_action_p=1", "random,kw.vibe_action_p=1.0", "random,kw.vibe_action_p='1'", "random")
    assert len({resolve(text, tmp_path).identity for text in texts}) == 4


def test_a_class_of_the_users_own_is_a_policy(mine: Path, tmp_path: Path) -> None:
    policy = resolve("my_module_of_policies.MyPolicy,kw.speed=2,name=fast", tmp_path)
    assert (policy.name, policy.kwargs, policy.network) == ("fast", {"speed": 2}, False)


def test_a_changed_line_makes_another_policy(mine: Path, tmp_path: Path) -> None:
    before = resolve("my_module_of_policies.MyPolicy", tmp_path).identity
    assert resolve("my_module_of_policies.MyPolicy", tmp_path).identity == before
    (mine / "helper_of_mine.py").write_text("ACTION = 'move_north'\n")
    assert resolve("my_module_of_policies.MyPolicy", tmp_path).identity != before


def test_changed_weights_make_another_policy(tmp_path: Path) -> None:
    weights = tmp_path / "w.pt"
    weights.write_bytes(b"one")
    one = resolve(f"class=lstm,data={weights}", tmp_path)
    weights.write_bytes(b"two")
    two = resolve(f"class=lstm,data={weights}", tmp_path)
    assert one.identity != two.identity
    assert one.name == "lstm[w.pt]"


def test_names_never_collide(tmp_path: Path) -> None:
    found = []
    for run in ("a", "b", "b"):
        folder = tmp_path / run
        folder.mkdir(exist_ok=True)
        (folder / "w.pt").write_bytes(run.encode())
        found.append(resolve(f"class=lstm,data={folder / 'w.pt'}", tmp_path))
    names = [policy.name for policy in policies.uniquely_named([*found, resolve("noop", tmp_path)])]
    assert len(set(names)) == 4, names
    assert "a/w.pt" in names[0]
    assert names[3] == "noop"


def bundle(folder: Path, action: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "policy_spec.json").write_text('{"class_path": "bundled_policy.MyPolicy", "init_kwargs": {"speed": 5}}')
    code = MY_POLICY.replace("from helper_of_mine import ACTION", f"ACTION = {action!r}")
    (folder / "bundled_policy.py").write_text(code)
    return folder


def zipped(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    return path


def test_a_bundle_is_a_policy_as_a_folder_and_as_a_zip(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "b", "noop")
    as_folder = resolve(str(folder), tmp_path)
    as_zip = resolve(str(zipped(folder, tmp_path / "b.zip")), tmp_path)
    assert as_folder.identity == as_zip.identity
    assert as_zip.kwargs == {"speed": 5}
    assert as_zip.name == "b"


def test_a_rebuilt_zip_at_the_same_path_is_another_policy(tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    one = resolve(str(zipped(bundle(tmp_path / "one", "noop"), path)), tmp_path)
    two = resolve(str(zipped(bundle(tmp_path / "two", "move_north"), path)), tmp_path)
    assert one.identity != two.identity
    assert one.import_roots != two.import_roots


@pytest.mark.parametrize(("name", "says"), [("../evil.py", "leads out"), ("/evil.py", "leads out")])
def test_a_hostile_zip_is_refused_before_anything_is_written(tmp_path: Path, name: str, says: str) -> None:
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("policy_spec.json", "{}")
        archive.writestr(name, "boom")
    with pytest.raises(PolicyError, match=says):
        resolve(str(path), tmp_path)
    assert not list(tmp_path.glob("bundles/*"))


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("policy_spec.json")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(PolicyError, match="is a link"):
        resolve(str(path), tmp_path)


def test_a_set_up_script_runs_once_and_its_failure_is_reported(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "b", "noop")
    spec = '{"class_path": "bundled_policy.MyPolicy", "setup_script": "prepare.py"}'
    (folder / "policy_spec.json").write_text(spec)
    (folder / "prepare.py").write_text("open('times.txt', 'a').write('x')\n")
    resolve(str(folder), tmp_path)
    resolve(str(folder), tmp_path)
    assert (folder / "times.txt").read_text() == "x"
    (folder / "prepare.py").write_text("raise SystemExit('no compiler')\n")
    with pytest.raises(PolicyError, match="no compiler"):
        resolve(str(folder), tmp_path)


@pytest.mark.parametrize(("text", "says"), [
    ("startr", "Nearest: starter"),
    ("", "names no policy"),
    ("no_such_module.Policy", "no module holds"),
    ("my_module_of_policies.MyPolcy", "Nearest: MyPolicy"),
    ("my_module_of_policies.OnlyAnAgent", "is an AgentPolicy"),
    ("my_module_of_policies.NOT_A_CLASS", "is not a MultiAgentPolicy"),
    ("class=lstm,data=missing.pt", 'there is no file "missing.pt"'),
    ("class=starter,proportion=3", "--team"),
    ("class=starter,speed=3", "kw.speed=3"),
    ("class=starter,kw.=3", "policy field"),
    ("data=x.pt", "names no class"),
    ("pkg:MyPolicy", "write the class with dots"),
    ("s3://bucket/x.zip", "is remote"),
    ("./missing", "there is no file or directory"),
    ("run:20990101_000000", "20990101_000000"),
])  # fmt: skip
def test_a_wrong_policy_is_refused_with_a_way_out(mine: Path, tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(PolicyError, match=says.replace(".", r"\.").replace("[", r"\[")):
        resolve(text, tmp_path)


def test_an_import_that_fails_shows_its_own_error(mine: Path, tmp_path: Path) -> None:
    (mine / "broken_module_of_mine.py").write_text("import a_package_that_is_not_here\n")
    with pytest.raises(PolicyError, match="No module named 'a_package_that_is_not_here'"):
        resolve("broken_module_of_mine.P", tmp_path)


def test_a_folder_without_a_policy_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"neither policy_spec\.json nor a checkpoint"):
        resolve(str(tmp_path), tmp_path)


def test_a_training_run_is_its_final_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / "training" / "20261120_101500"
    bundle(run / "checkpoints" / "step_1", "noop")
    final = bundle(run / "checkpoints" / "final", "move_north")
    assert resolve(str(run), tmp_path).import_roots == (str(final),)
