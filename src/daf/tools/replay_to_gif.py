"""Conversion of replays to animated GIFs, as a class and as a standalone program.

    python -m daf.tools.replay_to_gif FILE|DIR [--batch] [--fps N] [--output-dir D]

`daf replay gif` has the same function and more options.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from daf.errors import DAFError, UsageError
from daf.game.replays import Replay, ReplayError, read_replay
from daf.render.replays.gif import write_gif
from daf.replaying import drawing_names, replay_files
from daf.tools._session_directory import SessionDirectory


class ReplayToGifConverter(SessionDirectory):
    """Writes GIFs into `output_dir`; None means the visualizations directory of this session."""

    def load_replay(self, path: str | Path) -> Replay:
        """Load the replay at `path`. Raises `StorageError`, `ReplayError`."""
        return read_replay(path)

    def convert_to_gif(self, path: str | Path, output_path: str | Path | None = None, fps: float = 10) -> Path:
        """Draw one replay and return the GIF's path: `output_path`, or the replay's name in `output_dir`.

        Raises `StorageError`, `ReplayError`, `UsageError`.
        """
        file = Path(path).expanduser()
        target = self.output_dir / drawing_names([file], ".gif")[0] if output_path is None else Path(output_path)
        return write_gif(self.load_replay(file), target, fps=fps).path

    def batch_convert(self, directory: str | Path, pattern: str = "*.json.z", fps: float = 10) -> list[Path]:
        """Draw every replay in a directory whose name matches `pattern`, and return the GIFs' paths.

        A replay that cannot be drawn does not stop the others; at the end, `ReplayError` names all that failed. Raises
        `UsageError` if nothing matches.
        """
        folder = Path(directory).expanduser()
        files = sorted(file for file in folder.glob(pattern) if file.is_file())
        if not files:
            raise UsageError(f"no replay in {folder} matches {pattern}.")
        return self._all(files, fps)

    def _all(self, files: Sequence[Path], fps: float) -> list[Path]:
        made, failed = [], []
        for file, name in zip(files, drawing_names(files, ".gif"), strict=True):
            try:
                made.append(self.convert_to_gif(file, self.output_dir / name, fps))
            except ReplayError as error:
                failed.append(str(error))
        if failed:
            done = f"{len(made)} of {len(files)} replays were drawn into {self.output_dir}"
            raise ReplayError(f"{done}. Failed:\n  " + "\n  ".join(failed))
        return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    parser = argparse.ArgumentParser(prog="replay_to_gif", description="Convert replays to animated GIFs.")
    parser.add_argument("path", metavar="FILE|DIR", help="a replay, or with --batch a directory of replays")
    parser.add_argument("--batch", action="store_true", help="draw every replay in the directory")
    parser.add_argument("--fps", type=float, default=10, help="frames per second, up to 50 (default: 10)")
    parser.add_argument("--output-dir", help="where to write GIFs (default: a run directory for visualizations)")
    chosen = parser.parse_args(arguments)
    try:
        converter = ReplayToGifConverter(chosen.output_dir)
        for path in converter._all(replay_files(chosen.path, batch=chosen.batch), chosen.fps):
            sys.stdout.write(f"{path}\n")
    except DAFError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
