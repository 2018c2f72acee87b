"""Walking through the pages of a list that changes meanwhile. No I/O."""

from __future__ import annotations

from typing import Final

from fishlive.models.voice import Voice, VoicePage, goes_on

MOST_STALE_PAGES: Final = 3
"""Pages in a row without a new voice until the service is taken to repeat itself. With a voice a
page, so many may be put in front between two questions and nothing is missed."""


class Walk:
    """Which page comes next, and which of its voices are new.

    Attributes:
        number: Of the page to ask for, from 1.
        over: Whether there is nothing more to ask for.
    """

    def __init__(self) -> None:
        self.number: int = 1
        self.over: bool = False
        self._seen: set[str] = set()
        self._read = 0
        self._stale = 0

    def take(self, page: VoicePage) -> list[Voice]:
        """Return the voices of a page that were in none before, each once; go on to the next."""
        fresh = {voice.id: voice for voice in page.items if voice.id not in self._seen}
        self._seen.update(fresh)
        self._read += len(page.items)
        self._stale = 0 if fresh else self._stale + 1
        self.number += 1
        repeats = self._stale >= MOST_STALE_PAGES
        self.over = not page.items or repeats or not goes_on(page, self._read)
        return list(fresh.values())
