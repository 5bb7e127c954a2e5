"""Runs whose output directory is a place at a URL: claimed there, published there, and read from there.

The output directory is then the mirror of the place (see `daf.storage.remote`). A run in it is noted as unpublished
before anything is written, so neither a crash nor an outage of the store loses it: whatever publishes next to the same
place, a run or `daf runs publish`, takes it along.
"""

import contextlib
import json
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from daf.errors import Interrupted, LockedError, StorageError, UsageError
from daf.output_manager import labels, layout
from daf.output_manager.labels import Labels
from daf.output_manager.runs import RunInfo, find_run, read_run, stored_runs
from daf.storage import remote

_MOST_CLAIMS = 1000


def claim(base: Path, session: str, wanted: str) -> str:
    """Take the id of a session at the place of the output directory `base` too; returns the id that is free there.

    session: claimed on this machine. wanted: what it was asked for. Without a URL nothing is done. Raises
    `StorageError`, so that a place that can't be written to ends a command before it does any work.
    """
    place = remote.mirror_of(base)
    if place is None:
        return session
    store = remote.Store(place.url)
    for _ in range(_MOST_CLAIMS):
        who = json.dumps({"host": socket.gethostname(), "token": secrets.token_hex(16)}).encode()
        if store.create(f"{layout.SESSIONS}/{session}.json", who):
            return session
        session = layout.claim_session(base, wanted)
    raise StorageError(f"{place.shown}: no free id for a session among {_MOST_CLAIMS:,} that begin with {wanted}.")


def announce(folder: Path) -> None:
    """Note that a run directory has something to publish, if its output directory has a URL."""
    if _place(folder) is not None:
        remote.announce(folder)


def publish(folder: Path) -> bool:
    """Publish a run directory or a session's directory of checkpoints; False if it has no URL. The same call resumes.

    The directory of a part of a run is published with the run. Raises `StorageError`, `Interrupted`: the directory is
    then intact, and the message says how to resume.
    """
    place = _place(folder)
    if place is None:
        return False
    again = f"`daf runs publish --output-dir {place.url}` resumes, and so does the next run with this output directory."
    try:
        remote.publish(folder)
    except KeyboardInterrupt:
        raise Interrupted(f"publishing {place.shown} was stopped; everything is in {folder}. {again}") from None
    except LockedError:
        raise
    except StorageError as error:
        raise StorageError(f"{folder} is whole, but it is not published. {error} {again}") from error
    return True


def edit_labels(folder: Path, change: Callable[[Labels], Labels]) -> Labels:
    """Change the labels of a run, and publish them if it has ended and its output directory has a URL.

    Raises `UsageError`, `DamagedFileError`, `StorageError`.
    """
    with adding_to(folder):
        return labels.edit(folder, change)


@contextlib.contextmanager
def adding_to(folder: Path) -> Iterator[None]:
    """A block that writes into the directory of a run that has ended; what it wrote is published if there is a URL.

    A run that was interrupted is not published by this either. Raises `StorageError`, `Interrupted`.
    """
    announce(folder)
    yield
    run = read_run(folder)
    if run is not None and run.status not in ("running", "interrupted"):
        publish(folder)


def unpublished(base: Path) -> list[RunInfo]:
    """The runs below a mirror that ended and are not published, the oldest first."""
    found = [run for run in stored_runs(base) if run.status != "running" and remote.is_pending(run.path)]
    return sorted(found, key=lambda run: run.started_at)


def publish_others(base: Path, but: Path) -> None:
    """Publish what earlier runs left unpublished in the mirror `base`; not what another process is publishing."""
    for run in unpublished(base):
        if run.path != but:
            try:
                publish(run.path)
            except LockedError:
                continue


def publish_runs(run: str | None = None, base_dir: str | Path | None = None, *, verify: bool = False) -> list[RunInfo]:
    """Publish one run, or all that are unpublished, of an output directory with a URL; returns them.

    run: as in `find_run`, among the runs of this machine and the published ones. verify: then read everything back,
    and compare it with the manifest. Raises `UsageError` without a URL and for a running run, `StorageError`,
    `DamagedFileError`.
    """
    base = layout.base_folder(base_dir)
    if remote.mirror_of(base) is None:
        raise UsageError(
            f"{base} is a directory of this machine, so there is nowhere to publish to. Name the URL: --output-dir "
            "s3://bucket/runs, or DAF_OUTPUT_DIR."
        )
    wanted = unpublished(base) if run is None else [find_run(run, base)]
    for one in wanted:
        if one.status == "running":
            raise UsageError(f"run {one.run_id} is still running; it is published when it ends.")
        publish(one.path)
        if verify:
            remote.verify(one.path)
    return wanted


def _place(folder: Path) -> remote.Place | None:
    """The place of a directory that is published by itself: a run's, or one of checkpoints."""
    place = remote.place_of(folder)
    if place is None:
        return None
    run = layout.place_of(folder)
    whole = Path(os.path.abspath(folder)).parent == place.root or (run is not None and run[0] == place.root)  # noqa: PTH100
    return place if whole else None
