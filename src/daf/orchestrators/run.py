"""Run a pipeline: every stage after those that it needs, each as a separate process.

- A stage whose result is there under the same key is not run again (`_results`), so a changed stage reruns with what
  depends on it and nothing else, and the same command resumes a pipeline that was killed.
- A training run or a sweep that was cut short is resumed, not restarted: an attempt's run carries its stage's key as a
  tag.
- `pipeline.json` in the run directory is written after every change of a stage, whole or not at all.
- Stages end with the process that runs the pipeline, however that ends.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.config import DAFPipelineConfig
from daf.config.stage import DAFStageConfig
from daf.core.jobs import interface as jobs
from daf.core.jobs.interface import JobSpec, JobStatus
from daf.core.jobs.local import LocalJobs
from daf.core.jobs.retry import RetryRule
from daf.core.jobs.training import USAGE, failure, printed_object
from daf.errors import DAFError, Interrupted
from daf.orchestrators import _results as results
from daf.orchestrators._check import check_options
from daf.orchestrators._commands import COMMANDS, command_line, resume_line
from daf.orchestrators._notify import notification, notify
from daf.orchestrators._plan import PlannedStage, plan_pipeline
from daf.orchestrators._references import replaced
from daf.orchestrators._state import PipelineState
from daf.orchestrators.result import PipelineResult, StageRecord
from daf.output_manager.publication import adding_to
from daf.output_manager.runs import list_runs
from daf.storage import atomic
from daf.storage.jsonable import jsonable
from daf.storage.yaml_strict import dump_yaml

if TYPE_CHECKING:
    from daf.output_manager import OutputManager

FILE = "pipeline.json"
_POLL_SECONDS = 0.5
_GRACE_SECONDS = 60.0
"""For a stage that is asked to end, so that training can save."""
_RETRY_SECONDS = 5.0
_LONGEST_RETRY_SECONDS = 300.0
_FINISHED = ("completed", "saved")

OnChange = Callable[[StageRecord], None]


def run_pipeline(
    config: DAFPipelineConfig,
    *,
    output: "OutputManager | None" = None,
    from_stage: str | None = None,
    only: str | None = None,
    executor: str | None = None,
    dry_run: bool = False,
    on_change: OnChange | None = None,
) -> PipelineResult:
    """Run the stages of `config` that have no result yet, and write one report over all of them.

    from_stage: run this stage and all that depend on it again. only: run this one alone; results of what it needs must
    be there. executor: for every stage that plays or trains and does not name one. dry_run: only say which stages would
    run. on_change: called with a stage's record when its status changes.

    Raises `ConfigError` for stages that cannot run as described, before the first one runs; `UsageError`,
    `StorageError`, and `Interrupted` after Ctrl-C: the same call resumes.
    """
    from daf.output_manager import OutputManager

    plan = plan_pipeline(config)
    if from_stage is not None:
        plan.stage(from_stage)
    chosen = plan.stages if only is None else (plan.stage(only),)
    target = notification(config.notify_on_completion)
    check_options([stage.config for stage in plan.stages], executor=executor)
    where = output or OutputManager()
    again = plan.after(from_stage) if from_stage is not None else set()
    again |= {only} if only is not None else set()
    state = PipelineState(plan, where.base_dir, again)
    state.find_results([stage.name for stage in chosen])
    if dry_run:
        return state.result("planned", 0.0)
    started = time.monotonic()
    data = config.to_data()
    with where.operation("artifacts", title=f"pipeline {config.name}", config=data) as folder:
        run = _Run(state, folder, where.session_id, chosen, executor, on_change or (lambda _: None))
        run.until_ended()
        failed = [record.name for record in state.records.values() if record.status in ("failed", "skipped")]
        done = state.result("failed" if failed else "ok", time.monotonic() - started, folder, where.session_id)
        atomic.write_json(folder / FILE, jsonable(run.data() | {"status": done.status}))
        where.log_operation_complete(
            "artifacts", "failed" if failed else "completed", {"stages": len(state.records)},
            error="; ".join(f"{name}: {message}" for name, message in done.errors.items()) or None,
        )  # fmt: skip
    from dataclasses import replace

    from daf.reporting import daf_report

    with adding_to(folder):
        done = replace(done, report=daf_report(folder, base_dir=where.base_dir).html)
    notify(target, done)
    return done


class _Run:
    """The stages that are to run, and the processes of those that do."""

    def __init__(
        self,
        state: PipelineState,
        folder: Path,
        run_id: str,
        chosen: Sequence[PlannedStage],
        executor: str | None,
        on_change: OnChange,
    ) -> None:
        self.state, self.folder, self.run_id, self.executor, self.on_change = state, folder, run_id, executor, on_change
        self.config = state.plan.config
        self.open = [stage for stage in chosen if state.records[stage.name].status == "waiting"]
        self.running: dict[str, tuple[JobSpec, float]] = {}
        self.not_before: dict[str, float] = {}
        self.most = os.cpu_count() or 1 if self.config.parallel_stages else 1
        self.runner = LocalJobs()
        self.began: dict[str, float] = {}

    def until_ended(self) -> None:
        """Start, watch and end stages. Raises `Interrupted`."""
        self._write()
        for record in self.state.records.values():
            if record.status == "cached":
                self.on_change(record)
        try:
            while self.open or self.running:
                self._skip()
                self._start()
                self._collect()
        except BaseException as error:
            self._end_all()
            if isinstance(error, KeyboardInterrupt):
                done = len(self.state.results)
                raise Interrupted(
                    f"stopped with {done} of {len(self.state.records)} stages done. The same command resumes."
                ) from error
            raise

    def data(self) -> dict[str, Any]:
        """The content of pipeline.json."""
        return {
            "name": self.config.name,
            "description": self.config.description,
            "run_id": self.run_id,
            "status": "running",
            "stages": [vars(record) for record in self.state.records.values()],
        }

    def _write(self) -> None:
        atomic.write_json(self.folder / FILE, jsonable(self.data()))

    def _changed(self, record: StageRecord) -> None:
        self._write()
        self.on_change(record)

    def _skip(self) -> None:
        """Give up the stages that can no longer run."""
        records = self.state.records
        failed = next((one.name for one in records.values() if one.status == "failed"), None)
        for stage in list(self.open):
            lost = next((need for need in stage.needs if records[need].status in ("failed", "skipped")), None)
            if lost is None and not (failed is not None and self.config.stop_on_failure):
                continue
            why = (
                f"needs {lost}, which did not end well" if lost is not None else f"not started, because {failed} failed"
            )
            self._give_up(stage.name, "skipped", why)
            self.open.remove(stage)

    def _start(self) -> None:
        for stage in list(self.open):
            if len(self.running) >= self.most:
                return
            ready = all(need in self.state.results for need in stage.needs)
            if ready and time.monotonic() >= self.not_before.get(stage.name, 0.0):
                self.open.remove(stage)
                self._launch(stage)

    def _launch(self, stage: PlannedStage) -> None:
        record = self.state.records[stage.name]
        record.key = self.state.key_of(stage)
        if self.state.found(stage):  # what it needs ended as before
            self._changed(record)
            return
        try:
            argv = self._command(stage, str(record.key))
        except DAFError as error:
            self._give_up(stage.name, "failed", str(error))
            return
        job = JobSpec(
            stage.name,
            tuple(argv),
            jobs.unused_folder(self.folder / "stages", stage.name),
            environment={"DAF_OUTPUT_DIR": str(self.state.base)},
            outlives_launcher=False,
        )
        self.began.setdefault(stage.name, time.monotonic())
        self.running[stage.name] = (job, time.monotonic())
        record.status, record.attempts = "running", record.attempts + 1
        self.runner.launch(job)
        self._changed(record)

    def _command(self, stage: PlannedStage, key: str) -> list[str]:
        """The stage's command with the outputs that it refers to, or the one that resumes an earlier attempt."""
        filled = self._filled(stage.config)
        tag = f"stage-{key[:20]}"
        if stage.config.use != "command" and COMMANDS[stage.config.use].resume:
            for run in list_runs(self.state.base):
                if tag in run.labels.tags and run.status not in _FINISHED and run.status != "running":
                    return resume_line(filled, run.run_id, base=self.state.base, executor=self.executor)
        file = None
        if filled.config is not None:
            file = self.folder / "stages" / f"{stage.name}.yaml"
            atomic.write_text(file, dump_yaml({"kind": COMMANDS[filled.use].kind, **filled.config}))
        return command_line(filled, base=self.state.base, tag=tag, config_file=file, executor=self.executor)

    def _filled(self, config: DAFStageConfig) -> DAFStageConfig:
        def output_of(reference: Any) -> Any:
            return results.output_of(reference, self.state.results[reference.stage])

        return config.replace(
            options=replaced(config.options, output_of),
            config=replaced(config.config, output_of),
            run=[str(word) for word in replaced(config.run, output_of)],
        )

    def _collect(self) -> None:
        """Wait a moment, then take in the stages that ended."""
        self.runner.wait([job for job, _ in self.running.values()], _POLL_SECONDS)
        for name, (job, since) in list(self.running.items()):
            status = self.runner.status(job)
            limit = self.state.plan.stage(name).config.timeout_seconds
            if status.state in ("ended", "gone", "absent"):
                del self.running[name]
                self._ended(name, job, status)
            elif limit is not None and time.monotonic() - since > limit:
                jobs.stop(self.runner, [job], grace=min(_GRACE_SECONDS, limit))
                del self.running[name]
                self._failed(name, f"took longer than its limit of {limit:g} seconds (timeout_seconds)", retry=True)

    def _ended(self, name: str, job: JobSpec, status: JobStatus) -> None:
        if status.state != "ended" or status.exit_code is None:
            self._failed(name, f"its process was killed; its messages are in {job.stderr}", retry=True)
            return
        if status.exit_code != 0:
            found = failure(job, status.exit_code)
            self._failed(name, str(found), retry=found.retry and status.exit_code != USAGE)
            return
        stage = self.state.plan.stage(name).config
        record = self.state.records[name]
        seconds = time.monotonic() - self.began[name]
        try:
            key = self.state.key_of(self.state.plan.stage(name))  # of the files as the stage left them
            result = results.result_of(stage, key, _printed(stage, job), job.stdout, seconds)
            results.store(self.state.base, result)
        except (DAFError, LookupError, TypeError) as error:
            self._failed(name, f"its result can't be read: {error}", retry=False)
            return
        self.state.done(name, result, "done")
        record.key, record.error = key, None
        self._changed(record)

    def _failed(self, name: str, message: str, *, retry: bool) -> None:
        record = self.state.records[name]
        stage = self.state.plan.stage(name)
        rule = RetryRule(stage.config.retries, _RETRY_SECONDS, _LONGEST_RETRY_SECONDS)
        wait = rule.seconds_until_retry(record.attempts - 1) if retry else None
        if wait is None:
            self._give_up(name, "failed", message)
            return
        record.status, record.error = "waiting", message
        self.not_before[name] = time.monotonic() + wait
        self.open.insert(0, stage)
        self._changed(record)

    def _give_up(self, name: str, status: Any, message: str) -> None:
        record = self.state.records[name]
        record.status, record.error = status, message
        if name in self.began:
            record.seconds = time.monotonic() - self.began[name]
        self._changed(record)

    def _end_all(self) -> None:
        jobs.stop(self.runner, [job for job, _ in self.running.values()], grace=_GRACE_SECONDS)
        for name in self.running:
            self._give_up(name, "interrupted", "interrupted")


