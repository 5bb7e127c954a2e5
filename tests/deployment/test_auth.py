"""`daf auth` and `daf.auth_integration`: logins, and that no token leaves their file."""

import io
import json
import os
import pty
import re
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

from daf.auth_integration import (
    daf_check_auth_status,
    daf_get_auth_config_path,
    daf_get_auth_token,
    daf_login,
    log_in,
    servers,
    status,
)
from daf.environment_checks import daf_check_auth
from daf.errors import AuthenticationError, DamagedFileError, UsageError
from daf.game import account
from tests.conftest import Called, DafCall
from tests.deployment.tournament_server import EMAIL, TOKEN, Fault, Tournament


def saved(home: Path) -> dict[str, dict[str, str]]:
    return dict(yaml.safe_load((home / ".metta" / "cogames.yaml").read_text()))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def require_no_token(done: Called, token: str = TOKEN) -> None:
    assert token not in done.stdout + done.stderr


def log_in_by_pipe(daf_call: DafCall, monkeypatch: pytest.MonkeyPatch, text: str, *arguments: str) -> Called:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", io.StringIO(text))
        return daf_call("auth", "login", "--with-token", *arguments)


def test_a_login_goes_through_its_life_on_the_command_line(
    tournament: Tournament, home: Path, daf_call: DafCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = ["--server", tournament.url]
    before = daf_call("auth", "status", *there)
    assert before.returncode == 1
    assert f"not logged in at {tournament.url}: daf auth login --server {tournament.url}" in before.stdout
    assert list(home.iterdir()) == []

    done = log_in_by_pipe(daf_call, monkeypatch, f"{TOKEN}\n", *there)
    assert (done.returncode, done.stdout) == (0, f"logged in at {tournament.url} as {EMAIL}.\n"), done.stderr
    require_no_token(done)
    assert saved(home)["login_tokens"] == {tournament.url: TOKEN}

    answer = daf_call("auth", "status", *there, "--json")
    assert answer.returncode == 0
    assert json.loads(answer.stdout)["login"]["account"] == EMAIL
    require_no_token(answer)
    assert daf_call("auth", "token", *there).stdout == f"{TOKEN}\n"

    assert "logged out" in daf_call("auth", "logout", *there).stdout
    assert "no login was saved" in daf_call("auth", "logout", *there).stdout
    asked = daf_call("auth", "token", *there)
    assert asked.returncode == 1
    assert f"AuthenticationError: not logged in at {tournament.url}. Log in with `daf auth login" in asked.stderr


def test_the_file_of_logins_is_never_readable_by_others(
    tournament: Tournament, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    dump = yaml.safe_dump

    def watched(data: object, stream: io.TextIOWrapper, **options: bool) -> None:
        dump(data, stream, **options)
        stream.flush()
        seen.append(mode(Path(stream.name)))

    monkeypatch.setattr(yaml, "safe_dump", watched)
    old = os.umask(0o022)
    try:
        log_in(tournament.url, token=TOKEN)
        assert mode(home / ".metta") == 0o700
        path = daf_get_auth_config_path()
        path.chmod(0o644)  # an older client made it
        log_in(tournament.url, token=TOKEN, force=True)
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(old)
    assert seen
    assert set(seen) == {0o600}


def test_a_rejected_token_is_not_saved(tournament: Tournament, home: Path) -> None:
    with pytest.raises(AuthenticationError, match="does not accept this token, so it was not saved") as caught:
        log_in(tournament.url, token="another-canary")
    assert "another-canary" not in str(caught.value)
    assert not (home / ".metta").exists()


@pytest.mark.parametrize("text", ["", "two words", "line\nbreak", "umläut", "tab\tin"])
def test_what_can_t_be_a_token_is_refused_without_repeating_it(home: Path, text: str) -> None:
    with pytest.raises(AuthenticationError, match="one line of printable characters") as caught:
        log_in("http://127.0.0.1:9", token=text)
    assert not text or text not in str(caught.value)


def test_an_expired_login_says_how_to_log_in_again(logged_in: Tournament, daf_call: DafCall) -> None:
    logged_in.tokens.clear()
    found = status(logged_in.url)
    assert found.state == "rejected"
    assert f"expired or was revoked. Log in again with `daf auth login --server {logged_in.url}`" in found.message
    done = daf_call("auth", "status", "--server", logged_in.url, "--verbose")
    assert done.returncode == 1
    require_no_token(done)


@pytest.mark.parametrize("fault", [Fault("/whoami", 503), Fault("/whoami", cut="before"), Fault("/whoami", body=b"?")])
def test_a_login_that_can_t_be_verified_is_unverified(logged_in: Tournament, fault: Fault) -> None:
    logged_in.faults.append(fault)
    found = status(logged_in.url)
    assert (found.state, found.account) == ("unverified", None)
    assert "can't be verified" in found.message
    assert not daf_check_auth_status(logged_in.url) or not logged_in.faults


def test_a_saved_login_is_kept_unless_a_new_one_is_forced(logged_in: Tournament, daf_call: DafCall) -> None:
    assert daf_login(logged_in.url)
    assert daf_check_auth_status(logged_in.url)
    forced = daf_call("auth", "login", "--server", logged_in.url, "--force")
    assert forced.returncode == 2
    assert f"a login needs a terminal. Get a token at {logged_in.url}/cli-login" in forced.stderr
    assert "--with-token < FILE" in forced.stderr


def test_a_token_goes_only_to_the_server_that_it_is_saved_for(tournament: Tournament, home: Path) -> None:
    account.save_token(account.default_login_server(), TOKEN)
    assert daf_get_auth_token() == TOKEN
    assert daf_get_auth_token(tournament.url) is None
    assert status(tournament.url).state == "not logged in"
    assert tournament.requests == []
    assert status(tournament.url, login_server=account.default_login_server()).state == "logged in"


@pytest.mark.parametrize(
    "content", ["canary: [", "- canary", "login_tokens: canary", "login_tokens: {'%s': 'can ary'}"]
)
def test_a_damaged_file_of_logins_is_named_and_not_quoted(
    home: Path, content: str, daf_call: DafCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = "http://127.0.0.1:9"
    (home / ".metta").mkdir()
    (home / ".metta" / "cogames.yaml").write_text(content.replace("%s", server))
    with pytest.raises(DamagedFileError, match=r"cogames\.yaml is damaged"):
        daf_get_auth_token(server)
    done = daf_call("auth", "status", "--server", server, "--verbose")
    assert done.returncode == 1
    assert "canary" not in done.stdout + done.stderr
    assert "can ary" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("localhost:80", "must begin with http:// or https://"),
        ("http://", "must begin with http"),
        ("http://me:secret-word@host", "must not hold a user name or password"),
        ("http://host/?token=secret-word", 'must not hold "?" or "#"'),
        ("http://host:99999", "must begin with http"),
    ],
)
def test_addresses_that_can_t_be_a_server_are_refused(url: str, part: str) -> None:
    with pytest.raises(UsageError) as caught:
        servers(url)
    assert part in str(caught.value)
    assert "me:secret-word" not in str(caught.value)


def test_the_default_servers_are_those_of_the_client_and_said_to_be_retired(home: Path, daf_call: DafCall) -> None:
    assert servers() == servers("https://api.observatory.softmax-research.net/")
    assert servers().login_server == "https://softmax.com/api"
    done = daf_call("auth", "token")
    assert "CoGames' public tournament is retired" in done.stderr
    assert "daf package --format coworld" in done.stderr


def test_the_environment_check_reports_server_and_login(logged_in: Tournament) -> None:
    assert daf_check_auth(logged_in.url).is_fully_optimal()
    logged_in.tokens.clear()
    result = daf_check_auth(logged_in.url)
    assert result.is_healthy()
    assert "expired or was revoked" in result.warnings[0]
    assert result.get_recommendations() == [f"Log in with `daf auth login --server {logged_in.url}`."]


def test_the_client_s_browser_login_saves_the_token_and_prints_none(tournament: Tournament, home: Path) -> None:
    command = [sys.executable, "-m", "daf", "auth", "login", "--server", tournament.url, "--no-browser", "--json"]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "COLUMNS": "300"},
    )  # fmt: skip
    os.close(theirs)
    try:
        assert process.stderr is not None
        said, callback = "", None
        end = time.monotonic() + 60
        while callback is None and time.monotonic() < end:
            line = process.stderr.readline()
            assert line, said
            said += line
            callback = re.search(r"callback=(\S+?)/?callback", said.replace("%3A", ":").replace("%2F", "/"))
        assert callback is not None, said
        urllib.request.urlopen(f"{callback[1]}/callback?token={TOKEN}", timeout=10).close()
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        os.close(ours)
    assert process.returncode == 0, err
    assert json.loads(out)["login"]["state"] == "logged in"
    assert TOKEN not in out + said + err
    assert saved(home)["login_tokens"] == saved(home)["user_tokens"] == {tournament.url: TOKEN}
    assert mode(home / ".metta" / "cogames.yaml") == 0o600
