"""The page of a pipeline: its stages or jobs and their outcomes.

They are read from the pipeline's record (`pipeline_of`): a list `stages`, `jobs` or `steps` of objects, each with a
name, a status and any other fields, or the fields `stages_completed`, `stages_failed`, `errors`, `outputs`.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from daf.output_manager.kinds import PIPELINE_LISTS, pipeline_of
from daf.output_manager.layout import place_of
from daf.render.pages.parts import Alert, Cell, Column, Facts, Part, Plot, Plots, RunPage, Section, Table, cell
from daf.render.pages.plain import parts_of
from daf.render.pages.run_facts import RunFacts, ending_alerts, shown, subtitle_of, what_was_run
from daf.render.svg.graph import Node, graph_figure
from daf.render.text import duration, printable
from daf.storage.printable import printable_lines

GOOD = ("cached", "completed", "done", "ok", "success", "succeeded", "complete")
BAD = ("failed", "error", "crashed", "timeout", "timed_out")
SECONDS = ("seconds", "duration_seconds", "wall_seconds")
KNOWN = (
    "name",
    "id",
    "job",
    "stage",
    "kind",
    "type",
    "status",
    "run_dir",
    "error",
    "needs",
    "outputs",
    "key",
    *SECONDS,
)
HEADS = {"use": "Command", "attempts": "Attempts"}


def pipeline_page(facts: RunFacts) -> RunPage:
    """Build the page. Without a record of stages, it shows how the run ended and what was run."""
    data = pipeline_of(facts.info.path) or {}
    what, stages = _stages(data)
    failed = [stage for stage in stages if _status(stage) in BAD]
    done = [stage for stage in stages if _status(stage) in GOOD]
    named = any("outputs" in stage for stage in stages)
    rest = {
        name: value
        for name, value in data.items()
        if name not in (*PIPELINE_LISTS, "stages_completed", "stages_failed", "errors", "status", "run_id", "run_dir")
        and not (named and name in ("name", "description"))
    }
    place = facts.info.path
    sections = [Section("stages", what.capitalize(), [*_graph(stages, place), _table(stages, place)])] if stages else []
    outputs = [_outputs_table(stages, place)] if any(_outputs(stage) for stage in stages) else []
    if outputs:
        sections.append(Section("outputs", "Outputs", outputs))
    others: Sequence[Part] = parts_of(rest)
    if others:
        sections.append(Section("results", "Results", others))
    sections.append(what_was_run(facts))
    return RunPage(
        title=printable(facts.info.title),
        subtitle=subtitle_of(facts.info),
        chips=[f"{len(stages)} {what}", f"{len(done)} done", *([f"{len(failed)} failed"] if failed else [])],
        alerts=[*_alerts(failed, data), *ending_alerts(facts)],
        finding=_finding(what, stages, done, failed),
        sections=sections,
    )


def _stages(data: Mapping[str, Any]) -> tuple[str, list[Mapping[str, Any]]]:
    for key in PIPELINE_LISTS:
        found = data.get(key)
        if isinstance(found, list):
            named: list[Mapping[str, Any]] = [s if isinstance(s, dict) else {"name": s} for s in found]
            return key, named
    stages: list[Mapping[str, Any]] = []
    outputs = data.get("outputs")
    errors = data.get("errors")
    for status, key in (("completed", "stages_completed"), ("failed", "stages_failed")):
        for name in data.get(key) or []:
            stage: dict[str, Any] = {"name": name, "status": status}
            if isinstance(outputs, dict) and name in outputs:
                stage["output"] = outputs[name]
            if isinstance(errors, dict) and name in errors:
                stage["error"] = errors[name]
            stages.append(stage)
    return "stages", stages


def _table(stages: Sequence[Mapping[str, Any]], folder: Path) -> Table:
    extra = list(dict.fromkeys(name for stage in stages for name in stage if name not in KNOWN))
    rows = []
    for number, stage in enumerate(stages, 1):
        status = _status(stage)
        seconds = next((stage[key] for key in SECONDS if _is_number(stage.get(key))), None)
        rows.append(
            [
                cell(number),
                cell(name_of(stage)),
                cell(status or "–", tag=_tag(stage)),
                cell(None if seconds is None else duration(float(seconds))),
                _folder_cell(stage.get("run_dir"), folder),
                *(cell(shown(stage[name]) if name in stage else "") for name in extra),
            ]
        )
    columns = [
        Column("#", number=True),
        Column("Name"),
        Column("Status", choice=True),
        Column("Duration"),
        Column("Run"),
        *(Column(HEADS.get(name) or printable(name.replace("_", " "))) for name in extra),
    ]
    return Table(columns, rows)


def _graph(stages: Sequence[Mapping[str, Any]], folder: Path) -> list[Part]:
    """The stages as a graph, if they say what they need."""
    names = [name_of(stage) for stage in stages]
    needs = [_needs(stage) for stage in stages]
    known = all(set(each) <= set(names[:place]) for place, each in enumerate(needs))
    if not known or not any("needs" in stage for stage in stages) or len(set(names)) < len(names):
        return []
    nodes = [
        Node(name, _in_box(stage), need, _tag(stage), _folder_cell(stage.get("run_dir"), folder).link)
        for name, need, stage in zip(names, needs, stages, strict=True)
    ]
    drawn = graph_figure(nodes, description="The stages and what each needs.")
    return [Plots([Plot("Stages, each below those that it needs", drawn, size="full")], linked=False)]


def _needs(stage: Mapping[str, Any]) -> tuple[str, ...]:
    needs = stage.get("needs")
    return tuple(printable(str(need)) for need in needs) if isinstance(needs, list) else ()


def _in_box(stage: Mapping[str, Any]) -> str:
    seconds = stage.get("seconds")
    status = _status(stage) or "not started"
    return f"{status}, {duration(float(seconds))}" if _is_number(seconds) and seconds is not None else status


def _outputs(stage: Mapping[str, Any]) -> Mapping[str, Any]:
    found = stage.get("outputs")
    return {name: value for name, value in found.items() if value is not None} if isinstance(found, dict) else {}


def _outputs_table(stages: Sequence[Mapping[str, Any]], folder: Path) -> Table:
    rows = [
        [cell(name_of(stage)), cell(name), _output_cell(name, value, folder)]
        for stage in stages
        for name, value in _outputs(stage).items()
        if name != "run_dir"
    ]
    return Table([Column("Stage"), Column("Output"), Column("Value")], rows)


def _output_cell(name: str, value: object, folder: Path) -> Cell:
    if name == "report" and isinstance(value, str):
        link = _inside(Path(value), folder)
        return cell(link or value, link=link)
    return cell(shown(value))


def _tag(stage: Mapping[str, Any]) -> str:
    status = _status(stage)
    return "ok" if status in GOOD else "failed" if status in BAD else "open"


def _folder_cell(place: object, folder: Path) -> Cell:
    if not isinstance(place, str) or not place:
        return cell("")
    path = Path(place)
    inside = path if path.is_absolute() else folder / path
    page = next((name for name in ("report.html", "sweep.html") if (inside / name).is_file()), None)
    relative = _inside(inside, folder)
    if relative is None:
        return cell(place)
    return cell(relative.removeprefix("../../"), link=f"{relative}/{page}" if page is not None else relative)


def _inside(path: Path, folder: Path) -> str | None:
    """`path` relative to the page's folder, if it lies in the same output directory."""
    found = place_of(folder)
    base = folder if found is None else found[0]
    try:
        path.resolve().relative_to(base.resolve())
    except (ValueError, OSError):
        return None
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def _alerts(failed: Sequence[Mapping[str, Any]], data: Mapping[str, Any]) -> list[Alert]:
    alerts = []
    for stage in failed:
        cause = stage.get("error") or stage.get("reason") or ""
        error = cause.get("message", cause) if isinstance(cause, dict) else cause
        first, _, rest = str(error).partition("\n")
        message = f": {printable(first)}" if first.strip() else "."
        alerts.append(Alert(f"{name_of(stage)} failed{message}", bad=True, detail=printable_lines(rest.strip())))
    errors = data.get("errors")
    if isinstance(errors, list):
        alerts += [Alert(printable(str(error)), bad=True) for error in errors]
    return alerts


def _finding(
    what: str,
    stages: Sequence[Mapping[str, Any]],
    done: Sequence[Mapping[str, Any]],
    failed: Sequence[Mapping[str, Any]],
) -> str:
    if not stages:
        return f"No {what} were started."
    if len(done) == len(stages):
        return (
            f"All {len(stages)} {what} are done." if len(stages) > 1 else f"The only {what.removesuffix('s')} is done."
        )
    unfinished = len(stages) - len(done) - len(failed)
    counts = [f"{len(done)} of {len(stages)} {what} {'is' if len(done) == 1 else 'are'} done"]
    if failed:
        counts.append(f"{len(failed)} failed")
    if unfinished:
        counts.append(f"{unfinished} did not finish")
    return ", ".join(counts) + "."


def name_of(stage: Mapping[str, Any]) -> str:
    """The name of a stage."""
    return printable(str(next((stage[key] for key in ("name", "stage", "job", "id") if stage.get(key)), "unnamed")))


def _status(stage: Mapping[str, Any]) -> str:
    return printable(str(stage.get("status", ""))).lower()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


__all__ = ["Facts", "pipeline_page"]
