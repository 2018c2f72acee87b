"""A reply that survives a lost connection: the listener hears every word once.

    python examples/lost_connection.py [reply.wav]

Runs a local server that resets the connection in the middle of the reply, and says what was done
about it. The file has what was heard.
"""

from __future__ import annotations

import asyncio
import sys
import wave

import fishlive
from fishlive.server import LocalServer  # pip install "fishlive[local]"

RATE_HZ = 24_000
BYTES_PER_S = 2 * RATE_HZ
HASTE = 4
"""How much faster than it is spoken the reply is played: an example has no time."""

REPLY = (
    "The museum opens at nine. On the ground floor you find the ships. "
    "On the first floor there are the maps. Under the roof there is a room with many clocks. "
    "Most people begin with the ships."
)


def tell(resumed: fishlive.Resumed) -> None:
    """Say how it went on."""
    print(f"{resumed.at_s:.1f} s: {type(resumed.cause).__name__}, went on ({resumed.how})")
    print(f"  {resumed.resent_chars} characters sent again, {resumed.repeated_chars} heard twice")


async def main(path: str) -> None:
    """Speak, lose the connection, and go on."""
    async with (
        LocalServer(profile="fish-balanced", faults=["rst@audio:16"]) as server,
        fishlive.Session(server.key, base_url=server.url) as fish,
        fish.live(
            sample_rate=RATE_HZ,
            timestamps=True,
            resume="aligned",
            resume_fallback="repeat",
            on_resume=tell,
            budget=fishlive.Budget(usd=0.01),
        ) as live,
    ):
        with wave.open(path, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE_HZ)
            utterance = live.speak(REPLY)
            async for chunk in utterance:
                file.writeframes(chunk)  # a loudspeaker takes its time:
                await asyncio.sleep(len(chunk) / BYTES_PER_S / HASTE)

        ledger = utterance.ledger
        print(f"heard: {ledger.heard_text[-24:]!r}, all: {ledger.heard_text == REPLY}")
        print(f"billed: {ledger.billed_utf8_bytes} bytes, about ${ledger.cost_usd:.6f}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if sys.argv[1:] else "reply.wav"))
