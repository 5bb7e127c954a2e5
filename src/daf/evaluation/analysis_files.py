"""The files that an analysis adds to the run directory of its episodes: NAME.json with the findings, and NAME.html.

An operation writes them, so that a call from Python leaves the same run directory as the command line.
"""

from pathlib import Path
from typing import Any

from daf.evaluation.result import Evaluation
from daf.output_manager.publication import adding_to
from daf.storage.atomic import write_json, write_text
from daf.storage.jsonable import jsonable


def write_analysis(evaluation: Evaluation, data: dict[str, Any], page: str, *, name: str = "analysis") -> Path:
    """Write the findings `data` and the HTML text `page`. Returns the path of the page."""
    path = page_of(evaluation, name=name)
    with adding_to(evaluation.run_dir):
        write_json(evaluation.run_dir / f"{name}.json", jsonable(data))
        write_text(path, page)
    return path


def page_of(evaluation: Evaluation, *, name: str = "analysis") -> Path:
    """The path of an analysis page."""
    return evaluation.run_dir / f"{name}.html"


def first_failure_notes(evaluation: Evaluation) -> list[str]:
    """Notes to show first: the number of episodes without a result, and the reason for the first of them."""
    if evaluation.status == "ok":
        return []
    notes = [note for note in evaluation.analysis.notes if "scored 0" not in note]
    failures = evaluation.result.failures
    if failures:
        spec, failure = failures[0].spec, failures[0].failure
        why = failure.message if failure else "no message"
        notes.append(f"First failure: {spec.name} on {spec.mission}, seed {spec.seed}: {why}.")
    return notes
