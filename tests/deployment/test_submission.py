"""`daf submit`, `submissions` and `leaderboard` against a local server that speaks as CoGames' does."""

import json
import logging
import re
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from daf.config import DAFTournamentConfig
from daf.deployment import DeploymentResult, _submission_steps, daf_submit_policy, package, submission
from daf.deployment.submission import Submission, Watcher, submit
from daf.deployment.submission_lists import leaderboard, submissions
from daf.errors import (
    AuthenticationError,
    Interrupted,
    LockedError,
    PackagingError,
    PolicyError,
    ServerError,
    StorageError,
    UsageError,
)
from daf.game import account
from daf.output_manager import OutputManager, list_runs
from daf.reporting.catalog import Entry
from daf.storage import locks
from tests.conftest import DafCall
from tests.deployment.tournament_server import SIGNATURE, TOKEN, Fault, Tournament, running, version_row

PRESIGN, COMPLETE = "/stats/policies/submit/presigned-url", "/stats/policies/submit/complete"
MINE = "/stats/policy-versions"
SENT = [f"POST {PRESIGN}", "PUT", f"GET {MINE}", f"POST {COMPLETE}"]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return made_bundle(tmp_path / "mine.zip")


def made_bundle(path: Path, note: str = "", class_path: str = "mettagrid.policy.noop.NoopPolicy") -> Path:
    spec = {"class_path": class_path, "init_kwargs": {}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("policy_spec.json", json.dumps(spec))
        archive.writestr("note.txt", note)
    return path


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses before requests are repeated, which nobody waits for."""
    slept: list[float] = []
    monkeypatch.setattr(_submission_steps, "sleep", slept.append)
    return slept


@pytest.fixture
def send(logged_in: Tournament, bundle: Path, tmp_path: Path) -> Callable[..., Submission]:
    """Submits the bundle without a validation, to a server where the user is logged in."""

    def call(path: Path = bundle, season: str | None = None, **options: object) -> Submission:
        fields = {"server_url": logged_in.url, "season": season, "submission_name": "mine", "auto_validate": False}
        config = DAFTournamentConfig(**{**fields, **dict(options.pop("config", {}))})  # type: ignore[call-overload]
        return submit(path, config, output=OutputManager(tmp_path / "out"), **options)  # type: ignore[arg-type]

    return call


def writes(there: Tournament) -> list[str]:
    """The requests that change the server."""
    return [call for call in there.calls() if not call.startswith("GET")]


def journal_of(made: Submission) -> list[str]:
    assert made.run_dir is not None
    return [json.loads(line)["event"] for line in (made.run_dir / "submission.jsonl").read_text().splitlines()]


# what is sent


def test_a_submission_makes_the_calls_of_cogames_client(
    logged_in: Tournament, send: Callable[..., Submission], bundle: Path
) -> None:
    sent: list[tuple[int, int]] = []
    made = send(watcher=Watcher(on_bytes=lambda done, total: sent.append((done, total))))
    assert (made.status, made.name, made.version, made.season) == ("submitted", "mine", 1, "beta")
    assert made.sentence() == f"submitted mine:v1 to season beta of {logged_in.url}; it plays in qualifying."
    kinds = [call.partition("/storage/")[0].strip() for call in logged_in.calls("st")]
    assert [kind for kind in kinds if "seasons" not in kind] == SENT
    assert list(logged_in.uploads.values()) == [bundle.read_bytes()]
    assert sent[-1] == (bundle.stat().st_size, bundle.stat().st_size)
    completed = next(request for request in logged_in.requests if request.path == COMPLETE)
    assert json.loads(completed.body) == {"upload_id": next(iter(logged_in.done)), "name": "mine", "season": "beta"}
    assert journal_of(made) == ["planned", "uploaded", "completing", "completed", "entered"]


def test_the_upload_is_that_of_cogames_own_function(
    logged_in: Tournament, send: Callable[..., Submission], bundle: Path
) -> None:
    from cogames.cli.client import TournamentServerClient
    from cogames.cli.submit import upload_submission

    def written() -> list[tuple[str, dict[str, str], bytes]]:
        found = []
        for request in logged_in.requests:
            if request.method != "GET":
                path = "/storage" if request.path.startswith("/storage") else request.path
                body = re.sub(rb"[0-9a-f-]{36}", b"ID", request.body) if request.method == "POST" else request.body
                found.append((f"{request.method} {path} {sorted(request.query)}", request.headers, body))
        logged_in.requests.clear()
        return found

    with TournamentServerClient(logged_in.url, token=TOKEN) as client:
        upload_submission(client, bundle, "mine", season="beta")
    theirs = written()
    logged_in.versions.clear()
    logged_in.entered["beta"].clear()
    send()
    assert written() == theirs
    assert [what.partition(" [")[0] for what, _, _ in theirs] == [f"POST {PRESIGN}", "PUT /storage", f"POST {COMPLETE}"]


def test_the_same_bytes_enter_a_season_once(
    logged_in: Tournament, send: Callable[..., Submission], tmp_path: Path
) -> None:
    first = send()
    before = writes(logged_in)
    again = send()
    assert (again.status, again.version, again.run_dir) == ("already submitted", 1, first.run_dir)
    assert "is already in season beta" in again.sentence()
    assert writes(logged_in) == before
    assert len(list_runs(tmp_path / "out")) == 1


def test_another_season_takes_the_version_that_is_uploaded(
    logged_in: Tournament, send: Callable[..., Submission]
) -> None:
    logged_in.seasons = ("beta", "gamma")
    logged_in.entered["gamma"] = []
    send()
    before = len(writes(logged_in))
    made = send(season="gamma")
    assert writes(logged_in)[before:] == ["POST /tournament/seasons/gamma/submissions"]
    assert (made.status, made.version, made.pools) == ("submitted", 1, ("qualifying",))


def test_other_bytes_are_the_next_version(
    logged_in: Tournament, send: Callable[..., Submission], tmp_path: Path
) -> None:
    send()
    assert send(made_bundle(tmp_path / "other.zip", "new")).version == 2


def test_a_version_that_left_the_season_enters_it_again(logged_in: Tournament, send: Callable[..., Submission]) -> None:
    send()
    logged_in.entered["beta"].clear()
    before = len(writes(logged_in))
    assert send().status == "submitted"
    assert writes(logged_in)[before:] == ["POST /tournament/seasons/beta/submissions"]


def test_a_server_that_lost_everything_gets_the_bundle_again(
    logged_in: Tournament, send: Callable[..., Submission]
) -> None:
    send()
    logged_in.entered["beta"].clear()
    logged_in.versions.clear()
    made = send()
    assert (made.status, made.version) == ("submitted", 1)
    assert len(logged_in.uploads) == 2


def test_a_dry_run_checks_everything_and_sends_nothing(
    logged_in: Tournament, send: Callable[..., Submission], tmp_path: Path
) -> None:
    made = send(dry_run=True)
    assert made.status == "checked"
    assert made.sentence().endswith("Nothing was sent.")
    assert writes(logged_in) == []
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match="no season"):
        send(season="alpha", dry_run=True)


def test_a_dry_run_without_a_login_checks_the_rest_and_shows_how_to_log_in(
    tournament: Tournament, bundle: Path, tmp_path: Path, daf_call: DafCall
) -> None:
    command = ("submit", bundle, "--server", tournament.url, "--no-validation", "--output-dir", tmp_path / "out")
    done = daf_call(*command, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert f"after a login (`daf auth login --server {tournament.url}`). Nothing was sent." in " ".join(
        done.stdout.split()
    )
    assert writes(tournament) == []
    assert daf_call(*command, "--dry-run", "--season", "alpha").returncode == 2
    assert "not logged in" in daf_call(*command).stderr


def test_a_submission_is_listed_as_one(send: Callable[..., Submission], tmp_path: Path) -> None:
    made = send()
    (entry,) = (Entry(run) for run in list_runs(tmp_path / "out"))
    assert (entry.run.run_id, entry.kind, entry.outcome.text) == (made.run_id, "submission", "mine:v1 in beta")


def test_a_bundle_that_fails_the_validation_is_not_sent(
    logged_in: Tournament, daf_call: DafCall, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = SimpleNamespace(passed=False, sentence=lambda: "mine failed the validation.")
    monkeypatch.setattr(submission, "validate", lambda path, episodes, on_stage: verdict)
    done = daf_call("submit", bundle, "--server", logged_in.url)
    assert done.returncode == 1
    assert done.stdout.startswith("mine failed the validation. Nothing was sent. `daf validate ")
    answer = json.loads(daf_call("submit", bundle, "--server", logged_in.url, "--json").stdout)
    assert (answer["status"], answer["submission"]["status"]) == ("failed", "rejected")
    assert writes(logged_in) == []


@pytest.mark.thorough
def test_a_policy_that_can_t_be_loaded_is_not_sent(
    logged_in: Tournament, send: Callable[..., Submission], bundle: Path
) -> None:
    found = send(made_bundle(bundle, class_path="mettagrid.policy.noop.NoSuchPolicy"), config={"auto_validate": True})
    assert found.status == "rejected"
    assert "NoSuchPolicy" in str(found.reason)
    assert writes(logged_in) == []


@pytest.mark.thorough
def test_a_bundle_that_passes_the_validation_is_sent(logged_in: Tournament, tmp_path: Path, daf_call: DafCall) -> None:
    made = package("starter", tmp_path / "starter.zip")
    done = daf_call("submit", made.path, "--server", logged_in.url, "--validation-episodes", 1, "--season", "beta")
    assert done.returncode == 0, done.stderr
    assert list(logged_in.uploads.values()) == [made.path.read_bytes()]


# what fails, and how it goes on


@pytest.mark.parametrize("path", [PRESIGN, "/storage", MINE, COMPLETE])
@pytest.mark.parametrize("fault", ["500", "503", "429", "cut before", "cut after"])
def test_a_passing_failure_is_repeated_and_makes_one_version(
    logged_in: Tournament, send: Callable[..., Submission], naps: list[float], path: str, fault: str
) -> None:
    kind, _, when = fault.partition(" ")
    wait = {"Retry-After": "7"} if kind != "500" else {}
    logged_in.faults.append(Fault(path, cut=when) if kind == "cut" else Fault(path, int(kind), headers=wait))
    heard: list[str] = []
    made = send(watcher=Watcher(on_pause=lambda reason, pause: heard.append(reason)))
    assert (made.status, made.version) == ("submitted", 1)
    assert len(logged_in.versions) == 1
    assert naps == [1.0 if kind in ("500", "cut") else 7.0]
    assert logged_in.url.removeprefix("http://").partition(":")[0] in heard[0]


@pytest.mark.parametrize(
    ("path", "missing", "said"),
    [
        (PRESIGN, SENT, "Nothing was uploaded."),
        ("/storage", SENT, "Nothing was uploaded."),
        (COMPLETE, [f"POST {COMPLETE}"], "The bundle is uploaded, but not yet a policy of the server."),
    ],
)
def test_a_failed_submission_resumes_with_the_missing_step(
    logged_in: Tournament, send: Callable[..., Submission], naps: list[float], path: str, missing: list[str], said: str
) -> None:
    logged_in.faults += [Fault(path, 503, detail="out of order")] * 4
    with pytest.raises(ServerError, match="out of order") as caught:
        send()
    assert caught.value.status == 503
    assert f"{said} The same command resumes." in str(caught.value)
    before = len(writes(logged_in))
    made = send()
    wanted = [call for call in missing if not call.startswith("GET")]
    assert [call.partition("/storage")[0].strip() for call in writes(logged_in)[before:]] == wanted
    assert (made.status, made.version) == ("submitted", 1)
    assert len(list_runs(made.run_dir.parent.parent)) == 1  # type: ignore[union-attr]


def test_an_answer_that_was_lost_is_not_asked_for_twice(
    logged_in: Tournament, send: Callable[..., Submission], monkeypatch: pytest.MonkeyPatch
) -> None:
    logged_in.faults.append(Fault(COMPLETE, cut="after"))

    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_submission_steps, "sleep", stop)
        with pytest.raises(Interrupted, match="The same command resumes"):
            send()
    before = len(writes(logged_in))
    made = send()
    assert writes(logged_in)[before:] == []
    assert (made.status, made.version, len(logged_in.versions)) == ("submitted", 1, 1)


def test_an_upload_that_the_server_forgot_is_sent_again(
    logged_in: Tournament, send: Callable[..., Submission], naps: list[float]
) -> None:
    logged_in.faults += [Fault(COMPLETE, 503)] * 4
    with pytest.raises(ServerError):
        send()
    logged_in.uploads.clear()
    made = send()
    assert made.status == "submitted"
    assert "restarted" in journal_of(made)


def test_a_version_outside_the_season_needs_only_that_step(
    logged_in: Tournament, send: Callable[..., Submission]
) -> None:
    row = {"id": "6f1f5b8a-0000-4000-8000-000000000001", "name": "mine", "version": 1}
    logged_in.versions.append(version_row(**row))
    answer = json.dumps({**row, "submit_error": "the season is full"}).encode()
    logged_in.faults.append(Fault(COMPLETE, body=answer))
    with pytest.raises(ServerError, match=r"took mine:v1, but not into season beta: the season is full\. .*resumes"):
        send()
    before = len(writes(logged_in))
    assert send().status == "submitted"
    assert writes(logged_in)[before:] == ["POST /tournament/seasons/beta/submissions"]


def test_a_server_that_asks_for_a_long_pause_ends_the_call(
    logged_in: Tournament, send: Callable[..., Submission], naps: list[float]
) -> None:
    logged_in.faults.append(Fault(PRESIGN, 429, headers={"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"}))
    with pytest.raises(ServerError, match="takes no more requests now") as caught:
        send()
    assert caught.value.wait is not None
    assert caught.value.wait > 1e6
    assert naps == []


def test_a_slow_answer_is_a_timeout(logged_in: Tournament, send: Callable[..., Submission]) -> None:
    logged_in.faults.append(Fault("/tournament/seasons", seconds=0.6))
    with pytest.raises(ServerError, match=r"did not answer within 0\.2 s"):
        send(timeout=0.2)
    with pytest.raises(UsageError, match="timeout must be above 0"):
        send(timeout=-1.0)


def test_a_bundle_above_the_server_s_limit_is_named_with_the_limit(
    logged_in: Tournament, send: Callable[..., Submission]
) -> None:
    logged_in.most_bytes = 10
    with pytest.raises(ServerError, match=r"refuses the bundle as too large.*larger than 10 bytes") as caught:
        send()
    assert caught.value.status == 413


def test_a_bundle_above_the_limit_of_an_upload_is_refused_before_it_is_read(
    logged_in: Tournament, send: Callable[..., Submission], tmp_path: Path
) -> None:
    with (tmp_path / "big.zip").open("wb") as file:
        file.truncate(5 * 2**30 + 1)
    with pytest.raises(PackagingError, match=r"5,368,709,121 bytes; an upload has at most 5,368,709,120"):
        send(tmp_path / "big.zip")
    assert logged_in.requests == []


def test_a_bundle_that_changes_during_the_upload_is_not_completed(
    logged_in: Tournament, send: Callable[..., Submission], bundle: Path
) -> None:
    original = bundle.read_bytes()
    logged_in.faults.append(Fault(PRESIGN, 503, headers={"Retry-After": "0"}))
    change = Watcher(on_pause=lambda reason, pause: made_bundle(bundle, "changed"))
    with pytest.raises(StorageError, match="changed while it was uploaded"):
        send(watcher=change)
    assert logged_in.done == {}
    bundle.write_bytes(original)
    assert send().status == "submitted"


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_refusal_is_not_repeated_and_shows_the_reason(
    logged_in: Tournament, send: Callable[..., Submission], naps: list[float], status: int
) -> None:
    logged_in.faults.append(Fault(PRESIGN, status, detail="not you"))
    with pytest.raises(ServerError, match=f'HTTP status {status}, "not you"'):
        send()
    assert naps == []


def test_a_server_of_another_kind_is_told_by_its_answers(
    logged_in: Tournament, send: Callable[..., Submission]
) -> None:
    for body, part in ((b"<html>", "something else than JSON"), (b"[{}]", "something else than CoGames' server does")):
        logged_in.faults.append(Fault("/tournament/seasons", body=body))
        with pytest.raises(ServerError, match=part):
            send()


def test_two_submissions_at_once_exclude_each_other(
    logged_in: Tournament, send: Callable[..., Submission], tmp_path: Path
) -> None:
    with locks.exclusive(tmp_path / "out" / ".submit.lock", ""), pytest.raises(LockedError, match="another submission"):
        send()
    assert writes(logged_in) == []


# who, where and what


def test_without_a_login_the_way_to_one_is_named(tournament: Tournament, bundle: Path) -> None:
    config = DAFTournamentConfig(server_url=tournament.url, submission_name="mine", auto_validate=False)  # type: ignore[call-arg]
    with pytest.raises(AuthenticationError, match=f"Log in with `daf auth login --server {tournament.url}`"):
        submit(bundle, config)
    assert tournament.requests == []


def test_an_expired_login_ends_the_submission(logged_in: Tournament, send: Callable[..., Submission]) -> None:
    logged_in.tokens.clear()
    with pytest.raises(AuthenticationError, match=r"expired or was revoked.*Run `daf auth login"):
        send()


def test_an_unknown_season_is_a_usage_error_with_the_nearest(
    logged_in: Tournament, send: Callable[..., Submission]
) -> None:
    with pytest.raises(UsageError, match=r'no season "betta"\. Nearest: beta'):
        send(season="betta")
    for season in ("..", "../whoami", "a/b", "x?y"):
        with pytest.raises(UsageError, match="can't be the name of a season"):
            send(season=season)
    assert all("whoami" not in call for call in logged_in.calls())


def test_a_season_of_another_cogames_version_is_refused(logged_in: Tournament, send: Callable[..., Submission]) -> None:
    logged_in.compat = "0.4"
    with pytest.raises(UsageError, match=r"season beta is played with CoGames 0\.4; CoGames 0\.25 is installed"):
        send()


def test_the_retired_server_is_named_as_such_with_the_way_on(
    home: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch, daf_call: DafCall
) -> None:
    with running(Tournament()) as gone:
        pass  # nobody listens there any more
    for name in ("default_server", "default_login_server"):
        monkeypatch.setattr(account, name, lambda: gone.url)
    account.save_token(gone.url, TOKEN)
    for command in (["submit", bundle, "--no-validation"], ["submissions"], ["leaderboard"]):
        done = daf_call(*command)
        assert done.returncode == 1
        assert "does not answer" in done.stderr
        assert "CoGames' public tournament is retired. Use another server with --server URL" in done.stderr
        assert "daf package --format coworld" in done.stderr
    assert "CoGames' public tournament is retired" in " ".join(daf_call("submit", "--help").stdout.split())


def test_what_is_not_a_zipped_bundle_is_refused_with_the_command_that_makes_one(
    logged_in: Tournament, send: Callable[..., Submission], tmp_path: Path
) -> None:
    with pytest.raises(PackagingError, match=f"daf package -p {tmp_path}` makes the zip"):
        send(tmp_path)
    with pytest.raises(PolicyError, match=r"there is no bundle at starter\. Make one with `daf package -p POLICY`"):
        send(Path("starter"))
    (tmp_path / "x.zip").write_text("no zip")
    with pytest.raises(PolicyError):
        send(tmp_path / "x.zip")
    assert logged_in.requests == []


@pytest.mark.parametrize("name", ["a:b", "x" * 65, " ", "a\nb"])
def test_names_that_cogames_refuses_are_refused_before_anything_is_sent(
    logged_in: Tournament, send: Callable[..., Submission], name: str
) -> None:
    with pytest.raises(UsageError, match=r"the name of a submission|submission_name"):
        send(config={"submission_name": name})
    assert logged_in.requests == []


def test_no_secret_is_in_messages_tracebacks_logs_or_files(
    logged_in: Tournament, bundle: Path, daf_call: DafCall, tmp_path: Path, naps: list[float],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    out = tmp_path / "out"
    command = ["submit", bundle, "--server", logged_in.url, "--no-validation", "--verbose", "--output-dir", out]
    said = ""
    odd = {"upload_url": f"ftp://x/?sig={SIGNATURE}", "s3_key": "k", "upload_id": str(uuid.uuid4())}
    for faults in (
        [Fault("/storage", 403, detail=f"bad {TOKEN}")],
        [Fault("/storage", cut="before")] * 4,
        [Fault(PRESIGN, 400, detail=f"your token {TOKEN} is bad")],
        [Fault(PRESIGN, body=json.dumps(odd).encode())],
        [Fault(COMPLETE, 401, detail=TOKEN)],
    ):
        logged_in.faults += faults
        done = daf_call(*command)
        assert (done.returncode, logged_in.faults) == (1, []), done.stderr
        said += done.stdout + done.stderr
    done = daf_call(*command, "--json")
    assert json.loads(done.stdout)["submission"]["status"] == "submitted", done.stderr
    said += done.stdout + done.stderr + caplog.text
    for path in out.rglob("*"):
        said += path.read_text(errors="replace") if path.is_file() else ""
    assert "canary" not in said, said[max(0, said.find("canary") - 300) :][:400]


# settings


def test_every_field_of_the_tournament_configuration_has_an_effect(
    logged_in: Tournament, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged_in.seasons = ("beta", "gamma")
    logged_in.entered["gamma"] = []
    validated: list[int] = []
    verdict = SimpleNamespace(passed=True)
    monkeypatch.setattr(submission, "validate", lambda path, episodes, on_stage: validated.append(episodes) or verdict)
    base = DAFTournamentConfig(server_url=logged_in.url, submission_name="mine")  # type: ignore[call-arg]

    def dry(config: DAFTournamentConfig) -> tuple[str, str, str, list[int]]:
        validated.clear()
        made = submit(bundle, config, dry_run=True, output=OutputManager(tmp_path / "out"))
        return made.server, made.season, made.name, list(validated)

    usual = dry(base)
    assert usual == (logged_in.url, "beta", "mine", [5])
    with running(Tournament(seasons=("delta",))) as other:
        account.save_token(other.url, TOKEN)
        changed = {
            "server_url": (other.url, (other.url, "delta", "mine", [5])),
            "season": ("gamma", (logged_in.url, "gamma", "mine", [5])),
            "submission_name": ("yours", (logged_in.url, "beta", "yours", [5])),
            "auto_validate": (False, (logged_in.url, "beta", "mine", [])),
            "validation_episodes": (2, (logged_in.url, "beta", "mine", [2])),
        }
        assert set(changed) == set(DAFTournamentConfig.model_fields)
        for field, (value, wanted) in changed.items():
            assert dry(base.replace(**{field: value})) == wanted, field


def test_flags_win_over_the_file(logged_in: Tournament, bundle: Path, tmp_path: Path, daf_call: DafCall) -> None:
    file = tmp_path / "season.yaml"
    file.write_text(
        f"kind: tournament\nserver_url: {logged_in.url}\nseason: beta\nsubmission_name: filed\nauto_validate: false\n"
    )
    done = daf_call("submit", bundle, "--config", file, "--dry-run", "--json", "--output-dir", tmp_path / "out")
    assert json.loads(done.stdout)["submission"]["name"] == "filed"
    done = daf_call("submit", bundle, "--config", file, "--dry-run", "--json", "--name", "flagged")
    assert json.loads(done.stdout)["submission"]["name"] == "flagged"
    file.write_text("kind: tournament\nsubmission_name: x\nseasn: beta\n")
    done = daf_call("submit", bundle, "--config", file)
    assert done.returncode == 2
    assert "Nearest: season" in done.stderr


def test_the_function_of_the_contract_returns_a_deployment_result(
    logged_in: Tournament, bundle: Path, tmp_path: Path
) -> None:
    config = DAFTournamentConfig(server_url=logged_in.url, submission_name="mine", auto_validate=False)  # type: ignore[call-arg]
    made = daf_submit_policy(bundle, config, output_dir=tmp_path / "out")
    assert isinstance(made, DeploymentResult)
    assert (made.policy_name, made.version, made.status) == ("mine", "1", "submitted")
    assert made.package_path == str(bundle)


# lists


def test_uploads_submissions_and_the_ranking_are_listed(
    logged_in: Tournament, bundle: Path, send: Callable[..., Submission], daf_call: DafCall
) -> None:
    send()
    place = {"policy": {"id": logged_in.versions[0]["id"], "name": "mine", "version": 1}, "score": 1.5, "matches": 3}
    rival = {"policy": {"id": "6f1f5b8a-0000-4000-8000-000000000002", "name": "evil\x1b[31m", "version": 4}}
    logged_in.leaderboard = [{**rival, "rank": 1, "score": 2.25, "matches": 9}, {**place, "rank": 2}]
    there = {"server_url": logged_in.url}
    (upload,) = submissions(**there)
    assert (upload.policy, upload.version, upload.seasons) == ("mine", 1, ("beta",))
    (entry,) = submissions("beta", "mine:v1", **there)
    assert entry.matches == ("qualifying: 3 played, 1 failed, 2 to come",)
    assert submissions("beta", "mine:2", **there) == []
    assert [row.rank for row in leaderboard(**there).rows] == [1, 2]
    assert [row.policy for row in leaderboard(mine=True, **there).rows] == ["mine"]
    assert [row.rank for row in leaderboard("beta", "mine", **there).rows] == [2]
    with pytest.raises(UsageError, match="NAME or NAME:vN"):
        submissions(policy="mine:new", **there)

    flag = ["--server", logged_in.url]
    assert "mine:v1" in daf_call("submissions", *flag).stdout
    assert "qualifying: 3 played" in daf_call("submissions", "--season", "beta", *flag).stdout
    shown = daf_call("leaderboard", *flag).stdout
    assert "2.25" in shown
    assert "\x1b" not in shown
    assert json.loads(daf_call("leaderboard", *flag, "--json").stdout)["leaderboard"]["season"] == "beta"
    assert daf_call("leaderboard", "omega", *flag).returncode == 2


def test_a_ranking_needs_no_login(tournament: Tournament) -> None:
    assert leaderboard(server_url=tournament.url).rows == ()
    assert all("x-auth-token" not in request.headers for request in tournament.requests)
    with pytest.raises(AuthenticationError, match="not logged in"):
        leaderboard(mine=True, server_url=tournament.url)
