"""`daf rollback`: make an earlier release live again."""

import typer

from daf.cli._grouped import options
from daf.cli._options import OutputOptions
from daf.cli.releases import RegistryOption, ReleaseArgument

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
@options
def rollback(release: ReleaseArgument = None, registry: RegistryOption = None, *, output: OutputOptions) -> None:
    """Make RELEASE live, or the release that was live before the live one.

    The bundle is verified first. Running servers take the release for their next episodes.

    \b
        daf rollback
        daf rollback walker@1.0.0
    """
    from daf.cli.show import emit, out
    from daf.deployment import daf_rollback_deployment
    from daf.storage.jsonable import jsonable

    result = daf_rollback_deployment(release, registry=registry, output_dir=output.output_dir)
    if output.as_json:
        emit({"run_id": None, "run_dir": None, "status": "ok", "deployment": jsonable(result)})
    else:
        out.print(result.message, markup=False, soft_wrap=True)
