"""Mid-stream, on both live endpoints: every kind does on the wire what its line says."""

from __future__ import annotations

import asyncio
import zlib
from typing import Any

import msgpack
import pytest

from tests.server.faults.raw import PATHS, TEXT, Raw, dialled, served
from tests.server.talk import TIMED

both = pytest.mark.parametrize("path", PATHS)


def is_audio(frame: Any) -> bool:
    """Return whether a frame is an audio event."""
    return bool(frame.opcode == 2 and frame.event["event"] == "audio")


async def one_audio(raw: Raw) -> None:
    """Read the first event, which is as usual."""
    await raw.say()
    assert is_audio(await raw.next())


@both
@pytest.mark.parametrize("kind", ["rst", "fin"])
async def test_ended(path: str, kind: str) -> None:
    """TCP ends before the second audio, without a close frame; the next socket is served."""
    async with served(f"{kind}@audio:2") as server:
        async with dialled(server, path) as raw:
            await one_audio(raw)
            assert await raw.end() == (kind, b"")
        async with dialled(server, path) as raw:
            await raw.say()
            assert (await raw.events())[-1]["reason"] == "stop"


@both
@pytest.mark.parametrize("kind", ["rst", "fin"])
@pytest.mark.parametrize("count", [1, 100])
async def test_cut(path: str, kind: str, count: int) -> None:
    """So many bytes of the frame arrive, and then TCP ends."""
    async with served(f"cut-{kind}:{count}@audio:2") as server, dialled(server, path) as raw:
        await one_audio(raw)
        end, seen = await raw.end()
        assert (end, len(seen), seen[:1]) == (kind, count, b"\x82")


@both
@pytest.mark.parametrize("kind", ["rst", "fin", "half-open"])
@pytest.mark.parametrize("count", [0, 1, 9000])
async def test_at_a_byte(path: str, kind: str, count: int) -> None:
    """Exactly so many bytes come behind the head."""
    async with served(f"{kind}@byte:{count}") as server, dialled(server, path) as raw:
        if count:
            await raw.say()
        if kind != "half-open":
            end, seen = await raw.end()
            assert (end, len(seen)) == (kind, count)
        else:
            await raw.reader.readexactly(count)
            assert await raw.nothing(server)


@both
async def test_half_open(path: str) -> None:
    """TCP stays, and not even a ping is answered."""
    async with served("half-open@audio:2") as server, dialled(server, path) as raw:
        await one_audio(raw)
        while not server.played["half-open@audio:2"]:
            await asyncio.sleep(0)
        raw.frame(0x9, b"there?")
        assert await raw.nothing(server)
        server.heal()
        assert (await raw.end())[1] == b""


@both
@pytest.mark.parametrize("spec", ["stall@audio:2", "stall@finish", "stall@start", "stall@text:1"])
async def test_stall(path: str, spec: str) -> None:
    """Pings are answered, and nothing else comes."""
    async with served(spec) as server, dialled(server, path) as raw:
        await raw.say()
        while not server.played[spec]:
            await asyncio.sleep(0)
        raw.frame(0x9, b"there?")
        while (frame := await raw.next()).opcode != 0xA:
            assert is_audio(frame)
        assert frame.payload == b"there?"
        assert await raw.nothing(server)


async def test_deaf() -> None:
    """Nothing is read any more: what a client sends stays with it."""
    async with served("deaf@start") as server, dialled(server) as raw:
        await raw.start()
        while not server.played["deaf@start"]:
            await asyncio.sleep(0)
        text = msgpack.packb({"event": "text", "text": "x" * 60_000})
        for _ in range(1000):  # 60 MB, more than any kernel keeps
            raw.frame(0x2, text)
        assert await raw.nothing(server)
        assert raw.writer.transport.get_write_buffer_size() > 0


@both
@pytest.mark.parametrize("spec", ["delay:0.02@audio:1", "delay:0.02@finish", "delay:0.02@start"])
async def test_delay(path: str, spec: str) -> None:
    """What is due comes late, and all of it."""
    async with served(spec) as server, dialled(server, path) as raw:
        before_s = asyncio.get_running_loop().time()
        await raw.say()
        assert (await raw.events())[-1]["reason"] == "stop"
        assert asyncio.get_running_loop().time() - before_s >= 0.02


@both
async def test_drip(path: str) -> None:
    """The frame comes a few bytes at a time."""
    async with served("drip:2000@audio:2") as server, dialled(server, path) as raw:
        await one_audio(raw)
        assert len(await raw.reader.read(65_536)) <= 100


