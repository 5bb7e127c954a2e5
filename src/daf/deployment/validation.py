"""Decide whether a bundle may be released or submitted, by playing it.

`validate` plays the bundle in separate processes with limits on memory, CPU time and wall time, without secrets in the
environment, with an empty home, and without network where the platform allows it; the result says where not. Whatever
the bundle's code does is a failed check of the result, never an exception here. A bundle that fails the job of
`cogames validate-bundle` fails; one that passes it passes the check "cogames".

Not guaranteed: protection against malicious code, which has the user's rights on files.
"""

import functools
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, get_args

import msgspec

from daf.deployment import _validation_checks as checks
from daf.deployment._validation_checks import Check, MissionReturns
from daf.deployment._validation_play import (
    EpisodesFound,
    EpisodesRequest,
    MissionRequest,
    PlayFailure,
    StepTimes,
    play_episodes,
)
from daf.deployment.inspection import Inspection, inspect, require_bundle
from daf.errors import DAFError, DamagedFileError, PolicyError, UsageError, unknown
from daf.game import bundles, isolated
from daf.game import missions as game_missions
from daf.game.cogames_job import JobRequest, play_job
from daf.mission_analysis.success import criterion, default_criterion
from daf.processes.confined import Confinement, why_network_stays
from daf.storage.hashing import hash_tree

Mode = Literal["quick", "thorough"]
MODES: tuple[str, ...] = get_args(Mode)
MISSIONS: dict[str, tuple[str, ...]] = {"quick": ("arena",), "thorough": ("arena", "machina_1")}
EPISODES = {"quick": 5, "thorough": 20}
"""5 episodes that all succeed show a success rate above 0.5, at a confidence of 95 %."""
SECONDS = {"quick": 300.0, "thorough": 3600.0}
STEP_LIMIT_MS = 10_000.0
"""CoGames' tournament replaces a step that takes longer by noop."""
COGAMES_SECONDS = 300.0
"""CoGames gives a set-up script, and the whole job, this long."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the bundle's processes may use.

    seconds: wall and CPU time of the episodes. step_ms: a step of the game, all agents together. network: why the
    processes could use the network; None if they could not. The set-up script always may.
    """

    seconds: float
    memory_mib: int
    step_ms: float
    network: str | None


@dataclass(frozen=True, slots=True)
class Validation:
    """The result. sha256: of the zip, or of a folder's content. memory_mib: the peak of the process that played.

    missions: empty if no episode was played. step_times: measured on this machine.
    """

    policy_name: str
    path: Path
    sha256: str
    mode: Mode
    episodes: int
    seed: int
    checks: tuple[Check, ...]
    missions: tuple[MissionReturns, ...]
    step_times: StepTimes | None
    memory_mib: float | None
    limits: Limits
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(check.status != "failed" for check in self.checks)

    def sentence(self) -> str:
        """The verdict, with the failed checks."""
        failed = [f"{check.name}: {check.message}" for check in self.checks if check.status == "failed"]
        if failed:
            return f"{self.policy_name} failed the validation. {' '.join(failed)}"
        count = sum(check.status == "passed" for check in self.checks)
        return f"{self.policy_name} passed all {count} checks."

    def to_data(self) -> dict[str, Any]:
        """As JSON values; `from_data` reads them."""
        data: dict[str, Any] = msgspec.to_builtins(self, enc_hook=str)
        return {**data, "passed": self.passed}

    @staticmethod
    def from_data(data: Any) -> "Validation":
        """The validation that `to_data` returned. Raises `msgspec.ValidationError`."""
        return msgspec.convert(data, Validation, dec_hook=lambda kind, value: kind(value))


