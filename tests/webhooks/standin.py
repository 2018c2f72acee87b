"""A small gateway on loopback, and a receiver in front of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fishlive.gateways import AceData
from fishlive.stores import SqliteStore, TaskStore
from fishlive.webhooks import Event, Finished, Receiver
from tests.rest.canned import Asked, answering

SECRET = "open sesame, open sesame"
URL = "https://hooks.example/fish?app=1"
AUDIO = "https://cdn.example/a.mp3"


class Standin:
    """Answers as a gateway does; tasks end when they are told to.

    Attributes:
        addresses: The callback address that each task was submitted with.
        texts: What was to be said, in order.
        questions: The ids of each question about tasks.
        lists: Whether it lists tasks by time.
    """

    def __init__(self) -> None:
        self.addresses: dict[str, str | None] = {}
        self.outcomes: dict[str, dict[str, Any]] = {}
        self.texts: list[str] = []
        self.questions: list[list[str]] = []
        self.lists = True
        self.refuse: Callable[[list[str]], tuple[int, object] | None] = lambda _: None

    def answer(self, asked: Asked) -> tuple[int, object]:
        """Answer a request."""
        body = asked.json
        if asked.path == "/fish/tts":
            task_id = f"task-{len(self.addresses)}"
            self.addresses[task_id] = body.get("callback_url")
            self.texts.append(body["text"])
            return 200, {"task_id": task_id}
        if "created_at_min" in body:
            if not self.lists:
                return 400, {"error": {"code": "bad_request", "message": "ids is required"}}
            some = [*self.addresses][body["offset"] :][: body["limit"]]
            return 200, {"items": [self.record(one) for one in some], "count": len(some)}
        ids = body["ids"] if "ids" in body else [body["id"]]
        self.questions.append(ids)
        if refusal := self.refuse(ids):
            return refusal
        if "id" in body:
            return 200, self.record(body["id"]) if body["id"] in self.addresses else {}
        records = [self.record(one) for one in ids if one in self.addresses]
        return 200, {"items": records, "count": len(records)}

    def record(self, task_id: str) -> dict[str, Any]:
        """Return what the tasks API says."""
        request = {"text": "x", "callback_url": self.addresses[task_id]}
        record: dict[str, Any] = {"id": task_id, "request": request}
        if task_id in self.outcomes:
            record |= {"finished_at": 1.0, "response": self.outcomes[task_id]}
        return record

    def finish(self, task_id: str, outcome: dict[str, Any] | None = None) -> None:
        """End a task, well unless told."""
        self.outcomes[task_id] = outcome or {"audio_url": AUDIO, "task_id": task_id}

    def query(self, task_id: str) -> str:
        """Return the query of a task's callback address."""
        return (self.addresses[task_id] or "").partition("?")[2]


class Seen:
    """A handler that keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[Finished] = []
        self._more = asyncio.Condition()

    async def __call__(self, event: Finished) -> None:
        async with self._more:
            self.events.append(event)
            self._more.notify_all()

    async def wait(self, count: int) -> list[Finished]:
        """Return what came once there are so many."""
        async with self._more:
            await asyncio.wait_for(
                self._more.wait_for(lambda: len(self.events) >= count), timeout=20
            )
        return self.events


@asynccontextmanager
async def receiving(
    store: TaskStore | Path,
    handler: Callable[[Finished], Any],
    *,
    standin: Standin | None = None,
    **options: Any,
) -> AsyncIterator[tuple[Receiver, AceData, Standin]]:
    """Yield a receiver, its client and the gateway behind it."""
    standin = standin or Standin()
    kept = SqliteStore(store / "tasks.sqlite3") if isinstance(store, Path) else store
    async with (
        answering(standin.answer) as (base_url, _),
        AceData("token", base_url=base_url) as client,
        Receiver(client, handler, url=URL, secret=SECRET, store=kept, **options) as receiver,
    ):
        assert isinstance(client, AceData)
        yield receiver, client, standin


async def submit(receiver: Receiver, client: AceData, *, note: str = "") -> str:
    """Submit a task through a receiver and return its id."""
    task = await receiver.submit(lambda url: client.tts.submit("x", callback_url=url), note=note)
    return task.id


async def call_back(
    receiver: Receiver, standin: Standin, task_id: str, body: object = None
) -> Event:
    """Send what a gateway sends when a task is over."""
    raw_body = (
        body if isinstance(body, bytes) else json.dumps(body or {"task_id": task_id}).encode()
    )
    return await receiver.handle(raw_body, {}, standin.query(task_id))
