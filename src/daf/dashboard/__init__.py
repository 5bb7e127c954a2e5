"""The dashboard: run directories, watched in a browser on this machine.

It reads and never writes: no file in a run directory is opened for writing, locked or created, so a run neither waits
for it nor notices it. It listens on the loopback interface only and rejects requests without the token in the URL it
prints.

`daf_serve_dashboard(folder)` serves until it is interrupted; `Dashboard` does the same for code that has more to do.
"""

from daf.dashboard._serving import Dashboard, daf_serve_dashboard

__all__ = ["Dashboard", "daf_serve_dashboard"]
