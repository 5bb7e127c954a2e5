"""Submit a bundle to a season of a tournament server that speaks as CoGames' does.

The same bytes enter a season once: a second call changes nothing. A call that failed or was stopped leaves a journal in
its run directory, and the same call takes only the missing steps. Nothing is sent before the bundle, the season, the
login and the validation were checked.

Not guaranteed: recognizing what was submitted from another output directory.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from daf.auth_integration import daf_get_auth_token, servers, token_for
from daf.config import DAFTournamentConfig
from daf.deployment import _submission_journal as journal
from daf.deployment._connection import connected
from daf.deployment._submission_journal import Plan, Progress
from daf.deployment._submission_steps import Steps
from daf.deployment.inspection import Inspection, inspect
from daf.deployment.result import DeploymentResult
from daf.deployment.validation import validate
from daf.errors import Interrupted, PackagingError, PolicyError, ServerError, UsageError, quoted
from daf.game import compat
from daf.output_manager import OutputManager, RunInfo
from daf.stats.sentences import counted
from daf.storage import locks
from daf.storage.console_tables import show

if TYPE_CHECKING:
    from rich.console import Console

    from daf.game.tournament import Season, TournamentServer

Status = Literal["submitted", "already submitted", "checked", "rejected"]
_LOCK = ".submit.lock"


@dataclass(frozen=True, slots=True)
class Submission:
    """A submission, or what a dry run found. version: on the server; None before the upload. run_dir: of its journal.

    status: "submitted", "already submitted" (earlier, these very bytes), "checked" (a dry run), "rejected" (by the
    validation). Only the first one sends something. reason: of a rejection. login: the command to log in with before
    the submission, if a dry run found no login.
    """

    status: Status
    name: str
    version: int | None
    season: str
    server: str
    pools: tuple[str, ...]
    bundle: Path
    sha256: str
    bytes: int
    run_id: str | None
    run_dir: Path | None
    reason: str | None = None
    login: str | None = None

    def sentence(self) -> str:
        """What happened, in one sentence."""
        what = self.name if self.version is None else f"{self.name}:v{self.version}"
        where = f"season {self.season} of {self.server}"
        if self.status == "rejected":
            return f"{self.reason} Nothing was sent. `daf validate {self.bundle}` shows every check."
        if self.status == "checked":
            first = "" if self.login is None else f" after a login (`{self.login}`)"
            return (
                f"{self.bundle} ({self.bytes:,} bytes) can be submitted as {what} to {where}{first}. Nothing was sent."
            )
        if self.status == "already submitted":
            return f"{self.bundle} is already in {where}, as {what}. Nothing was sent."
        pools = f"; it plays in {', '.join(self.pools)}" if self.pools else ""
        return f"submitted {what} to {where}{pools}."


@dataclass(frozen=True, slots=True)
class Watcher:
    """Callbacks during a submission.

    on_bytes: with the bytes sent, and in total. on_pause: with the reason and the seconds before a request is repeated.
    on_stage: with what begins.
    """

    on_bytes: Callable[[int, int], None] = lambda sent, total: None
    on_pause: Callable[[str, float], None] = lambda reason, seconds: None
    on_stage: Callable[[str], None] = lambda stage: None


def submit(
    bundle: str | Path,
    config: DAFTournamentConfig | None = None,
    *,
    login_server: str | None = None,
    dry_run: bool = False,
    timeout: float | None = None,
    output: OutputManager | None = None,
    watcher: Watcher | None = None,
) -> Submission:
    """Submit the zip `bundle`.

    config: where to, under which name, and whether and over how many episodes it is validated first (default: CoGames'
    server, its default season, the bundle's name). login_server: whose saved login is sent (default: the server's).
    dry_run: check everything and send nothing; without a login, everything but the login. timeout: seconds to wait for
    an answer.

    Raises `PolicyError` and `PackagingError` for a bundle that can't be submitted, `UsageError` for an unknown season,
    `AuthenticationError`, `ServerError`, `LockedError`, `StorageError`, `Interrupted`.
    """
    compat.install()
    chosen = config or DAFTournamentConfig.model_validate({"submission_name": default_name(bundle)})
    name = _checked_name(chosen.submission_name)
    found = _inspected(Path(bundle).expanduser())
    there = servers(chosen.server_url, login_server)
    token = daf_get_auth_token(there.server, login_server=there.login_server) if dry_run else token_for(there)
    output = output or OutputManager()
    watching = watcher or Watcher()
    with connected(there, token, timeout) as server:
        season = _season(server, chosen.season)
        assert found.sha256 is not None
        plan = Plan(there.server, season.name, name, found.sha256)
        before = None if token is None else _before(server, output, plan)
        if before is not None and before[1].step == "entered":
            return _result("already submitted", found, *before)
        if chosen.auto_validate:
            watching.on_stage(f"validating {found.path} over {counted(chosen.validation_episodes, 'episode')}")
            verdict = validate(found.path, episodes=chosen.validation_episodes, on_stage=watching.on_stage)
            if not verdict.passed:
                return replace(_result("rejected", found, None, Progress(plan)), reason=verdict.sentence())
        if dry_run:
            checked = _result("checked", found, None, before[1] if before is not None else Progress(plan))
            return replace(checked, login=there.login_command() if token is None else None)
        with locks.exclusive_if_supported(
            output.base_dir / _LOCK, f"another submission from {output.base_dir} is running. Wait for it."
        ):
            return _send(server, output, found, plan, before, watching, chosen)


def progress_of(run_dir: Path) -> str:
    """How far the submission of a run has come, in a phrase; "" if it is none. Raises `DamagedFileError`."""
    found = journal.read(run_dir)
    if found is None:
        return ""
    if found.step == "entered":
        return f"{found.plan.name}:v{found.version} in {found.plan.season}"
    return f"{found.plan.name}, {found.step}, not in {found.plan.season}"


def default_name(bundle: str | Path) -> str:
    """The name of a submission that is given none: the file's, as far as it can be a policy's."""
    return Path(bundle).stem.replace(":", "-")[:64] or "policy"


def daf_submit_policy(
    package_path: str | Path,
    config: DAFTournamentConfig | None = None,
    *,
    login_server: str | None = None,
    dry_run: bool = False,
    output_dir: str | Path | None = None,
    console: "Console | None" = None,
) -> DeploymentResult:
    """Submit a bundle; arguments and errors as in `submit`, with the result that all deployments share."""
    made = submit(package_path, config, login_server=login_server, dry_run=dry_run, output=OutputManager(output_dir))
    result = DeploymentResult(
        policy_name=made.name,
        version=None if made.version is None else str(made.version),
        status=made.status,
        message=made.sentence(),
        package_path=str(made.bundle),
        deployment_id=made.sha256,
    )
    show(console, f"Submission of {made.name}", result)
    return result


def _inspected(path: Path) -> Inspection:
    """The bundle, which must be a zip that one request can take. Raises `PolicyError`, `PackagingError`."""
    from daf.game.tournament import MOST_BYTES

    if path.is_dir():
        raise PackagingError(f"{path} is a directory. `daf package -p {path}` makes the zip to submit.")
    if path.is_file() and path.stat().st_size > MOST_BYTES:
        raise PackagingError(
            f"{path} has {path.stat().st_size:,} bytes; an upload has at most {MOST_BYTES:,}. Leave out what the "
            "policy doesn't need."
        )
    try:
        return inspect(path)
    except PolicyError as error:
        if path.exists():
            raise
        raise PolicyError(f"{error} Make one with `daf package -p POLICY`.") from None


def _checked_name(name: str) -> str:
    from daf.game.tournament import LONGEST_NAME

    if ":" in name or len(name) > LONGEST_NAME or not name.isprintable() or not name.strip():
        raise UsageError(
            f'the name of a submission has at most {LONGEST_NAME} printable characters and no ":", got {quoted(name)}.'
        )
    return name


def _season(server: "TournamentServer", name: str | None) -> "Season":
    from daf.game.tournament import installed_compat

    season = server.season(name)
    if season.compat is not None and season.compat != installed_compat():
        raise UsageError(
            f"season {season.name} is played with CoGames {season.compat}; CoGames {installed_compat()} is installed."
        )
    return season


def _before(server: "TournamentServer", output: OutputManager, plan: Plan) -> tuple[RunInfo | None, Progress] | None:
    """How far an earlier call has come with these bytes: in this season, or at least on this server.

    The run is None where it was another season's: its upload serves this one too.
    """
    elsewhere: Progress | None = None
    for run, progress in journal.earlier(output.base_dir, plan):
        if progress.plan.season == plan.season:
            if progress.step == "entered" and not _is_in(server, progress):
                return run, _uploaded_version(progress, plan)
            return run, progress
        if elsewhere is None and progress.version_id is not None:
            elsewhere = _uploaded_version(progress, plan)
    return None if elsewhere is None else (None, elsewhere)


def _is_in(server: "TournamentServer", progress: Progress) -> bool:
    return progress.version_id in [entry.version_id for entry in server.entries(progress.plan.season)]


def _uploaded_version(progress: Progress, plan: Plan) -> Progress:
    return Progress(plan, "completed", version_id=progress.version_id, version=progress.version)


def _send(
    server: "TournamentServer",
    output: OutputManager,
    found: Inspection,
    plan: Plan,
    before: tuple[RunInfo | None, Progress] | None,
    watching: Watcher,
    config: DAFTournamentConfig,
) -> Submission:
    run, progress = before if before is not None else (None, Progress(plan))
    if run is not None:
        output.resume(run, "deployment")
    size = found.path.stat().st_size
    title = f"Submission of {plan.name} to {plan.season}"
    with output.operation("deployment", title=title, config=config) as folder:
        if run is None:
            journal.record(
                folder, "planned", server=plan.server, season=plan.season, name=plan.name, sha256=plan.sha256
            )
        if progress.step == "completed":
            journal.record(folder, "completed", version_id=progress.version_id, version=progress.version)
        watching.on_stage(f"submitting {plan.name} to {plan.season}")
        steps = Steps(
            server,
            found.path,
            folder,
            progress,
            on_bytes=lambda sent: watching.on_bytes(sent, size),
            on_pause=watching.on_pause,
        )
        try:
            done = steps.take()
        except ServerError as error:
            text = f"{error} {_state(steps.progress)} The same command resumes."
            raise ServerError(text, status=error.status, wait=error.wait) from None
        except KeyboardInterrupt:
            raise Interrupted(f"stopped. {_state(steps.progress)} The same command resumes.") from None
        output.save_json_results(_result("submitted", found, folder, done), "deployment", "submission")
        return _result("submitted", found, folder, done)


def _state(progress: Progress) -> str:
    """The steps that are done, for the message of a call that did not reach its end."""
    if progress.step == "planned":
        return "Nothing was uploaded."
    if progress.version_id is None:
        return "The bundle is uploaded, but not yet a policy of the server."
    return f"The bundle is uploaded as {progress.plan.name}:v{progress.version}, but not in the season."


def _result(status: Status, found: Inspection, run: "RunInfo | Path | None", progress: Progress) -> Submission:
    folder = run.path if isinstance(run, RunInfo) else run
    assert found.sha256 is not None
    return Submission(
        status=status,
        name=progress.plan.name,
        version=progress.version,
        season=progress.plan.season,
        server=progress.plan.server,
        pools=progress.pools,
        bundle=found.path,
        sha256=found.sha256,
        bytes=found.path.stat().st_size,
        run_id=None if folder is None else folder.name,
        run_dir=folder,
    )
