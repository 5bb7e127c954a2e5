"""Training logs of any size: read as streams, counted exactly, drawn.

`daf_analyze_logs` reads the logs of a run and writes what `formats` asks for: `{variant}_{timestamp}_rewards.…`,
`…_heatmap.…` and `…_statistics.…`, an interactive page, a PDF report and an animation, and always `…_summary.json`.
The same logs and options give the same bytes. `daf_compare_logs` does it for several logs side by side. To feed records
from elsewhere, use `StreamingProcessor`.
"""

import contextlib
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from daf.compute.executor import job_count
from daf.errors import UsageError, unknown
from daf.stats.sentences import counted
from daf.storage import atomic, remote
from daf.storage.containment import own
from daf.storage.printable import terminal_text
from daf.streams.finding import LogFile, find_logs, find_variant, no_records
from daf.streams.keeping import Keeper
from daf.streams.planning import LogPart, plan_parts
from daf.streams.processor import RunConstants, StreamingProcessor
from daf.streams.running import Announce, PartDone, count, slowed_by
from daf.streams.summary import LogSummary, summarize

if TYPE_CHECKING:
    from rich.console import Console

FORMATS = ("png", "pdf", "svg", "html", "gif")
DEFAULT_FORMATS = ("png", "html")
_SMALL = 256 * 1024 * 1024
"""Smaller logs are read in one process: starting more would take longer."""
_BINS = 8_192

type OnPart = Callable[[PartDone], None]
type Stage = Callable[[str], None]


@dataclass(frozen=True)
class LogAnalysis:
    """The result of one log: its `summary` and the files `written` to `output_dir`.

    `name` is `{variant}_{timestamp}`. `seconds` (reading only), `bytes_read`, `bytes_reused` (kept from the last
    analysis) and `peak_memory` (bytes, the largest process while reading) belong to this call; no written file depends
    on them. `notes`: optional files next to the logs that could not be used, and the parts that are absent
    without them; states of an incremental analysis that could not be used. `slowed_by`: what reading would have been
    faster with.
    """

    name: str
    label: str
    summary: LogSummary
    output_dir: Path
    written: list[Path] = field(default_factory=list)
    seconds: float = 0.0
    bytes_read: int = 0
    bytes_reused: int = 0
    peak_memory: int = 0
    notes: tuple[str, ...] = ()
    slowed_by: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """For `--json`: the run, the files, this call's figures, and the summary."""
        return {
            "run_id": self.name,
            "run_dir": str(self.output_dir),
            "status": "ok",
            "files_written": [str(path) for path in self.written],
            "seconds": self.seconds,
            "bytes_read": self.bytes_read,
            "bytes_reused": self.bytes_reused,
            "peak_memory": self.peak_memory,
            "notes": list(self.notes),
            "slowed_by": self.slowed_by,
            "summary": self.summary.to_dict(),
        }


@dataclass(frozen=True)
class LogComparison:
    """Several analyses and the files that show them side by side."""

    name: str
    analyses: list[LogAnalysis]
    output_dir: Path
    written: list[Path]

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "run_id": self.name,
            "run_dir": str(self.output_dir),
            "status": "ok",
            "files_written": [str(path) for path in self.written],
            "logs": [analysis.to_dict() for analysis in self.analyses],
        }


def daf_analyze_logs(
    targets: str | Path | Sequence[str | Path] = (),
    *,
    variant: str | None = None,
    experiments: str | Path = "experiments",
    run: str = "latest",
    output_dir: str | Path | None = None,
    formats: Sequence[str] = DEFAULT_FORMATS,
    smooth_window: int | None = None,
    seed: int = 0,
    sample_size: int = 10_000,
    jobs: int | Literal["auto"] = "auto",
    incremental: bool = False,
    progress: OnPart | None = None,
    stage: Stage | None = None,
    announce: Announce | None = None,
    console: "Console | None" = None,
) -> LogAnalysis:
    """Read the logs of `targets` (run directories, folders of logs, files), or of a `variant`'s `run`, and draw them.

    Targets at a URL are downloaded first. run: `latest`, `all`, or a run's name. output_dir: also a URL; default
    `plots/` next to `json_logs/`. smooth_window: bins (default: chosen by the noise). jobs: processes, which change
    only the time. incremental: keep the counts of the read part in `output_dir` and continue from them next time.
    progress is called after each part, stage before each file that is written, announce (default: a warning in the log
    of `daf.streams.running`) before the reader of large logs is compiled, once for each version of DAF.

    Raises `UsageError` (no such variant or file, no logs there, an unknown format), `DataError` (not one record),
    `StorageError`.
    """
    wanted = check_formats(formats)
    if smooth_window is not None and smooth_window < 1:
        raise UsageError(f"smooth_window must be at least 1 bin, got {smooth_window}.")
    if sample_size < 1:
        raise UsageError(f"sample_size must be at least 1 record, got {sample_size}.")
    files = _files(targets, variant, experiments, run)
    name, label = _names(files, variant)
    with _writing(output_dir, _plots(files)) as folder:
        read = _read(files, folder, name, seed, sample_size, jobs, incremental, progress, announce)
        analysis = LogAnalysis(name, label, *read)
        analysis.written.extend(_draw(analysis, wanted, smooth_window, stage))
    if console is not None:
        for line in describe(analysis):
            console.print(terminal_text(line))
    return analysis


