"""`daf package`: write a policy's bundle."""

from pathlib import Path
from typing import Annotated

import typer

from daf.cli._grouped import options
from daf.cli._options import OutputOptions

app = typer.Typer(rich_markup_mode=None, add_completion=False)

PolicyOption = Annotated[str, typer.Option("--policy", "-p", help="Policy string, file, directory, bundle or run.")]
FileOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        help="The zip, or the player's directory, to write (default: NAME.zip, NAME-player).",
    ),
]
WeightsOption = Annotated[
    Path | None, typer.Option("--weights", metavar="PATH", help="Weights that replace the policy's own.")
]
IncludeOption = Annotated[
    list[Path] | None,
    typer.Option("--include", metavar="PATH", help="Also pack this file or directory. Repeatable."),
]
SetUpOption = Annotated[
    Path | None,
    typer.Option("--set-up", metavar="SCRIPT", help="Python script to run once before the policy is loaded."),
]
AllowSecretOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-secret", metavar="PATTERN", help="Don't search these entries for secrets: keys/*.pem. Repeatable."
    ),
]
ResultsOption = Annotated[
    str | None, typer.Option("--results", metavar="RUN", help="Put this run's results of the policy into the manifest.")
]

FormatOption = Annotated[
    str,
    typer.Option("--format", help="bundle, for CoGames and DAF, or coworld: a player project, a file if -o is a zip."),
]
FORMATS = ("bundle", "coworld")


@app.command()
@options
def package(
    policy: PolicyOption,
    file: FileOption = None,
    format: FormatOption = "bundle",
    weights: WeightsOption = None,
    include: IncludeOption = None,
    set_up: SetUpOption = None,
    allow_secret: AllowSecretOption = None,
    results: ResultsOption = None,
    *,
    output: OutputOptions,
) -> None:
    """Write a bundle that CoGames and DAF play: the policy's code, weights and specification in one zip.

    The same inputs give the same bytes on any machine. The imports of the policy's class are followed: own modules are
    packed, installed packages are named as requirements. Files that look like secrets are refused.

    \b
        daf package -p my_policy.py -o my_policy.zip
        daf package -p run:latest --results latest
        daf package -p my_module.MyPolicy --weights best.safetensors --include maps
        daf package -p my_policy.py --format coworld -o my_player
    """
    from daf.cli.show import emit, out, say
    from daf.deployment import PackageSettings
    from daf.deployment import package as write_package
    from daf.deployment.coworld import package_player
    from daf.errors import UsageError, unknown
    from daf.storage.jsonable import jsonable

    if format not in FORMATS:
        raise UsageError(unknown("format", format, FORMATS))
    settings = PackageSettings(
        weights=weights,
        include=include or (),
        set_up=set_up,
        allow_secret=allow_secret or (),
        results=results,
        output_dir=output.output_dir,
    )
    made = (package_player if format == "coworld" else write_package)(policy, file, settings)
    if output.as_json:
        kind = "player" if format == "coworld" else "package"
        emit({"run_id": None, "run_dir": None, "status": "ok", kind: jsonable(made)})
        return
    if not output.quiet:
        for warning in made.warnings:
            say(f"Warning: {warning}")
    out.print(made.sentence(), markup=False, soft_wrap=True)
    if made.left_out and not output.quiet:
        shown = ", ".join(made.left_out[:5]) + (" …" if len(made.left_out) > 5 else "")
        out.print(f"Left out: {shown}", markup=False, soft_wrap=True)
