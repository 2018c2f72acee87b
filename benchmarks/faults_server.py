"""fishlive's own server, which plays one fault at a time and notes when, as its own process.

``python -m benchmarks.faults_server [core]`` answers ``open`` with a port and ``close`` with what
was played and sent. Times are nanoseconds of the monotonic clock, which all processes share.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from benchmarks.affinity import pin
from fishlive.faults import Fault
from fishlive.server import LocalServer
from fishlive.server.faults.acts import EVENT_BYTES
from fishlive.server.faults.port import Gate
from fishlive.server.faults.stage import Stage
from fishlive.wire.events import decode


@dataclass
class Notes:
    """What one server did: when it played a fault, and the audio it sent, and had sent by then."""

    played_ns: list[int] = field(default_factory=list)
    sent_bytes: int = 0
    before_bytes: int = 0
    connections: int = 0
    instead: bool = False

    def play(self, fault: Fault) -> None:
        """Note a fault."""
        if not self.played_ns:
            self.before_bytes = self.sent_bytes
        self.played_ns.append(time.monotonic_ns())
        amount = fault.amount if isinstance(fault.amount, int) else 0
        if fault.kind == "flood":
            self.sent_bytes += amount // EVENT_BYTES * EVENT_BYTES
        if fault.kind == "giant":
            self.sent_bytes += amount
            self.instead = True

    def send(self, audio_bytes: int) -> None:
        """Note audio that was sent, unless a fault sent its own instead."""
        self.sent_bytes += 0 if self.instead else audio_bytes
        self.instead = False


async def run() -> None:
    """Answer questions until stdin ends."""
    notes = Notes()
    audio = Stage.audio

    async def noted(stage: Stage, message: bytes) -> None:
        await audio(stage, message)
        event = decode(message)
        notes.send(len(event if isinstance(event, bytes) else getattr(event, "audio", b"")))

    connected = Gate.connection_made

    def counted(gate: Gate, transport: asyncio.BaseTransport) -> None:
        notes.connections += 1
        connected(gate, transport)

    server: LocalServer | None = None
    with patch.object(Stage, "audio", noted), patch.object(Gate, "connection_made", counted):
        while line := await asyncio.to_thread(sys.stdin.readline):
            ask: dict[str, Any] = json.loads(line)
            if ask["do"] == "open":
                notes = Notes()
                server = LocalServer(faults=ask["faults"], on_fault=notes.play)
                await server.start()
                answer: dict[str, Any] = {"port": server.port}
            else:
                if server is not None:
                    await server.aclose()
                answer = vars(notes)
            print(json.dumps(answer), flush=True)
    if server is not None:
        await server.aclose()


def main() -> None:
    pin(sys.argv[1:])
    print(json.dumps({"ready": True}), flush=True)
    asyncio.run(run())


if __name__ == "__main__":
    main()
