"""`daf inspect`: what it shows, that it runs nothing, and what it refuses with entry and reason."""

import json
import pickle
import stat
import zipfile
from pathlib import Path

import pytest

from daf.deployment import inspect, package
from daf.errors import DamagedFileError, PolicyError, UnsafePathError
from tests.conftest import DafCall
from tests.game.test_bundles import bomb, contents, folder_of, zipped
from tests.game.test_policy_files import written


def test_a_bundle_of_daf_is_verified(tmp_path: Path, daf_call: DafCall) -> None:
    made = package(f"{written(tmp_path / 'code')},kw.speed=2", tmp_path / "b.zip")
    found = inspect(made.path)
    assert found.verified
    assert found.sha256 == made.sha256
    assert found.spec["init_kwargs"] == {"speed": 2}
    assert list(found.entries) == ["helper_of_mine.py", "my_policy.py", "policy_spec.json"]
    assert found.would_run == ("import of my_policy (my_policy.py)", "MyPolicy(speed=2)")
    shown = daf_call("inspect", made.path)
    assert shown.returncode == 0, shown.stderr
    assert "verified" in shown.stdout
    assert "helper_of_mine.py" in shown.stdout
    data = json.loads(daf_call("inspect", made.path, "--json").stdout)["bundle"]
    assert data["entries"]["my_policy.py"]["sha256"] == made.manifest["files"]["my_policy.py"]["sha256"]


def test_nothing_of_a_bundle_runs(tmp_path: Path) -> None:
    code = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    spec = {"class_path": "bundled_policy.MyPolicy", "setup_script": "prepare.py"}
    files = contents(spec) | {"bundled_policy.py": code, "prepare.py": code}
    found = inspect(zipped(tmp_path / "b.zip", files))
    assert not (tmp_path / "ran").exists()
    assert found.would_run[0].startswith("prepare.py, once")
    assert not found.verified
    assert "no manifest" in found.warnings[0]


class _Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("boom",)


def test_a_pickle_that_runs_code_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in contents().items():
            archive.writestr(name, text)
        archive.writestr("weights.pkl", pickle.dumps(_Runs()))
        archive.writestr("plain.pkl", pickle.dumps({"a": [1.0]}))
    warnings = " ".join(inspect(path).warnings)
    assert "weights.pkl is a pickle that runs code when it is loaded in full: builtins.print" in warnings
    assert "plain.pkl is a pickle of tensors" in warnings
    assert "boom" not in capsys.readouterr().out


@pytest.mark.parametrize("change", ["changed", "missing", "added"])
def test_content_that_the_manifest_does_not_list_is_refused(tmp_path: Path, change: str) -> None:
    made = package(written(tmp_path / "code"), tmp_path / "b.zip")
    with zipfile.ZipFile(made.path) as archive:
        files: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
    if change == "changed":
        files["helper_of_mine.py"] = "ACTION = 'move_east'"
    elif change == "missing":
        del files["helper_of_mine.py"]
    else:
        files["helper_of_mine_too.py"] = ""
    with pytest.raises(DamagedFileError, match=rf"helper_of_mine(_too)?\.py (was|is) {change}"):
        inspect(zipped(tmp_path / "other.zip", files))


@pytest.mark.parametrize(("name", "reason"), [
    ("../evil.py", "leads out"), ("a/../../evil.py", "leads out"), ("/evil.py", "leads out"),
    ("C:\\evil.py", "leads out"), ("\\\\server\\share\\evil.py", "leads out"), ("..\\evil.py", "leads out"),
    ("BUNDLED_policy.py", "ignore case"), ("bundled_policy.py/evil.py", "is a file, and the folder"),
    ("./bundled_policy.py", "twice"),
])  # fmt: skip
def test_an_entry_that_other_systems_place_elsewhere_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(PolicyError, match=reason) as refused:
        inspect(zipped(tmp_path / "b.zip", contents(**{name: "boom"})))
    assert name.rpartition("\\")[2].removeprefix("./") in str(refused.value)


def test_names_that_differ_in_composition_only_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="Unicode"):
        inspect(zipped(tmp_path / "b.zip", contents(**{"caf\u00e9.txt": "a", "cafe\u0301.txt": "b"})))


@pytest.mark.parametrize(("kind", "reason"), [
    (stat.S_IFLNK, "is a link"), (stat.S_IFCHR, "is a device"), (stat.S_IFBLK, "is a device"),
    (stat.S_IFIFO, "is a device, a pipe"),
])  # fmt: skip
def test_links_and_devices_are_refused(tmp_path: Path, kind: int, reason: str) -> None:
    path = zipped(tmp_path / "b.zip", contents())
    with zipfile.ZipFile(path, "a") as archive:
        entry = zipfile.ZipInfo("odd")
        entry.create_system, entry.external_attr = 3, (kind | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(PolicyError, match=f'"odd" {reason}'):
        inspect(path)


def test_a_nul_in_a_name_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "b.zip", contents(evilXpy="boom"))
    path.write_bytes(path.read_bytes().replace(b"evilXpy", b"evil\0py"))
    with pytest.raises(PolicyError, match="NUL"):
        inspect(path)


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="at most 100 times as many"):
        inspect(bomb(tmp_path / "bomb.zip", 200 * 2**20))


@pytest.mark.parametrize("key", ["data_path", "setup_script"])
def test_a_specification_that_leads_out_is_refused(tmp_path: Path, key: str) -> None:
    spec = {"class_path": "bundled_policy.MyPolicy", key: "../outside.py"}
    with pytest.raises(PolicyError, match=f"its {key} .* leads out"):
        inspect(zipped(tmp_path / "b.zip", contents(spec)))


def test_a_folder_with_a_link_out_of_it_is_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "b", contents())
    assert inspect(folder).sha256 is None
    (folder / "link").symlink_to("/etc/passwd")
    with pytest.raises(UnsafePathError, match="leads out"):
        inspect(folder)


@pytest.mark.parametrize(
    ("name", "said"), [("nothing.zip", "no bundle at"), ("a.txt", "not a bundle"), ("c.zip", "zip")]
)
def test_what_is_no_bundle_is_refused_in_one_sentence(tmp_path: Path, daf_call: DafCall, name: str, said: str) -> None:
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "c.zip").write_text("x")
    done = daf_call("inspect", tmp_path / name)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_a_copy_of_a_shipped_policy_that_differs_is_named(tmp_path: Path) -> None:
    made = package("cartographer", tmp_path / "b.zip")
    assert not any("installed copy" in warning for warning in inspect(made.path).warnings)
    with zipfile.ZipFile(made.path) as archive:
        files: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
    del files["daf_manifest.json"]
    files["daf/policies/cartographer.py"] = b"# older\n"
    older = zipped(tmp_path / "older.zip", files)
    assert any("differs from the installed copy" in warning for warning in inspect(older).warnings)
