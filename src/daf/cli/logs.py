"""`daf logs`: what happened in training, from logs of any size."""

import re
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from daf.cli._options import ConfigOption, JobsOption, JsonOption, QuietOption, VerboseOption
from daf.errors import ConfigError, UsageError, quoted, unknown

if TYPE_CHECKING:
    from rich.progress import Progress

    from daf.streams.running import PartDone

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_FROM_FILE = (
    "variant", "experiments", "run", "output_dir", "formats", "smooth_window", "seed", "sample_size", "jobs", "compare",
    "incremental",
)  # fmt: skip


@app.command()
def logs(
    context: typer.Context,
    targets: Annotated[
        list[Path] | None, typer.Argument(metavar="[RUN_DIR|FILES]...", help="A run's folder, or log files.")
    ] = None,
    variant: Annotated[
        str | None, typer.Option("--variant", help="The logs of this variant, from --experiments.")
    ] = None,
    experiments: Annotated[
        Path, typer.Option("--experiments", help="Where variants lie: <variant>/<YYYYMMDD_HHMMSS>/json_logs/.")
    ] = Path("experiments"),
    run: Annotated[str, typer.Option("--run", help="Which run of a variant: latest, all, or its name.")] = "latest",
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option("--compare", metavar="A B", help="Two variants (or run folders) side by side."),
    ] = None,
    output_dir: Annotated[
        Path | None, typer.Option("--output-dir", help="Where files go (default: plots/ beside json_logs/).")
    ] = None,
    formats: Annotated[str, typer.Option("--format", help="What to write: any of png,pdf,svg,html,gif.")] = (
        "png,pdf,svg,html,gif"
    ),
    smooth_window: Annotated[
        int | None,
        typer.Option("--smooth-window", help="Bins to smooth over (default: as many as the noise asks for)."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the sample.")] = 0,
    sample_size: Annotated[int, typer.Option("--sample-size", help="Records in the sample.")] = 10_000,
    jobs: JobsOption = "auto",
    incremental: Annotated[
        bool, typer.Option("--incremental", help="Keep what was counted, and next time read only what is new.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Analyse training logs larger than memory: rewards over training, where the agents went, and what is damaged.

    Reads JSON arrays, JSON lines and CSV, also .gz and .zst, in one pass. Everything is counted from all records; what
    is damaged is reported with its place, never dropped in silence.

    \b
        daf logs experiments/v4/20250724_101500
        daf logs --variant v4 --run latest --format png,html
        daf logs --compare v4 v5
    """
    from daf.cli.show import emit, err, out
    from daf.log_analysis import daf_analyze_logs, daf_compare_logs, describe
    from daf.storage.paths import existing

    values = {name: value for name, value in dict(locals()).items() if name in _FROM_FILE}
    values = _from_file(context, config, values)
    pair = values.pop("compare")
    common: dict[str, Any] = {
        **{key: values[key] for key in ("experiments", "run", "output_dir", "smooth_window", "seed", "sample_size")},
        "formats": [name for name in str(values["formats"]).split(",") if name.strip()],
        "jobs": _jobs(str(values["jobs"])),
        "incremental": bool(values["incremental"]),
    }
    with LogProgress(quiet=quiet, verbose=verbose) as progress:
        common |= {"progress": progress, "stage": progress.stage}
        if pair is not None:
            if any(name.startswith("-") or ("," in name and existing(name) is None) for name in pair):
                raise UsageError("--compare takes two logs, one after the other: --compare v4 v5.")
            if targets or values["variant"]:
                raise UsageError("--compare names its two logs itself: leave out other logs and --variant.")
            comparison = daf_compare_logs(list(pair), **common)
            result, analyses = comparison.to_dict(), comparison.analyses
            written = comparison.written
        else:
            analysis = daf_analyze_logs(targets or (), variant=values["variant"], **common)
            result, analyses, written = analysis.to_dict(), [analysis], analysis.written
    if as_json:
        emit(result)
        return
    if not quiet:
        for analysis in analyses:
            for line in describe(analysis)[:-1]:
                err.print(line, markup=False, soft_wrap=True)
    for path in written:
        out.print(str(path), markup=False, soft_wrap=True)


def _jobs(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    if re.fullmatch(r"[0-9]{1,4}", text) is None or int(text) < 1:
        raise UsageError(f"--jobs {quoted(text)}: must be a number from 1 to 9999, or auto.")
    return int(text)


def _from_file(context: typer.Context, path: Path | None, values: dict[str, Any]) -> dict[str, Any]:
    """`values` with those of the file `path` where no flag was given. Raises `ConfigError`."""
    if path is None:
        return values
    from daf.storage.yaml_strict import read_document

    content = read_document(path).value
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: a mapping of option names to values is wanted, not {type(content).__name__}.")
    for key, value in content.items():
        name = {"format": "formats"}.get(str(key).replace("-", "_"), str(key).replace("-", "_"))
        if name not in _FROM_FILE:
            raise ConfigError(f"{path}: {unknown('option', str(key), _FROM_FILE)}")
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            continue
        if name == "compare" and not (isinstance(value, list) and len(value) == 2):
            raise ConfigError(f"{path}: compare: {value!r} is not a list of two logs.")
        if name in ("smooth_window", "seed", "sample_size") and not (isinstance(value, int) or value is None):
            raise ConfigError(f"{path}: {key}: {value!r} is not a whole number.")
        values[name] = ",".join(map(str, value)) if name == "formats" and isinstance(value, list) else value
    return values


class LogProgress:
    """Progress on stderr: a bar on a terminal, a line now and then elsewhere, nothing where quiet."""

    def __init__(self, *, quiet: bool, verbose: bool) -> None:
        self._quiet = quiet
        self._verbose = verbose
        self._began = self._spoke = time.monotonic()
        self._bar: Progress | None = None

    def __enter__(self) -> "LogProgress":
        from daf.cli.show import err

        if not self._quiet and err.is_terminal:
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

            self._bar = Progress(
                SpinnerColumn(), TextColumn("logs"), BarColumn(), TextColumn("{task.fields[note]}"),
                console=err, transient=True,
            )  # fmt: skip
            self._bar.add_task("logs", total=None, note="looking for records")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: "PartDone") -> None:
        """A part was counted."""
        from daf.cli.show import say

        note = self._note(done)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], total=done.total_bytes, completed=done.done_bytes, note=note)
        elif self._due(last=done.index + 1 == done.count):
            say(note)

    def stage(self, what: str) -> None:
        """Something is about to be drawn."""
        from daf.cli.show import say

        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], note=f"drawing: {what}")
        elif self._verbose and not self._quiet:
            say(f"drawing: {what}")

    def _due(self, *, last: bool) -> bool:
        from daf.cli.show import PLAIN_LINE_SECONDS

        if self._quiet or not (self._verbose or last or time.monotonic() - self._spoke >= PLAIN_LINE_SECONDS):
            return False
        self._spoke = time.monotonic()
        return True

    def _note(self, done: "PartDone") -> str:
        from daf.cli.show import seconds

        took = max(time.monotonic() - self._began, 1e-6)
        speed = done.done_bytes / took
        parts = [
            f"file {done.file} of {done.files}",
            f"{done.records:,} records",
            f"{speed / 1e6:,.0f} MB/s",
        ]
        if 0 < done.done_bytes < done.total_bytes:
            parts.append(f"about {seconds((done.total_bytes - done.done_bytes) / speed)} left")
        if self._verbose:
            parts.append(f"{done.peak_memory / 1e6:.0f} MB memory")
        return ", ".join(parts)
