"""Plays a policy in a Coworld episode: `python -m coworld_bridge` in a Coworld project that `daf package` writes.

It reads the address of the game from `COWORLD_PLAYER_WS_URL`, speaks the JSON protocol `coworld.player.v1` of CoGames'
missions, and ends with exit code 0 when the episode is over. The address holds the player's token and is never printed.
"""

import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import websockets

from .episode import Episode, log
from .seat import PlayerError, Seat

ADDRESS = "COWORLD_PLAYER_WS_URL"
CONNECT_SECONDS = 60.0
"""How long the game may take to listen."""


def main(bundle: Path) -> int:
    """Play one episode with the policy in the folder `bundle`; returns the exit code."""
    address = os.environ.get(ADDRESS)
    if not address:
        log(f"{ADDRESS} is not set: Coworld's runner sets it.")
        return 2
    try:
        return asyncio.run(play(address, Seat(bundle)))
    except PlayerError as error:
        log(str(error))
        return 1


async def play(address: str, seat: Seat) -> int:
    """Play the episode at `address`; returns the exit code."""
    socket = await _connected(address)
    episode = Episode(socket, seat)
    try:
        return await episode.run()
    finally:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(socket.close(), 1.0)


async def _connected(address: str) -> websockets.ClientConnection:
    """A connection to the game, which may begin to listen after its players have started."""
    host = urlsplit(address).hostname
    end = time.monotonic() + CONNECT_SECONDS
    pause = 0.1
    while True:
        try:
            # A game need not answer pings, and a client that waits for its answer drops the connection after 40 s.
            return await websockets.connect(
                address, ping_interval=None, ping_timeout=None, max_size=None, compression=None
            )
        except (OSError, TimeoutError, websockets.WebSocketException, ValueError) as error:
            reason = type(error).__name__  # its text may hold the address, and with it the token
            hopeless = isinstance(error, ValueError | websockets.InvalidURI) or _refused(error)
            if hopeless or time.monotonic() + pause > end:
                raise PlayerError(f"can't connect to the game at {host}: {reason}.") from None
        await asyncio.sleep(pause)
        pause = min(2 * pause, 2.0)


def _refused(error: Exception) -> bool:
    return isinstance(error, websockets.InvalidStatus) and error.response.status_code in (401, 403)


if __name__ == "__main__":
    code = main(Path(__file__).resolve().parents[1] / "policy")
    sys.stdout.flush()
    os._exit(code)  # the policy's thread may be in the middle of a step
