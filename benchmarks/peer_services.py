"""The services that the peers are compared against, in one process of their own.

``python -m benchmarks.peer_services [core]``. The first line on stdout says where each listens;
after that every line of JSON on stdin is answered with one. It ends with stdin.

All but one are fishlive's local server, with a voice and the pace of the real service, near and
far; the last says canned audio in real time, at next to no cost, to as many as ask.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from typing import Any

import msgpack
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
from benchmarks.flood import FINISH, framed
from benchmarks.peer_plans import (
    AHEAD_S,
    BYTES_A_SECOND,
    CANNED,
    EVENT_S,
    PLACES,
    PROFILE,
    Place,
)
from fishlive.server import LocalServer

EVENT = framed(
    msgpack.packb({"event": "audio", "audio": b"\x00\x20" * round(BYTES_A_SECOND * EVENT_S / 2)})
)
"""One event of canned audio. Not silence: a client may look for the first sound."""


def faults(round_trip_s: float) -> list[str]:
    """Return what makes a server so far away.

    ``round-trip`` keeps every byte for its time but leaves TCP's own handshake to the kernel, and
    nobody speaks TLS here. Both are made up for at the upgrade: together a handshake is three
    round trips, as over TLS 1.3.
    """
    if not round_trip_s:
        return []
    return [
        f"round-trip:{round_trip_s}@connect,times=always",
        f"delay:{2 * round_trip_s}@upgrade,times=always",
    ]


def local(place: Place) -> LocalServer:
    """Return a local server at that place, not yet started."""
    return LocalServer(
        profile=PROFILE,
        close_after_finish=place.closes,
        faults=faults(place.round_trip_s),
    )


class Canned:
    """Says canned audio in real time; knows how late it was itself."""

    def __init__(self) -> None:
        self.late_s = 0.0
        self._cpu_s = 0.0

    def accept(self, _request: WSUpgradeRequest) -> Talker:
        """Serve one more connection."""
        return Talker(self)

    async def listen(self) -> asyncio.Server:
        """Listen on a free loopback port."""
        return await ws_create_server(self.accept, "127.0.0.1", 0, backlog=4096)

    def note(self) -> dict[str, Any]:
        """Return how late it was, and its CPU seconds, both since it was last asked."""
        late_s, self.late_s = self.late_s, 0.0
        began_s, self._cpu_s = self._cpu_s, time.process_time()
        return {"late_s": late_s, "cpu_s": self._cpu_s - began_s}


class Talker(WSListener):
    """One client: its first flush, or its ``stop``, begins the audio; ``finish`` follows both."""

    def __init__(self, canned: Canned) -> None:
        self._canned = canned
        self._loop = asyncio.get_running_loop()
        self._begin()

    def _begin(self) -> None:
        self._left = 0
        self._due_s = 0.0
        self._text = self._stopped = self._talking = False
        self._timer: asyncio.TimerHandle | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Stop."""
        if self._timer is not None:
            self._timer.cancel()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take one event."""
        if frame.msg_type is WSMsgType.BINARY:
            self._take(msgpack.unpackb(frame.get_payload_as_memoryview()))
        elif frame.msg_type is WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.CLOSE:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()

    def _take(self, event: dict[str, Any]) -> None:
        name = event["event"]
        if name == "start":
            self._begin()
            voice = event["request"].get("reference_id") or ""
            self._left = round(int(voice.partition("-")[2] or 1000) / 1000 / EVENT_S)
        elif name == "text":
            self._text = True
        else:
            self._stopped |= name == "stop"
            if self._text and not self._talking:
                self._talking = True
                self._due_s = self._loop.time()
                self._say(round(AHEAD_S / EVENT_S))
            elif self._stopped and not self._left:
                self._end()

    def _tick(self) -> None:
        self._canned.late_s = max(self._canned.late_s, self._loop.time() - self._due_s)
        self._say(1)

    def _say(self, events: int) -> None:
        events = min(events, self._left)
        self._transport.underlying_transport.write(EVENT * events)
        self._left -= events
        self._due_s += EVENT_S
        if self._left > 0:
            self._timer = self._loop.call_at(self._due_s, self._tick)
        elif self._stopped:
            self._end()

    def _end(self) -> None:
        self._transport.underlying_transport.write(framed(FINISH))


async def serve() -> None:
    """Serve until stdin ends."""
    canned = Canned()
    async with contextlib.AsyncExitStack() as stack:
        where = {}
        for place in PLACES:
            where[place.name] = (await stack.enter_async_context(local(place))).port
        socket = await stack.enter_async_context(await canned.listen())
        where[CANNED] = socket.sockets[0].getsockname()[1]
        answer: dict[str, Any] = {"ports": where}
        while True:
            print(json.dumps(answer), flush=True)
            line = await asyncio.to_thread(sys.stdin.readline)
            if not line:
                return
            answer = canned.note()


def main() -> None:
    pin(sys.argv[1:])
    try:
        asyncio.run(serve())
    except Exception as error:  # the report says why there are no numbers
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
