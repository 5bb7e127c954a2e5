"""`daf package`: what a bundle holds, that it plays as its source does, and what is refused."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from daf.deployment import DeploymentResult, PackageSettings, daf_package_policy, package
from daf.errors import PackagingError, PolicyError
from daf.evaluation import Settings, evaluate
from daf.output_manager import OutputManager
from tests.conftest import SMALLEST, DafCall
from tests.game.test_policy_files import written
from tests.training.tiny import MISSION, STEPS_PER_UPDATE, TINY

SERIAL = Settings(executor="serial", episodes=2, report=False)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def names(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def manifest_of(path: Path) -> dict[str, object]:
    with zipfile.ZipFile(path) as archive:
        return dict(json.loads(archive.read("daf_manifest.json")))


def spec_of(path: Path) -> dict[str, object]:
    with zipfile.ZipFile(path) as archive:
        return dict(json.loads(archive.read("policy_spec.json")))


def played(policy: object, tmp_path: Path, mission: str = SMALLEST) -> list[tuple[str, str]]:
    """Mission and result of every episode."""
    result = evaluate([str(policy)], mission, settings=SERIAL, output=OutputManager(tmp_path / "out"))
    return [(record.spec.mission, record.result_hash) for record in result.run.result.records]


def make_bundle(folder: Path, spec: dict[str, object] | None = None) -> Path:
    """A folder with a policy of its own."""
    written(folder, "move_west")
    (folder / "policy_spec.json").write_text(json.dumps({"class_path": "my_policy.MyPolicy", **(spec or {})}))
    return folder


# what plays


@pytest.mark.parametrize("kind", ["file", "class path", "folder", "bundle", "known", "of DAF"])
def test_a_bundle_plays_the_episodes_of_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    source: object = {"known": "starter", "of DAF": "cartographer"}.get(kind)
    if kind == "file":
        source = f"{written(tmp_path / 'code', 'move_north')}:MyPolicy,kw.speed=2"
    elif kind == "class path":
        written(tmp_path / "code" / "packed_policies", "move_east", "walker.py").parent.joinpath("__init__.py").touch()
        walker = tmp_path / "code" / "packed_policies" / "walker.py"
        walker.write_text(walker.read_text().replace("from helper_of_mine", "from packed_policies.helper_of_mine"))
        monkeypatch.syspath_prepend(tmp_path / "code")
        source = "packed_policies.walker.MyPolicy"
    elif kind in ("folder", "bundle"):
        source = make_bundle(tmp_path / "code")
        if kind == "bundle":
            source = package(source, tmp_path / "first.zip").path
    made = package(str(source), tmp_path / "made.zip")
    assert played(made.path, tmp_path) == played(source, tmp_path)


def test_a_checkpoint_and_its_run_make_bundles_that_play_as_it_does(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from daf.config import DAFTrainingConfig
    from daf.training import daf_train_policy

    plain: dict[str, Any] = {"eval_episodes": 1, "eval_frequency": STEPS_PER_UPDATE, "trackers": [], "log_agents": 0}
    config = DAFTrainingConfig(total_timesteps=STEPS_PER_UPDATE, **TINY, **plain)
    output = OutputManager(tmp_path / "out", log_to_file=False)
    run = daf_train_policy(MISSION, "token_lstm", config=config, output=output)
    checkpoint = run.run_dir / "checkpoints" / "final"
    of_run = package(run.run_dir, tmp_path / "run.zip")
    package(checkpoint, tmp_path / "checkpoint.zip")
    assert (tmp_path / "run.zip").read_bytes() == (tmp_path / "checkpoint.zip").read_bytes()
    assert {"state.pt", "state.json", "checksums.json"} <= set(of_run.left_out)
    assert "daf/policies/token_lstm.py" in names(of_run.path)
    (results,) = of_run.manifest["results"]
    assert [(one["mission"], one["n"], len(one["keys"] or ())) for one in results["missions"]] == [(MISSION, 1, 1)]
    assert played(of_run.path, tmp_path, MISSION) == played(checkpoint, tmp_path, MISSION)


LOADS = """
import sys
from pathlib import Path
from mettagrid.policy.prepare_policy_spec import load_policy_spec_from_path
from mettagrid.util.module import load_symbol

