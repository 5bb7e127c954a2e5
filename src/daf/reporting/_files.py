"""Names and paths of a report's files."""

from dataclasses import dataclass
from pathlib import Path

from daf.output_manager.kinds import Kind


@dataclass(frozen=True)
class ReportFiles:
    """A report on disk. kind: of the run. kept: whether the page is the one that the run itself wrote."""

    run_id: str
    run_dir: Path
    kind: Kind
    html: Path
    markdown: Path | None
    pdf: Path | None
    kept: bool

    @property
    def written(self) -> tuple[Path, ...]:
        """The files of the report."""
        return tuple(path for path in (self.html, self.markdown, self.pdf) if path is not None)
