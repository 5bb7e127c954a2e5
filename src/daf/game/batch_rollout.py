"""The batch engine: several episodes at a time, their networks called once for all of their agents.

`play_batch` plays episodes whose networks have an adapter (`batch_networks`) or whose policies read the simulator's own
buffers (`step_batch`); agents of any other policy in the same episode are stepped as in the object engine, with
Python's, numpy's and torch's global generators kept separate for each episode.

An episode's outcome depends on its `BatchPlay` alone: not on the other episodes of the batch, their number, or order.
Actions are drawn with one generator per episode, so a network that samples plays another episode here than in the
object engine, drawn from the same distribution. Time-outs are not enforced, because a batched step has no separate
time; `Latencies` give each agent its share of the call.

A failed episode does not affect the others. If a network call fails for several episodes together, each of them is
played alone.

Importing this module imports torch.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter_ns

import numpy as np
import numpy.typing as npt
from mettagrid.policy.policy import MultiAgentPolicy

from daf.game._batch_episode import BatchPlay, LiveEpisode, reads_buffers
from daf.game.batch_networks import ROWS, Block, adapter_for
from daf.game.outcome import Outcome
from daf.game.seeding import own_generators

__all__ = ["BatchPlay", "not_batched", "play_batch"]

INTERLEAVED = 8
"""Maximum episodes at a time: with more, steps get slower because of cache misses."""


def play_batch(plays: Sequence[BatchPlay], *, interleaved: int = INTERLEAVED) -> list[Outcome | Exception]:
    """Play all episodes, at most `interleaved` at a time; the outcome or exception of each, in order."""
    with own_generators():
        return _Batch(plays, interleaved).play()


def not_batched(policy: MultiAgentPolicy, agents: int, of: int) -> str | None:
    """Why batching `policy`, playing `agents` of `of` agents, has no advantage; None if it has."""
    if adapter_for(policy) is not None or reads_buffers(policy, agents, of):
        return None
    return f"{type(policy).__name__} has no adapter for batches"


class _Batch:
    def __init__(self, plays: Sequence[BatchPlay], interleaved: int) -> None:
        self._plays = plays
        self._interleaved = interleaved
        self._waiting = deque(range(len(plays)))
        self._live: list[LiveEpisode] = []
        self._blocks: dict[int, list[Block]] = {}
        self._results: list[Outcome | Exception | None] = [None] * len(plays)

    def play(self) -> list[Outcome | Exception]:
        collecting = gc.isenabled()
        try:
            while self._waiting or self._live:
                gc.disable()  # a full collection takes as long as hundreds of steps, so it waits for the end of a step
                while self._may_start():
                    self._start(self._waiting.popleft())
                self._tick()
                if collecting:
                    gc.enable()
                    _ = []  # an allocation, so that a pending collection happens here, between steps
        finally:
            if collecting:
                gc.enable()
        return [result for result in self._results if result is not None]

    def _may_start(self) -> bool:
        if not self._waiting or len(self._live) >= self._interleaved:
            return False
        rows = sum(live.rows for live in self._live)
        return not self._live or rows + len(self._plays[self._waiting[0]].assignment) <= ROWS

    def _start(self, index: int) -> None:
        try:
            self._live.append(LiveEpisode(index, self._plays[index], self._blocks))
        except Exception as error:  # whatever an episode raises is its result
            self._results[index] = error

    def _tick(self) -> None:
        """One step of every episode."""
        for live in list(self._live):
            with self._owning(live):
                live.look()
        chosen: dict[Block, tuple[npt.NDArray[np.intp], int]] = {}
        for block in [block for blocks in self._blocks.values() for block in blocks]:
            start = perf_counter_ns()
            try:
                actions = block.run()
            except Exception as error:  # it belongs to one of the episodes in the block, or to all
                self._crashed(block, error)
            else:
                chosen[block] = actions, (perf_counter_ns() - start) // max(1, len(block.taken))
        for live in list(self._live):
            with self._owning(live):
                live.advance(chosen)
                if live.episode.done:
                    self._end(live, live.episode.outcome())

    @contextmanager
    def _owning(self, live: LiveEpisode) -> Iterator[None]:
        """An exception raised in this block is `live`'s result, and ends it."""
        try:
            yield
        except Exception as error:  # whatever an episode raises is its result
            self._end(live, error)

    def _crashed(self, block: Block, error: Exception) -> None:
        together = [live for live in self._live if any(seat.block is block for seat in live.seats)]
        for live in together:
            alone = len(self._plays) == 1
            self._end(live, error if alone else play_batch([self._plays[live.index]])[0])

    def _end(self, live: LiveEpisode, result: Outcome | Exception) -> None:
        self._results[live.index] = result
        self._live.remove(live)
        live.leave()
        for key in [key for key, blocks in self._blocks.items() if not any(block.taken for block in blocks)]:
            del self._blocks[key]
