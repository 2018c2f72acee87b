"""Signals end a command in order."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from fishlive.cli.exits import ExitCode, Failure
from fishlive.cli.signals import run

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals cannot be sent to oneself there")


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)],
)
def test_a_signal_cancels_and_cleans_up(number: signal.Signals, code: ExitCode) -> None:
    """What runs sees a cancellation, ends in order, and the handlers are as before."""
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    seen: list[str] = []

    async def work() -> None:
        os.kill(os.getpid(), number)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            seen.append("cleaned up")

    with pytest.raises(Failure) as caught:
        run(work)

    assert caught.value.code is code
    assert seen == ["cleaned up"]
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_terminal_that_goes_away_is_told_once() -> None:
    """A second SIGHUP, which the system sends besides the shell, does not end the tidying up."""
    seen: list[str] = []

    async def work() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        try:
            await asyncio.Event().wait()
        finally:
            os.kill(os.getpid(), signal.SIGHUP)
            seen.append("cleaned up")

    before = signal.signal(signal.SIGHUP, lambda *_: seen.append("ended"))
    try:
        with pytest.raises(Failure) as caught:
            run(work)
    finally:
        signal.signal(signal.SIGHUP, before)

    assert caught.value.code is ExitCode.HUNG_UP
    assert seen == ["cleaned up"]


def test_an_ignored_signal_stays_ignored() -> None:
    """A command in a script's background is not ended by the Ctrl-C for its foreground."""

    async def work() -> str:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0)
        return "done"

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert run(work) == "done"
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_cancellation_of_ones_own_is_no_signal() -> None:
    """Work that cancels itself is not called interrupted."""

    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run(work)