def daf_compare_logs(
    targets: Sequence[str | Path],
    *,
    experiments: str | Path = "experiments",
    run: str = "latest",
    output_dir: str | Path | None = None,
    formats: Sequence[str] = DEFAULT_FORMATS,
    smooth_window: int | None = None,
    seed: int = 0,
    sample_size: int = 10_000,
    jobs: int | Literal["auto"] = "auto",
    incremental: bool = False,
    progress: OnPart | None = None,
    stage: Stage | None = None,
    announce: Announce | None = None,
) -> LogComparison:
    """Read several logs (variants, run directories or files) and draw them together.

    The options are those of `daf_analyze_logs`; output_dir: default `plots/` in `experiments`, or next to the first
    log.
    Raises the same errors, and `UsageError` for fewer than two.
    """
    wanted = check_formats(formats)
    if len(targets) < 2:
        raise UsageError(f"a comparison needs at least 2 logs, got {len(targets)}.")
    analyses: list[LogAnalysis] = []
    with contextlib.ExitStack() as stack:
        chosen = None if output_dir is None else stack.enter_context(remote.uploading(output_dir))
        for target in targets:
            is_path = Path(target).exists() or os.sep in str(target)
            files = _files([target] if is_path else (), None if is_path else str(target), experiments, run)
            name, label = _names(files, None if is_path else str(target))
            default = Path(experiments) / "plots" if Path(experiments).is_dir() and not is_path else _plots(files)
            folder = chosen or (analyses[0].output_dir if analyses else default)
            read = _read(files, folder, name, seed, sample_size, jobs, incremental, progress, announce)
            analyses.append(LogAnalysis(name, label, *read))
        labels = [analysis.label for analysis in analyses]
        name = "_vs_".join(analysis.name for analysis in analyses)
        if len(set(labels)) < len(labels):
            raise UsageError(
                f"all logs to compare have the name {labels[0]}: they are the same, or must be in different "
                "directories."
            )
        folder = analyses[0].output_dir
        written = _draw_comparison(analyses, folder / name, wanted, smooth_window, stage)
    return LogComparison(name, analyses, folder, written)


