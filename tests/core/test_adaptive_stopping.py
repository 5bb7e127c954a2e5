"""Signals end waits and nothing else."""

import signal

import pytest

from daf.core.adaptive._stopping import Waker


def test_a_signal_ends_a_wait_and_asks_to_stop() -> None:
    asked: list[str] = []
    waker = Waker()
    reached = []

    def block() -> None:
        signal.raise_signal(signal.SIGTERM)
        reached.append("after")

    with waker.signals(asked.append):
        waker.wait(block)
        waker.wait(block)  # nothing is waited for any more
    assert asked == ["SIGTERM"]
    assert reached == []


def test_a_signal_outside_of_a_wait_interrupts_nothing_and_a_second_one_does() -> None:
    asked: list[str] = []
    waker = Waker()
    with waker.signals(asked.append):
        signal.raise_signal(signal.SIGINT)
        assert asked == ["Ctrl-C"]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_afterwards_signals_mean_what_they_did_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Waker().signals(print):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
