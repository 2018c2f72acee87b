"""Who may say what, when. Everything that affects the state of an utterance lives in NEXT.

    opened ──start──▶ speaking ──stop──▶ draining ──finish──▶ finished
                       │  ▲ text, flush,  │  ▲ audio
                       │  └ audio         │  └
                       └──── finish ──────┴──── error ─────▶ finished

The table does not know which side reads it: the client asks it before it sends and after it
receives, the local server the other way round. A miss blames whoever took the step.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from fishlive.errors import ProtocolError, UsageError


class State(enum.Enum):
    """Where one utterance stands."""

    OPENED = "opened"  # the socket is up; nothing was said yet
    SPEAKING = "speaking"  # start sent: text goes out, audio comes in
    DRAINING = "draining"  # stop sent: only audio comes in
    FINISHED = "finished"  # the service said finish, or error


class Step(enum.Enum):
    """Anything that either side may do."""

    START = "start"
    TEXT = "text"
    FLUSH = "flush"
    STOP = "stop"
    AUDIO = "audio"
    FINISH = "finish"
    ERROR = "error"


OURS: Final = frozenset({Step.START, Step.TEXT, Step.FLUSH, Step.STOP})
"""Steps the client takes; the others are the service's."""

NEXT: Final[Mapping[State, Mapping[Step, State]]] = {
    State.OPENED: {
        Step.START: State.SPEAKING,
        # The service may refuse before it has read anything, and its reason beats our complaint.
        Step.FINISH: State.FINISHED,
        Step.ERROR: State.FINISHED,
    },
    State.SPEAKING: {
        Step.TEXT: State.SPEAKING,
        Step.FLUSH: State.SPEAKING,
        Step.STOP: State.DRAINING,
        Step.AUDIO: State.SPEAKING,
        # Early, so never success (LiveProtocol.complete): not all text was sent.
        Step.FINISH: State.FINISHED,
        Step.ERROR: State.FINISHED,
    },
    State.DRAINING: {
        Step.AUDIO: State.DRAINING,
        Step.FINISH: State.FINISHED,
        Step.ERROR: State.FINISHED,
    },
    State.FINISHED: {},
}


def advance(state: State, step: Step) -> State:
    """Return the state after ``step``, or blame whoever took it.

    Raises:
        UsageError: The step is the client's, and not allowed here.
        ProtocolError: The step is the service's, and not allowed here.
    """
    after = NEXT[state].get(step)
    if after is None:
        blame = UsageError if step in OURS else ProtocolError
        raise blame(f"{step.value} is not allowed while {state.value}")
    return after