def describe(analysis: LogAnalysis) -> list[str]:
    """The end of an analysis as text: counts, sample, coverage, gaps, damage, speed, memory, files."""
    log = analysis.summary
    speed = analysis.bytes_read / analysis.seconds / 1e6 if analysis.seconds else 0.0
    lines = [
        f"{analysis.label}: {counted(log.records, 'record')} in {counted(len(log.files), 'file')}, "
        f"{analysis.bytes_read / 1e6:,.1f} MB in {analysis.seconds:.1f} s ({speed:,.0f} MB/s)"
        + (f", {analysis.bytes_reused / 1e6:,.1f} MB reused from the last analysis" if analysis.bytes_reused else ""),
        f"sample: {len(log.sample):,} records, 1 in {log.records / max(len(log.sample), 1):,.4g} "
        f"({log.sampling_ratio:.4%})",
    ]
    if log.step_range:
        low, high = log.step_range
        gaps = (
            f"{counted(len(log.gaps), 'gap')}, {int(log.gaps['steps'].sum()):,} steps" if len(log.gaps) else "no gaps"
        )
        sampled = f", sampled every {log.stride:,} steps" if log.stride > 1 else ""
        lines.append(f"steps: {low:,.0f} to {high:,.0f}{sampled}, {gaps}")
    unit = "total steps" if log.time_axis == "total_steps" else "records"
    lines.append(f"training: {log.time_range[0]:,.0f} to {log.time_range[1]:,.0f} {unit}")
    lines.append(f"stretches: {log.stretches['n']:,}, {log.stretches['stuck']:,} of them stuck")
    if len(log.damage):
        lines.append(f"damage: {len(log.damage):,} stretches, {log.damaged_bytes:,} bytes")
        lines += [
            f"  {row['file']}: byte {row['offset']:,}, {row['length']:,} bytes: {row['reason']}"
            for row in log.damage.head(10).to_dict("records")
        ]
        if len(log.damage) > 10:
            lines.append(f"  and {len(log.damage) - 10:,} more; {analysis.name}_summary.json has all")
    else:
        lines.append("damage: none")
    lines += [f"anomaly: {row['what']} ({counted(row['count'], 'time')})" for row in log.oddities.to_dict("records")]
    lines += [f"note: {note}" for note in analysis.notes]
    lines += [analysis.slowed_by] if analysis.slowed_by else []
    lines.append(f"memory: peak {analysis.peak_memory / 1e6:.0f} MB per process while reading")
    lines.append(f"written: {counted(len(analysis.written), 'file')} in {analysis.output_dir}")
    return lines


def check_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """`formats` without duplicates, in the order of `FORMATS`. Raises `UsageError` for another one."""
    wanted = [name.strip().lower() for name in formats]
    for name in wanted:
        if name not in FORMATS:
            raise UsageError(unknown("format", name, FORMATS))
    return tuple(name for name in FORMATS if name in wanted)


def _writing(output_dir: str | Path | None, default: Path) -> contextlib.AbstractContextManager[Path]:
    """The directory to write into; one that a URL names is uploaded when the block ends."""
    return contextlib.nullcontext(default) if output_dir is None else remote.uploading(output_dir)


def _files(
    targets: str | Path | Sequence[str | Path], variant: str | None, experiments: str | Path, run: str
) -> list[LogFile]:
    given = [targets] if isinstance(targets, str | Path) else list(targets)
    listed = [remote.here(target) for target in given]
    if listed and variant is not None:
        raise UsageError(f"got both files ({listed[0]}) and a variant ({variant}): pass only one of them.")
    if variant is not None:
        return find_variant(experiments, variant, run)
    if not listed:
        raise UsageError("no logs given: pass a run directory, log files, or --variant NAME.")
    return find_logs(listed)


def _names(files: Sequence[LogFile], variant: str | None) -> tuple[str, str]:
    """`{variant}_{timestamp}` and its form in titles."""
    runs = list(dict.fromkeys(file.run for file in files))
    stamped = [re.fullmatch(r"\d{8}_\d{6}", run.name) for run in runs]
    if all(stamped):
        name = variant or runs[0].resolve().parent.name
        stamp = runs[0].name if len(runs) == 1 else f"{runs[0].name}-{runs[-1].name}"
        return f"{name}_{stamp}", f"{name}, run {stamp}"
    folder = runs[0].resolve().name
    name = variant or (folder if len(files) > 1 else re.split(r"\.", files[0].path.name)[0])
    times = [found for file in files if (found := re.findall(r"\d{9,11}", file.path.name))]
    if times and re.sub(r"\D", "", name) != times[0][-1]:
        stamp = datetime.fromtimestamp(int(times[0][-1]), tz=UTC).strftime("%Y%m%d_%H%M%S")
        return f"{name}_{stamp}", f"{name}, from {stamp} UTC"
    return name, name


def _notes(files: Sequence[LogFile], keeper: Keeper | None) -> tuple[str, ...]:
    notes = [note for file in files for note in file.notes]
    if keeper is not None:
        notes += [f"{damage} The log was read again." for damage in keeper.damaged]
    return tuple(dict.fromkeys(notes))


def _plots(files: Sequence[LogFile]) -> Path:
    runs = {file.run for file in files}
    return own(files[0].run if len(runs) == 1 else files[0].run.parent, "plots")


