"""The one server of every benchmark: as much of the live protocol as a load needs, and fast.

Runs as its own process: ``python -m benchmarks.flood [core]``. The first line on stdout says where
it listens; after that every JSON line on stdin (``{"do": "cpu"}`` or ``{"do": "notes"}``) is
answered with one. It ends with stdin. Audio is framed once and written in blobs of whole frames,
so that a message costs the server a copy into the kernel and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgpack
import trustme
from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,
)

from benchmarks.affinity import pin
from benchmarks.plans import BUSY, SINK, STAMP_BYTES, summary_ms

BLOB_BYTES = 128 * 1024
"""Audio written at once, in bytes. Twice the transport's mark, so that one write fills it; larger
ones only mean copying the tail that the kernel did not take."""

TONE = b"\x00\x20\x00\xe0"
"""A square wave in 16-bit PCM. Not silence: a client may look for the first sound."""

CHANCE = random.Random(0)  # noqa: S311  # spreads the channels, hides nothing

FINISH: bytes = msgpack.packb({"event": "finish", "reason": "stop"})
HELLO: bytes = msgpack.packb({"event": "audio", "audio": bytes(640)})
"""The little audio a sink answers with: an utterance without any may be an error to a client."""


def framed(message: bytes) -> bytes:
    """Return one unmasked, final, binary WebSocket frame (RFC 6455, section 5.2)."""
    size = len(message)
    if size < 126:
        return bytes((0x82, size)) + message
    if size < 1 << 16:
        return b"\x82\x7e" + size.to_bytes(2, "big") + message
    return b"\x82\x7f" + size.to_bytes(8, "big") + message


@dataclass
class Notes:
    """What the server saw since it was last asked."""

    text_messages: int = 0
    flushes: int = 0
    text_chars: int = 0
    token_ns: list[int] = field(default_factory=list)

    def text(self, text: str, arrived_ns: int, *, stamped: bool) -> None:
        """Count a piece of text; if its words are times, note how long ago they were."""
        self.text_messages += 1
        self.text_chars += len(text)
        if stamped:
            words = (word.rstrip(".") for word in text.split())
            self.token_ns += [arrived_ns - int(word) for word in words if word.isdigit()]

    def answer(self) -> dict[str, Any]:
        """Return the counts, and the tokens in summary."""
        counts = {k: v for k, v in asdict(self).items() if k != "token_ns"}
        return {**counts, "token": summary_ms(self.token_ns)}


class Connection(WSListener):
    """One client: utterances one after the other, until it goes."""

    def __init__(self, server: Flood) -> None:
        self._server = server
        self._open = asyncio.Event()
        self._open.set()
        self._plan = [SINK]
        self._flooding: asyncio.Task[None] | None = None
        self._ticking: asyncio.TimerHandle | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Stop whatever still runs for this client."""
        self._still()
        self._server.awake.discard(self)
        if self._flooding is not None:
            self._flooding.cancel()

    def pause_writing(self) -> None:
        """Hold the flood."""
        self._open.clear()

    def resume_writing(self) -> None:
        """Let the flood go on."""
        self._open.set()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take one event, and note first when it came."""
        arrived_ns = time.perf_counter_ns()
        if frame.msg_type is WSMsgType.BINARY:
            self._on_event(msgpack.unpackb(frame.get_payload_as_memoryview()), arrived_ns)
        elif frame.msg_type is WSMsgType.CLOSE:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()

    def _on_event(self, event: dict[str, Any], arrived_ns: int) -> None:
        name = event["event"]
        notes = self._server.notes
        if name == "text":
            notes.text(event["text"], arrived_ns, stamped=self._ticking is not None)
        elif name == "start":
            self._begin(event["request"])
        elif name == "flush":
            notes.flushes += 1
        elif name == "stop":
            self._end()

    def _begin(self, request: dict[str, Any]) -> None:
        self._plan = (request.get("reference_id") or SINK).split("-")
        if self._plan[0] in (BUSY, "talk"):
            self._server.keep_awake(self)
        if self._plan[0] == "talk":
            interval_s = int(self._plan[2]) / 1000
            loop = asyncio.get_running_loop()
            self._ticking = loop.call_later(CHANCE.random() * interval_s, self._tick)

    def _end(self) -> None:
        self._still()
        self._server.awake.discard(self)
        if self._plan[0] == "flood":
            _, messages, message_bytes = self._plan
            flooding = self._flood(int(messages), int(message_bytes))
            self._flooding = asyncio.get_running_loop().create_task(flooding)
            return
        if self._plan[0] in (SINK, BUSY):
            self._transport.send(WSMsgType.BINARY, HELLO)
        self._transport.send(WSMsgType.BINARY, FINISH)

    def _tick(self) -> None:
        _, message_bytes, interval_ms = self._plan
        loop = asyncio.get_running_loop()
        self._ticking = loop.call_later(int(interval_ms) / 1000, self._tick)
        stamp, silence = time.perf_counter_ns(), bytes(int(message_bytes) - STAMP_BYTES)
        audio = stamp.to_bytes(STAMP_BYTES, "little") + silence
        self._transport.send(WSMsgType.BINARY, msgpack.packb({"event": "audio", "audio": audio}))

    def _still(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None

    async def _flood(self, messages: int, message_bytes: int) -> None:
        audio = (TONE * (message_bytes // len(TONE) + 1))[:message_bytes]
        one = framed(msgpack.packb({"event": "audio", "audio": audio}))
        at_once = max(1, BLOB_BYTES // len(one))
        blob = one * at_once
        wire = self._transport.underlying_transport
        for _ in range(messages // at_once):
            wire.write(blob)
            if not self._open.is_set():
                await self._open.wait()
        wire.write(one * (messages % at_once) + framed(FINISH))


class Flood:
    """Listens, plain and with TLS, and takes notes."""

    def __init__(self) -> None:
        self.notes = Notes()
        self.awake: set[Connection] = set()

    def keep_awake(self, connection: Connection) -> None:
        """Turn the loop without sleeping while this connection has an utterance."""
        if not self.awake:
            asyncio.get_running_loop().call_soon(self._turn)
        self.awake.add(connection)

    def _turn(self) -> None:
        if self.awake:
            asyncio.get_running_loop().call_soon(self._turn)

    def _accept(self, _request: WSUpgradeRequest) -> Connection:
        return Connection(self)

    async def listen(self, tls: ssl.SSLContext | None) -> asyncio.Server:
        """Listen on a free loopback port."""
        return await ws_create_server(self._accept, "127.0.0.1", 0, ssl=tls, backlog=1024)

    def answer(self, ask: dict[str, Any]) -> dict[str, Any]:
        """Answer one line: the CPU seconds used, or the notes, which start afresh."""
        if ask["do"] == "cpu":
            return {"cpu_s": time.process_time()}
        notes, self.notes = self.notes, Notes()
        return notes.answer()


async def serve(directory: Path) -> None:
    """Serve until stdin ends; ``directory`` takes the certificate that clients trust."""
    authority = trustme.CA()
    ca_file = directory / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(tls)
    flood = Flood()
    async with await flood.listen(None) as plain, await flood.listen(tls) as secure:
        ports = [server.sockets[0].getsockname()[1] for server in (plain, secure)]
        answer: dict[str, Any] = {"port": ports[0], "tls_port": ports[1], "ca_file": str(ca_file)}
        while True:
            print(json.dumps(answer), flush=True)
            line = await asyncio.to_thread(sys.stdin.readline)
            if not line:
                return
            answer = flood.answer(json.loads(line))


def main() -> None:
    pin(sys.argv[1:])
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(serve(Path(directory)))


if __name__ == "__main__":
    main()
