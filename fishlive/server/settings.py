"""What a local server does, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

from fishlive.errors import ConfigError
from fishlive.faults import Fault, read_faults
from fishlive.limits import MAX_MESSAGE_BYTES, MIB
from fishlive.secret import LOCAL_KEY
from fishlive.server.guard import check_idle, check_keys

DEFAULT_CONCURRENCY: Final = 1000
"""Utterances at once, unless told otherwise: a bound on memory, out of the way of a test that is
not about it. The service's own limits are 5, 15 and 50 (pricing page, 2026-08-21)."""

MAX_CONNECTIONS: Final = 4096
"""Connections at once, WebSockets among them: a bound on file descriptors, four times what may
speak at once."""

IDLE_S: Final = 900.0
"""How long a WebSocket may say nothing while nothing is spoken, in seconds. The service documents
no such limit; a model that thinks for five minutes must not meet one, a socket that was forgotten
should."""

MAX_BODY_BYTES: Final = 50 * MIB
"""Largest HTTP body: the service answers 413 above some 50 MiB (observed, api notes, 2026-10)."""

MAX_TEXT_BYTES: Final = 1 * MIB
"""UTF-8 bytes of text one utterance may hold: the limit of the service's compatible endpoints
(compat pages, 2026-08), a day of speech. Reading never pauses, so this is what bounds memory."""


