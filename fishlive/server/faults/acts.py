"""What each kind of fault does to a request: one function a kind.

An act gets the message that is due and returns what is due after it, None for nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeAlias

from aiohttp import web

from fishlive.faults import Fault, Place
from fishlive.server.faults import frames, messages
from fishlive.server.faults.port import NO_PROTOCOL
from fishlive.server.faults.scene import FinishedEarly, Scene
from fishlive.wire.serving import encode_error, encode_finish

POUR_BYTES: Final = 65_536
"""How much of a flood is made at a time, in bytes."""

EVENT_BYTES: Final = 4096
"""Audio in one event of a flood, in bytes: what a live service commonly sends."""

_LONG_PING: Final = bytes(126)
"""One byte more than a control frame may hold (RFC 6455, 5.5)."""


Act: TypeAlias = Callable[[Scene, Fault, bytes], Awaitable[bytes | None]]


async def _rst(scene: Scene, _fault: Fault, _due: bytes) -> None:
    scene.wire.reset()
    scene.over = True


async def _fin(scene: Scene, _fault: Fault, _due: bytes) -> None:
    scene.wire.end()
    scene.over = True


async def _hang(scene: Scene, _fault: Fault, _due: bytes) -> None:
    scene.wire.silence()
    scene.over = True


async def _half_open(scene: Scene, _fault: Fault, _due: bytes) -> None:
    scene.wire.freeze()
    scene.over = True


async def _restart(scene: Scene, fault: Fault, _due: bytes) -> None:
    scene.over = True
    scene.restart(_number(fault))


async def _cut_rst(scene: Scene, fault: Fault, due: bytes) -> bytes:
    return _cut(scene, fault, due, scene.wire.reset)


async def _cut_fin(scene: Scene, fault: Fault, due: bytes) -> bytes:
    return _cut(scene, fault, due, scene.wire.end)


def _cut(scene: Scene, fault: Fault, due: bytes, end: Callable[[], None]) -> bytes:
    scene.wire.limit(int(_number(fault)), end, more=True)
    return due


async def _stall(scene: Scene, _fault: Fault, _due: bytes) -> None:
    scene.over = True


async def _deaf(scene: Scene, _fault: Fault, due: bytes) -> bytes:
    scene.wire.stop_reading()
    return due


async def _delay(_scene: Scene, fault: Fault, due: bytes) -> bytes:
    await asyncio.sleep(_number(fault))
    return due


async def _drip(scene: Scene, fault: Fault, due: bytes) -> bytes:
    scene.wire.slow(_number(fault))
    return due


async def _burst(scene: Scene, fault: Fault, due: bytes) -> bytes | None:
    await scene.say(due)  # so that the answer has its head
    scene.gather(_number(fault))
    return None


async def _odd(scene: Scene, _fault: Fault, due: bytes) -> bytes:
    scene.odd = True
    return due


async def _status(scene: Scene, fault: Fault, _due: bytes) -> None:
    status = int(_number(fault))
    headers = {name.title(): value for name, value in fault.headers}
    if fault.body is None:
        named = {each.value: each.phrase for each in HTTPStatus}
        body = {"message": named.get(status, "No reason"), "status": status}
        scene.answer = web.json_response(body, status=status, headers=headers)
        return
    headers.setdefault("Content-Type", "text/plain; charset=utf-8")
    text = fault.body.encode("utf-8", "replace")
    scene.answer = web.Response(status=status, body=text, headers=headers)


async def _header_flood(scene: Scene, fault: Fault, _due: bytes) -> None:
    await scene.wire.pour(_headers(int(_number(fault)), live=scene.live))
    scene.wire.silence()
    scene.over = True


def _headers(size: int, *, live: bool) -> Iterator[bytes]:
    yield b"HTTP/1.1 %b\r\n" % (b"101 Switching Protocols" if live else b"200 OK")
    line = b"X-Padding: " + bytes(1011).replace(b"\0", b"x") + b"\r\n"
    block = line * (POUR_BYTES // len(line))
    for left in range(size, 0, -len(block)):
        yield block[:left]


async def _garbage(scene: Scene, fault: Fault, _due: bytes) -> None:
    if fault.at is Place.UPGRADE and scene.live:
        scene.opening.append(partial(_garbage_now, scene))
        return
    if fault.at is Place.UPGRADE:
        scene.wire.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    await _garbage_now(scene)


async def _garbage_now(scene: Scene) -> None:
    scene.wire.write(NO_PROTOCOL * 8)
    scene.wire.silence()
    scene.over = True


async def _bad_accept(scene: Scene, _fault: Fault, _due: bytes) -> None:
    scene.headers["Sec-WebSocket-Accept"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAA="


async def _unasked_extension(scene: Scene, _fault: Fault, _due: bytes) -> None:
    scene.headers["Sec-WebSocket-Extensions"] = "permessage-deflate"


async def _message(scene: Scene, fault: Fault, due: bytes) -> None:
    name = str(fault.amount)
    for message in messages.wrong(name, due):
        if name.startswith("finish-"):
            raise FinishedEarly(message)
        await scene.say(message)
    if name.startswith("error-"):
        await _close_as_usual(scene)


async def _error(scene: Scene, fault: Fault, _due: bytes) -> None:
    claim: dict[str, Any] = {}
    if fault.max_concurrency is not None:
        claim["max_concurrency"] = fault.max_concurrency
    await scene.say(encode_error(str(fault.amount), **claim))
    scene.over = True
    if not fault.held:
        await _close_as_usual(scene)


async def _close_as_usual(scene: Scene) -> None:
    scene.over = True
    await scene.shut()


async def _finish(_scene: Scene, fault: Fault, due: bytes) -> bytes:
    message = encode_finish(str(fault.amount), message=fault.reason or None)
    if fault.at is Place.AUDIO:
        raise FinishedEarly(message)
    del due
    return message


async def _late_audio(scene: Scene, _fault: Fault, due: bytes) -> bytes:
    silence = messages.write({"event": "audio", "audio": bytes(EVENT_BYTES)})
    scene.behind.append(scene.last or silence)
    return due


async def _second_finish(scene: Scene, _fault: Fault, due: bytes) -> bytes:
    scene.behind.append(due)
    return due


async def _flood(scene: Scene, fault: Fault, due: bytes) -> bytes:
    piece = bytes(EVENT_BYTES)
    if scene.live:
        piece = messages.resized(due, EVENT_BYTES) + piece
    for _ in range(int(_number(fault)) // EVENT_BYTES):
        await scene.say(piece)
    return due


async def _giant(scene: Scene, fault: Fault, due: bytes) -> None:
    size = int(_number(fault))
    start = messages.resized(due, size)
    await scene.wire.pour(_blocks(frames.head(frames.BINARY, len(start) + size) + start, size))


def _blocks(start: bytes, size: int) -> Iterator[bytes]:
    yield start
    for left in range(size, 0, -POUR_BYTES):
        yield bytes(min(left, POUR_BYTES))


async def _close(scene: Scene, fault: Fault, due: bytes) -> None:
    if fault.at is Place.UPGRADE:
        scene.opening.append(partial(_close_now, scene, fault))
        return
    del due
    await _close_now(scene, fault)


async def _close_now(scene: Scene, fault: Fault) -> None:
    code = None if fault.value is None else int(_number(fault))
    scene.wire.write(frames.close(code, fault.reason))
    scene.over = True
    if fault.held:
        scene.wire.silence()
    else:
        scene.wire.end()


def _besides(make: Callable[[Fault], Iterable[bytes]]) -> Act:
    async def act(scene: Scene, fault: Fault, due: bytes) -> bytes:
        await scene.wire.pour(make(fault))
        return due

    return act


def _instead(make: Callable[[Fault, bytes], Iterable[bytes]]) -> Act:
    async def act(scene: Scene, fault: Fault, due: bytes) -> bytes:
        scene.forged = make(fault, due)
        return due

    return act


async def _length(scene: Scene, fault: Fault, _due: bytes) -> None:
    scene.wire.write(frames.head(frames.BINARY, int(_number(fault))))
    scene.wire.silence()
    scene.over = True


def _pings(fault: Fault) -> Iterator[bytes]:
    ping = frames.frame(b"", frames.PING)
    batch = POUR_BYTES // len(ping)
    for left in range(int(_number(fault)), 0, -batch):
        yield ping * min(left, batch)


def _number(fault: Fault) -> float:
    amount = fault.amount
    return amount if isinstance(amount, int | float) else 0


ACTS: Final[Mapping[str, Act]] = {
    "rst": _rst,
    "fin": _fin,
    "hang": _hang,
    "half-open": _half_open,
    "restart": _restart,
    "cut-rst": _cut_rst,
    "cut-fin": _cut_fin,
    "stall": _stall,
    "deaf": _deaf,
    "delay": _delay,
    "drip": _drip,
    "burst": _burst,
    "odd": _odd,
    "status": _status,
    "header-flood": _header_flood,
    "garbage": _garbage,
    "bad-accept": _bad_accept,
    "unasked-extension": _unasked_extension,
    "message": _message,
    "error": _error,
    "finish": _finish,
    "late-audio": _late_audio,
    "second-finish": _second_finish,
    "flood": _flood,
    "giant": _giant,
    "close": _close,
    "text-frame": _besides(lambda _: (frames.frame(b"hello", frames.TEXT),)),
    "split": _instead(lambda fault, due: frames.split(due, int(_number(fault)))),
    "empty-fragments": _instead(lambda fault, due: frames.after_empty(due, int(_number(fault)))),
    "continuation": _besides(lambda _: (frames.frame(b"what", frames.CONTINUATION),)),
    "length": _length,
    "compressed": _instead(lambda _, due: (frames.compressed(due),)),
    "reserved-bit": _instead(lambda _, due: (frames.frame(due, bits=frames.RSV3),)),
    "reserved-opcode": _besides(lambda _: (frames.frame(b"what", frames.RESERVED),)),
    "masked": _instead(lambda _, due: (frames.masked(due),)),
    "pings": _besides(_pings),
    "long-ping": _besides(lambda _: (frames.frame(_LONG_PING, frames.PING),)),
    "pong": _besides(lambda _: (frames.frame(b"unasked", frames.PONG),)),
}
"""What is done for each kind; `refuse` and `round-trip` never get as far as a request."""
