"""The dashboard: run folders, watched in a browser of this machine.

It reads and never writes: no file of a run folder is opened for writing, locked or made, so a run neither waits for it
nor notices it. It listens on the loopback interface only and answers nobody without the token in the URL it prints.

`daf_serve_dashboard(folder)` serves until it is interrupted; `Dashboard` is the same for code that has more to do.
"""

from daf.dashboard._serving import Dashboard, daf_serve_dashboard

__all__ = ["Dashboard", "daf_serve_dashboard"]
