"""Scheduling of trials in the one process that proposes them and writes the journal.

A trial starts once every trial that its proposal may depend on has ended (`Proposer.needs`), and at most `slots` run at
a time. The proposal is in the journal before the trial starts, and the result before it counts. However this process
ends, the next one finds final results and open trials, which it restarts with the same hyperparameters, and nothing
else. Neither the order in which trials end nor the number of interruptions affects proposals or results.
"""

import queue
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

from daf.storage.hashing import canonical_json
from daf.sweeps import journal
from daf.sweeps._trial import TrialRunner
from daf.sweeps.journal import SweepHistory
from daf.sweeps.playing import TrialPlayer
from daf.sweeps.strategies import Proposer
from daf.sweeps.trial_result import SweepTrialResult

OnTrial = Callable[[SweepTrialResult], None]


class Coordinator:
    """Runs the trials that a sweep still lacks. players: one for each trial that runs at a time."""

    def __init__(
        self,
        run_dir: Path,
        proposer: Proposer,
        history: SweepHistory,
        runner: TrialRunner,
        players: list[TrialPlayer],
        *,
        share_repeats: bool,
        on_trial: OnTrial | None = None,
    ) -> None:
        self._run_dir = run_dir
        self._proposer = proposer
        self._history = history
        self._runner = runner
        self._slots = len(players)
        self._all_players = players
        self._players: queue.SimpleQueue[TrialPlayer] = queue.SimpleQueue()
        for player in players:
            self._players.put(player)
        self._share_repeats = share_repeats
        self._on_trial = on_trial
        self._first_of: dict[bytes, int] = {}
        self._ended = 0
        for number in range(len(history.proposals)):
            proposer.restore(history.proposals[number])
            self._note(number)
        self._waiting = [number for number in sorted(history.proposals) if number not in history.results]

    def run(self) -> None:
        """Run until every trial has ended. Any exception (also Ctrl-C) ends the running trials and loses nothing."""
        pool = trial_pool(self._slots)
        running: dict[Future[SweepTrialResult], int] = {}
        try:
            while True:
                while len(running) < self._slots and (number := self._startable()) is not None:
                    running[pool.submit(self._trial, number)] = number
                if not running:
                    return
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in sorted(ended, key=lambda done: running[done]):
                    del running[future]
                    self._commit(future.result())
        except BaseException:
            self._runner.stop.set()
            for player in self._all_players:
                player.close()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _startable(self) -> int | None:
        """The next trial that may start: one left open by an earlier process, else a new one."""
        for index, number in enumerate(self._waiting):
            if self._leading() >= self._proposer.judges(number) and not self._twin_runs(number):
                return self._waiting.pop(index)
        number = len(self._history.proposals)
        if self._waiting or number >= self._proposer.total or self._leading() < self._proposer.needs(number):
            return None
        known = [self._history.results[n] for n in range(self._proposer.needs(number))]
        proposal = self._proposer.next(number, known)
        journal.proposed(self._run_dir, proposal)
        self._history.proposals[number] = proposal
        self._note(number)
        if self._twin_runs(number):
            self._waiting.append(number)
            return None
        return number

    def _trial(self, number: int) -> SweepTrialResult:
        proposal = self._history.proposals[number]
        twin = self._twin(number)
        if twin is not None and self._history.results[twin].success:
            there = self._history.results[twin]
            return replace(there, trial_id=number, source=proposal.source, repeats=twin, seconds=0.0)
        judges = [self._history.results[n] for n in range(self._proposer.judges(number))]
        player = self._players.get()
        try:
            return self._runner.run(player, number, dict(proposal.hyperparameters), judges, proposal.source)
        finally:
            self._players.put(player)

    def _commit(self, result: SweepTrialResult) -> None:
        journal.finished(self._run_dir, result)
        self._history.results[result.trial_id] = result
        if self._on_trial is not None:
            self._on_trial(result)

    def _leading(self) -> int:
        """The number of trials, counted from 0, that have ended without a gap."""
        while self._ended in self._history.results:
            self._ended += 1
        return self._ended

    def _note(self, number: int) -> None:
        self._first_of.setdefault(self._key(number), number)

    def _key(self, number: int) -> bytes:
        return canonical_json(dict(self._history.proposals[number].hyperparameters))

    def _twin(self, number: int) -> int | None:
        """The first trial with the same configuration, if it is a different trial and its training can be shared."""
        first = self._first_of[self._key(number)]
        return first if self._share_repeats and first != number else None

    def _twin_runs(self, number: int) -> bool:
        twin = self._twin(number)
        return twin is not None and twin not in self._history.results


def trial_pool(slots: int) -> Executor:
    """What runs up to `slots` trials at a time."""
    return _Here() if slots == 1 else ThreadPoolExecutor(slots, "daf-trial")


class _Here(Executor):
    """Runs a call at once in this thread, so that Ctrl-C and a debugger reach the running code."""

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
        future: Future[SweepTrialResult] = Future()
        future.set_result(fn(*args, **kwargs))
        return future
