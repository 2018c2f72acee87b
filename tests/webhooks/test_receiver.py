"""The receiver, before a gateway that is a real server."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from fishlive.errors import (
    ConfigError,
    ConnectionLost,
    FishLiveError,
    InvalidRequestError,
    NotFoundError,
    ServerError,
    TaskTimeout,
    UsageError,
)
from fishlive.gateways import AceData, AudioLink, Task, TaskState
from fishlive.stores import Heard, Phase, Record, SqliteStore, StoreError
from fishlive.webhooks import Event, Finished, Receiver, reconciler, worker
from fishlive.webhooks.events import LATER, RECEIVED
from tests.webhooks.standin import AUDIO, SECRET, URL, Seen, Standin, call_back, receiving, submit

pytestmark = pytest.mark.usefixtures("hurry")


async def test_a_callback_brings_the_task_to_the_handler(tmp_path: Path) -> None:
    """The gateway's own record is what the handler gets, with the application's note."""
    seen = Seen()
    async with receiving(tmp_path, seen) as (receiver, client, gateway):
        task_id = await submit(receiver, client, note="chapter 7")
        gateway.finish(task_id)
        # What the callback itself claims is never used.
        event = await call_back(
            receiver, gateway, task_id, {"task_id": task_id, "audio_url": "https://evil.example"}
        )
        [done] = await seen.wait(1)
    assert event == Event(Heard.NEW, RECEIVED, task_id)
    assert (done.task_id, done.gateway, done.note) == (task_id, "acedata", "chapter 7")
    assert not done.redelivered
    result = done.result()
    assert isinstance(result, AudioLink)
    assert result.audio_url == AUDIO


async def test_a_failed_task_reaches_the_handler(tmp_path: Path) -> None:
    """With the error that its record stands for."""
    seen = Seen()
    async with receiving(tmp_path, seen) as (receiver, client, gateway):
        task_id = await submit(receiver, client)
        gateway.finish(task_id, {"success": False, "error": {"code": "api_error", "message": "m"}})
        await call_back(receiver, gateway, task_id)
        [done] = await seen.wait(1)
    assert done.status.state is TaskState.FAILED
    with pytest.raises(ServerError):
        done.result()


async def test_repeated_callbacks_are_handled_once(tmp_path: Path) -> None:
    """Before, while and after the task is handled, a repetition does nothing and asks nothing."""
    seen = Seen()
    async with receiving(tmp_path, seen) as (receiver, client, gateway):
        task_id = await submit(receiver, client)
        gateway.finish(task_id)
        events = await asyncio.gather(*(call_back(receiver, gateway, task_id) for _ in range(5)))
        await seen.wait(1)
        await until_done(receiver, task_id)
        asked = len(gateway.questions)
        late = await call_back(receiver, gateway, task_id)
        other = await submit(receiver, client)
        gateway.finish(other)
        await call_back(receiver, gateway, other)
        await seen.wait(2)
    assert Counter(event.heard for event in events) == {Heard.NEW: 1, Heard.AGAIN: 4}
    assert late.heard is Heard.AGAIN
    assert {event.answer for event in [*events, late]} == {RECEIVED}
    assert [event.task_id for event in seen.events] == [task_id, other]
    assert gateway.questions[asked:] == [[other]]


async def test_a_lying_callback_is_found_out(tmp_path: Path) -> None:
    """A task that is not over is not handled, however often a callback says it is."""
    seen = Seen()
    async with receiving(tmp_path, seen, overdue_s=1000) as (receiver, client, gateway):
        task_id = await submit(receiver, client)
        await call_back(receiver, gateway, task_id)
        await turns(lambda: bool(gateway.questions))
        assert seen.events == []
        gateway.finish(task_id)  # it is looked at again, without another callback
        await seen.wait(1)


async def test_a_task_without_a_callback_is_asked_for(tmp_path: Path) -> None:
    """The reconciler finds it when it is overdue."""
    seen = Seen()
    async with receiving(tmp_path, seen, overdue_s=0.001) as (receiver, client, gateway):
        task_id = await submit(receiver, client)
        gateway.finish(task_id)
        [done] = await seen.wait(1)
    assert done.task_id == task_id


async def test_overdue_tasks_share_questions(tmp_path: Path) -> None:
    """At most fifty in one."""
    seen = Seen()
    async with receiving(tmp_path, seen, overdue_s=1000) as (receiver, client, gateway):
        ids = [await submit(receiver, client) for _ in range(120)]
        for task_id in ids:
            gateway.finish(task_id)

        def due(record: Record) -> Record:
            return Record(**{**facts(record), "due_s": 1.0})

        await receiver.store.change_ready("acedata", due, ready_s=time.time() + 2000, limit=120)
        await seen.wait(120)
    assert sorted(event.task_id for event in seen.events) == sorted(ids)
    assert max(map(len, gateway.questions)) <= 50
    assert sum(map(len, gateway.questions)) == 120


async def test_polls_keep_below_one_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what a callback was heard for is asked about sooner after a question."""
    monkeypatch.setattr(reconciler, "POLL_SPACING_S", 1000.0)
    seen = Seen()
    async with receiving(tmp_path, seen, overdue_s=0.001) as (receiver, client, gateway):
        first = await submit(receiver, client)
        gateway.finish(first)
        await seen.wait(1)
        for _ in range(3):
            task_id = await submit(receiver, client)
            gateway.finish(task_id)
        await call_back(receiver, gateway, task_id)
        await seen.wait(2)
        await turns(lambda: False, 200)
    assert [event.task_id for event in seen.events] == [first, task_id]
    assert gateway.questions == [[first], [task_id]]


