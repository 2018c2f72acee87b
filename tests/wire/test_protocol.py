"""wire/protocol.py: the client's side of one utterance."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fishlive.errors import ProtocolError, UsageError
from fishlive.wire.events import Failure, Finish, TimedAudio
from fishlive.wire.machine import NEXT, State, Step
from fishlive.wire.protocol import LiveProtocol
from fishlive.wire.serving import (
    Flush,
    Start,
    Stop,
    Text,
    decode_client,
    encode_audio,
    encode_error,
    encode_finish,
    encode_timed_audio,
)


def speaking() -> LiveProtocol:
    """Return a protocol after start."""
    protocol = LiveProtocol()
    protocol.send_start({"text": ""})
    return protocol


def test_the_order_of_an_utterance() -> None:
    """Start, text, flush and stop are written as the service reads them."""
    protocol = LiveProtocol()
    sent = [
        protocol.send_start({"text": "", "format": "pcm"}),
        protocol.send_text("Hello, "),
        protocol.send_flush(),
        protocol.send_stop(),
    ]

    assert [decode_client(message) for message in sent] == [
        Start({"text": "", "format": "pcm"}),
        Text("Hello, "),
        Flush(),
        Stop(),
    ]
    assert (protocol.state, protocol.stop_sent) == (State.DRAINING, True)


@given(st.text(max_size=80))
def test_text_is_written_as_messagepack_writes_it(text: str) -> None:
    """Short text takes a shorter way to the same bytes, of any length and script."""
    assert speaking().send_text(text) == msgpack.packb({"event": "text", "text": text})


def test_audio_goes_through_while_speaking_and_draining() -> None:
    """Plain audio is returned as its bytes in both states."""
    protocol = speaking()
    assert protocol.receive(encode_audio(b"ab")) == b"ab"
    protocol.send_stop()
    assert protocol.receive(memoryview(encode_audio(b"cd"))) == b"cd"


def test_timed_audio_goes_through() -> None:
    """Audio with its words is returned as an event."""
    event = speaking().receive(
        encode_timed_audio(b"ab", chunk_seq=0, chunk_audio_offset_s=0, content="", alignment=None)
    )
    assert isinstance(event, TimedAudio)


def test_audio_before_start_is_the_services_mistake() -> None:
    """Nobody asked yet."""
    with pytest.raises(ProtocolError, match="audio is not allowed while opened"):
        LiveProtocol().receive(encode_audio(b"ab"))


@pytest.mark.parametrize("step", ["send_flush", "send_stop"])
def test_steps_before_start_are_our_mistake(step: str) -> None:
    """The state does not move when a step is refused."""
    protocol = LiveProtocol()
    with pytest.raises(UsageError, match="while opened"):
        getattr(protocol, step)()
    assert protocol.unsaid


def test_text_after_stop_is_our_mistake() -> None:
    """The promise was that no more text follows."""
    protocol = speaking()
    protocol.send_stop()
    with pytest.raises(UsageError, match="text is not allowed while draining"):
        protocol.send_text("more")


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (encode_finish(), Finish("stop")),
        (encode_finish("error", message="no"), Finish("error", "no")),
        (encode_error("busy", max_concurrency=5), Failure("busy", 5)),
    ],
)
def test_endings_end(message: bytes, event: object) -> None:
    """Finish and error both end the utterance."""
    protocol = speaking()
    assert protocol.receive(message) == event
    assert protocol.state is State.FINISHED


def test_what_follows_the_end_is_counted_and_ignored() -> None:
    """Audio and a second finish after finish change nothing."""
    protocol = speaking()
    protocol.receive(encode_finish())
    assert protocol.receive(encode_audio(b"ab")) is None
    assert protocol.receive(encode_finish("error")) is None
    assert protocol.late == 2


def test_unknown_events_are_counted() -> None:
    """An event of the future is nothing to the caller, in any state."""
    protocol = LiveProtocol()
    assert protocol.receive(msgpack.packb({"event": "warming"})) is None
    assert protocol.unknown == 1
    assert protocol.unsaid


class AgainstTheTable(RuleBasedStateMachine):
    """Any history of sends and receives follows the table, or blames its author."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol = LiveProtocol()
        self.state = State.OPENED

    def stepped(self, step: Step) -> bool:
        """Move the model; return whether the step is allowed."""
        after = NEXT[self.state].get(step)
        self.state = after or self.state
        return after is not None

    @rule(step=st.sampled_from(["start", "text", "flush", "stop"]))
    def send(self, step: str) -> None:
        argument = {"start": ({"text": ""},), "text": ("word ",)}.get(step, ())
        call = getattr(self.protocol, f"send_{step}")
        if self.stepped(Step(step)):
            assert decode_client(call(*argument)) is not None
        else:
            with pytest.raises(UsageError):
                call(*argument)

    @rule(step=st.sampled_from(["audio", "finish", "error"]))
    def receive(self, step: str) -> None:
        message = {
            "audio": encode_audio(b"ab"), "finish": encode_finish(), "error": encode_error("no"),
        }[step]  # fmt: skip
        if self.state is State.FINISHED:
            assert self.protocol.receive(message) is None
        elif self.stepped(Step(step)):
            assert self.protocol.receive(message) is not None
        else:
            with pytest.raises(ProtocolError):
                self.protocol.receive(message)

    @invariant()
    def agrees(self) -> None:
        assert self.protocol.state is self.state


TestAgainstTheTable = AgainstTheTable.TestCase
