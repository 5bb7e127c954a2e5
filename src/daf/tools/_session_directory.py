"""Where the tools of the contract put their files."""

from pathlib import Path


class SessionDirectory:
    """Writes into `output_dir`; None means the visualizations directory of this session."""

    def __init__(self, output_dir: str | Path | None = None) -> None:
        self._given = None if output_dir is None else Path(output_dir).expanduser()

    @property
    def output_dir(self) -> Path:
        """The directory of the files."""
        if self._given is None:
            from daf.output_manager import get_output_manager

            self._given = get_output_manager().get_operation_dir("visualizations")
        return self._given