async def test_a_callback_may_overtake_the_acknowledgement(tmp_path: Path) -> None:
    """It waits, and the task is looked at as soon as it is acknowledged."""
    seen = Seen()
    async with receiving(tmp_path, seen, overdue_s=1000) as (receiver, client, gateway):

        async def send(url: str) -> Task:
            task = await client.tts.submit("x", callback_url=url)
            gateway.finish(task.id)
            assert (await call_back(receiver, gateway, task.id)).heard is Heard.NEW
            await turns(lambda: False, 50)
            assert gateway.questions == []
            return task

        task = await receiver.submit(send)
        [done] = await seen.wait(1)
    assert done.task_id == task.id


async def test_a_lost_acknowledgement_is_made_up_for(tmp_path: Path) -> None:
    """If the answer to a submission is lost, the callback finds the intention and its note."""
    seen, now_s = Seen(), [1000.0]
    async with receiving(tmp_path, seen, clock=lambda: now_s[0]) as (receiver, client, gateway):

        async def send(url: str) -> Task:
            await client.tts.submit("x", callback_url=url)
            raise ConnectionLost("the answer was cut off")

        with pytest.raises(ConnectionLost):
            await receiver.submit(send, note="chapter 7")
        assert [r.note for r in await receiver.unacknowledged()] == ["chapter 7"]
        gateway.finish("task-0")
        await call_back(receiver, gateway, "task-0")
        assert await receiver.unacknowledged() == []
        now_s[0] += 61
        [done] = await seen.wait(1)
    assert (done.task_id, done.note) == ("task-0", "chapter 7")


async def test_an_adopted_task_must_be_ours(tmp_path: Path) -> None:
    """A callback that names a task with another address does not make it the intention's."""
    seen, now_s = Seen(), [1000.0]
    async with receiving(tmp_path, seen, clock=lambda: now_s[0]) as (receiver, client, gateway):
        url = await receiver.callback_url()
        stranger = await client.tts.submit("x", callback_url="https://elsewhere.example")
        gateway.finish(stranger.id)
        body = json.dumps({"task_id": stranger.id}).encode()
        assert (await receiver.handle(body, {}, urlsplit(url).query)).heard is Heard.NEW
        now_s[0] += 61
        await turns(lambda: bool(gateway.questions))
        await submit(receiver, client)
        gateway.finish("task-1")
        await call_back(receiver, gateway, "task-1")
        await seen.wait(1)
    assert [event.task_id for event in seen.events] == ["task-1"]


@pytest.mark.parametrize(
    "error", [lambda: InvalidRequestError("no", status=400), lambda: ConfigError("no")]
)
async def test_a_refused_task_leaves_nothing(
    tmp_path: Path, error: Callable[[], FishLiveError]
) -> None:
    """If it is sure that the gateway has no task, the intention goes."""
    async with receiving(tmp_path, Seen()) as (receiver, _, _gateway):

        async def send(url: str) -> Task:
            raise error()

        with pytest.raises(FishLiveError, match="no"):
            await receiver.submit(send)
        assert await receiver.unacknowledged() == []


