"""What every adapter promises, at the level of messages. Their wires: test_wire.py."""

from __future__ import annotations

import asyncio

import pytest

from fishlive.errors import (
    ConnectionLost,
    FishLiveError,
    MessageTooLarge,
    ProtocolError,
    ServerClosed,
    ServerRejected,
    StreamClosedError,
)
from fishlive.transport import base, memory
from tests.conftest import settle
from tests.transport.conftest import CANARY, Opening, Recorder, soon

CHUNK = bytes(range(256)) * 256


async def test_headers_reach_the_service(opening: Opening) -> None:
    """The upgrade carries the target's headers, the key among them."""
    async with opening(headers={"authorization": f"Bearer {CANARY}", "model": "s2-pro"}) as it:
        assert it.link.headers["authorization"] == f"Bearer {CANARY}"
        assert it.link.headers["model"] == "s2-pro"
        assert it.socket.handshake.connect_s >= 0
        assert not it.socket.closed


async def test_messages_arrive_whole_and_in_order(opening: Opening) -> None:
    """Every binary message arrives once, from empty to large, both ways."""
    sent = [b"", b"a", bytes(125), bytes(126), bytes(65_535), bytes(65_536), CHUNK * 4]
    async with opening() as it:
        for message in sent:
            it.link.send(message)
        assert await it.recorder.received(len(sent)) == sent
        for message in sent:
            it.socket.send(message)
        assert [await soon(it.link.receive()) for _ in sent] == sent


async def test_messages_sent_together_arrive_one_by_one(opening: Opening) -> None:
    """In order, also behind and in front of others, and when the kernel takes no more."""
    sent = [b"", b"a", bytes(125), bytes(126), bytes(65_536), *[CHUNK] * 100, b"z"]
    async with opening() as it:
        it.socket.send(b"first")
        it.socket.send_all(sent)
        it.socket.send(b"last")
        assert [await soon(it.link.receive()) for _ in range(len(sent) + 2)] == [
            b"first", *sent, b"last",
        ]  # fmt: skip


async def test_nothing_is_sent_behind_a_goodbye(opening: Opening) -> None:
    """What comes behind the close frame is dropped, one by one or together."""
    async with opening() as it:
        closing = asyncio.ensure_future(it.socket.aclose())
        await settle()
        it.socket.send(b"late")
        it.socket.send_all([b"later", b"latest"])
        assert await soon(it.link.close_code()) == 1000
        it.link.close(1000)
        await soon(closing)
        assert await soon(it.link.receive()) is None


async def test_text_is_ignored_and_counted(opening: Opening) -> None:
    """A text message is skipped; the binary ones around it arrive."""
    async with opening() as it:
        for message in (b"one", "text", "", b"two"):
            it.link.send(message)

        assert await it.recorder.received(2) == [b"one", b"two"]
        assert it.socket.ignored == 2


@pytest.mark.parametrize(
    ("code", "kind", "reported"),
    [
        (1000, ServerClosed, 1000),
        (1011, ServerClosed, 1011),
        (1002, ServerRejected, 1002),
        (1008, ServerRejected, 1008),
        (4001, ServerClosed, 4001),
        (None, ServerClosed, 1005),
    ],
)
async def test_close_is_reported_though_the_connection_stays(
    opening: Opening, code: int | None, kind: type[ServerClosed], reported: int
) -> None:
    """A close frame ends the socket at once, after what came before it, and is answered."""
    reason = "" if code is None else "bye"
    async with opening() as it:
        it.link.send(b"last")
        it.link.close(code, reason)
        error = await it.recorder.ended()

        assert it.recorder.messages == [b"last"]
        assert type(error) is kind
        assert isinstance(error, ServerClosed)
        assert (error.close_code, error.reason) == (reported, reason)
        assert it.socket.closed
        assert await soon(it.link.close_code()) is not None


async def test_end_without_a_close_frame_is_a_loss(opening: Opening) -> None:
    """What arrived is delivered, then the loss is reported, once."""
    async with opening() as it:
        it.link.send(b"last")
        it.link.drop()

        assert type(await it.recorder.ended()) is ConnectionLost
        await settle()
        assert (it.recorder.messages, len(it.recorder.errors)) == ([b"last"], 1)


async def test_after_an_abort_the_receiver_hears_nothing(opening: Opening) -> None:
    """Abort is at once, idempotent and silent; the service sees the end without a goodbye."""
    async with opening() as it:
        it.link.send(b"never heard")
        it.socket.abort()
        it.socket.abort()
        it.socket.send(b"dropped")
        it.socket.pause_reading()
        it.socket.resume_reading()

        assert it.socket.closed
        assert await soon(it.link.close_code()) is None
        await settle()
        assert (it.recorder.messages, it.recorder.errors) == ([], [])


async def test_abort_from_within_a_message_stops_the_batch(opening: Opening) -> None:
    """A receiver that aborts in on_message hears of no other message."""
    async with opening() as it:
        it.recorder.on_each = lambda _message: it.socket.abort()
        for _ in range(50):
            it.link.send(b"again")
        await it.recorder.received(1)
        await settle()

        assert (it.recorder.messages, it.recorder.errors) == ([b"again"], [])


async def test_aclose_says_goodbye(opening: Opening) -> None:
    """The service gets everything sent before, then code 1000; the receiver hears nothing."""
    async with opening() as it:
        it.socket.send(b"before")
        closing = asyncio.ensure_future(it.socket.aclose())
        assert await soon(it.link.receive()) == b"before"
        assert await soon(it.link.close_code()) == 1000
        it.link.close(1000)
        await soon(closing)

        assert it.socket.closed
        assert it.recorder.errors == []
        await it.socket.aclose()


