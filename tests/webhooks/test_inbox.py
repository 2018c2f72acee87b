"""Signed webhooks: kept, then acknowledged, then handled once."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fishlive.errors import UsageError
from fishlive.stores import Heard, Phase, SqliteStore
from fishlive.webhooks import FishVerifier, Inbox, SignedEvent, StandardVerifier, inbox
from fishlive.webhooks.events import BAD, LATER, RECEIVED, REFUSED
from tests.webhooks.test_signatures import DELIVERY, PAYLOAD, standard

pytestmark = pytest.mark.usefixtures("hurry")

SECRET = "fish-webhook-secret-of-some-length"
NOW_S = 1_760_000_000


def signed(body: bytes, moment: int = NOW_S) -> dict[str, str]:
    """Return Fish's header for a body."""
    mac = hmac.new(SECRET.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Fish-Webhook-Signature": f"t={moment},v1={mac}"}


def event(name: str = "session.ended", session: str = "s1", **more: Any) -> bytes:
    """Return the body of an event."""
    return json.dumps({"event": name, "session": {"id": session}, **more}).encode()


class Kept:
    """A handler that keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[SignedEvent] = []

    async def __call__(self, event: SignedEvent) -> None:
        self.events.append(event)

    async def wait(self, count: int) -> list[SignedEvent]:
        """Return what came once there are so many."""
        for _ in range(5000):
            if len(self.events) >= count:
                return self.events
            await asyncio.sleep(0.002)
        raise AssertionError("it did not come")


@asynccontextmanager
async def taking(path: Path, handler: Any, **options: Any) -> AsyncIterator[Inbox]:
    """Yield an inbox whose clock stands."""
    verifier = FishVerifier(SECRET, now_s=lambda: float(NOW_S))
    async with Inbox(verifier, handler, store=path / "events.sqlite3", **options) as box:
        yield box


async def test_an_event_reaches_the_handler(tmp_path: Path) -> None:
    """With all its fields, also those nobody knows, and as it was signed."""
    kept = Kept()
    body = event("dial.started", more={"x": [1]})
    async with taking(tmp_path, kept) as box:
        heard = await box.handle(body, signed(body))
        [got] = await kept.wait(1)
    assert (heard.heard, heard.answer) == (Heard.NEW, RECEIVED)
    assert (got.body, got.raw_body, got.redelivered) == (json.loads(body), body, False)


async def test_it_is_kept_before_it_is_acknowledged(tmp_path: Path) -> None:
    """A slow handler delays no answer, and what it has not done is on the disk."""
    forever = asyncio.Event()

    async def slow(_event: SignedEvent) -> None:
        await forever.wait()

    async with taking(tmp_path, slow, concurrency=1) as box:
        for number in range(5):
            body = event(session=f"s{number}")
            assert (await box.handle(body, signed(body))).answer == RECEIVED
        assert await box.store.count("fish-agents", Phase.OPEN) == 5
        forever.set()


async def test_repetitions_are_recognised(tmp_path: Path) -> None:
    """By event, session and analysis; each is handled once, in whatever order they come."""
    kept = Kept()
    first = event(analysis={"finished_at": 1})
    different = [first, event(analysis={"finished_at": 2}), event(), event("other"), b'{"a": 1}']
    async with taking(tmp_path, kept) as box:
        for body in [*different, *reversed(different)]:
            await box.handle(body, signed(body))
        changed = event(analysis={"finished_at": 1}, attempt=2)
        again = await box.handle(changed, signed(changed, NOW_S + 5))
        await kept.wait(len(different))
        counts = dict(box.counts)
    assert again.heard is Heard.AGAIN
    assert again.answer == RECEIVED
    assert counts == {Heard.NEW: 5, Heard.AGAIN: 6}
    assert sorted(got.raw_body for got in kept.events) == sorted(different)


async def test_a_message_id_is_enough(tmp_path: Path) -> None:
    """Standard Webhooks name each message."""
    kept = Kept()
    async with Inbox(standard(), kept, store=tmp_path / "x", name="other") as box:
        for _ in range(2):
            assert (await box.handle(PAYLOAD, DELIVERY)).answer == RECEIVED
        await kept.wait(1)
    assert len(kept.events) == 1
    assert isinstance(standard(), StandardVerifier)


@pytest.mark.parametrize(
    ("body", "headers", "answer"),
    [
        (event(), {}, REFUSED),
        (event(), signed(b"another"), REFUSED),
        (event(), [*signed(event()).items()] * 2, REFUSED),
        (event(), signed(event(), NOW_S - 301), REFUSED),
        (b"x" * 10_000_000, {}, REFUSED),
        (b"no JSON", signed(b"no JSON"), BAD),
        (b'{"a": 1, "a": 2}', signed(b'{"a": 1, "a": 2}'), BAD),
        (b'{"a": NaN}', signed(b'{"a": NaN}'), BAD),
        (b"\xff", signed(b"\xff"), BAD),
        (b"[" * 10_000, signed(b"[" * 10_000), BAD),
    ],
)
async def test_what_is_not_right_leaves_nothing(
    tmp_path: Path, body: bytes, headers: Any, answer: object
) -> None:
    """One answer for every bad signature, one for every bad body."""
    async with taking(tmp_path, Kept()) as box:
        assert (await box.handle(body, headers)).answer == answer
        assert await box.store.count("fish-agents", Phase.OPEN) == 0


async def test_a_full_inbox_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender keeps what does not fit, and so does one whose store fails."""
    monkeypatch.setattr(inbox, "MOST_WAITING", 1)
    forever = asyncio.Event()

    async def slow(_event: SignedEvent) -> None:
        await forever.wait()

    async with taking(tmp_path, slow) as box:
        for session, answer in (("s1", RECEIVED), ("s2", LATER)):
            body = event(session=session)
            assert (await box.handle(body, signed(body))).answer == answer
        forever.set()
    assert (await box.handle(body, signed(body))).answer == LATER


async def test_a_poisonous_event_is_given_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After so many failures; others are not held up."""
    seen: list[str] = []
    again: list[bool] = []

    async def handler(got: SignedEvent) -> None:
        seen.append(got.body["session"]["id"])
        again.append(got.redelivered)
        if got.body["session"]["id"] == "bad":
            raise ValueError("poison")

    async with taking(tmp_path, handler, most_failures=3) as box:
        for session in ("bad", "good"):
            body = event(session=session)
            await box.handle(body, signed(body))
        for _ in range(5000):
            if dead := await box.dead():
                break
            await asyncio.sleep(0.002)
        assert len(dead) == 1
    assert seen.count("bad") == 3
    assert seen.count("good") == 1
    assert sorted(again) == [False, False, True, True]
    assert "given up" in caplog.text


async def test_it_shares_a_file_with_others(tmp_path: Path) -> None:
    """Names keep inboxes apart; the same file may hold tasks too."""
    first, second = Kept(), Kept()
    verifier = FishVerifier(SECRET, now_s=lambda: float(NOW_S))
    body = event()
    async with (
        Inbox(verifier, first, store=SqliteStore(tmp_path / "x"), name="one") as one,
        Inbox(verifier, second, store=SqliteStore(tmp_path / "x"), name="two") as two,
    ):
        assert (await one.handle(body, signed(body))).heard is Heard.NEW
        assert (await two.handle(body, signed(body))).heard is Heard.NEW
        await first.wait(1)
        await second.wait(1)


async def test_an_inbox_is_entered_once(tmp_path: Path) -> None:
    """As a receiver is."""
    async with taking(tmp_path, Kept()) as box:
        with pytest.raises(UsageError):
            await box.__aenter__()