async def test_waiting_ends_with_the_callback(tmp_path: Path) -> None:
    """wait() takes whichever comes first, and asks itself."""
    seen = Seen()
    async with receiving(tmp_path, seen, overdue_s=1000) as (receiver, client, gateway):
        task = await receiver.submit(lambda url: client.tts.submit("x", callback_url=url))
        waiting = asyncio.create_task(task.wait(callbacks=receiver))
        await turns(lambda: bool(gateway.questions))
        gateway.finish(task.id)
        await call_back(receiver, gateway, task.id)
        result = await asyncio.wait_for(waiting, 2.0)
        await seen.wait(1)
    assert isinstance(result, AudioLink)


async def test_a_task_submitted_otherwise_can_be_tracked(tmp_path: Path) -> None:
    """Once, however often it is asked for, and after it was handled too."""
    seen = Seen()
    async with receiving(tmp_path, seen, overdue_s=0.001) as (receiver, client, gateway):
        task = await client.tts.submit("x")
        gateway.finish(task.id)
        for _ in range(3):
            await receiver.track(task, note="late")
        await seen.wait(1)
        await until_done(receiver, task.id)
        await receiver.track(task, note="again")
        assert await receiver.store.select("acedata", Phase.OPEN, limit=9) == []
    assert [event.note for event in seen.events] == ["late"]


async def test_a_task_that_was_over_at_once_is_handled(tmp_path: Path) -> None:
    """Though the gateway keeps no record of it."""
    seen = Seen()
    async with receiving(tmp_path, seen, overdue_s=1000) as (receiver, client, _gateway):
        raw = {"task_id": "gone", "audio_url": AUDIO}
        await receiver.submit(lambda _: done_task(client, raw))
        [done] = await seen.wait(1)
    assert isinstance(done.result(), AudioLink)


async def test_a_task_that_never_ends_fails_in_the_end(tmp_path: Path) -> None:
    """After give_up_s: unknown ones as not found, the others as timed out."""
    seen, now_s = Seen(), [1000.0]
    async with receiving(tmp_path, seen, clock=lambda: now_s[0], give_up_s=100, overdue_s=1) as (
        receiver,
        client,
        _gateway,
    ):
        await submit(receiver, client)
        await receiver.track(client.tasks.handle("never-heard-of"))
        now_s[0] += 2
        await turns(lambda: False, 50)
        assert seen.events == []
        now_s[0] += 200
        events = await seen.wait(2)
    errors = {event.task_id: type(event.status.error) for event in events}
    assert errors == {"task-0": TaskTimeout, "never-heard-of": NotFoundError}


async def test_a_failing_handler_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The repetition says so; the error is logged."""
    events: list[Finished] = []
    ended = asyncio.Event()

    async def handler(event: Finished) -> None:
        events.append(event)
        if len(events) == 1:
            raise RuntimeError("the database is away")
        ended.set()

    async with receiving(tmp_path, handler) as (receiver, client, gateway):
        task_id = await submit(receiver, client, note="kept")
        gateway.finish(task_id)
        await call_back(receiver, gateway, task_id)
        await asyncio.wait_for(ended.wait(), 20)
    assert [event.redelivered for event in events] == [False, True]
    assert {event.note for event in events} == {"kept"}
    assert "the handler failed" in caplog.text


async def test_a_hopeless_task_is_given_up_and_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After so many failures it is dead, until somebody revives it."""
    calls = []

    async def handler(event: Finished) -> None:
        calls.append(event)
        if len(calls) <= 3:
            raise RuntimeError("never works")

    async with receiving(tmp_path, handler, most_failures=3) as (receiver, client, gateway):
        task_id = await submit(receiver, client)
        gateway.finish(task_id)
        await call_back(receiver, gateway, task_id)
        dead: list[Record] = []
        for _ in range(2000):
            if dead := await receiver.dead():
                break
            await asyncio.sleep(0.002)
        assert [record.task_id for record in dead] == [task_id]
        assert await receiver.store.revive(dead[0].ticket)
        await until_done(receiver, task_id)
    assert len(calls) == 4
    assert "given up" in caplog.text