@both
async def test_burst(path: str) -> None:
    """From there on audio waits, and then comes at once."""
    async with served("burst:3600@audio:1") as server, dialled(server, path) as raw:
        await one_audio(raw)
        *waited, finish = await raw.events()  # `finish` hurries what waits
        assert len(waited) > 5
        assert finish["reason"] == "stop"
    async with served("burst:0.01@audio:1") as server, dialled(server, path) as raw:
        await raw.say(TEXT, stop=False)
        assert is_audio(await raw.next())
        assert is_audio(await raw.next())


@both
async def test_odd(path: str) -> None:
    """Audio is cut after 1, 3, 5 bytes and so on, and none of it is lost."""
    async with served("odd@audio:1") as server, dialled(server, path) as raw:
        await raw.say()
        cut = [event["audio"] for event in await raw.events() if event["event"] == "audio"]
    assert [len(piece) for piece in cut[:4]] == [1, 3, 5, 7]
    assert len(b"".join(cut)) % 2 == 0  # whole samples in all


CODES = (None, 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 4000)


@both
async def test_close(path: str) -> None:
    """A close frame with any code, or none, and TCP ends."""
    async with served() as server:
        for code in CODES:
            server.play("close@audio:2" if code is None else f"close:{code}@audio:2,reason=so")
            async with dialled(server, path) as raw:
                await one_audio(raw)
                frame = await raw.next()
                said = b"" if code is None else code.to_bytes(2, "big") + b"so"
                assert (frame.first, frame.payload) == (0x88, said)
                assert await raw.end() == ("fin", b"")


@both
async def test_close_held(path: str) -> None:
    """Behind the close frame TCP stays open, and nothing is answered."""
    async with served("close:1000@audio:2,held") as server, dialled(server, path) as raw:
        await one_audio(raw)
        assert (await raw.next()).opcode == 8
        raw.frame(0x8, b"\x03\xe8")
        assert await raw.nothing(server)


@both
@pytest.mark.parametrize("place", ["start", "text:1", "audio:2", "finish"])
async def test_error(path: str, place: str) -> None:
    """An `error` event with what it claims, then a close frame."""
    spec = f"error:Concurrency limit exceeded@{place},max-concurrency=8"
    async with served(spec) as server, dialled(server, path) as raw:
        await raw.say()
        *_, error = await raw.events()
        expected = {"event": "error", "error": "Concurrency limit exceeded", "max_concurrency": 8}
        assert error == expected
        assert (await raw.next()).opcode == 8


@both
async def test_error_held(path: str) -> None:
    """The socket stays open, pings are answered, and a claim may be of a wrong type."""
    spec = "error@audio:2,max-concurrency=many,held"
    async with served(spec) as server, dialled(server, path) as raw:
        await one_audio(raw)
        error = (await raw.next()).event
        assert error["max_concurrency"] == "many"
        raw.frame(0x9, b"")
        assert (await raw.next()).opcode == 0xA
        assert await raw.nothing(server)


@both
@pytest.mark.parametrize("kind", ["error", "stall", "close"])
async def test_what_was_refused_does_not_begin(path: str, kind: str) -> None:
    """An utterance that meets its fault at the start holds no slot, whatever is said behind it."""
    spec = f"{kind}@start" if kind == "stall" else f"{kind}@start,held"
    async with served(spec) as server, dialled(server, path) as raw:
        await raw.say()
        assert await raw.nothing(server) is (kind == "stall")
        assert server.running == 0


@both
@pytest.mark.parametrize(("place", "most"), [("audio:1", 0), ("audio:2", 1), ("finish", 1000)])
async def test_finish(path: str, place: str, most: int) -> None:
    """`finish` comes there, with this reason and sentence; the slot is free."""
    spec = f"finish:tired@{place},reason=good night"
    async with served(spec) as server, dialled(server, path) as raw:
        await raw.say()
        *audio, finish = await raw.events()
        assert (finish["reason"], finish["message"]) == ("tired", "good night")
        assert len(audio) <= most
        assert server.running == 0


async def test_the_socket_can_be_used_after_an_early_finish() -> None:
    """Where sockets are used again, so are those that a fault finished."""
    async with served("finish:error@audio:1") as server, dialled(server, TIMED) as raw:
        await raw.say()
        assert (await raw.events())[-1]["reason"] == "error"
        await raw.say()
        assert (await raw.events())[-1]["reason"] == "stop"


@both
@pytest.mark.parametrize(("spec", "event"), [("late-audio", "audio"), ("second-finish", "finish")])
async def test_behind_finish(path: str, spec: str, event: str) -> None:
    """Something comes behind `finish`."""
    async with served(f"{spec}@finish") as server, dialled(server, path) as raw:
        await raw.say()
        assert (await raw.events())[-1]["event"] == "finish"
        assert (await raw.next()).event["event"] == event


@both
async def test_flood(path: str) -> None:
    """So many bytes of silence come without a text for them."""
    async with served("flood:1000000@audio:1") as server, dialled(server, path) as raw:
        await raw.say("Hi.")
        audio = b"".join(e["audio"] for e in await raw.events() if e["event"] == "audio")
        assert audio.count(bytes(4096)) >= 1_000_000 // 4096


