"""What a tournament server holds: the user's uploads and submissions, and the ranking of a season."""

import re
from dataclasses import dataclass

from daf.auth_integration import servers, token_for
from daf.deployment._connection import connected
from daf.errors import UsageError, quoted

_POLICY = re.compile(r"(?P<name>[^:]+)(?::v?(?P<version>\d{1,9}))?")


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A policy version of the user. at: when it was uploaded, or entered the season that was asked for.

    seasons: where it is submitted. matches: of that season by pool, as "qualifying: 3 played, 1 failed, 2 to come".
    """

    policy: str
    version: int | None
    at: str | None
    seasons: tuple[str, ...]
    matches: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A row of a leaderboard."""

    rank: int
    policy: str | None
    version: int | None
    score: float
    score_stddev: float | None
    matches: int


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """The ranking of a season, best first."""

    server: str
    season: str
    rows: tuple[Ranked, ...]


def submissions(
    season: str | None = None,
    policy: str | None = None,
    *,
    server_url: str | None = None,
    login_server: str | None = None,
    timeout: float | None = None,
) -> list[Uploaded]:
    """The user's submissions in `season`, or without one all uploads.

    policy: only this one, NAME or NAME:vN. Raises `UsageError`, `AuthenticationError`, `ServerError`.
    """
    there = servers(server_url, login_server)
    name, number = _wanted(policy)
    with connected(there, token_for(there), timeout) as server:
        if season is None:
            memberships = server.seasons_of_versions()
            return [
                Uploaded(
                    found.name,
                    found.version,
                    found.uploaded_at,
                    tuple(sorted(memberships.get(found.version_id, []))),
                    (),
                )
                for found in server.versions(name, number)
            ]
        asked = server.season(season).name
        return [
            Uploaded(
                entry.name or entry.version_id,
                entry.version,
                entry.entered_at,
                (asked,),
                tuple(
                    f"{pool.name}: {pool.completed} played, {pool.failed} failed, {pool.pending} to come"
                    f"{'' if pool.active else ' (retired)'}"
                    for pool in entry.pools
                ),
            )
            for entry in server.entries(asked)
            if name in (None, entry.name) and number in (None, entry.version)
        ]


def leaderboard(
    season: str | None = None,
    policy: str | None = None,
    *,
    mine: bool = False,
    server_url: str | None = None,
    login_server: str | None = None,
    timeout: float | None = None,
) -> Leaderboard:
    """The ranking of `season` (default: the server's). It needs no login, unless only the user's rows are wanted.

    policy: only this one, NAME or NAME:vN. Raises `UsageError`, `AuthenticationError`, `ServerError`.
    """
    there = servers(server_url, login_server)
    name, number = _wanted(policy)
    token = token_for(there) if mine else None
    with connected(there, token, timeout) as server:
        asked = server.season(season).name
        own = {entry.version_id for entry in server.entries(asked)} if mine else None
        rows = tuple(
            Ranked(place.rank, place.name, place.version, place.score, place.score_stddev, place.matches)
            for place in server.leaderboard(asked)
            if name in (None, place.name)
            and number in (None, place.version)
            and (own is None or place.version_id in own)
        )
        return Leaderboard(there.server, asked, rows)


def _wanted(policy: str | None) -> tuple[str | None, int | None]:
    """A policy's name and version: NAME, NAME:v3 or NAME:3."""
    if policy is None:
        return None, None
    found = _POLICY.fullmatch(policy)
    if found is None:
        raise UsageError(f"--policy must be NAME or NAME:vN, got {quoted(policy)}.")
    return found["name"], None if found["version"] is None else int(found["version"])
