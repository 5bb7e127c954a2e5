"""`daf init`: start a project."""

from pathlib import Path
from typing import Annotated

import typer

from daf.cli._options import JsonOption, QuietOption

app = typer.Typer(rich_markup_mode=None, add_completion=False)

DirectoryArgument = Annotated[Path, typer.Argument(metavar="[DIR]", help="Directory of the project (default: here).")]


@app.command()
def init(directory: DirectoryArgument = Path(), as_json: JsonOption = False, quiet: QuietOption = False) -> None:
    """Start a project: a policy, a mission, a sweep, a pipeline, a test and a README that work as they stand.

    Nothing is overwritten.

    \b
        daf init my_project
        daf init
    """
    import shlex

    from daf.cli.show import emit, out, say
    from daf.projects import daf_init_project

    project = daf_init_project(directory)
    go = "" if directory.resolve() == Path.cwd() else f"cd {shlex.quote(str(directory))} && "
    if as_json:
        data = {"directory": str(project.directory), "files": list(project.files), "next": project.first_command}
        emit({"run_id": None, "run_dir": None, "status": "ok", "project": data})
        return
    for name in project.files:
        out.print(str(project.directory / name), markup=False, soft_wrap=True)
    if not quiet:
        say(f"\nNext: {go}{project.first_command}")
