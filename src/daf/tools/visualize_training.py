"""Figures of training logs, as a standalone program.

    python -m daf.tools.visualize_training --variant v4 [--output-dir D] [--format png] [--smooth-window N] [--verbose]

`daf logs` has the same function and more options.
"""

import argparse
import sys
from collections.abc import Sequence

from daf.errors import DAFError
from daf.log_analysis import daf_analyze_logs, describe
from daf.streams.running import PartDone


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    parser = argparse.ArgumentParser(prog="visualize_training", description="Draw the training logs of a variant.")
    parser.add_argument("--variant", required=True, help="the logs of this variant: EXPERIMENTS/VARIANT/RUN/json_logs")
    parser.add_argument("--experiments", default="experiments", help="directory of the variants (experiments)")
    parser.add_argument("--run", default="latest", help="which run of the variant: latest, all, or its name (latest)")
    parser.add_argument("--output-dir", help="where files go (default: plots/ next to json_logs/)")
    parser.add_argument("--format", default="png", help="what to write: any of png,pdf,svg,html,gif (png)")
    parser.add_argument("--smooth-window", type=int, metavar="N", help="smooth over N bins (default: by the noise)")
    parser.add_argument("--verbose", action="store_true", help="print progress and what the logs contain")
    chosen = parser.parse_args(arguments)
    try:
        analysis = daf_analyze_logs(
            variant=chosen.variant,
            experiments=chosen.experiments,
            run=chosen.run,
            output_dir=chosen.output_dir,
            formats=[name for name in chosen.format.split(",") if name.strip()],
            smooth_window=chosen.smooth_window,
            progress=_progress if chosen.verbose else None,
            stage=_stage if chosen.verbose else None,
        )
    except DAFError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    if chosen.verbose:
        sys.stderr.write("".join(f"{line}\n" for line in describe(analysis)[:-1]))
    sys.stdout.write("".join(f"{path}\n" for path in analysis.written))
    return 0


def _progress(done: PartDone) -> None:
    sys.stderr.write(f"file {done.file} of {done.files}, {done.records:,} records\n")


def _stage(what: str) -> None:
    sys.stderr.write(f"drawing: {what}\n")


if __name__ == "__main__":
    sys.exit(main())
