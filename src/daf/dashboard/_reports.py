"""Reports of runs inside the dashboard: the pages of `daf report`, made in memory and shown in a sandboxed frame.

A page is made on the first request and kept while the run's files stay the same. Two additions make it fit the
dashboard: a style that hides what the dashboard shows itself, and a script that reports to the surrounding page the
report's height and which link was clicked. The frame has an opaque origin, so the report can request nothing from
this server, and the dashboard follows a link only to files and runs that it lists itself.
"""

import threading
from collections import OrderedDict
from pathlib import Path

from daf.dashboard._run_files import inside
from daf.dashboard._run_page import page_signature
from daf.output_manager.kinds import run_of
from daf.render.pages.files import WRITTEN_BY_RUNS

MOST_KEPT = 6
STYLE = """<style>
main { max-width: none; margin: 0; padding: 0 1px 12px; }
body { overflow: hidden; }
header > h1, header > .muted { display: none; }
.chips { margin-top: 0; }
</style>
"""
SCRIPT = """<script>
(() => {
  const send = message => parent.postMessage({ daf: "report", ...message }, "*");
  document.addEventListener("click", event => {
    const link = event.target.closest?.("a[href]");
    if (!link) return;
    event.preventDefault();
    const href = link.getAttribute("href");
    const place = href.startsWith("#") ? document.getElementById(decodeURIComponent(href.slice(1))) : null;
    const folded = [...document.querySelectorAll("details")].filter(one => one.contains(place));
    for (const one of folded) one.open = true;
    send(place ? { top: place.getBoundingClientRect().top } : { link: href });
  });
  const height = () => send({ height: document.documentElement.getBoundingClientRect().height });
  new ResizeObserver(height).observe(document.body);
})();
</script>
"""


class Reports:
    """A cache of a few reports, the latest ones."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Path, tuple[tuple[object, ...], str]] = OrderedDict()
        self._lock = threading.Lock()

    def page(self, folder: Path) -> str:
        """The report of the run in `folder`. Raises `DataError` if there is nothing to report on, `StorageError`."""
        now = page_signature(folder)
        with self._lock:  # one at a time: a report may take seconds, and two pages often ask for the same
            known = self._kept.get(folder)
            if known is not None and known[0] == now:
                self._kept.move_to_end(folder)
                return known[1]
            text = _made(folder)
            self._kept[folder] = (now, text)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
            return text


def _made(folder: Path) -> str:
    from daf.reporting.operation import report_html

    for name in WRITTEN_BY_RUNS:
        if (folder / name).is_symlink():
            inside(folder, name)
    return embedded(report_html(run_of(folder)))


def embedded(html: str) -> str:
    """`html` with the style and the script of a page in a frame."""
    head, mark, rest = html.partition("</head>")
    html = f"{head}{STYLE}{mark}{rest}" if mark else STYLE + html
    before, mark, after = html.rpartition("</body>")
    return f"{before}{SCRIPT}{mark}{after}" if mark else html + SCRIPT