spec = load_policy_spec_from_path(Path(sys.argv[1]), force_dest=Path(sys.argv[2]))
loaded = load_symbol(spec.class_path)
print(Path(sys.modules[loaded.__module__].__file__).relative_to(Path(sys.argv[2]).resolve()))
print(spec.data_path and Path(spec.data_path).read_text(), spec.init_kwargs)
"""


@pytest.mark.parametrize(
    ("policy", "module"), [("cartographer", "daf/policies/cartographer.py"), (None, "my_policy.py")]
)
def test_cogames_loads_the_code_of_the_bundle(tmp_path: Path, policy: str | None, module: str) -> None:
    weights = tmp_path / "best.txt"
    weights.write_text("weights")
    source = policy or f"{written(tmp_path / 'code')},kw.speed=3"
    made = package(source, tmp_path / "b.zip", PackageSettings(weights=weights))
    call = [sys.executable, "-c", LOADS, str(made.path), str(tmp_path / "unpacked")]
    done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [module, f"weights { ({} if policy else {'speed': 3}) }"]


# what a bundle holds


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    for place in ("a", "b"):
        written(tmp_path / place, "move_north")
    (tmp_path / "a" / "my_policy.py").touch()
    first = package(tmp_path / "a" / "my_policy.py", tmp_path / "a.zip")
    (tmp_path / "b" / "my_policy.py").chmod(0o600)
    package(tmp_path / "b" / "my_policy.py", tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    again = package(first.path, tmp_path / "again" / "a.zip")
    assert again.manifest["files"] == first.manifest["files"]
    with zipfile.ZipFile(first.path) as archive:
        assert {(e.date_time, e.external_attr, e.compress_type) for e in archive.infolist()} == {
            ((1980, 1, 1, 0, 0, 0), 0o100644 << 16, zipfile.ZIP_STORED)
        }


def test_imports_are_packed_or_named(tmp_path: Path) -> None:
    file = written(tmp_path / "code")
    file.write_text("import numpy\nimport yaml\nimport no_such_package_of_mine\n" + file.read_text())
    (tmp_path / "code" / "unused.py").write_text("")
    file.write_text(
        file.read_text().replace(
            "import no_such_package_of_mine", "try:\n    import no_such_package_of_mine\nexcept ImportError:\n    pass"
        )
    )
    made = package(file, tmp_path / "b.zip")
    assert names(made.path) == ["daf_manifest.json", "helper_of_mine.py", "my_policy.py", "policy_spec.json"]
    pinned = {line.partition("==")[0] for line in made.manifest["requirements"]}
    assert pinned == {"cogames", "mettagrid", "numpy", "pyyaml"}
    assert "no_such_package_of_mine" in " ".join(made.warnings)


def test_a_policy_that_uses_daf_names_it_as_a_requirement(tmp_path: Path) -> None:
    file = written(tmp_path / "code")
    file.write_text("import daf.policies.cartographer\n" + file.read_text())
    made = package(file, tmp_path / "b.zip")
    assert any(line.startswith("daf==") for line in made.manifest["requirements"])
    assert "daf==" in " ".join(made.warnings)


def test_files_are_included_where_the_code_looks_for_them(tmp_path: Path) -> None:
    file = written(tmp_path / "code")
    for name in ("maps/a.txt", "maps/__pycache__/a.pyc", "maps/.git/config"):
        (tmp_path / "code" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "code" / name).write_text("x")
    Path("notes.txt").write_text("x")
    made = package(file, tmp_path / "b.zip", PackageSettings(include=[tmp_path / "code" / "maps", "notes.txt"]))
    assert {"maps/a.txt", "notes.txt"} <= set(names(made.path))
    assert set(made.left_out) == {"maps/__pycache__", "maps/.git"}
    (tmp_path / "elsewhere.txt").write_text("x")
    with pytest.raises(PackagingError, match="neither below"):
        package(file, tmp_path / "b.zip", PackageSettings(include=[tmp_path / "elsewhere.txt"]))
    (tmp_path / "code" / "link.txt").symlink_to(tmp_path / "elsewhere.txt")
    with pytest.raises(PackagingError, match="link that leads out"):
        package(file, tmp_path / "b.zip", PackageSettings(include=[tmp_path / "code" / "link.txt"]))


def test_a_set_up_script_is_packed_and_not_run(tmp_path: Path) -> None:
    script = tmp_path / "prepare.py"
    script.write_text("open('was_run', 'w')")
    made = package(written(tmp_path / "code"), tmp_path / "b.zip", PackageSettings(set_up=script))
    assert spec_of(made.path)["setup_script"] == "prepare.py"
    assert not list(tmp_path.rglob("was_run"))
    again = package(made.path, tmp_path / "again.zip")
    assert spec_of(again.path) == spec_of(made.path)
    assert not list(tmp_path.rglob("was_run"))


def git(folder: Path, *arguments: str) -> str:
    user = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    return subprocess.run(["git", *user, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_the_manifest_names_commit_changes_and_licence(tmp_path: Path) -> None:
    file = written(tmp_path / "code" / "inner")
    (tmp_path / "code" / "LICENSE").write_text("free")
    git(tmp_path / "code", "init", "-q")
    git(tmp_path / "code", "add", ".")
    git(tmp_path / "code", "commit", "-q", "-m", "x")
    commit = git(tmp_path / "code", "rev-parse", "HEAD").strip()
    made = package(file, tmp_path / "code" / "b.zip")
    assert made.manifest["git"] == {"commit": commit, "dirty": False}
    assert made.manifest["licence"] == "LICENSE"
    before = made.path.read_bytes()
    assert package(file, made.path).path.read_bytes() == before, "the bundle itself, untracked, is no change"
    (tmp_path / "code" / "inner" / "helper_of_mine.py").write_text("ACTION = 'move_north'\n")
    assert package(file, made.path).manifest["git"] == {"commit": commit, "dirty": True}


def test_results_of_a_run_are_matched_by_what_the_policy_is(tmp_path: Path) -> None:
    file = written(tmp_path / "code", "move_north")
    output = OutputManager(tmp_path / "out")
    run = evaluate([str(file), "noop"], SMALLEST, settings=SERIAL, output=output)
    made = package(file, tmp_path / "b.zip", PackageSettings(results=run.run.run_dir))
    (results,) = made.manifest["results"]
    (score,) = results["missions"]
    assert (score["n"], score["failed"]) == (2, 0)
    assert score["keys"] == [r.spec.key for r in run.run.result.records if r.spec.policies[0].name == "my_policy"]
    (file.parent / "helper_of_mine.py").write_text("ACTION = 'move_south'\n")
    with pytest.raises(PackagingError, match="no contender of this run is the packed policy"):
        package(file, tmp_path / "b.zip", PackageSettings(results=run.run.run_dir))


# what is refused


TOKEN = "ghp_" + "a1B2" * 9
RANDOM = "q7Xv2LpZ9mKd4RtY8wBn6CsJ"


@pytest.mark.parametrize(("name", "text", "said"), [
    (".env", "A=1", "files of this name"),
    ("keys/server.pem", "x", "files of this name"),
    ("a.txt", f"one\ntoken {TOKEN}", "line 2 holds a GitHub token"),
    ("a.py", "KEY = '-----BEGIN RSA PRIVATE KEY-----'", "a private key"),
    ("a.txt", "https://me:secret@example.org/", "URL with a password"),
    ("settings.yaml", f"x: 1\nsecond: {RANDOM}", "line 2 holds a string of 24 characters"),
    ("settings.json", json.dumps({"second": RANDOM}), "looks random"),
])  # fmt: skip
def test_secrets_are_refused_by_name(tmp_path: Path, name: str, text: str, said: str) -> None:
    folder = make_bundle(tmp_path / "code")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    with pytest.raises(PackagingError, match=said) as refused:
        package(folder, tmp_path / "b.zip")
    assert name in str(refused.value)
    assert TOKEN not in str(refused.value)
    assert RANDOM not in str(refused.value)
    assert not (tmp_path / "b.zip").exists()
    made = package(folder, tmp_path / "b.zip", PackageSettings(allow_secret=[name.replace("server", "*")]))
    assert name in names(made.path)


def test_ordinary_configuration_is_not_taken_for_a_secret(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "code")
    (folder / "settings.json").write_text(json.dumps({
        "class": "packed_policies.networks.RecurrentTokenPolicy", "sha256": "0123456789abcdef" * 4,
        "text": "the quick brown fox jumps over the lazy dog", "url": "https://example.org/a/path/to/some/file.html",
    }))  # fmt: skip
    assert "settings.json" in names(package(folder, tmp_path / "b.zip").path)


def test_a_secret_in_the_arguments_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path / "code")
    with pytest.raises(PackagingError, match=r"policy_spec\.json"):
        package(f"{file},kw.title={RANDOM}", tmp_path / "b.zip")


@pytest.mark.parametrize(("output", "said"), [("b.tar", "must end in .zip"), ("taken.zip", "is not a zip file")])
def test_no_other_file_is_replaced(tmp_path: Path, output: str, said: str) -> None:
    Path("taken.zip").write_text("mine")
    with pytest.raises(PackagingError, match=said):
        package("starter", output)
    assert Path("taken.zip").read_text() == "mine"


def test_names_that_collide_elsewhere_are_refused(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "code")
    for name in ("Data.txt", "data.txt"):
        (folder / name).write_text(name)
    with pytest.raises(PackagingError, match="ignore case"):
        package(folder, tmp_path / "b.zip")


def test_limits_are_checked_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from daf.game import bundle_archives

    monkeypatch.setattr(bundle_archives, "MAX_FILES", 3)
    with pytest.raises(PackagingError, match="at most 3"):
        package(written(tmp_path / "code"), tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()


def test_a_class_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="Nope"):
        package(f"{written(tmp_path / 'code')}:Nope", tmp_path / "b.zip")


# the faces


def test_the_contract_s_function_returns_where_the_bundle_is(tmp_path: Path) -> None:
    result = daf_package_policy("starter", tmp_path / "s.zip")
    assert isinstance(result, DeploymentResult)
    assert (result.policy_name, result.status, result.version) == ("starter", "packaged", None)
    assert Path(result.package_path) == tmp_path / "s.zip"
    assert result.deployment_id in daf_package_policy("starter", tmp_path / "t.zip").deployment_id


def test_the_command_writes_next_to_the_caller(tmp_path: Path, daf_call: DafCall) -> None:
    file = written(tmp_path / "code")
    done = daf_call("package", "-p", file)
    assert done.returncode == 0, done.stderr
    assert names(Path("my_policy.zip"))
    assert "Warning: no licence" in done.stderr
    done = daf_call("package", "-p", file, "--json")
    assert json.loads(done.stdout)["package"]["manifest"]["licence"] is None
    done = daf_call("package", "-p", tmp_path / "nothing.py")
    assert (done.returncode, "PolicyError" in done.stderr) == (2, True)