async def test_a_paused_socket_sees_the_answer_to_its_goodbye(
    opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing reads on, past what was paused, and does not wait for its time to run out."""
    for module in (base, memory):
        monkeypatch.setattr(module, "CLOSE_TIMEOUT_S", 600.0)
    async with opening() as it:
        it.socket.pause_reading()
        it.link.send(CHUNK)
        closing = asyncio.ensure_future(it.socket.aclose())
        assert await soon(it.link.close_code()) == 1000
        it.link.close(1000)
        await soon(closing)

        assert it.recorder.messages == []


async def test_aclose_does_not_wait_for_a_silent_service(
    opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an answer the connection is cut after CLOSE_TIMEOUT_S."""
    for module in (base, memory):
        monkeypatch.setattr(module, "CLOSE_TIMEOUT_S", 0.01)
    async with opening() as it:
        await soon(it.socket.aclose())

        assert it.socket.closed
        assert it.recorder.errors == []


async def test_cancelled_aclose_cuts_at_once(opening: Opening) -> None:
    """Cancelling the goodbye ends the connection and nothing else."""
    async with opening() as it:
        closing = asyncio.ensure_future(it.socket.aclose())
        await settle()
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await soon(it.link.close_code())

        assert it.socket.closed


async def test_pause_loses_nothing_and_keeps_the_order(opening: Opening) -> None:
    """While paused at most one batch arrives; after resuming, everything does."""
    count = 400
    sent = [index.to_bytes(4, "big") + CHUNK for index in range(count)]
    async with opening() as it:

        def pause(_message: bytes) -> None:
            it.recorder.on_each = None
            it.socket.pause_reading()
            it.socket.pause_reading()

        it.recorder.on_each = pause
        for message in sent:
            it.link.send(message)
        await it.recorder.received(1)
        await settle(200)
        paused_at = len(it.recorder.messages)
        await settle(200)
        assert len(it.recorder.messages) == paused_at < count / 4

        it.socket.resume_reading()
        it.socket.resume_reading()
        assert await it.recorder.received(count) == sent


async def test_ping_measures_a_round_trip(opening: Opening) -> None:
    """Several pings may be under way; each returns its seconds."""
    async with opening() as it:
        it.link.answer_pings()
        trips = await soon(asyncio.gather(*(it.socket.ping() for _ in range(5))))

        assert all(0 <= trip < 10 for trip in trips)


async def test_ping_ends_with_the_socket(opening: Opening) -> None:
    """A ping whose socket closes raises, and so does one on a closed socket."""
    async with opening() as it:
        waiting = asyncio.ensure_future(it.socket.ping())
        forgotten = asyncio.ensure_future(it.socket.ping())
        await settle()
        forgotten.cancel()
        it.socket.abort()
        with pytest.raises(StreamClosedError):
            await soon(waiting)
        with pytest.raises(StreamClosedError):
            await it.socket.ping()
        with pytest.raises(asyncio.CancelledError):
            await forgotten


async def test_a_full_write_buffer_is_not_writable_until_it_drains(opening: Opening) -> None:
    """Writable goes false, then true with one call, and everything arrives in order."""
    async with opening() as it:
        sent = 0
        while it.socket.writable:
            it.socket.send(sent.to_bytes(4, "big") + CHUNK)
            sent += 1
            assert sent < 2000
            await asyncio.sleep(0)
        assert it.recorder.writables == 0
        numbers = []
        for _ in range(sent):
            message = await soon(it.link.receive())
            assert message is not None
            numbers.append(int.from_bytes(message[:4], "big"))

        await it.recorder.until(lambda: it.recorder.writables)
        assert it.socket.writable
        assert numbers == list(range(sent))
        assert it.recorder.writables == 1


async def test_a_receiver_that_raises_ends_the_socket(opening: Opening) -> None:
    """The socket is aborted, and the exception is the cause of what on_closed gets."""
    bug = RuntimeError("a bug")
    async with opening() as it:

        def fail(_message: bytes) -> None:
            raise bug

        it.recorder.on_each = fail
        it.link.send(b"one")
        it.link.send(b"two")
        error = await it.recorder.ended()

        assert type(error) is ProtocolError
        assert error.__cause__ is bug
        assert it.recorder.messages == [b"one"]
        assert it.socket.closed
        assert await soon(it.link.close_code()) is None


async def test_a_receiver_may_be_replaced(opening: Opening) -> None:
    """Whoever is the receiver when a message comes gets it."""
    async with opening() as it:
        it.link.send(b"one")
        await it.recorder.received(1)
        second = Recorder()
        it.socket.receiver = second
        it.link.send(b"two")

        assert await second.received(1) == [b"two"]
        assert it.recorder.messages == [b"one"]


async def test_a_message_over_the_limit_is_refused(opening: Opening) -> None:
    """One byte more than the limit ends the socket; the limit itself arrives."""
    async with opening(max_message_bytes=1000) as it:
        it.link.send(bytes(1000))
        it.link.send(bytes(1001))
        error = await it.recorder.ended()

        assert type(error) is MessageTooLarge
        assert it.recorder.messages == [bytes(1000)]
        assert await soon(it.link.close_code()) == 1009


async def test_nothing_shows_the_key(opening: Opening) -> None:
    """Neither the socket nor what it raises or reports repeats a header."""
    async with opening(headers={"authorization": CANARY}) as it:
        shown = [repr(it.socket), str(it.socket)]
        it.link.drop()
        error: FishLiveError = await it.recorder.ended()
        shown += [repr(error), str(error), repr(error.__cause__), repr(vars(error))]

        assert not [text for text in shown if CANARY in text]
