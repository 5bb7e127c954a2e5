"""The dashboard over HTTP: it answers its user and nobody else, reads and never writes, and ends cleanly."""

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from asking import Asker
from runs_made import append, comparison, running, training

from daf.dashboard import Dashboard, _connections
from daf.errors import StorageError, UsageError
from daf.game.sprites import data_dir

SECRETS = ["/etc/passwd", "../../secret.txt", "..%2f..%2fsecret.txt", "logs/../../../secret.txt", "....//secret.txt",
           "file:///etc/passwd", "\\..\\..\\secret.txt", "", ".", "..", "/", "logs", "nul\0l"]  # fmt: skip


def key(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"


def test_the_address_lets_in_once_and_the_cookie_from_then_on(ask, dashboard):
    first = ask("/", {"token": dashboard.token}, cookie=None)
    assert first.status == 200
    cookie = first.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert ask("/api/runs", cookie=cookie.split(";")[0]).json()["rows"] == []
    assert f"http://127.0.0.1:{dashboard.port}/?token={dashboard.token}" == dashboard.url


@pytest.mark.parametrize("path", ["/", "/api/runs", "/api/events", "/static/main.js", "/theme.css", "/file", "/replay"])
def test_without_the_token_nothing_is_answered(ask, path):
    for cookie in (
        None,
        "",
        f"daf_dashboard_{ask.port}=",
        f"daf_dashboard_{ask.port}=wrong",
        f"other={ask.token}",
        "ä",
    ):
        answer = ask(path, cookie=cookie if cookie != "ä" else "daf_dashboard=\xe4")
        assert answer.status == 401
        assert "daf dashboard" in answer.body.decode()
    assert ask(path, {"token": "wrong"}, cookie=None).status == 401


def test_the_token_in_the_address_opens_the_page_only(ask, dashboard):
    assert ask("/api/runs", {"token": dashboard.token}, cookie=None).status == 401


def test_other_names_for_this_machine_are_not_answered(ask):
    for host in ("evil.example", f"evil.example:{ask.port}", "127.0.0.1", f"127.0.0.1.evil.example:{ask.port}", ""):
        assert ask("/api/runs", host=host).status == 421
    assert ask("/api/runs", host=None).status == 400
    for host in (f"localhost:{ask.port}", f"127.0.0.1:{ask.port}"):
        assert ask("/api/runs", host=host).status == 200


def test_pages_of_other_sites_are_not_answered_and_none_is_allowed(ask):
    for site in ("cross-site", "same-site"):
        assert ask("/api/runs", sec_fetch_site=site).status == 403
    answer = ask("/api/runs", sec_fetch_site="same-origin", origin="http://evil.example")
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_nothing_but_reading_is_offered(ask):
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert ask("/api/runs", method=method).status == 405
    assert ask("/docs").status == ask("/openapi.json").status == 404


def test_every_answer_forbids_the_browser_everything_else(ask):
    for path in ("/", "/api/runs", "/static/main.js", "/nowhere"):
        policy = ask(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert ask(path).headers["x-content-type-options"] == "nosniff"


def test_files_of_a_run_are_served_in_a_sandbox_and_replays_play(ask, base):
    folder = training(base, "it", 1)
    (folder / "report.html").write_text("<script>parent.document</script>")
    (folder / "replays").mkdir()
    (folder / "replays" / "a.json.z").write_bytes((data_dir() / "replays" / "pens.json.z").read_bytes())
    ask("/api/runs")
    page = ask("/file", {"key": key(folder), "file": "report.html"})
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "sandbox allow-scripts;" in policy
    assert "allow-same-origin" not in policy
    assert "connect-src" not in policy
    assert "default-src 'none'" in policy
    replay = ask("/replay", {"key": key(folder), "file": "replays/a.json.z"})
    assert replay.headers["content-security-policy"] == policy
    assert b'id="core"' in replay.body
    raw = ask("/file", {"key": key(folder), "file": "replays/a.json.z"})
    assert raw.headers["content-disposition"].startswith("attachment")
    broken = ask("/replay", {"key": key(folder), "file": "report.html"})
    assert broken.status == 404
    assert "report.html" in broken.json()["error"]


@pytest.mark.parametrize("name", SECRETS)
def test_no_name_leads_out_of_a_run_folder(ask, base, name):
    folder = training(base, "it", 1)
    (base.parent / "secret.txt").write_text("secret")
    (base / "secret.txt").write_text("secret")
    ask("/api/runs")
    for path in ("/file", "/replay", "/api/log"):
        answer = ask(path, {"key": key(folder), "file": name})
        assert answer.status == 404, (path, name, answer.body)
        assert b"root:" not in answer.body
        assert b"secret\n" not in answer.body


def test_links_out_of_a_run_folder_are_not_followed_and_pipes_not_opened(ask, base):
    folder = training(base, "it", 1)
    (base.parent / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(base.parent / "secret.txt")
    (folder / "up").symlink_to(base.parent)
    os.mkfifo(folder / "pipe.log")
    ask("/api/runs")
    for name in ("link.txt", "up/secret.txt", "pipe.log"):
        assert ask("/file", {"key": key(folder), "file": name}).status == 404
        assert ask("/api/log", {"key": key(folder), "file": name}).status == 404
    listed = {file["path"] for file in ask("/api/run", {"key": key(folder)}).json()["files"]}
    assert not listed & {"link.txt", "up/secret.txt", "pipe.log"}
    assert "metrics.jsonl" in listed


def test_the_page_asks_for_every_module_at_once_and_all_are_there(ask):
    asked = re.findall(r'(?:href|src)="(/static/[^"]+\.js)"', ask("/").body.decode())
    assert all(ask(path).status == 200 for path in asked)
    imported = {
        f"/static/{name}" for path in asked for name in re.findall(r'from "\./([^"]+)"', ask(path).body.decode())
    }
    assert imported | {"/static/main.js"} == set(asked)


def test_static_files_are_those_that_daf_ships(ask):
    assert ask("/static/main.js").headers["content-type"].startswith("text/javascript")
    for name in ("..%2fapp.py", "../app.py", "app.py", "%2e%2e/app.py", "index.html"):
        assert ask(f"/static/{name}").status == 404


def test_a_run_that_is_locked_and_read_only_is_shown_and_nothing_is_written(ask, base):
    with running(base, "it", config={"total_timesteps": 5000}) as folder:
        append(folder, range(5))
        before = {path: path.stat().st_mtime_ns for path in [base, *base.rglob("*")]}
        with (folder / "metrics.jsonl").open("a") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            for path, parameters in (
                ("/api/runs", {}), ("/api/run", {"key": key(folder)}),
                ("/file", {"key": key(folder), "file": "metrics.jsonl"}),
                ("/api/compare", {"run": [key(folder)]}),
            ):  # fmt: skip
                assert ask(path, parameters).status == 200
            events = ask.events({"watch": key(folder)})
            assert next(data for name, data in events if name == "curves")["series"]["clock/sps"][2] == 5
            events.close()
        assert {path: path.stat().st_mtime_ns for path in [base, *base.rglob("*")]} == before


def test_events_send_everything_once_and_then_changes(ask, base):
    folder = training(base, "first", 3)
    events = ask.events({"watch": key(folder)})
    name, hello = next(events)
    assert (name, hello["base"]) == ("hello", str(base))
    name, runs = next(events)
    assert (name, [row["title"] for row in runs["rows"]]) == ("runs", ["first"])
    assert next(events)[0] == "page"
    assert next(events)[1]["series"]["episode/return"][2] == 3
    append(folder, range(3, 6))
    received = {}
    while "curves" not in received or "runs" not in received:
        name, data = next(events)
        received[name] = data
    assert received["curves"]["series"]["episode/return"][0] == [4000, 5000, 6000]
    assert received["runs"]["rows"][0]["progress"]["step"] == 6000
    events.close()
    again = ask.events({"since": f"{hello['boot']}.{received['runs']['version']}"})
    assert next(again)[0] == "hello"
    assert next(again)[1]["rows"] == []
    again.close()


def test_events_follow_a_log_from_where_the_page_is(ask, base):
    with running(base, "it") as folder:
        log = folder / "logs" / "out.log"
        log.write_text("old\n")
        ask("/api/runs")
        page = ask("/api/log", {"key": key(folder), "file": "logs/out.log"}).json()
        assert page["lines"] == ["old"]
        events = ask.events({"log_key": key(folder), "log": "logs/out.log", "log_from": page["end"]})
        with log.open("a") as file:
            file.write("new\n")
        assert next(data for name, data in events if name == "log")["lines"] == ["new"]
        events.close()


def test_the_page_of_a_run_shows_the_content_of_its_files(ask, base):
    folder = training(base, "it", 2)
    failed = {"status": "failed", "steps": 2000, "error": {"type": "DataError", "message": "NaN"}}
    (folder / "training.json").write_text(json.dumps(failed))
    (folder / "results.json").write_text("{ not whole")
    child = folder / "trials" / "0000"
    child.mkdir(parents=True)
    append(child, range(3))
    ask("/api/runs")
    page = ask("/api/run", {"key": key(folder)}).json()
    assert page["training"]["error"]["message"] == "NaN"
    assert page["unread"] == ["results.json"]
    assert page["config"]["learning_rate"] == 0.001
    assert [(part["name"], part["progress"]["step"]) for part in page["parts"]] == [("trials/0000", 3000)]
    part = ask("/api/run", {"key": page["parts"][0]["key"]}).json()
    assert part["parent"]["key"] == key(folder)
    assert part["curves"]
    assert ask("/api/run", {"key": "training/none"}).status == 404


def test_pipes_in_the_place_of_files_are_not_waited_for(ask, base):
    folder = training(base, "it", 1)
    other = training(base, "other", 1)
    part = folder / "trials" / "0"
    part.mkdir(parents=True)
    for path in (folder / "metrics.jsonl", folder / "results.json", folder / "training.json", folder / "trials.jsonl",
                 part / "metrics.jsonl", part / "training.json", part / "execution_log.json",
                 other / "execution_log.json"):  # fmt: skip
        path.unlink(missing_ok=True)
        os.mkfifo(path)
    rows = ask("/api/runs").json()["rows"]
    assert {row["title"]: row["status"] for row in rows} == {"it": "completed", "": "damaged"}
    page = ask("/api/run", {"key": key(folder)}).json()
    assert (page["report"], page["sweep"]) == (False, False)
    assert [(part["name"], part["status"]) for part in page["parts"]] == [("trials/0", "damaged")]
    events = ask.events({"watch": key(folder)})
    assert next(data for name, data in events if name == "curves")["series"] == {}
    events.close()


def test_runs_with_the_same_episodes_are_compared_in_pairs(ask, base):
    first = comparison(base, "first", {"starter": [float(n % 5) for n in range(20)]})
    second = comparison(base, "second", {"mine": [n % 5 + 1 + 0.01 * (n % 3) for n in range(25)]})
    ask("/api/runs")
    found = ask("/api/compare", {"run": [key(first), key(second)]}).json()["evaluation"]
    assert found["blocks"] == 20
    assert [row["policy"].split(" · ")[0] for row in found["ranking"]] == ["mine", "starter"]
    assert found["pairs"][0]["difference"] == pytest.approx(-1.01, abs=0.01)
    assert found["pairs"][0]["verdict"] == "worse"
    low, high = found["ranking"][1]["ci"]
    assert low < 2 < high


def test_runs_without_common_episodes_are_not_compared_in_pairs(ask, base):
    first = comparison(base, "first", {"starter": [1.0, 2.0]})
    other = comparison(base, "other", {"starter": [1.0, 2.0]}, mission="machina_1")
    ask("/api/runs")
    found = ask("/api/compare", {"run": [key(first), key(other)]}).json()["evaluation"]
    assert found["pairs"] == []
    assert "have no episode" in found["note"]


def test_a_part_without_a_configuration_of_the_frame_has_that_of_its_training(ask, base):
    folder = training(base, "it", 1, config={"training": {"learning_rate": 0.1, "total_timesteps": 9000}})
    (folder / "training_config.yaml").write_text("learning_rate: 0.1\ntotal_timesteps: 9000\n")
    part = folder / "trials" / "0000"
    part.mkdir(parents=True)
    append(part, range(3))
    (part / "training_config.yaml").write_text("learning_rate: 0.2\ntotal_timesteps: 9000\n")
    (folder / "trials" / "0000.log").write_text("what the trial said")
    ask("/api/runs")
    page = ask("/api/run", {"key": key(folder)}).json()
    assert page["parts"][0]["progress"]["total"] == 9000
    assert "trials/0000.log" in [file["path"] for file in page["files"]]
    assert "trials/0000/metrics.jsonl" not in [file["path"] for file in page["files"]]
    found = ask("/api/run", {"key": page["parts"][0]["key"]}).json()
    assert found["config"] == {"learning_rate": 0.2, "total_timesteps": 9000}
    rows = ask("/api/compare", {"run": [key(folder), page["parts"][0]["key"]]}).json()["config"]
    assert rows == [{"name": "learning_rate", "values": [0.1, 0.2]}]


def test_settings_that_differ_are_listed_with_those_that_are_absent(ask, base):
    first = training(base, "a", 1, config={"learning_rate": 0.1, "network": {"hidden": 64}, "same": 1})
    second = training(base, "b", 1, config={"learning_rate": 0.2, "network": {"layers": 2}, "same": 1})
    ask("/api/runs")
    rows = ask("/api/compare", {"run": [key(first), key(second)]}).json()["config"]
    absent = {"absent": True}
    assert {row["name"]: row["values"] for row in rows} == {
        "learning_rate": [0.1, 0.2], "network.hidden": [64, absent], "network.layers": [absent, 2]
    }  # fmt: skip


def test_hosts_of_others_and_folders_that_are_not_there_are_refused(base):
    for host in ("0.0.0.0", "192.168.0.1", "::", "example.com", ""):
        with pytest.raises(UsageError, match=r"listens only on 127"):
            Dashboard(base, host=host)
    with pytest.raises(UsageError, match=r"no directory"):
        Dashboard(base / "none")
    with pytest.raises(UsageError, match=r"70000"):
        Dashboard(base, port=70000)


def test_a_port_that_is_taken_is_an_error_where_it_was_asked_for_and_passed_over_where_not(base, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StorageError, match=f"port {port} on 127.0.0.1 is in use"):
            Dashboard(base, port=port)
        monkeypatch.setattr("daf.dashboard._serving.DEFAULT_PORT", port)
        serving = Dashboard(base)
        assert serving.port != port
        serving.stop()


def test_one_run_s_folder_is_shown_wherever_it_lies(base, tmp_path):
    inside = training(base, "inside", 1)
    serving = Dashboard(inside, port=0)
    assert serving.url.endswith(f"#/run/{key(inside)}")
    serving.stop()
    elsewhere = tmp_path / "elsewhere"
    inside.rename(elsewhere)
    serving = Dashboard(elsewhere, port=0)
    assert serving.url.endswith("#/run/elsewhere/elsewhere")
    serving.start()
    try:
        assert Asker(serving)("/api/runs").json()["rows"][0]["title"] == "inside"
    finally:
        serving.stop()


def test_the_command_prints_its_address_at_once_and_ends_at_ctrl_c_with_a_page_still_open(base):
    training(base, "it", 1)
    command = [sys.executable, "-m", "daf", "dashboard", str(base), "--port", "0", "--no-browser", "--json"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    data = json.loads(child.stdout.readline())
    assert (data["status"], data["run_dir"], data["folder"]) == ("running", None, str(base))
    assert re.fullmatch(rf"http://127\.0\.0\.1:{data['port']}/\?token=[\w-]{{43}}", data["url"])
    connection = socket.create_connection(("127.0.0.1", data["port"]))
    token = data["url"].partition("token=")[2]
    head = f"Host: 127.0.0.1:{data['port']}\r\nCookie: daf_dashboard_{data['port']}={token}"
    connection.sendall(f"GET /api/events HTTP/1.1\r\n{head}\r\n\r\n".encode())
    assert b"200 OK" in connection.recv(100)
    child.send_signal(signal.SIGINT)
    rest, errors = child.communicate(timeout=20)
    assert (child.returncode, rest, errors) == (0, "", "")
    connection.close()


def half_open(port: int, first: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(first)
    return connection


def test_half_open_connections_do_not_keep_the_user_out(ask, dashboard):
    kept = [half_open(dashboard.port, b"GET / HTTP/1.1\r\nhost:" if index % 2 else b"") for index in range(300)]
    try:
        assert ask("/", {"token": dashboard.token}, cookie=None).status == 200
        assert kept[0].recv(1) == b""  # the first of them made room
    finally:
        for connection in kept:
            connection.close()


def test_a_request_that_does_not_end_is_closed_however_it_trickles(ask, dashboard, monkeypatch):
    monkeypatch.setattr(_connections, "REQUEST_SECONDS", 0.4)
    silent = half_open(dashboard.port)
    trickling = half_open(dashboard.port, b"GET / HTTP/1.1\r\n")
    trickling.settimeout(0.05)
    sent = 0
    while True:
        try:
            trickling.sendall(b"a")
            sent += 1
            if trickling.recv(1) == b"":
                break
        except TimeoutError:
            assert sent < 200
        except ConnectionError:
            break
    assert sent > 1
    assert silent.recv(1) == b""
    body = half_open(
        dashboard.port, f"POST / HTTP/1.1\r\nhost: 127.0.0.1:{ask.port}\r\ncontent-length: 9\r\n\r\n".encode()
    )
    answered = b""
    while part := body.recv(4096):
        answered += part
    assert answered.startswith(b"HTTP/1.1 405")
    for connection in (silent, trickling, body):
        connection.close()


def test_a_stream_of_events_outlives_the_deadline_of_requests(ask, monkeypatch, base):
    monkeypatch.setattr(_connections, "REQUEST_SECONDS", 0.2)
    stream = ask.events()
    next(stream)
    half_open(ask.port).recv(1)  # closed after the deadline, which has therefore passed for the stream too
    training(base, "second", 1)
    assert next(stream)
    stream.close()


def test_headers_without_end_are_refused(ask, dashboard):
    endless = half_open(dashboard.port, b"GET / HTTP/1.1\r\nx: " + b"a" * (_connections.MOST_HEADER_BYTES + 1))
    assert endless.recv(4096).startswith(b"HTTP/1.1 400")
    endless.close()
    assert ask("/", {"token": dashboard.token}, cookie=None).status == 200