async def test_a_gateway_in_trouble_is_asked_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its failures cost nothing but time."""
    seen, standin = Seen(), Standin()
    answers = iter([(500, {"error": {"code": "api_error", "message": "m"}})] * 7)
    standin.refuse = lambda _: next(answers, None)
    async with receiving(tmp_path, seen, standin=standin) as (receiver, client, _):
        task_id = await submit(receiver, client)
        standin.finish(task_id)
        await call_back(receiver, standin, task_id)
        await seen.wait(1)
    assert "could not be asked" in caplog.text


async def test_one_bad_id_does_not_hold_up_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A batch that is refused is asked one by one."""
    seen, standin = Seen(), Standin()

    def refuse(ids: list[str]) -> tuple[int, object] | None:
        return (400, {"error": {"code": "bad_request", "message": "m"}}) if "bad" in ids else None

    standin.refuse = refuse
    async with receiving(tmp_path, seen, standin=standin, overdue_s=0.2) as (receiver, client, _):
        await receiver.track(client.tasks.handle("bad"))
        for _ in range(3):
            standin.finish(await submit(receiver, client))
        await seen.wait(3)
    assert {event.task_id for event in seen.events} == {"task-0", "task-1", "task-2"}
    assert "could not be asked" in caplog.text


async def test_what_a_closed_receiver_left_is_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one of the same file handles it at once, without waiting for a claim to run out."""
    standin, started, seen = Standin(), asyncio.Event(), Seen()

    async def hangs(event: Finished) -> None:
        started.set()
        await asyncio.Event().wait()

    async with receiving(tmp_path, hangs, standin=standin) as (receiver, client, _):
        task_id = await submit(receiver, client)
        standin.finish(task_id)
        await call_back(receiver, standin, task_id)
        await started.wait()
        monkeypatch.setattr(worker, "DRAIN_S", 0.0)
    async with receiving(tmp_path, seen, standin=standin):
        [done] = await seen.wait(1)
    assert done.redelivered


async def test_two_receivers_share_the_work(tmp_path: Path) -> None:
    """Each task is handled by one of them, whichever hears of it."""
    standin, seen = Standin(), Seen()
    async with (
        receiving(tmp_path, seen, standin=standin, overdue_s=0.01) as (first, client, _),
        receiving(tmp_path, seen, standin=standin, overdue_s=0.01) as (second, _, _),
    ):
        for number in range(40):
            task_id = await submit(first, client)
            standin.finish(task_id)
            await call_back((first, second)[number % 2], standin, task_id)
        await seen.wait(40)
        await turns(lambda: False, 50)
    assert len({event.task_id for event in seen.events}) == len(seen.events) == 40


GARBAGE: list[tuple[str, bytes]] = [
    ("empty", b""),
    ("no JSON", b"garbage"),
    ("no object", b'["task-0"]'),
    ("no task", b"{}"),
    ("a task of another type", b'{"task_id": 7}'),
    ("no id", b'{"task_id": "../../etc"}'),
    ("another task", b'{"task_id": "task-9"}'),
    ("a name twice", b'{"task_id": "task-0", "task_id": "task-0"}'),
    ("a name twice inside", b'{"task_id": "task-0", "x": {"a": 1, "a": 1}}'),
    ("not UTF-8", b'{"task_id": "task-0", "x": "\xff"}'),
    ("lone surrogates", b'{"task_id": "\\ud800"}'),
    ("deep", b'{"task_id": "task-0", "x": ' + b"[" * 100 + b"]" * 100 + b"}"),
    ("very deep", b'{"task_id": "task-0", "x": ' + b"[" * 400_000 + b"]" * 400_000 + b"}"),
    ("NaN", b'{"task_id": "task-0", "x": NaN}'),
    ("a long number", b'{"task_id": "task-0", "x": ' + b"9" * 500_000 + b"}"),
    ("10 MB", b'{"task_id": "task-0", "x": "' + b"a" * 10_000_000 + b'"}'),
]


@pytest.mark.parametrize("body", [body for _, body in GARBAGE], ids=[name for name, _ in GARBAGE])
async def test_garbage_changes_nothing(tmp_path: Path, body: bytes) -> None:
    """With a right token, a body that is not right is answered alike and leaves no trace."""
    async with receiving(tmp_path, Seen(), overdue_s=1000) as (receiver, client, gateway):
        task_id = await submit(receiver, client)
        before = await receiver.store.find("acedata", task_id)
        event = await call_back(receiver, gateway, task_id, body or b"")
        after = await receiver.store.find("acedata", task_id)
        await turns(lambda: False, 20)
    assert event.heard in {Heard.MALFORMED, Heard.FOREIGN}
    assert event.answer == RECEIVED
    assert before == after
    assert gateway.questions == []


@pytest.mark.parametrize("change", ["", "x", "token=", "token=a.b", "&".join(["a=1"] * 99)])
async def test_strangers_change_nothing(tmp_path: Path, change: str) -> None:
    """Without a right token, even a right body is answered alike, and the store is not asked."""
    async with receiving(tmp_path, Seen(), overdue_s=1000) as (receiver, client, _):
        task_id = await submit(receiver, client)
        await receiver.store.aclose()  # whoever asks it now gets an error
        event = await receiver.handle(json.dumps({"task_id": task_id}).encode(), {}, change)
    assert (event.heard, event.answer) == (Heard.UNKNOWN, RECEIVED)


async def test_a_token_twice_is_none(tmp_path: Path) -> None:
    """Which of two would count is not for the sender to choose."""
    async with receiving(tmp_path, Seen()) as (receiver, client, gateway):
        task_id = await submit(receiver, client)
        query = gateway.query(task_id)
        event = await receiver.handle(b"{}", {}, f"{query}&{query}")
    assert event.heard is Heard.UNKNOWN


async def test_tokens_of_another_secret_or_gateway_are_nothing(tmp_path: Path) -> None:
    """A token is worth something only where it was made; an older secret may be known besides."""
    async with receiving(tmp_path, Seen(), overdue_s=1000) as (receiver, client, gateway):
        task_id = await submit(receiver, client)
        body = json.dumps({"task_id": task_id}).encode()

        def other(secret: str | list[str]) -> Receiver:
            return Receiver(client, Seen(), url=URL, secret=secret, store=receiver.store)

        query = gateway.query(task_id)
        stranger = await other("another secret altogether").handle(body, {}, query)
        replaced = await other(["another secret altogether", SECRET]).handle(body, {}, query)
    assert (stranger.heard, replaced.heard) == (Heard.UNKNOWN, Heard.NEW)


async def test_a_store_that_fails_is_said(tmp_path: Path) -> None:
    """Only to who has a right token: a sender that repeats should."""
    async with receiving(tmp_path, Seen(), overdue_s=1000) as (receiver, client, gateway):
        task_id = await submit(receiver, client)
        await receiver.store.aclose()
        event = await call_back(receiver, gateway, task_id)
        with pytest.raises(StoreError):
            await receiver.callback_url()
    assert (event.heard, event.answer) == (Heard.UNAVAILABLE, LATER)
    assert receiver.counts == {Heard.UNAVAILABLE: 1}


async def test_nothing_is_sent_if_nothing_can_be_kept(tmp_path: Path) -> None:
    """A task that nobody would remember is not paid for."""
    async with receiving(tmp_path, Seen()) as (receiver, client, gateway):
        await receiver.store.aclose()
        with pytest.raises(StoreError):
            await submit(receiver, client)
    assert gateway.addresses == {}


async def test_addresses_are_unguessable_and_keep_their_query(tmp_path: Path) -> None:
    """Each is another; the address's own query stays."""
    async with receiving(tmp_path, Seen()) as (receiver, _, _):
        urls = {await receiver.callback_url() for _ in range(10)}
    assert len(urls) == 10
    for url in urls:
        assert url.startswith("https://hooks.example/fish?app=1&token=")
        assert SECRET not in url


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("url", "http://hooks.example/"), ("url", "ftp://x"), ("url", "https://"),
        ("url", "https://x/#y"), ("url", "https://x:y/"), ("url", "https://x/?token=1"),
        ("secret", ""), ("secret", "short"), ("secret", []), ("concurrency", 0),
        ("overdue_s", 0), ("give_up_s", -1), ("lease_s", 0), ("most_failures", 0),
    ],
)  # fmt: skip
async def test_wrong_arguments_are_named(argument: str, value: Any) -> None:
    """Before anything is opened."""
    options = {"url": URL, "secret": SECRET, argument: value}
    async with AceData("token") as client:
        with pytest.raises(ConfigError) as caught:
            Receiver(client, Seen(), **options)
    assert caught.value.argument in {argument, "api_key"}


