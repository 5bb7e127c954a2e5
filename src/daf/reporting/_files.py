"""What a report is before and after it is written."""

from dataclasses import dataclass
from pathlib import Path

from daf.render.pages.run_facts import OWN
from daf.reporting.kinds import Kind

HTML, MARKDOWN = OWN[:2]
SWEEP = "sweep.html"
"""A sweep's page, which it writes itself when it ends."""


@dataclass(frozen=True)
class ReportFiles:
    """A report on the disk. kind: of the run. kept: the page is the one that the run wrote itself."""

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
