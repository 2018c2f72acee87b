from __future__ import annotations

import asyncio

import pytest

from fishlive.errors import ConnectError, ConnectionLost, FishLiveError, ServerClosed
from fishlive.testing.clock import run
from fishlive.testing.network import Link, Network, Weather
from fishlive.transport.memory import MemoryRequest
from fishlive.transport.socket import Target

TARGET = Target("ws://127.0.0.1:9/")


class Ears:
    """A Receiver that remembers, with times."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, bytes]] = []
        self.ended: list[FishLiveError] = []
        self.writable = 0

    def on_message(self, message: bytes | memoryview) -> None:
        self.heard.append((asyncio.get_running_loop().time(), bytes(message)))

    def on_closed(self, error: FishLiveError) -> None:
        self.ended.append(error)

    def on_writable(self) -> None:
        self.writable += 1


async def network(weather: Weather | None = None, seed: int = 0) -> tuple[Network, list[Link]]:
    """Return a network whose service accepts everybody."""
    links: list[Link] = []

    def accept(request: MemoryRequest) -> None:
        links.append(made.accept(request, {"X-Test": "yes"}))

    made = Network(accept, weather=weather, seed=seed)
    return made, links


def test_messages_take_the_delay() -> None:
    """Each way; connecting takes both."""

    async def main() -> None:
        net, links = await network(Weather(delay_s=0.1))
        ears = Ears()
        socket = await net.connect(TARGET, ears)
        assert asyncio.get_running_loop().time() == pytest.approx(0.2)
        assert socket.handshake.headers == {"x-test": "yes"}
        socket.send(b"ping")
        assert await links[0].receive() == b"ping"
        assert asyncio.get_running_loop().time() == pytest.approx(0.3)
        links[0].send(b"pong")
        await asyncio.sleep(1)
        assert ears.heard == [(pytest.approx(0.4), b"pong")]
        socket.abort()

    run(main)


def test_jitter_keeps_the_order() -> None:
    """And is the seed's: the same again for the same."""

    async def times(seed: int) -> list[float]:
        net, links = await network(Weather(jitter_s=1.0), seed)
        ears = Ears()
        socket = await net.connect(TARGET, ears)
        for number in range(20):
            links[0].send(bytes([number]))
        await asyncio.sleep(5)
        assert [message for _, message in ears.heard] == [bytes([n]) for n in range(20)]
        assert links[0].delivered == links[0].sent == 20
        socket.abort()
        return [at for at, _ in ears.heard]

    one = run(lambda: times(1))
    assert one == run(lambda: times(1))
    assert one != run(lambda: times(2))
    assert max(one) > 0.5


def test_a_reset_overtakes_what_is_on_its_way() -> None:
    """A FIN does not: what was sent before it arrives."""

    async def heard(*, reset: bool) -> int:
        net, links = await network(Weather(jitter_s=1.0))
        ears = Ears()
        await net.connect(TARGET, ears)
        for _ in range(50):
            links[0].send(b"audio")
        if reset:
            links[0].rst()
        else:
            links[0].fin()
        links[0].send(b"too late") if reset else None
        await asyncio.sleep(5)
        assert [type(error) for error in ears.ended] == [ConnectionLost]
        assert links[0].lost
        return len(ears.heard)

    assert run(lambda: heard(reset=False)) == 50
    assert run(lambda: heard(reset=True)) == 0


def test_a_close_frame_says_why() -> None:
    """And leaves the connection open, for the client to answer."""

    async def main() -> None:
        net, links = await network()
        ears = Ears()
        socket = await net.connect(TARGET, ears)
        links[0].close(1012, "restart")
        await asyncio.sleep(1)
        (error,) = ears.ended
        assert isinstance(error, ServerClosed)
        assert (error.close_code, error.reason) == (1012, "restart")
        assert socket.closed

    run(main)


def test_half_open_is_silent() -> None:
    """No audio, no pong, no end; and what the client writes piles up."""

    async def main() -> None:
        net, links = await network()
        ears = Ears()
        socket = await net.connect(TARGET, ears)
        links[0].go_silent()
        links[0].send(b"audio")
        ping = asyncio.ensure_future(socket.ping())
        for _ in range(100):
            socket.send(bytes(1024))
        await asyncio.sleep(60)
        assert not ears.heard
        assert not ears.ended
        assert not ping.done()
        assert not socket.writable
        ping.cancel()
        socket.abort()

    run(main)


def test_the_client_may_give_up_before_it_is_answered() -> None:
    """Whoever accepts it then speaks to nobody."""

    async def main() -> None:
        requests: list[MemoryRequest] = []
        net = Network(requests.append)
        connecting = asyncio.ensure_future(net.connect(TARGET, Ears()))
        await asyncio.sleep(1)
        connecting.cancel()
        await asyncio.wait([connecting])
        link = net.accept(requests[0])
        link.send(b"hello?")
        await asyncio.sleep(1)
        assert link.lost
        assert link.delivered == 0

    run(main)


def test_a_refused_connection_is_noted() -> None:
    """In the journal, beside the error."""

    async def main() -> None:
        net = Network(lambda request: request.fail(ConnectError("no")))
        with pytest.raises(ConnectError):
            await net.connect(TARGET, Ears())
        assert [what for _, _, what in net.journal.entries] == [
            "connects",
            "cannot connect: ConnectError",
        ]

    run(main)


def test_slow_reading_fills_the_clients_buffer() -> None:
    """And reading again drains it."""

    async def main() -> None:
        net, links = await network()
        ears = Ears()
        socket = await net.connect(TARGET, ears)
        links[0].pause_reading()
        for _ in range(100):
            socket.send(bytes(1024))
        await asyncio.sleep(1)
        assert not socket.writable
        links[0].resume_reading()
        await asyncio.sleep(1)
        assert socket.writable
        assert ears.writable == 1
        socket.abort()

    run(main)