async def test_an_unencrypted_address_must_be_meant(tmp_path: Path) -> None:
    """Loopback is fine; other machines only if told so."""
    path = tmp_path / "x.sqlite3"
    async with AceData("token") as client:
        Receiver(client, Seen(), url="http://127.0.0.1:1/", secret=SECRET, store=path)
        Receiver(
            client, Seen(), url="http://hooks.example/", secret=SECRET, store=path,
            allow_insecure=True,
        )  # fmt: skip
        assert SECRET not in repr(
            Receiver(client, Seen(), url=URL, secret=SECRET, store=path).__dict__
        )


async def test_it_is_used_while_it_is_open(tmp_path: Path) -> None:
    """Not before, not after, and not twice."""
    async with AceData("token") as client:
        receiver = Receiver(client, Seen(), url=URL, secret=SECRET, store=tmp_path / "x")
        with pytest.raises(UsageError):
            await receiver.callback_url()
        async with receiver:
            with pytest.raises(UsageError):
                await receiver.__aenter__()
            with pytest.raises(ConfigError):
                await receiver.callback_url(note="x" * 20_000)
            with pytest.raises(ConfigError):
                await receiver.bind(URL, client.tasks.handle("a"))
            with pytest.raises(ConfigError):
                await receiver.track(Task("a", "tts", "xhuo"))
        with pytest.raises(UsageError):
            await receiver.callback_url()
        await receiver.aclose()


