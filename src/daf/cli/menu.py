"""`daf menu`: choose what to do from a list, in the terminal.

A choice becomes an ordinary command, which is printed and takes the place of the menu, so that what it does can be
repeated without it.
"""

import os
import shlex
import sys
from dataclasses import dataclass

import typer

from daf.cli._options import JsonOption
from daf.errors import UsageError

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@dataclass(frozen=True)
class Question:
    """What to ask for. option: how the answer is passed, None for an argument."""

    text: str
    default: str
    option: str | None = None


@dataclass(frozen=True)
class Entry:
    """A line of the menu. command: the words after `daf`."""

    title: str
    command: tuple[str, ...]
    questions: tuple[Question, ...] = ()

    def words(self, answers: list[str]) -> list[str]:
        """The command line without `daf`, with an answer for each question."""
        words = list(self.command)
        for question, answer in zip(self.questions, answers, strict=True):
            words += [answer] if question.option is None else [question.option, answer]
        return words


POLICY = Question("Policy", "starter", "-p")
MISSION = Question("Mission", "arena", "-m")
EPISODES = Question("Episodes", "20", "-e")
ENTRIES = (
    Entry("Quick start: evaluate three policies on two missions", ("quickstart",)),
    Entry("Start a project", ("init",), (Question("Directory", "my_project"),)),
    Entry("Evaluate a policy", ("evaluate",), (POLICY, MISSION, EPISODES)),
    Entry(
        "Compare two policies",
        ("compare",),
        (Question("First policy", "cartographer", "-p"), Question("Second policy", "starter", "-p"), MISSION, EPISODES),
    ),
    Entry(
        "Train a policy",
        ("train",),
        (
            Question("Mission", "training_facility_1", "-m"),
            Question("Network", "token_lstm", "-p"),
            Question("Agent steps", "1e6", "--steps"),
        ),
    ),
    Entry("Search hyperparameters", ("sweep", "run"), (Question("Sweep file", "sweep.yaml"),)),
    Entry("Run a pipeline", ("pipeline", "run"), (Question("Pipeline file", "pipeline.yaml"),)),
    Entry("Run the examples", ("examples", "run")),
    Entry("Run the tests of this project", ("test",)),
    Entry("Write the report of a run", ("report",), (Question("Run", "latest"),)),
    Entry("List the runs", ("runs",)),
    Entry("Watch runs in the browser", ("dashboard",)),
    Entry("Check this machine", ("doctor",)),
)


@app.command()
def menu(as_json: JsonOption = False) -> None:
    """Choose what to do from a list: quick start, compare, train, sweep, tests, reports.

    The chosen command is printed before it runs. Without a terminal, prints the list and exits with 2.

    \b
        daf menu
    """
    from daf.cli.main import COMMANDS
    from daf.cli.show import emit, out

    entries = [entry for entry in ENTRIES if entry.command[0] in COMMANDS]
    if as_json:
        rows = [{"title": entry.title, "command": ["daf", *entry.command]} for entry in entries]
        emit({"run_id": None, "run_dir": None, "status": "ok", "entries": rows})
        return
    for number, entry in enumerate(entries, 1):
        out.print(f"{number:3}  {entry.title}", markup=False)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("there is no terminal to choose in. Use the commands themselves; `daf --help` lists them.")
    chosen = _choice(entries)
    if chosen is None:
        return
    answers = [typer.prompt(question.text, default=question.default) for question in chosen.questions]
    words = chosen.words(answers)
    out.print(f"\ndaf {shlex.join(words)}\n", markup=False, soft_wrap=True)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "daf", *words])


def _choice(entries: list[Entry]) -> Entry | None:
    """The entry that the user chooses; None to leave."""
    while True:
        answer = typer.prompt("Number, or q to leave", default="1").strip()
        if answer.lower() in ("q", "quit", "exit"):
            return None
        if answer.isdecimal() and 1 <= int(answer) <= len(entries):
            return entries[int(answer) - 1]
        typer.echo(f"Choose a number from 1 to {len(entries)}.", err=True)