def _printed(stage: DAFStageConfig, job: JobSpec) -> Mapping[str, Any]:
    """The object that the stage printed. Of another program than DAF, only if all that it printed is one."""
    found = printed_object(job)
    if found is None and stage.use != "command":
        raise DAFError("it printed no JSON object")
    return found or {}


def run_of_pipeline(run: str, base: Path) -> Path:
    """The run directory of a pipeline; latest is the last one. Raises `UsageError`."""
    from daf.errors import UsageError
    from daf.output_manager.kinds import run_of

    if run != "latest":
        return run_of(run, base).path
    found = next((one.path for one in list_runs(base, "artifacts") if (one.path / FILE).is_file()), None)
    if found is None:
        raise UsageError(f"no pipeline has run in {base}. --output-dir selects another output directory.")
    return found


def read_pipeline(folder: Path) -> dict[str, Any]:
    """The record in the run directory of a pipeline. Raises `UsageError` if it has none, `DamagedFileError`."""
    from daf.errors import UsageError
    from daf.storage.reading import read_json

    data = read_json(folder / FILE, dict[str, Any])
    if data is None:
        raise UsageError(f"{folder} is not the run directory of a pipeline: it has no {FILE}.")
    return data


__all__ = ["FILE", "read_pipeline", "run_pipeline"]