@both
async def test_giant(path: str) -> None:
    """One frame holds an audio event of so many bytes."""
    async with served("giant:17825792@audio:2") as server, dialled(server, path) as raw:
        await one_audio(raw)
        event = (await raw.next()).event
        assert event["event"] == "audio"
        assert len(event["audio"]) == 17_825_792


@both
async def test_length(path: str) -> None:
    """The head of a frame promises 2^63 bytes, and nothing follows."""
    async with served("length@audio:2") as server, dialled(server, path) as raw:
        await one_audio(raw)
        assert await raw.reader.readexactly(10) == b"\x82\x7f\x80" + bytes(7)
        assert await raw.nothing(server)


BESIDES = {
    "text-frame": (0x81, b"hello"),
    "continuation": (0x80, b"what"),
    "reserved-opcode": (0x83, b"what"),
    "long-ping": (0x89, bytes(126)),
    "pong": (0x8A, b"unasked"),
    "pings:3": (0x89, b""),
}


@both
@pytest.mark.parametrize("spec", BESIDES)
@pytest.mark.parametrize("place", ["start", "audio:2"])
async def test_besides(path: str, spec: str, place: str) -> None:
    """A frame comes besides, and everything else as usual."""
    async with served(f"{spec}@{place}") as server, dialled(server, path) as raw:
        if place == "start":
            await raw.say()
        else:
            await one_audio(raw)
        frame = await raw.next()
        assert (frame.first, frame.payload) == BESIDES[spec]
        while (frame := await raw.next()).opcode != 2:
            assert frame.opcode == 9
        assert (await raw.events())[-1]["reason"] == "stop"


@both
async def test_all_pings_come(path: str) -> None:
    """A flood of pings has as many as were asked for."""
    async with served("pings:20000@audio:1") as server, dialled(server, path) as raw:
        await raw.say()
        pings = 0
        while (frame := await raw.next()).opcode == 9:
            pings += 1
        assert (pings, is_audio(frame)) == (20_000, True)


@both
@pytest.mark.parametrize(("size", "place"), [(1, "audio:2"), (1000, "audio:2"), (1, "finish")])
async def test_split(path: str, size: int, place: str) -> None:
    """A message comes in fragments of so many bytes, the last of which says so."""
    async with served(f"split:{size}@{place}") as server, dialled(server, path) as raw:
        await raw.say()
        frame = await raw.next()
        while frame.fin:
            assert is_audio(frame)
            frame = await raw.next()
        message = b""
        opcode = 2
        while not frame.fin:
            assert (frame.opcode, len(frame.payload)) == (opcode, size)
            message, opcode, frame = message + frame.payload, 0, await raw.next()
        event = msgpack.unpackb(message + frame.payload)
        assert event["event"] == place.partition(":")[0]
        if event["event"] == "audio":
            assert (await raw.events())[-1]["reason"] == "stop"


@both
async def test_empty_fragments(path: str) -> None:
    """So many empty fragments, then the message."""
    async with served("empty-fragments:50000@audio:2") as server, dialled(server, path) as raw:
        await one_audio(raw)
        frames = [await raw.next() for _ in range(50_000)]
        assert {(frame.fin, frame.payload) for frame in frames} == {(False, b"")}
        assert [frame.opcode for frame in frames[:3]] == [2, 0, 0]
        last = await raw.next()
        assert (last.first, last.event["event"]) == (0x80, "audio")


@both
@pytest.mark.parametrize(("kind", "first"), [("reserved-bit", 0x92), ("masked", 0x82)])
async def test_bent(path: str, kind: str, first: int) -> None:
    """The message comes in a frame that no server may send."""
    async with served(f"{kind}@audio:2") as server, dialled(server, path) as raw:
        await one_audio(raw)
        frame = await raw.next()
        assert (frame.first, frame.masked) == (first, kind == "masked")
        assert frame.event["event"] == "audio"


@both
async def test_compressed(path: str) -> None:
    """The message comes as permessage-deflate, which nobody agreed on."""
    async with served("compressed@audio:2") as server, dialled(server, path) as raw:
        await one_audio(raw)
        frame = await raw.next()
        assert frame.first == 0xC2
        inflated = zlib.decompressobj(wbits=-15).decompress(frame.payload + b"\x00\x00\xff\xff")
        assert msgpack.unpackb(inflated)["event"] == "audio"


@both
async def test_garbage(path: str) -> None:
    """Bytes that are no frame, in the middle."""
    async with served("garbage@audio:2") as server, dialled(server, path) as raw:
        await one_audio(raw)
        assert await raw.reader.readexactly(2) == b"\xff\xfe"