def validate(
    path: str | Path,
    missions: Any = None,
    threshold: float | None = None,
    mode: str = "quick",
    *,
    success: str | None = None,
    episodes: int | None = None,
    seed: int = 42,
    skip: Iterable[str] = (),
    network: bool = False,
    step_limit_ms: float = STEP_LIMIT_MS,
    memory_mib: int = isolated.MEMORY_MIB,
    seconds: float | None = None,
    game: str = game_missions.DEFAULT_GAME,
    on_stage: Callable[[str], None] | None = None,
    on_episode: Callable[[int, int], None] | None = None,
) -> Validation:
    """Validate the bundle at `path`, a zip or its folder.

    missions: anything that `daf.game.missions.resolve` takes (default: by mode). threshold: the success rate that each
    mission must have, by the lower bound of its one-sided 95 % interval; success: when an episode is one (default: by
    the mission's reward). episodes: per mission (default: by mode). skip: names of checks that don't count. network:
    leave the policy the network. seconds: of the episodes (default: by mode). on_stage, on_episode: called with what
    begins, and with (played, planned); the latter in another thread.

    Raises `PolicyError` if there is no bundle, and `UsageError` for arguments out of bounds.
    """
    started = perf_counter()
    chosen = _mode(mode)
    _check_numbers(threshold, episodes, step_limit_ms, memory_mib, seconds)
    skipped = _skipped(skip)
    wanted = _missions(MISSIONS[mode] if missions is None else missions, success, threshold, game)
    stays = "it was allowed" if network else why_network_stays()
    limits = Limits(SECONDS[mode] if seconds is None else seconds, memory_mib, step_limit_ms, stays)
    bundle_path = require_bundle(path)
    with tempfile.TemporaryDirectory(prefix="daf-validate-") as scratch:
        run = _Run(
            bundle_path, wanted, EPISODES[mode] if episodes is None else episodes, seed, limits, Path(scratch),
            network, on_stage or (lambda _: None), on_episode or (lambda _a, _b: None),
        )  # fmt: skip
        found = run.checks(threshold)
    made = [
        replace(check, status="skipped", message="not checked, as requested") if check.name in skipped else check
        for check in found
    ]
    return Validation(
        policy_name=run.name,
        path=bundle_path,
        sha256=run.sha256,
        mode=chosen,
        episodes=run.episodes,
        seed=seed,
        checks=tuple(made),
        missions=run.returns,
        step_times=run.played.step_times if run.played is not None else None,
        memory_mib=run.played.memory["peak"] if run.played is not None else None,
        limits=limits,
        seconds=perf_counter() - started,
    )


class _Run:
    """One validation in progress; `checks` runs the stages in order, and stops after one that the next needs."""

    def __init__(
        self,
        path: Path,
        missions: Sequence[MissionRequest],
        episodes: int,
        seed: int,
        limits: Limits,
        scratch: Path,
        network: bool,
        on_stage: Callable[[str], None],
        on_episode: Callable[[int, int], None],
    ) -> None:
        self.path, self.missions, self.episodes, self.seed, self.limits = path, missions, episodes, seed, limits
        self.name, self.sha256 = path.name.removesuffix(".zip"), ""
        self.returns: tuple[MissionReturns, ...] = ()
        self.played: EpisodesFound | None = None
        self._cache, home = scratch / "cache", scratch / "home"
        for folder in (self._cache, home):
            folder.mkdir()
        self._confined = functools.partial(Confinement, home, limits.memory_mib)
        self._network = network
        self._stage, self._on_episode = on_stage, on_episode

    def checks(self, threshold: float | None) -> list[Check]:
        """Every check, in order of `checks.NAMES`."""
        made: list[Check] = []
        bundle: bundles.Bundle | None = None
        for name, stage in (("bundle", self._inspect), ("set-up", self._set_up), ("cogames", self._cogames)):
            try:
                bundle, message = stage(bundle)
            except (PolicyError, DamagedFileError) as error:
                made.append(Check(name, "failed", self._shown(str(error), bundle)))
                return [*made, *checks.not_reached(name, name)]
            status: checks.Status = "skipped" if name == "set-up" and message == checks.NO_SET_UP else "passed"
            made.append(Check(name, status, message))
        assert bundle is not None
        found = self._episodes(bundle)
        if found.failure is not None:
            found.failure = replace(found.failure, message=self._shown(found.failure.message, bundle))
        self.returns = checks.returns_of(found, self.missions)
        return [*made, *checks.of_episodes(found, self.returns, self.limits.step_ms, self._planned(), threshold)]

    def _shown(self, message: str, bundle: bundles.Bundle | None) -> str:
        """A message with the entries of the bundle instead of paths in the temporary directory."""
        if bundle is None:
            return message
        return message.replace(f"{bundle.root}/", "").replace(str(bundle.root), str(self.path))

    def _planned(self) -> int:
        return self.episodes * len(self.missions)

    def _inspect(self, _: bundles.Bundle | None) -> tuple[bundles.Bundle, str]:
        self._stage("reading the bundle")
        inspection: Inspection = inspect(self.path)
        self.sha256 = inspection.sha256 or hash_tree(self.path)
        if inspection.manifest is not None:
            self.name = inspection.manifest["name"]
        bundle = bundles.open_bundle(self.path, self._cache)
        if self.path.is_dir():
            bundle = bundles.copied(bundle, self._cache / "bundle")
        what = "hashes are those of the manifest" if inspection.verified else "it has no manifest with hashes"
        return bundle, f"{len(inspection.entries)} files; {what}"

    def _set_up(self, bundle: bundles.Bundle | None) -> tuple[bundles.Bundle, str]:
        assert bundle is not None
        if bundle.setup_script is None:
            return bundle, checks.NO_SET_UP
        self._stage("running the set-up script")
        seconds = min(COGAMES_SECONDS, self.limits.seconds)
        started = perf_counter()
        bundles.set_up(bundle, self._cache, seconds=seconds, confinement=self._confined(int(seconds), network=True))
        return bundle, f"{bundle.setup_script.name} took {perf_counter() - started:.1f} s"

    def _cogames(self, bundle: bundles.Bundle | None) -> tuple[bundles.Bundle, str]:
        assert bundle is not None
        self._stage("playing 10 steps as CoGames does")
        seconds = min(COGAMES_SECONDS, self.limits.seconds)
        for mission in self.missions:
            try:
                isolated.call(
                    play_job, JobRequest(bundle.root, mission.config), seconds=seconds, doing="the policy",
                    confinement=self._confined(int(seconds), network=self._network),
                    too_long="CoGames' job is 10 steps: it hangs, or is too slow.",
                )  # fmt: skip
            except PolicyError as error:
                raise PolicyError(f"on {mission.name}, {error}") from error
        names = ", ".join(mission.name for mission in self.missions)
        return bundle, f"the job of `cogames validate-bundle` passed on {names}"

    def _episodes(self, bundle: bundles.Bundle) -> EpisodesFound:
        self._stage("playing the validation episodes")
        request = EpisodesRequest(
            bundle.root, self.name, self._cache, tuple(self.missions), self.episodes, self.seed, self.limits.step_ms,
            self.limits.memory_mib,
        )  # fmt: skip
        try:
            found = isolated.call(
                play_episodes, request, seconds=self.limits.seconds, doing="the policy",
                confinement=self._confined(int(self.limits.seconds) + 1, network=self._network),
                too_long=f"It should play {self._planned() + len(self.missions)} episodes: it hangs, or needs a longer "
                "--time-limit.",
                on_report=lambda line: self._on_episode(*(int(part) for part in line.split())),
            )  # fmt: skip
        except DAFError as error:
            return EpisodesFound([], failure=PlayFailure("episodes", str(error)))
        self.played = msgspec.convert(found, EpisodesFound)
        return self.played