def _read(
    files: Sequence[LogFile],
    folder: Path,
    name: str,
    seed: int,
    sample_size: int,
    jobs: int | Literal["auto"],
    incremental: bool,
    progress: OnPart | None,
    announce: Announce | None,
) -> tuple[LogSummary, Path, list[Path], float, int, int, int, tuple[str, ...], str | None]:
    """The summary, and the rest of a `LogAnalysis`'s fields. Raises `DataError` where there is no record."""
    began = time.perf_counter()
    parts = plan_parts(files, growing=incremental)
    keeper = Keeper(folder / f"{name}_state", seed, sample_size) if incremental else None
    aggregate, peak = count(
        parts, seed=seed, sample_size=sample_size, jobs=_processes(jobs, parts), report=progress, keeper=keeper,
        announce=announce,
    )  # fmt: skip
    if not aggregate.records:
        raise no_records(files, [d.reason for tally in aggregate.sources.values() for d in tally.damage])
    aggregate.thin(_BINS)
    seconds = time.perf_counter() - began
    reused = keeper.reused_bytes if keeper else 0
    size = sum(part.size for part in parts)
    summary = summarize(aggregate, [file.name for file in files])
    return summary, folder, [], seconds, size - reused, reused, peak, _notes(files, keeper), slowed_by(parts)


def _processes(jobs: int | Literal["auto"], parts: Sequence[LogPart]) -> int:
    if jobs != "auto":
        return jobs
    if sum(part.size for part in parts) < _SMALL:
        return 1
    return job_count("auto")


def _draw(analysis: LogAnalysis, formats: Sequence[str], smooth_window: int | None, stage: Stage | None) -> list[Path]:
    from daf.render.logs.animation import write_animation
    from daf.render.logs.figures import heatmap_figure, rewards_figure, save
    from daf.render.logs.html import report_page
    from daf.render.logs.report import write_report
    from daf.render.logs.statistics import statistics_figure
    from daf.render.pages.parts import run_html
    from daf.render.theme import themed

    log, label = analysis.summary, analysis.label
    say = stage or (lambda _: None)

    def at(kind: str) -> Path:
        return analysis.output_dir / f"{analysis.name}_{kind}"

    summary = at("summary.json")
    atomic.write_json(summary, {"name": analysis.name, "notes": list(analysis.notes), **log.to_dict()})
    written = [summary]
    still = [kind for kind in formats if kind in ("png", "pdf", "svg")]
    if still:
        with themed():
            say("figures")
            figures = {
                "rewards": rewards_figure([log], [label], smooth_window=smooth_window),
                "heatmap": heatmap_figure(log, label),
                "statistics": statistics_figure(log, label),
            }
            for kind, figure in figures.items():
                say(kind)
                written += save(figure, at(kind), still)
            if "pdf" in formats:
                say("report.pdf")
                written.append(write_report(log, label, at("report.pdf"), list(figures.values())))
    if "html" in formats:
        say("page")
        page = at("report.html")
        atomic.write_text(page, run_html(report_page(log, label, smooth_window=smooth_window)))
        written.append(page)
    if "gif" in formats:
        say("animation")
        animation = write_animation(log, label, at("animation.gif"))
        written += [animation] if animation else []
    return written


def _draw_comparison(
    analyses: Sequence[LogAnalysis], stem: Path, formats: Sequence[str], smooth_window: int | None, stage: Stage | None
) -> list[Path]:
    from daf.render.logs.figures import compare_heatmap_figure, rewards_figure, save
    from daf.render.logs.html import comparison_page
    from daf.render.theme import themed

    logs, labels = [a.summary for a in analyses], [a.label for a in analyses]
    say = stage or (lambda _: None)
    summary = stem.with_name(f"{stem.name}_summary.json")
    atomic.write_json(summary, {a.name: a.summary.to_dict() for a in analyses})
    written = [summary]
    still = [kind for kind in formats if kind in ("png", "pdf", "svg")]
    if still:
        with themed():
            say("figures")
            for kind, figure in (
                ("rewards", rewards_figure(logs, labels, smooth_window=smooth_window)),
                ("heatmap", compare_heatmap_figure(logs, labels)),
            ):
                written += save(figure, stem.with_name(f"{stem.name}_{kind}"), still)
    if "html" in formats:
        say("page")
        page = stem.with_name(f"{stem.name}_report.html")
        atomic.write_text(page, comparison_page(logs, labels, smooth_window))
        written.append(page)
    return written


__all__ = [
    "FORMATS",
    "LogAnalysis",
    "LogComparison",
    "LogSummary",
    "RunConstants",
    "StreamingProcessor",
    "daf_analyze_logs",
    "daf_compare_logs",
]