Era = Literal["2025", "2026-05", "2026-06", "2026-09"]
Callbacks = Literal["once", "never", "twice", "early", "out-of-order", "failure-first", "garbage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How fast the service speaks.

    Attributes:
        first_audio_s: Seconds from a text's arrival to its first audio.
        real_time_factor: Seconds it takes to make one second of audio; 0 for as fast as it goes.
        event_s: Seconds of audio in one ``audio`` event.
    """

    first_audio_s: float
    real_time_factor: float
    event_s: float

    def __post_init__(self) -> None:
        """Refuse numbers that no service can have."""
        if self.first_audio_s < 0 or self.real_time_factor < 0 or self.event_s <= 0:
            raise ConfigError("a profile's numbers are not negative", argument="profile")


ProfileName = Literal["instant", "fish-low", "fish-balanced", "fish-normal"]

_FISH_FACTOR: Final = 0.13
"""The second event, 464 ms of audio, comes 60 ms after the first (livekit agents#6423, n=150)."""

_FISH_EVENT_S: Final = 20480 / 44100
"""First and second event are 460 to 464 ms long (livekit agents#6368, #6423): 20480 samples."""

_INSTANT_EVENT_S: Final = 0.1
"""A tenth of a second is 8.8 KB of 44.1 kHz PCM: small enough that a listener's position is known
to the syllable, large enough that frames cost nothing, far under any client's message limit (the
smallest known default is 64 KiB)."""

PROFILES: Final[dict[str, Profile]] = {
    "instant": Profile(first_audio_s=0.0, real_time_factor=0.0, event_s=_INSTANT_EVENT_S),
    # 100 ms is the documented time to first audio of s2-pro (models overview, 2026-08).
    "fish-low": Profile(first_audio_s=0.1, real_time_factor=_FISH_FACTOR, event_s=_FISH_EVENT_S),
    # "balanced" some 300 ms, "normal" some 500 ms (real-time streaming page, 2026-08).
    "fish-balanced": Profile(
        first_audio_s=0.3, real_time_factor=_FISH_FACTOR, event_s=_FISH_EVENT_S
    ),
    "fish-normal": Profile(first_audio_s=0.5, real_time_factor=_FISH_FACTOR, event_s=_FISH_EVENT_S),
}
"""Profiles by name. The fish ones speak as fast as the service is documented or was seen to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set on a local server; the defaults suit deployed clients.

    Attributes:
        keys: API keys that are accepted; they share one account. Anything else is a 401. None may
            look like a real one.
        accept_any_key: Whether every key is accepted, real ones too. They are not kept.
        allow_remote: Whether it may listen on an address that other machines reach. Its keys then
            have 16 characters at least.
        credit: US dollars on the account; None for no end. Empty is a 402, except for the free
            model. An utterance that was begun is spoken to its end.
        concurrency: Utterances that may run at once, over WebSocket and HTTP together. A slot is
            held from ``start`` to ``finish``, or to the end of the connection.
        concurrency_refusal: How a WebSocket client over the limit is told: ``event``, an
            ``error`` event with ``max_concurrency`` (documented for the timestamp endpoint), or
            ``upgrade``, a 429 instead of the 101; then a ``start`` on an open socket can still
            only be refused by the event. HTTP is always a 429.
        idle_sockets_count: Whether an open socket holds a slot all its life (undocumented).
        retry_after_s: Seconds for a ``Retry-After`` header on a 429; None sends none, as seen of
            the service.
        close_after_finish: Whether ``finish`` closes the socket. None does as documented: closes
            on ``/v1/tts/live`` (asyncapi.yml), stays on ``/v1/tts/live/with-timestamp``.
        profile: How fast it speaks, by name or as a :class:`Profile`.
        first_audio_s: Replaces the profile's, in seconds.
        real_time_factor: Replaces the profile's.
        strict: Refuses what the documents say is refused, and steps out of order.
        data: Folder that keeps voices and dictionaries between runs, in ``fishlive.sqlite3``; it
            is made if it is missing. One server at a time uses it. None keeps them in memory.
        training_s: Seconds from a voice's creation to ``trained`` (or ``failed``). 0 as documented:
            "fast means model instantly available after creation".
        max_message_bytes: Largest WebSocket message; a larger one closes with 1009.
        max_body_bytes: Largest HTTP body; a larger one is a 413. One that is not there after a
            minute ends its connection.
        max_connections: Connections at once; a request on one more is a 503.
        idle_s: Seconds a WebSocket may say nothing while nothing is spoken; then it is closed with
            1001. None for as long as it likes.
        max_text_bytes: Most text in one utterance, in bytes of UTF-8.
        hosts: Host names, besides loopback's and the bound one, that requests may be addressed
            to and web pages may come from.
        era: Whose answers the gateways give: 2025, 2026-05, 2026-06 or 2026-09.
        task_s: How long a gateway's task takes beside its work, in seconds.
        callbacks: How a gateway tells of a task's end: ``once``, ``never``, ``twice``, ``early``
            (before the acknowledgement), ``out-of-order`` (each waits for the next),
            ``failure-first`` (a failure, then the truth), ``garbage``.
        allow_local_webhooks: Whether callbacks may go to loopback.
        faults: What goes wrong, as :mod:`fishlive.faults` writes it: ``["rst@audio:3"]``.
        allow_local_links: Whether links that a gateway is sent are fetched, from loopback only;
            otherwise they are recorded and left alone.
    """

    keys: tuple[str, ...] = field(default=(LOCAL_KEY,), repr=False)
    accept_any_key: bool = False
    allow_remote: bool = False
    credit: float | None = None
    concurrency: int = DEFAULT_CONCURRENCY
    concurrency_refusal: Literal["event", "upgrade"] = "event"
    idle_sockets_count: bool = False
    retry_after_s: float | None = None
    close_after_finish: bool | None = None
    profile: Profile | ProfileName = "instant"
    first_audio_s: float | None = None
    real_time_factor: float | None = None
    strict: bool = False
    data: Path | str | None = None
    training_s: float = 0.0
    max_message_bytes: int = MAX_MESSAGE_BYTES
    max_body_bytes: int = MAX_BODY_BYTES
    max_text_bytes: int = MAX_TEXT_BYTES
    max_connections: int = MAX_CONNECTIONS
    idle_s: float | None = IDLE_S
    hosts: tuple[str, ...] = ()
    era: Era = "2026-09"
    task_s: float = 0.0
    callbacks: Callbacks = "once"
    allow_local_webhooks: bool = False
    allow_local_links: bool = False
    faults: Sequence[Fault | str | Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        """Raise ConfigError for a setting that cannot be."""
        keys: object = self.keys  # "local" is a sequence of strings too, and a likely slip
        if not isinstance(keys, tuple) or not keys or not all(keys):
            raise ConfigError("keys is a tuple of at least one key", argument="keys")
        check_keys(self.keys, any_key=self.accept_any_key)
        check_idle(self.idle_s)
        if self.concurrency_refusal not in ("event", "upgrade"):
            raise ConfigError("'event' or 'upgrade'", argument="concurrency_refusal")
        for name in ("concurrency", *(n for n in self.__slots__ if n.startswith("max_"))):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is at least 1", argument=name)
        if not (math.isfinite(self.training_s) and self.training_s >= 0):
            raise ConfigError(
                "training_s is a number of seconds, at least 0", argument="training_s"
            )
        if self.credit is not None and not math.isfinite(self.credit):
            raise ConfigError("credit is a number of US dollars, or None", argument="credit")
        for name, known in (("era", get_args(Era)), ("callbacks", get_args(Callbacks))):
            if getattr(self, name) not in known:
                raise ConfigError(f"one of {', '.join(known)}", argument=name)
        if not 0 <= self.task_s < float("inf"):
            raise ConfigError("a number of seconds from 0", argument="task_s")
        _ = self.pace
        object.__setattr__(self, "faults", read_faults(self.faults))

    @property
    def pace(self) -> Profile:
        """The profile with what was set by hand. Raises ConfigError for an unknown name."""
        chosen = self.profile
        if not isinstance(chosen, Profile):
            if chosen not in PROFILES:
                known = ", ".join(PROFILES)
                raise ConfigError(f"no profile {chosen!r}: choose {known}", argument="profile")
            chosen = PROFILES[chosen]
        first, factor = self.first_audio_s, self.real_time_factor
        return Profile(
            first_audio_s=chosen.first_audio_s if first is None else first,
            real_time_factor=chosen.real_time_factor if factor is None else factor,
            event_s=chosen.event_s,
        )

    def closes(self, *, timed: bool) -> bool:
        """Return whether ``finish`` closes the socket of this endpoint."""
        return not timed if self.close_after_finish is None else self.close_after_finish
