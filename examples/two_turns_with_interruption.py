"""A voice bot's two turns: the user cuts in, the bot is silent at once and answers anew.

    python examples/two_turns_with_interruption.py [turns.wav]

The file has what was played: a part of the first reply, then all of the second. With
FISH_API_KEY set it speaks to Fish Audio (or to FISH_BASE_URL), else to a local server.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import wave
from collections.abc import AsyncIterator

import fishlive

RATE_HZ = 24_000
BYTES_PER_S = 2 * RATE_HZ
CUTS_IN_AFTER_S = 2.0

LONG_REPLY = (
    "The museum opens at nine. On the ground floor you find the ships, on the first floor the "
    "maps, and under the roof there is a room with four hundred clocks. "
    "Most people begin with the ships, because they are close to the coffee. "
)
SHORT_REPLY = "The coffee is to the left of the entrance."


class Player:
    """Stands for a loudspeaker: knows how much was played."""

    def __init__(self, file: wave.Wave_write) -> None:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        self._file = file
        self.played_s = 0.0

    def play(self, chunk: bytes) -> None:
        """Play PCM, as far as this player does."""
        self._file.writeframes(chunk)
        self.played_s += len(chunk) / BYTES_PER_S


async def talk(fish: fishlive.Session, path: str) -> None:
    """Begin a long reply, be interrupted, and give a short one."""
    with wave.open(path, "wb") as file:
        async with fish.live(format="pcm", sample_rate=RATE_HZ) as live:
            player = Player(file)
            first = live.speak(LONG_REPLY)
            async for chunk in first:
                player.play(chunk)
                first.mark_played(player.played_s)
                if player.played_s >= CUTS_IN_AFTER_S:
                    break
            heard = first.interrupt()  # "Where is the coffee?"

            # The same channel speaks on at once: a second connection is open already.
            second = live.speak(SHORT_REPLY)
            async for chunk in second:
                player.play(chunk)

    print(f"first reply: {first.outcome.value} after {heard.played_s:.2f} s ({heard.basis})")
    print(f"second reply: {second.outcome.value}, {second.stats.audio_s:.2f} s")


@contextlib.asynccontextmanager
async def session() -> AsyncIterator[fishlive.Session]:
    """Yield a session with the service if there is a key, else with a local server."""
    if "FISH_API_KEY" in os.environ:
        async with fishlive.Session() as fish:
            yield fish
        return
    from fishlive.server import LocalServer  # pip install "fishlive[local]"

    async with (
        LocalServer(profile="fish-balanced") as server,
        fishlive.Session(server.key, base_url=server.url) as fish,
    ):
        yield fish


async def main(path: str) -> None:
    """Have the two turns."""
    async with session() as fish:
        await talk(fish, path)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if sys.argv[1:] else "turns.wav"))