def _mode(mode: str) -> Mode:
    if mode not in MODES:
        raise UsageError(unknown("mode of validation", mode, MODES))
    return mode  # type: ignore[return-value]


def _check_numbers(
    threshold: float | None, episodes: int | None, step_limit_ms: float, memory_mib: int, seconds: float | None
) -> None:
    if threshold is not None and not 0 <= threshold <= 1:
        raise UsageError(f"--threshold is a success rate and must be between 0 and 1, got {threshold:g}.")
    if episodes is not None and episodes < 1:
        raise UsageError(f"--episodes must be at least 1, got {episodes}.")
    if not step_limit_ms > 0:
        raise UsageError(f"--step-limit must be above 0, got {step_limit_ms:g}.")
    if memory_mib < 256:
        raise UsageError(f"--memory must be at least 256 MiB, got {memory_mib}: Python and the simulator need that.")
    if seconds is not None and not seconds >= 1:
        raise UsageError(f"--time-limit must be at least 1 s, got {seconds:g}.")


def _skipped(skip: Iterable[str]) -> frozenset[str]:
    names = frozenset(skip)
    for name in sorted(names):
        if name not in checks.OPTIONAL:
            raise UsageError(unknown("check that can be skipped", name, checks.OPTIONAL))
    return names


def _missions(given: Any, success: str | None, threshold: float | None, game: str) -> tuple[MissionRequest, ...]:
    stated = criterion(success) if success is not None else None
    requests = []
    for mission in game_missions.resolve(given, game=game):
        wanted = stated or default_criterion(mission)
        if wanted is None and threshold is not None:
            raise UsageError(f'{mission.name} has no reward that says what a success is. Add --success "METRIC >= X".')
        text = wanted.text if wanted is not None else None
        requests.append(MissionRequest(mission.name, mission.config_json, mission.config_hash, mission.max_steps, text))
    return tuple(requests)