async def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """On entering; and nothing is left running."""
    path = tmp_path / "x"
    path.write_bytes(b"not a database, but long enough to look like one" * 99)
    async with AceData("token") as client:
        receiver = Receiver(client, Seen(), url=URL, secret=SECRET, store=path)
        with pytest.raises(ConfigError):
            await receiver.__aenter__()


async def test_an_intention_that_was_forgotten_is_made_again(tmp_path: Path) -> None:
    """An acknowledged task is handled though its intention is gone."""
    seen = Seen()
    async with receiving(tmp_path, seen, overdue_s=0.001) as (receiver, client, gateway):

        async def send(url: str) -> Task:
            [intended] = await receiver.unacknowledged()
            await receiver.store.remove(intended.ticket)
            return await client.tts.submit("x", callback_url=url)

        task = await receiver.submit(send)
        gateway.finish(task.id)
        await seen.wait(1)


async def test_a_done_mark_is_insisted_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """If the store fails after the handler returned, the mark is tried again, not the handler."""
    failures = iter([1, 1, 1])

    class Shaky(SqliteStore):
        async def done(self, ticket: str, owner: str, *, now_s: float) -> bool:
            if next(failures, None):
                raise StoreError("full")
            return await super().done(ticket, owner, now_s=now_s)

    seen = Seen()
    async with receiving(Shaky(tmp_path / "x"), seen) as (receiver, client, gateway):
        task_id = await submit(receiver, client)
        gateway.finish(task_id)
        await call_back(receiver, gateway, task_id)
        await until_done(receiver, task_id)
    assert len(seen.events) == 1
    assert "the store failed" in caplog.text


async def turns(until: Any, count: int = 2000) -> None:
    """Let things happen, until something is so, or for so many short whiles."""
    for _ in range(count):
        if until():
            return
        await asyncio.sleep(0.001)


async def until_done(receiver: Receiver, task_id: str) -> None:
    """Wait until a task is marked done."""
    for _ in range(5000):
        record = await receiver.store.find("acedata", task_id)
        if record is not None and record.phase is Phase.DONE:
            return
        await asyncio.sleep(0.002)
    raise AssertionError("it is not done")


async def done_task(client: AceData, raw: dict[str, Any]) -> Task:
    """Return a handle that was complete when it was made."""
    return Task(raw["task_id"], "tts", "acedata", raw=raw)


def facts(record: Record) -> dict[str, Any]:
    """Return the fields of a record."""
    return {name: getattr(record, name) for name in Record.__dataclass_fields__}
