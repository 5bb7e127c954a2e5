"""`daf logs`: analyse training logs of any size."""

import re
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from daf.cli._grouped import options
from daf.cli._options import ConfigOption, JobsOption, JsonOption, QuietOption, VerboseOption
from daf.cli._options import place as place_of_files
from daf.cli._playing import given
from daf.errors import ConfigError, UsageError, quoted, unknown

if TYPE_CHECKING:
    from rich.progress import Progress

    from daf.streams.running import PartDone

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@dataclass(frozen=True)
class LogOptions:
    """Which logs to analyse, and what to write."""

    variant: Annotated[str | None, typer.Option("--variant", help="The logs of this variant, from --experiments.")] = (
        None
    )
    experiments: Annotated[
        Path, typer.Option("--experiments", help="Directory of the variants: <variant>/<YYYYMMDD_HHMMSS>/json_logs/.")
    ] = Path("experiments")
    run: Annotated[str, typer.Option("--run", help="Which run of a variant: latest, all, or its name.")] = "latest"
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option("--compare", metavar="A B", help="Compare two variants, or two run directories."),
    ] = None
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output-dir",
            help="Where files go, also a URL (default: plots/ next to json_logs/).",
            parser=place_of_files,
            metavar="DIR|URL",
        ),
    ] = None
    formats: Annotated[
        str, typer.Option("--format", help="What to write: any of png,pdf,svg (figures), html (one page), gif.")
    ] = "png,html"
    smooth_window: Annotated[
        int | None,
        typer.Option("--smooth-window", metavar="N", help="Smooth over N bins (default: chosen by the noise)."),
    ] = None
    seed: Annotated[int, typer.Option("--seed", help="Seed of the sample.")] = 0
    sample_size: Annotated[int, typer.Option("--sample-size", help="Records in the sample.")] = 10_000
    jobs: JobsOption = "auto"
    incremental: Annotated[
        bool, typer.Option("--incremental", help="Store the counts, and read only new records next time.")
    ] = False


