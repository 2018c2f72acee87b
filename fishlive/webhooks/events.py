"""What a receiver answers, and what it hands to the application."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fishlive.gateways.results import Result
from fishlive.gateways.tasks import TaskStatus
from fishlive.stores import Heard


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sender is told. It never depends on what was sent.

    Attributes:
        status: Of HTTP.
        body: JSON.
    """

    status: int
    body: bytes

    content_type = "application/json"


RECEIVED: Final = Answer(200, b'{"received":true}')
"""To a gateway, whatever it sent: a stranger learns nothing, and nobody has a reason to repeat."""

REFUSED: Final = Answer(401, b'{"received":false}')
"""To whoever did not sign what should be signed."""

BAD: Final = Answer(400, b'{"received":false}')
"""To whoever signed something that is no event."""

NOT_POST: Final = Answer(405, b'{"received":false}')

LATER: Final = Answer(503, b'{"received":false}')
"""When nothing can be kept now: senders that repeat should. Only after a token or signature was
right, so that a stranger never sees it."""


@dataclass(frozen=True, slots=True)
class Event:
    """What a request to a receiver was.

    Attributes:
        heard: What it was worth.
        answer: What to answer.
        task_id: Of which task it spoke, if its token was right.
        reason: Why it was not heard, for the log; it repeats nothing of the request.
    """

    heard: Heard
    answer: Answer = RECEIVED
    task_id: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    """A task that is over, as the gateway's own record says.

    Attributes:
        ticket: The same at every delivery of this task: to recognise a repetition by.
        task_id: What the gateway calls it.
        gateway: ``acedata`` or ``xhuo``.
        note: What the application wrote when it was submitted.
        status: How it ended.
        redelivered: Whether the handler may have seen it: somebody had claimed it and crashed, or
            the handler failed. False means it has not.
    """

    ticket: str
    task_id: str
    gateway: str
    note: str = field(repr=False)
    status: TaskStatus
    redelivered: bool = False

    def result(self) -> Result:
        """Return what it made.

        Raises:
            FishLiveError: It failed; the class says why.
        """
        return self.status.unwrap()


@dataclass(frozen=True, slots=True)
class SignedEvent:
    """An event whose signature was right.

    Attributes:
        ticket: The same at every delivery of this event: to recognise a repetition by.
        body: Its JSON. Unknown fields and unknown events are kept.
        raw_body: As it was signed.
        redelivered: Whether the handler may have seen it; False means it has not.
    """

    ticket: str
    body: Mapping[str, Any] = field(repr=False)
    raw_body: bytes = field(repr=False)
    redelivered: bool = False
