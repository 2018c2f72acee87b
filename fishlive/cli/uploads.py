"""How far an upload is, on a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

from fishlive.limits import MIB

LARGE_BYTES: Final = 1 * MIB
"""Smallest upload with a progress bar, in bytes: 1 s at 8 Mbit/s, which needs no patience."""

OnProgress: TypeAlias = Callable[[int, int | None], None]
"""Called with the bytes sent so far, and all there are if that is known."""


@contextlib.contextmanager
def upload_bar(files: Iterable[Path], *, then: str) -> Iterator[OnProgress | None]:
    """Show a bar while something large is sent, if standard error is a terminal.

    Args:
        files: What will be sent.
        then: What is waited for when all is sent.
    """
    if sys.stderr is None or not sys.stderr.isatty() or _size_bytes(files) < LARGE_BYTES:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("uploading", total=None)

        def show(sent_bytes: int, total_bytes: int | None) -> None:
            whole = total_bytes is not None and sent_bytes >= total_bytes
            name = f"waiting for {then}" if whole else "uploading"
            bar.update(task, completed=sent_bytes, total=total_bytes, description=name)

        yield show


def _size_bytes(files: Iterable[Path]) -> int:
    """Return how much is in the files that can be looked at."""
    total_bytes = 0
    for file in files:
        with contextlib.suppress(OSError):
            total_bytes += file.stat().st_size
    return total_bytes