@app.command()
@options
def logs(
    context: typer.Context,
    *,
    targets: Annotated[
        list[Path] | None, typer.Argument(metavar="[RUN_DIR|FILES]...", help="A run directory, or log files.")
    ] = None,
    chosen: LogOptions,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Analyse training logs larger than memory: rewards over training, positions of the agents, and damaged records.

    Reads JSON arrays, JSON lines and CSV, also .gz and .zst, in one pass. All counts are of all records. Damaged
    records are reported with their place in the file.

    \b
        daf logs experiments/v4/20250724_101500
        daf logs --variant v4 --run latest --format png,html
        daf logs --compare v4 v5
    """
    from daf.cli.show import emit, err, out
    from daf.log_analysis import daf_analyze_logs, daf_compare_logs, describe
    from daf.storage.paths import existing

    chosen = _from_file(context, config, chosen)
    formats = [name for name in chosen.formats.split(",") if name.strip()]
    pair = chosen.compare
    with LogProgress(quiet=quiet, verbose=verbose) as progress:
        if pair is not None:
            if any(name.startswith("-") or ("," in name and existing(name) is None) for name in pair):
                raise UsageError("--compare needs two logs, separated by a space: --compare v4 v5.")
            if targets or chosen.variant:
                raise UsageError("--compare names both logs. Leave out other logs and --variant.")
            comparison = daf_compare_logs(
                list(pair), experiments=chosen.experiments, run=chosen.run, output_dir=chosen.output_dir,
                smooth_window=chosen.smooth_window, seed=chosen.seed, sample_size=chosen.sample_size, formats=formats,
                jobs=_jobs(chosen.jobs), incremental=chosen.incremental, progress=progress, stage=progress.stage,
                announce=progress.announce,
            )  # fmt: skip
            result, analyses, written = comparison.to_dict(), comparison.analyses, comparison.written
        else:
            analysis = daf_analyze_logs(
                targets or (), variant=chosen.variant, experiments=chosen.experiments, run=chosen.run,
                output_dir=chosen.output_dir, smooth_window=chosen.smooth_window, seed=chosen.seed,
                sample_size=chosen.sample_size, formats=formats, jobs=_jobs(chosen.jobs),
                incremental=chosen.incremental, progress=progress, stage=progress.stage,
                announce=progress.announce,
            )  # fmt: skip
            result, analyses, written = analysis.to_dict(), [analysis], analysis.written
    if as_json:
        emit(result)
        return
    if not quiet:
        for one in analyses:
            for line in describe(one)[:-1]:
                err.print(line, markup=False, soft_wrap=True)
    for path in written:
        out.print(str(path), markup=False, soft_wrap=True)


def _jobs(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    if re.fullmatch(r"[0-9]{1,4}", text) is None or int(text) < 1:
        raise UsageError(f"--jobs must be a number from 1 to 9999, or auto; got {quoted(text)}.")
    return int(text)


def _from_file(context: typer.Context, path: Path | None, options: LogOptions) -> LogOptions:
    """`options` with those of the file `path` that no flag gives. Raises `ConfigError`."""
    if path is None:
        return options
    from daf.storage.yaml_strict import read_document

    content = read_document(path).value
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must be a mapping of option names to values, got {type(content).__name__}.")
    known = [item.name for item in fields(LogOptions)]
    values: dict[str, Any] = {}
    for key, value in content.items():
        name = str(key).replace("-", "_")
        name = "formats" if name == "format" else name
        if name not in known:
            raise ConfigError(f"{path}: {unknown('option', str(key), known)}")
        if not given(context, name):
            values[name] = _filed(value, name, f"{path}: {key}")
    return replace(options, **values)


def _filed(value: Any, name: str, place: str) -> Any:
    """The value of the option `name` from a file, at `place`."""
    if value is None and name in ("experiments", "run", "formats", "jobs"):
        raise ConfigError(f"{place} has no value.")
    if name == "compare":
        if not (isinstance(value, list) and len(value) == 2):
            raise ConfigError(f"{place} must be a list of two logs, got {value!r}.")
        return (str(value[0]), str(value[1]))
    if name in ("smooth_window", "seed", "sample_size"):
        if not (isinstance(value, int) or value is None):
            raise ConfigError(f"{place} must be an integer, got {value!r}.")
        return value
    if name == "incremental":
        return bool(value)
    if name == "formats" and isinstance(value, list):
        return ",".join(map(str, value))
    if name == "output_dir":
        return None if value is None else place_of_files(str(value))
    if name == "experiments":
        return None if value is None else Path(str(value))
    return None if value is None else str(value)


class LogProgress:
    """Progress on stderr: a bar on a terminal, otherwise a line from time to time; nothing with --quiet."""

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
        """Show that a part was counted."""
        from daf.cli.show import say

        note = self._note(done)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], total=done.total_bytes, completed=done.done_bytes, note=note)
        elif self._due(last=done.index + 1 == done.count):
            say(note)

    def stage(self, what: str) -> None:
        """Show that something is about to be drawn."""
        from daf.cli.show import say

        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], note=f"drawing: {what}")
        elif self._verbose and not self._quiet:
            say(f"drawing: {what}")

    def announce(self, what: str) -> None:
        """Show something that takes a while."""
        from daf.cli.show import say

        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], note=what)
        elif not self._quiet:
            say(what)

    def _due(self, *, last: bool) -> bool:
        from daf.cli.show import PLAIN_LINE_SECONDS

        if self._quiet or not (self._verbose or last or time.monotonic() - self._spoke >= PLAIN_LINE_SECONDS):
            return False
        self._spoke = time.monotonic()
        return True

    def _note(self, done: "PartDone") -> str:
        from daf.cli.show import LEAST_SECONDS, seconds

        took = max(time.monotonic() - self._began, 1e-6)
        speed = done.done_bytes / took
        parts = [
            f"file {done.file} of {done.files}",
            f"{done.records:,} records",
            f"{speed / 1e6:,.0f} MB/s",
        ]
        if took >= LEAST_SECONDS and 0 < done.done_bytes < done.total_bytes:
            parts.append(f"about {seconds((done.total_bytes - done.done_bytes) / speed)} left")
        if self._verbose:
            parts.append(f"{done.peak_memory / 1e6:.0f} MB memory")
        return ", ".join(parts)
