"""An LLM's tokens in, speech out while it is still writing.

    python examples/llm_to_speech.py [reply.wav]

With FISH_API_KEY set it speaks to Fish Audio (or to FISH_BASE_URL), else to a local server.
"""

from __future__ import annotations

import asyncio
import os
import sys
import wave
from collections.abc import AsyncIterator

import fishlive

RATE_HZ = 24_000


async def llm_tokens() -> AsyncIterator[str]:
    """Stand for your LLM. The stream events of OpenAI and others may be yielded as they are."""
    for token in (
        "Sure", "! A ", "heron ", "stands ", "so ", "still ", "because ", "fish ", "see ",
        "move", "ment", " first", ". It ", "waits", ", and ", "then ", "it ", "strikes", ".",
    ):  # fmt: skip
        await asyncio.sleep(0.02)
        yield token


async def speak(fish: fishlive.Session, path: str) -> None:
    """Write the reply's speech into a WAV file, as it comes."""
    async with fish.live(format="pcm", sample_rate=RATE_HZ) as live:
        reply = live.speak(llm_tokens())
        with wave.open(path, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE_HZ)
            async for chunk in reply:  # the first comes while the LLM is still writing
                file.writeframes(chunk)
    print(f"{path}: {reply.stats.audio_s:.1f} s of speech in {reply.stats.wall_s:.1f} s")


async def main(path: str) -> None:
    """Speak with the service if there is a key, else with a local server."""
    if "FISH_API_KEY" in os.environ:
        async with fishlive.Session() as fish:
            await speak(fish, path)
        return
    from fishlive.server import LocalServer  # pip install "fishlive[local]"

    async with (
        LocalServer(profile="fish-balanced") as server,
        fishlive.Session(server.key, base_url=server.url) as fish,
    ):
        await speak(fish, path)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if sys.argv[1:] else "reply.wav"))
