"""The in-memory network keeps the loop's time, its own order, and nothing else."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.errors import AuthenticationError, ConnectError, ConnectTimeout
from fishlive.transport.memory import MemoryPeer, MemoryRequest, MemoryServer
from fishlive.transport.socket import Socket, Target
from tests.conftest import settle
from tests.transport.conftest import Recorder, soon

TARGET = Target("ws://service.invalid/", {"Authorization": "k"}, timeout_s=0.05)


async def opened(server: MemoryServer, recorder: Recorder) -> tuple[Socket, MemoryPeer]:
    """Connect and accept."""
    connecting = asyncio.ensure_future(server.connect(TARGET, recorder))
    peer = await soon(server.accept())
    return await soon(connecting), peer


async def test_a_request_may_be_refused(recorder: Recorder) -> None:
    """A status raises what it would raise on a network."""
    server = MemoryServer()
    connecting = asyncio.ensure_future(server.connect(TARGET, recorder))
    request = await soon(server.request())
    assert request.target.headers["Authorization"] == "k"
    request.refuse(401, {"X-Fish-Trace-Id": "t"}, b'{"message": "Invalid Token"}')

    with pytest.raises(AuthenticationError, match="Invalid Token") as caught:
        await soon(connecting)
    assert caught.value.trace_id == "t"


async def test_a_request_may_fail(recorder: Recorder) -> None:
    """Any error can stand for a network that failed."""
    server = MemoryServer(lambda request: request.fail(ConnectError("down")))
    with pytest.raises(ConnectError, match="down"):
        await soon(server.connect(TARGET, recorder))


async def test_an_unanswered_request_times_out(recorder: Recorder) -> None:
    """Silence ends in ConnectTimeout; an answer after it opens nothing."""
    server = MemoryServer()
    connecting = asyncio.ensure_future(server.connect(TARGET, recorder))
    request = await soon(server.request())
    with pytest.raises(ConnectTimeout):
        await soon(connecting)
    peer = request.accept()
    await settle()

    assert peer.closed


@pytest.mark.parametrize("turns", range(8))
async def test_a_cancelled_connect_leaves_no_open_peer(recorder: Recorder, turns: int) -> None:
    """Whenever the client gives up, the service sees it leave."""
    peers: list[MemoryPeer] = []

    def accept(request: MemoryRequest) -> None:
        peers.append(request.accept())

    server = MemoryServer(accept)
    connecting = asyncio.ensure_future(server.connect(TARGET, recorder))
    await settle(turns)
    connecting.cancel()
    result = (await asyncio.gather(connecting, return_exceptions=True))[0]
    if not isinstance(result, BaseException):
        result.abort()
    await settle()

    assert all(peer.closed for peer in peers)


async def test_nothing_is_delivered_inside_send(recorder: Recorder) -> None:
    """Delivery is another turn of the loop, in both directions."""
    socket, peer = await opened(MemoryServer(), recorder)
    peer.send(b"down")
    socket.send(b"up")
    assert (recorder.messages, peer.messages) == ([], [])
    await settle()

    assert (recorder.messages, peer.messages) == ([b"down"], [b"up"])


async def test_a_delay_is_kept_by_the_loops_clock(recorder: Recorder) -> None:
    """What is sent arrives delay_s later, and connecting takes a round trip."""
    loop = asyncio.get_running_loop()
    arrived: list[float] = []
    socket, peer = await opened(MemoryServer(delay_s=0.01), recorder)
    recorder.on_each = lambda _message: arrived.append(loop.time())
    sent = loop.time()
    peer.send(b"one")
    peer.send(b"two")
    await recorder.received(2)

    # A timer may fire early by the clock's resolution.
    assert min(arrived) - sent >= 0.01 - 0.002
    assert socket.handshake.connect_s >= 0
    socket.abort()


async def test_a_dropped_connection_delivers_what_was_sent(recorder: Recorder) -> None:
    """Also to a reader that is paused and resumes later."""
    socket, peer = await opened(MemoryServer(), recorder)
    socket.pause_reading()
    peer.send(b"one")
    peer.drop()
    await settle()
    assert (recorder.messages, recorder.errors) == ([], [])
    socket.resume_reading()
    await recorder.ended()

    assert recorder.messages == [b"one"]


async def test_a_peer_may_leave_pings_and_goodbyes_unanswered(recorder: Recorder) -> None:
    """For services that are half dead."""
    socket, peer = await opened(MemoryServer(), recorder)
    peer.answers_pings = peer.answers_close = False
    pinging = asyncio.ensure_future(socket.ping())
    closing = asyncio.ensure_future(socket.aclose())
    await settle()
    assert (peer.close_code, peer.closed, closing.done()) == (1000, False, False)
    closing.cancel()
    await asyncio.gather(closing, pinging, return_exceptions=True)
    await settle()

    assert peer.closed


@given(st.lists(st.sampled_from(["send", "pause", "resume", "turn"]), max_size=40))
async def test_any_history_of_pauses_keeps_every_message(steps: list[str]) -> None:
    """Messages come once, in order, and never while paused."""
    recorder = Recorder()
    socket, peer = await opened(MemoryServer(), recorder)
    sent: list[bytes] = []
    paused = False
    for step in steps:
        if step == "send":
            sent.append(bytes([len(sent)]))
            peer.send(sent[-1])
        elif step == "turn":
            before = len(recorder.messages)
            await settle(2)
            assert not paused or len(recorder.messages) == before
        else:
            paused = step == "pause"
            (socket.pause_reading if paused else socket.resume_reading)()
    socket.resume_reading()
    await settle()

    assert recorder.messages == sent
    socket.abort()
    await settle()
