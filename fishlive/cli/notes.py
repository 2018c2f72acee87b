"""What a command tells its user, on standard error: notes, warnings, progress."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import TypeAlias

from fishlive.cli.exits import one_line
from fishlive.live.stats import UtteranceStats
from fishlive.live.utterance import Utterance

Tick: TypeAlias = Callable[[Utterance], None]
"""Called behind every chunk."""


def note(text: str) -> None:
    """Say one line on standard error, as the command."""
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError, ValueError):  # nobody is left to read it
        sys.stderr.write(f"fishlive: {one_line(text)}\n")
        sys.stderr.flush()


def warn(text: str) -> None:
    """Say that something may not be meant."""
    note(f"warning: {text}")


@contextlib.contextmanager
def warnings_as_notes() -> Iterator[None]:
    """Show what the library warns of as one line each, without its place in the code."""
    shown = warnings.showwarning
    warnings.showwarning = lambda message, *_, **__: warn(str(message))
    try:
        yield
    finally:
        warnings.showwarning = shown


@contextlib.contextmanager
def progress(*, wanted: bool = True) -> Iterator[Tick]:
    """Show how far an utterance is, if standard error is a terminal.

    Args:
        wanted: Whether to show anything: not while somebody types into the same terminal.
    """
    if not wanted or sys.stderr is None or not sys.stderr.isatty():
        yield lambda _utterance: None
        return
    from rich.console import Console

    with Console(stderr=True).status("waiting for audio") as status:
        yield lambda utterance: status.update(_position(utterance.stats))


def show_stats(stats: UtteranceStats) -> None:
    """Write an utterance's numbers, one ``name: value`` a line; seconds with milliseconds."""
    for field in dataclasses.fields(stats):
        value = getattr(stats, field.name)
        if value is not None:
            shown = f"{value:.3f}" if isinstance(value, float) else value
            sys.stderr.write(f"{field.name}: {shown}\n")


def done(name: str, stats: UtteranceStats) -> None:
    """Say what there is now, if standard error is a terminal."""
    if sys.stderr is not None and sys.stderr.isatty():
        note(f"{name}: {_position(stats)}")


def _position(stats: UtteranceStats) -> str:
    first = "" if stats.first_audio_s is None else f", the first after {stats.first_audio_s:.2f} s"
    return f"{stats.audio_s:.1f} s of audio{first}"
