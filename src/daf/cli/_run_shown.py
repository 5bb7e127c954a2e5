"""Runs on the terminal: the list, fitted to its width, and one run with its result."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from daf.errors import DamagedFileError, StorageError

if TYPE_CHECKING:
    from daf.core.training_file import TrainingFile
    from daf.episodes.results_file import RankingRow, ResultsFile
    from daf.output_manager import RunInfo
    from daf.reporting.catalog import Entry
    from daf.stats.summaries import PolicySummary

_STATES = {
    "completed": ("✓", "green"), "failed": ("✗", "red"), "interrupted": ("‖", "yellow"), "running": ("▶", "cyan"),
    "damaged": ("!", "red"), "saved": ("·", "default"),
}  # fmt: skip
_NARROW = 110
"""Below this width the status is a symbol, with a legend under the table, and the start is the age of the run."""
_HEADERS = {"status": "", "started": "age"}
_LEAST = {"took": 90, "tags": 110, "size": 130}
"""The width from which on these columns appear; the others always do."""


def runs_table(entries: Sequence["Entry"], width: int) -> Table:
    """The list of runs. In a narrow terminal, columns of less interest are left out and text is cut, never wrapped."""
    from daf.cli.show import plain_table

    rows = [_cells(entry, narrow=width < _NARROW) for entry in entries]
    names = [
        name for name in rows[0] if width >= _LEAST.get(name, 0) and (name != "tags" or any(r[name] for r in rows))
    ]
    headers = {name: _HEADERS.get(name, name) if width < _NARROW else name for name in names}
    widths = {name: max(len(headers[name]), *(len(row[name]) for row in rows)) for name in names}
    free = width - 3 * len(names) - 1 - sum(widths[name] for name in names if name not in ("result", "title"))
    widths["result"] = min(widths["result"], max(12, free * 2 // 5))
    widths["title"] = min(widths["title"], max(12, free - widths["result"]))
    legend = "  ".join(f"{_STATES[s][0]} {s}" for s in dict.fromkeys(entry.run.status for entry in entries))
    table = plain_table("runs", caption=legend if width < _NARROW else None)
    for name in names:
        right = name in ("took", "size", "started")
        table.add_column(
            headers[name], justify="right" if right else "left", no_wrap=True, overflow="ellipsis",
            min_width=widths[name], max_width=widths[name],
        )  # fmt: skip
    for entry, row in zip(entries, rows, strict=True):
        colour = _STATES[entry.run.status][1]
        table.add_row(*(f"[{colour}]{row[n]}[/{colour}]" if n == "status" else escape(row[n]) for n in names))
    return table


def _cells(entry: "Entry", *, narrow: bool) -> dict[str, str]:
    from daf.cli.show import seconds

    run = entry.run
    age = (datetime.now().astimezone() - run.started_at).total_seconds()
    return {
        "run": run.run_id,
        "kind": entry.kind,
        "status": _STATES[run.status][0] if narrow else run.status,
        "started": _age(age) if narrow else f"{run.started_at.astimezone():%Y-%m-%d %H:%M}",
        "took": "–" if run.duration_seconds is None else seconds(run.duration_seconds),
        "result": entry.outcome.text,
        "title": run.labels.name or run.title,
        "tags": " ".join(run.labels.tags),
        "size": size(run.size_bytes),
    }


def _age(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return "now"


def run_data(found: "RunInfo") -> dict[str, Any]:
    """`daf runs show --json`."""
    from daf.reporting.catalog import Entry

    data, training, damaged = _files(found)
    entry = Entry(found)
    return found.to_data() | {
        "kind": entry.kind, "result": entry.outcome.to_data(), "results": data or training, "damaged": damaged,
    }  # fmt: skip


def show_run(found: "RunInfo") -> None:
    """Print one run: what it is, its labels, its result, and its files."""
    from daf.cli.show import out, seconds
    from daf.reporting.catalog import Entry

    data, training, damaged = _files(found)
    entry = Entry(found)
    named = f"  {found.labels.name}" if found.labels.name else ""
    out.print(f"{found.operation}/{found.run_id}{named}  {found.status}  {found.title}", markup=False, soft_wrap=True)
    took = "" if found.duration_seconds is None else f", took {seconds(found.duration_seconds)}"
    out.print(f"{entry.kind}, started {found.started_at.astimezone():%Y-%m-%d %H:%M:%S}{took}", markup=False)
    if found.url is not None:
        where = found.url if found.published else f"not yet at {found.url}; `daf runs publish {found.run_id}` resumes"
        out.print(f"published: {where}", markup=False, soft_wrap=True)
    if found.labels.tags:
        out.print(f"tags: {', '.join(found.labels.tags)}", markup=False, soft_wrap=True)
    if found.labels.note:
        out.print(f"note: {found.labels.note}", markup=False, soft_wrap=True)
    out.print(f"command: {found.command}", markup=False, soft_wrap=True)
    if entry.outcome.text and entry.kind not in ("evaluation", "comparison", "metrics"):
        metric = entry.outcome.metric or ""
        metric = f" ({metric})" if metric and metric not in entry.outcome.text else ""
        out.print(f"result: {entry.outcome.text}{metric}", markup=False, soft_wrap=True)
    if training is not None:
        _training(found, training)
    if entry.kind == "sweep":
        _sweep(found)
    if found.error:
        out.print(f"[red]error:[/red] {escape(found.error)}", soft_wrap=True)
    for sentence in (*damaged, *([found.labels_error] if found.labels_error else ())):
        out.print(f"[red]damaged:[/red] {escape(sentence)}", soft_wrap=True)
    for note in data["summary"]["notes"] if "summary" in data else ():
        out.print(f"[yellow]![/yellow] {escape(note)}", soft_wrap=True)
    if ranking := data.get("ranking"):
        _ranking(ranking)
    for pair in data.get("pairs", ()):
        if pair["mission"] is None:
            out.print(f"  {pair['sentence']}", markup=False, soft_wrap=True)
    for path in sorted(found.path.iterdir()):
        if not path.name.startswith("."):
            out.print(f"  {path}{'/' if path.is_dir() else ''}", markup=False, soft_wrap=True)


def _files(found: "RunInfo") -> "tuple[ResultsFile, TrainingFile | None, list[str]]":
    from daf.core.training_file import read_training
    from daf.episodes.results_file import read_results

    data: ResultsFile = {}
    training: TrainingFile | None = None
    damaged = []
    try:
        data = read_results(found.path) or {}
    except (DamagedFileError, StorageError) as error:
        damaged.append(str(error))
    try:
        training = read_training(found.path)
    except (DamagedFileError, StorageError) as error:
        damaged.append(str(error))
    return data, training, damaged


def _training(found: "RunInfo", training: "TrainingFile") -> None:
    """Settings, evaluations and the last checkpoint of a training run."""
    from daf.cli.show import out, plain_table
    from daf.core.recorded_training import EVALUATIONS, evaluations_of, read_lines
    from daf.render.text import estimates, interval

    reached = f"{training.get('status', 'unknown')}: {training.get('steps', 0):,} agent steps"
    out.print(f"training {reached} in {training.get('updates', 0):,} updates", markup=False, soft_wrap=True)
    for name in ("mission", "policy", "seed"):
        if name in training:
            out.print(f"{name}: {training[name]}", markup=False, soft_wrap=True)
    settings = training.get("hyperparameters")
    if settings:
        listed = ", ".join(f"{name}={value}" for name, value in settings.items())
        out.print(f"hyperparameters: {listed}", markup=False)
    evaluations = evaluations_of(read_lines(found.path / EVALUATIONS).rows)
    if evaluations:
        table = plain_table("evaluations: reward per agent")
        for column in ("step", "mean", "95 % interval", "episodes", "failed"):
            table.add_column(column, justify="right")
        last = evaluations[-10:]
        texts = estimates([one.mean for one in last], [interval(one.low, one.high) for one in last])
        for one, mean, bounds in zip(last, *texts, strict=True):
            table.add_row(f"{one.step:,}", mean, bounds, str(one.n), str(one.failed))
        out.print(table)
        if len(evaluations) > 10:
            out.print(f"The last 10 of {len(evaluations)} evaluations.", markup=False)
    sentence = (training.get("learned") or {}).get("sentence")
    if sentence:
        out.print(str(sentence), markup=False, soft_wrap=True)
    checkpoint = training.get("final_checkpoint")
    if checkpoint is not None:
        out.print(f"checkpoint: {found.path / checkpoint}", markup=False, soft_wrap=True)


def _sweep(found: "RunInfo") -> None:
    """The best trials of a sweep."""
    from daf.cli.show import out, plain_table, short
    from daf.errors import DAFError
    from daf.render.text import same_decimals
    from daf.sweeps.result import SweepResult

    try:
        result = SweepResult.load(found.path)
    except DAFError as error:
        out.print(f"[red]damaged:[/red] {escape(str(error))}", soft_wrap=True)
        return
    out.print(f"{result.strategy}: {len(result.trials)} of {result.planned} trials", markup=False)
    table = plain_table("best trials")
    table.add_column("trial", justify="right")
    table.add_column(result.objectives[0], justify="right")
    table.add_column("hyperparameters")
    top = result.top_trials(5)
    for trial, value in zip(top, same_decimals([trial.values[0] for trial in top]), strict=True):
        chosen = ", ".join(f"{name}={short(value)}" for name, value in trial.hyperparameters.items())
        table.add_row(str(trial.trial_id), value, escape(chosen))
    out.print(table)


def _ranking(rows: "list[RankingRow]") -> None:
    from daf.cli.show import out, ranking_table

    out.print(ranking_table("Reward per agent", [_summary(index, row) for index, row in enumerate(rows)]))


def _summary(index: int, row: "RankingRow") -> "PolicySummary":
    from daf.stats.summaries import PolicySummary

    def pair(bounds: Sequence[float] | None) -> tuple[float, float] | None:
        return (bounds[0], bounds[1]) if bounds else None

    return PolicySummary(
        policy=index, name=row["policy"], rank=row["rank"], mean=row["mean"], ci=pair(row["ci"]), iqm=row["iqm"],
        iqm_ci=pair(row["iqm_ci"]), n=row["n"], method=row["method"], caveat=row["caveat"],
    )  # fmt: skip


def size(count: int) -> str:
    """ "3.1 MB"."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError
