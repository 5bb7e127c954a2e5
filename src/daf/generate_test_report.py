"""Reports from the results that `daf test` left, as functions and as a program.

    python -m daf.generate_test_report DIR [OUT.json [OUT.html]]

DIR is a run directory of tests, or an output directory for its last one. Without file names, the page is written as
`report.html` into the run directory.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from daf.errors import DAFError
from daf.test_runner.report import TestReportGenerator

__all__ = ["TestReportGenerator", "generate_report_from_outputs"]


def generate_report_from_outputs(
    dir: str | Path,
    json: str | Path | None = None,
    html: str | Path | None = None,
) -> TestReportGenerator:
    """Write the report on the tests in `dir` to the files `json` and `html`; with neither, into the run directory.

    dir: a run directory of tests, or an output directory for its last one. Raises `UsageError` if it has no results,
    `DamagedFileError`, `StorageError`.
    """
    generator = TestReportGenerator(dir)
    if json is not None:
        generator.save_json(json)
    if html is not None or json is None:
        generator.save_html(html)
    return generator


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code: 0 also if tests had failed, for the report was written."""
    parser = argparse.ArgumentParser(prog="generate_test_report", description="Report on the results of `daf test`.")
    parser.add_argument("dir", metavar="DIR", help="a run directory of tests, or an output directory")
    parser.add_argument("json", metavar="OUT.json", nargs="?", help="where to write the report as JSON")
    parser.add_argument("html", metavar="OUT.html", nargs="?", help="where to write the page")
    chosen = parser.parse_args(arguments)
    try:
        made = generate_report_from_outputs(chosen.dir, chosen.json, chosen.html)
    except DAFError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    written = [path for path in (chosen.json, chosen.html) if path] or [str(made.run_dir / "report.html")]
    sys.stdout.write("".join(f"{path}\n" for path in written))
    return 0


if __name__ == "__main__":
    sys.exit(main())
