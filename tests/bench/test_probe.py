"""One utterance's path, whatever happened: no holes, nothing negative, nobody's text."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.bench.lanes import Opening
from fishlive.bench.probe import Order, Sound, Trace, connecting, detail, phases
from fishlive.bench.streams import pace
from fishlive.bench.workload import Prompt
from fishlive.errors import APIStatusError, ServerClosed, SynthesisError, TLSError
from fishlive.transport.socket import Handshake
from tests.audio.test_ogg import opening, page

STEPS = ("queue_s", "connect_s", "slot_s", "text_wait_s", "other_s", "first_audio_s")
some = st.floats(0, 3, allow_nan=False)


def trace(*, intended_s: float | None = None, started_s: float = 10.0) -> Trace:
    """Return an utterance that has begun."""
    prompt = Prompt("p", "Hello.", "en")
    order = Order(0, 0, False, prompt, pace("whole"), (), zero_s=0.0, intended_s=intended_s)
    return Trace(order, Sound(48_000.0, 24_000), started_s=started_s)


@given(some, some, some, some, some, some, some)
def test_the_path_has_no_holes(
    queue_s: float,
    words_s: float,
    sent_s: float,
    audio_s: float,
    slot_s: float,
    opened_s: float,
    took_s: float,
) -> None:
    """Whenever each thing happened, the steps add up to the response, and none is negative."""
    found = trace(intended_s=10.0 - queue_s)
    found.words_s, found.slot_s = 10.0 + words_s, slot_s
    found.opening = Opening(10.0 + opened_s - took_s, 10.0 + opened_s, Handshake(took_s))
    found.sent_s = 10.0 + max(sent_s, opened_s)
    found.first_s = found.sent_s + audio_s
    record = found.record("finished", model="s2-pro", prebuffers_s=())
    steps = [getattr(record, name) or 0.0 for name in STEPS]
    assert min(steps) >= 0
    assert record.response_s == pytest.approx(sum(steps), abs=1e-9)


async def test_opus_arrives_by_the_pages_of_each_chunk() -> None:
    """A second of it is there when the page that ends it is: a player has what came, no more."""
    found = replace(trace(), sound=Sound(4_000.0, None, opus=True))
    for chunk in (opening() + page(312 + 48_000), page(312 + 72_000)[:-1], b"x"):
        found.on_chunk(chunk)
    assert found._audio_s() == pytest.approx([1.0, 0.5, 0.0])


async def test_what_only_claims_to_be_opus_goes_by_its_size() -> None:
    """Something that is no Ogg has no pages."""
    found = replace(trace(), sound=Sound(4_000.0, None, opus=True))
    found.on_chunk(bytes(2_000))
    assert found._audio_s() == [0.5]


@dataclass(frozen=True)
class Detailed(Handshake):
    """A handshake whose transport tells every step."""

    tls_s: float = 0.0
    upgrade_s: float = 0.0


def test_every_step_that_is_told_is_taken() -> None:
    """DNS, TCP, TLS and upgrade by their names; what is not told, the upgrade has."""
    told = Opening(0.0, 1.0, Detailed(1.0, 0.1, 0.2, tls_s=0.3, upgrade_s=0.35))
    assert dict(phases(told)) == {"dns_s": 0.1, "tcp_s": 0.2, "tls_s": 0.3, "upgrade_s": 0.35}
    partly = Opening(0.0, 1.0, Handshake(1.0, 0.1, 0.2))
    assert dict(phases(partly)) == pytest.approx({"dns_s": 0.1, "tcp_s": 0.2, "upgrade_s": 0.7})
    assert phases(Opening(0.0, 1.0, Handshake(1.0))) == []


def test_only_what_was_waited_for_counts() -> None:
    """An utterance that begins in the middle of connecting waits for the end of it."""
    opening = Opening(0.0, 1.0, Handshake(1.0, 0.1, 0.2))
    waited = connecting(opening, 0.25, reused=False)
    assert waited["socket"] == "cold"
    assert waited["connect_s"] == pytest.approx(0.75)
    assert waited["upgrade_s"] == pytest.approx(0.7)
    assert waited["tcp_s"] == pytest.approx(0.05)
    assert waited["dns_s"] == 0
    assert connecting(opening, 1.5, reused=False) == {"socket": "standby"}
    assert connecting(opening, 1.5, reused=True) == {"socket": "reused"}


def test_one_that_never_spoke_has_no_latency() -> None:
    """What did not happen is None, not 0."""
    record = trace().record("failed", model="s2-pro", prebuffers_s=(0.0,), error=TLSError("x"))
    assert (record.latency_s, record.audible_s, record.rtf, record.gap_max_s) == (None,) * 4
    assert (record.failure, record.failure_detail) == ("TLSError", "phase tls")
    assert record.underruns == ()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (APIStatusError("the user said: hello", status=503), "status 503"),
        (ServerClosed(1011, "hello"), "close code 1011"),
        (SynthesisError("error", "hello"), None),
    ],
)
def test_details_are_numbers(error: Exception, told: str | None) -> None:
    """A service may repeat the text in its errors; a record does not."""
    assert detail(error) == told
