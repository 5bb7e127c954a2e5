"""Environment checks find things out on this machine, and say what to do."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from pathlib import Path

import pytest

from daf.environment_checks import (
    EnvironmentCheckResult,
    daf_check_auth,
    daf_check_cuda_availability,
    daf_check_dependencies,
    daf_check_disk_space,
    daf_check_environment,
    daf_check_gpu_availability,
    daf_check_mission_configs,
    daf_get_recommended_device,
)
from daf.errors import UsageError
from tests.conftest import DafCall


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(int(self.path.strip("/") or 200))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Answers) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_errors_make_unhealthy_and_warnings_only_less_than_optimal() -> None:
    result = EnvironmentCheckResult()
    result.add_check("a", True, "fine")
    assert result.is_healthy()
    assert result.is_fully_optimal()
    result.add_check("b", False, "absent", optional=True, way_out="install b")
    assert result.is_healthy()
    assert not result.is_fully_optimal()
    result.add_check("c", False, "broken", way_out="repair c")
    result.add_check("d", False, "broken", way_out="repair c")
    assert not result.is_healthy()
    assert result.checks == {"a": True, "b": False, "c": False, "d": False}
    assert result.warnings == ["b: absent"]
    assert result.get_recommendations() == ["install b", "repair c"]
    assert result.summary() == "not healthy: 1 of 4 checks passed, 1 warning, 2 errors"
    assert [check["status"] for check in result.to_data()] == ["ok", "warning", "error", "error"]


def test_every_required_package_is_checked_by_its_version() -> None:
    result = daf_check_dependencies()
    assert result.info["cogames"] == metadata.version("cogames")
    assert result.is_healthy()
    required = [name for name in result.checks if "(" not in name]
    assert {"cogames", "mettagrid", "pydantic", "typer", "duckdb"} <= set(required)
    assert "torch (train)" in result.checks
    assert len({name.split(" ")[0] for name in result.checks}) == len(result.checks)


def test_a_missing_extra_is_a_warning_and_a_wrong_version_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "daf-9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.4\nName: daf\nVersion: 9\nProvides-Extra: moon\nProvides-Extra: all\n"
        "Requires-Dist: pydantic<1\nRequires-Dist: daf-no-such-package>=2\n"
        'Requires-Dist: daf-moon==1; extra == "moon"\nRequires-Dist: daf-moon==1; extra == "all"\n'
        'Requires-Dist: daf-sun; extra == "all"\nRequires-Dist: daf-windows; sys_platform == "win32"\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    result = daf_check_dependencies()
    assert result.warnings == ["daf-moon (moon): not installed", "daf-sun (all): not installed"]
    assert result.errors == [
        f"pydantic: {metadata.version('pydantic')}, but <1 is required",
        "daf-no-such-package: not installed",
    ]
    assert "pip install 'daf[moon]'" in result.get_recommendations()
    assert "pip install 'daf-no-such-package>=2'" in result.get_recommendations()


def test_disk_space_is_looked_at_where_the_folder_would_be_and_nothing_stays(tmp_path: Path) -> None:
    wanted = tmp_path / "not" / "yet"
    result = daf_check_disk_space(wanted, min_available_gb=0)
    assert result.is_fully_optimal()
    assert result.info["writable"] == str(wanted)
    assert list(tmp_path.iterdir()) == []


def test_too_little_space_and_no_permission_are_reported_with_a_way_out(tmp_path: Path) -> None:
    result = daf_check_disk_space(tmp_path, min_available_gb=1e9)
    assert not result.is_healthy()
    assert "1e+09 GB recommended" in result.errors[0]
    (tmp_path / "file").write_text("")
    result = daf_check_disk_space(tmp_path / "file" / "below", min_available_gb=0)
    assert result.checks["writable"] is False
    assert any("--output-dir" in text for text in result.get_recommendations())
    with pytest.raises(UsageError, match="at least 0, got -1"):
        daf_check_disk_space(tmp_path, min_available_gb=-1)


def test_the_recommended_device_is_the_one_found() -> None:
    found = daf_check_gpu_availability()
    device = daf_get_recommended_device()
    assert found.checks["gpu"] == (device != "cpu")
    assert found.is_healthy()
    with pytest.warns(DeprecationWarning, match="daf_check_gpu_availability"):
        assert daf_check_cuda_availability().checks == found.checks


def test_each_mission_is_built_and_a_wrong_one_hides_no_other() -> None:
    result = daf_check_mission_configs(["arenna", "arena,max_steps=10", "easy_hearts_training"])
    assert result.checks["mission arenna"] is False
    assert "Nearest: arena" in result.info["mission arenna"]
    assert [passed for name, passed in result.checks.items() if name.startswith("mission arena")] == [True]
    assert result.checks["mission easy_hearts_training"] is False
    assert "cannot be built" in result.info["mission easy_hearts_training"]


def test_what_is_switched_off_is_not_checked(tmp_path: Path) -> None:
    result = daf_check_environment(
        tmp_path, ["arenna"], check_cuda=False, check_disk=False, check_dependencies=False, check_missions=False
    )
    assert list(result.checks) == ["python"]
    result = daf_check_environment(tmp_path, ["arenna"], check_cuda=False, check_dependencies=False)
    assert list(result.checks) == ["python", "writable", "disk", "mission arenna"]


@pytest.mark.parametrize(
    ("path", "healthy"), [("", True), ("401", True), ("404", True), ("500", False), ("503", False)]
)
def test_a_server_that_answers_is_there_and_one_that_is_broken_is_not(server: str, path: str, healthy: bool) -> None:
    result = daf_check_auth(f"{server}/{path}")
    assert result.is_healthy() == healthy
    assert (path or "200") in next(iter(result.info.values()))


def test_a_server_that_does_not_answer_is_an_error_with_its_address() -> None:
    with HTTPServer(("127.0.0.1", 0), _Answers) as closed:
        address = f"http://127.0.0.1:{closed.server_port}"
    result = daf_check_auth(address)
    assert not result.is_healthy()
    assert "does not answer" in result.errors[0]
    assert address in result.get_recommendations()[0]
    with pytest.raises(UsageError, match="must begin with http"):
        daf_check_auth("localhost:80")


def test_doctor_prints_one_object_and_exits_by_health(tmp_path: Path, daf_call: DafCall) -> None:
    done = daf_call("doctor", "--json", "--checkpoint-dir", str(tmp_path))
    answer = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert (answer["run_id"], answer["run_dir"], answer["status"]) == (None, None, "ok")
    assert {check["name"] for check in answer["checks"]} >= {"python", "cogames", "disk", "gpu"}
    (tmp_path / "file").write_text("")
    done = daf_call("doctor", "--checkpoint-dir", str(tmp_path / "file" / "x"))
    assert done.returncode == 1
    assert "error" in done.stdout
    assert "not healthy" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_doctor_imports_no_torch_where_there_is_no_gpu_driver() -> None:
    code = (
        "import sys, ctypes, daf.environment_checks as e\n"
        "e.daf_check_environment()\n"
        "try:\n    ctypes.CDLL('libcuda.so.1'); driver = True\nexcept OSError:\n    driver = False\n"
        "print([m for m in ('cogames', 'mettagrid', 'pandas') if m in sys.modules], "
        "'torch' in sys.modules and not driver)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.split("\n")[0] == "[] False"
