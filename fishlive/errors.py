"""Everything fishlive raises on its own account, sorted by what the caller should do.

FishLiveError
├── ConfigError                 fix the argument it names; nothing was sent
│   └── InvalidTextError        the text source yielded something that is not text
├── UsageError                  fix the program: the call does not fit the object's state
│   ├── StreamClosedError           it was closed
│   ├── ConcurrentIterationError    two tasks read one utterance; this is the second
│   ├── WrongLoopError              it belongs to another event loop
│   └── ForkedProcessError          it belongs to the parent process
├── BudgetExceeded              your own budget: raise it, or say less; nothing more was sent
├── TaskTimeout                 a gateway's task goes on: wait again, by its id
├── StoreError                  the state of tasks could not be read or written: try again
├── SignatureError              a webhook is not what its signature says: refuse it
├── SlotTimeout                 our own queue was too long: send less at once, or wait longer
├── UtteranceInterrupted        stop producing: this utterance was interrupted
├── TextSourceError             ask your LLM: its stream reported a failure
├── ConnectError                try again: no connection came about
│   ├── DNSError                    the resolver failed for now
│   │   └── HostNotFoundError           there is no such host: check the URL
│   ├── TLSError                    the certificate or handshake is wrong: check it
│   ├── ConnectTimeout              it took too long
│   └── UpgradeError                something answered that is no live endpoint: check the URL
├── APIStatusError              the service refused; the class says why
│   ├── AuthenticationError         401: check the key
│   ├── InsufficientCreditsError    402: top up
│   ├── PermissionDeniedError       403: ask the owner
│   ├── NotFoundError               404: check the id
│   ├── ConflictError               409: somebody was faster; read again
│   ├── InvalidRequestError         400, 422 and other 4xx: fix the request
│   ├── RateLimitError              429: wait ``retry_after_s``
│   │   └── ConcurrencyLimitError       too many at once: wait for one to end
│   └── ServerError                 408, 425, 5xx: try again
├── StreamInterrupted           speech was cut off; what arrived was delivered first
│   ├── ConnectionLost              the network went away
│   ├── StallTimeout                the service owed audio and stayed silent
│   └── ServerClosed                the service closed before ``finish``
│       └── ServerRejected              and will do so again: do not retry as it is
├── SynthesisError              the service gave up on this text
└── ProtocolError               somebody broke the live protocol: report it
    └── MessageTooLarge             a message over the limit
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

__all__ = [
    "APIStatusError",
    "AuthenticationError",
    "BudgetExceeded",
    "ConcurrencyLimitError",
    "ConcurrentIterationError",
    "ConfigError",
    "ConflictError",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionLost",
    "DNSError",
    "FishLiveError",
    "ForkedProcessError",
    "HostNotFoundError",
    "InsufficientCreditsError",
    "InvalidRequestError",
    "InvalidTextError",
    "MessageTooLarge",
    "NotFoundError",
    "PermissionDeniedError",
    "ProtocolError",
    "RateLimitError",
    "ServerClosed",
    "ServerError",
    "ServerRejected",
    "SignatureError",
    "SlotTimeout",
    "StallTimeout",
    "StoreError",
    "StreamClosedError",
    "StreamInterrupted",
    "SynthesisError",
    "TLSError",
    "TaskTimeout",
    "TextSourceError",
    "UpgradeError",
    "UsageError",
    "UtteranceInterrupted",
    "WrongLoopError",
]


class Account(Protocol):
    """What became of every character of an utterance; see :class:`fishlive.text.ledger.Ledger`."""

    @property
    def heard_text(self) -> str:
        """What was heard, up to a word border."""

    @property
    def unheard_text(self) -> str:
        """What was not. Behind ``heard_text`` it makes the whole text."""

    @property
    def spoken(self) -> str:
        """Text whose audio is known to have arrived."""

    @property
    def maybe_spoken(self) -> str:
        """Text that was sent, and may or may not have been spoken."""

    @property
    def unsent(self) -> str:
        """Text that never left."""

    @property
    def confidence(self) -> float:
        """How far ``heard_text`` can be trusted, 0 to 1."""

    @property
    def billed_utf8_bytes(self) -> int:
        """Text sent, as the service bills it, replays included."""

    @property
    def cost_usd(self) -> float | None:
        """An estimate of its price in US dollars; None if that is not known."""


class FishLiveError(Exception):
    """Root of the tree: ``except FishLiveError`` misses nothing of ours.

    Attributes:
        retryable: Whether the same call, unchanged, may succeed on a new connection.
        audio_bytes: Bytes of audio received for the utterance before the failure.
        trace_id: What the service calls the request in its logs, if it said so.
        attempts: How often it was tried, this failure included; 0 if it never was.
    """

    retryable: ClassVar[bool] = False
    audio_bytes: int = 0
    attempts: int = 0
    trace_id: str | None = None
    _account: Callable[[], Account] | None = None

    @property
    def ledger(self) -> Account | None:
        """What became of every character of the utterance that failed; None if none did.

        Made when somebody looks: its text is what it was when it failed, what was heard is more
        as long as audio from before that is read.
        """
        return None if self._account is None else self._account()

    @property
    def heard_text(self) -> str | None:
        """Text that was heard, up to a word border; None if no utterance failed."""
        return None if self.ledger is None else self.ledger.heard_text

    @property
    def unheard_text(self) -> str | None:
        """Text that was not. Behind ``heard_text`` it makes the whole text."""
        return None if self.ledger is None else self.ledger.unheard_text

    def __reduce__(self) -> tuple[Any, ...]:
        # Facts are keyword arguments, which Exception's own pickling would drop.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(
    cls: type[FishLiveError], args: tuple[Any, ...], facts: dict[str, Any]
) -> FishLiveError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(facts)
    return error


class ConfigError(FishLiveError, ValueError):
    """An argument is wrong. Raised before anything is sent.

    Attributes:
        argument: The name of the argument, as the caller wrote it.
    """

    def __init__(self, message: str, *, argument: str | None = None) -> None:
        super().__init__(message)
        self.argument = argument


class InvalidTextError(ConfigError, TypeError):
    """A text source yielded something that is not text.

    Attributes:
        index: Position of the item in the source, from 0; None for a direct ``send``.
    """

    def __init__(self, message: str, *, index: int | None = None) -> None:
        where = "" if index is None else f"item {index} of the text source: "
        super().__init__(where + message, argument="text")
        self.index = index


class UsageError(FishLiveError, RuntimeError):
    """The call does not fit the state of the object it was made on."""


class StreamClosedError(UsageError):
    """The session, channel or utterance was closed."""


class ConcurrentIterationError(UsageError):
    """Another task reads this utterance already; it is not affected."""


class WrongLoopError(UsageError):
    """The object was made in another event loop."""


class ForkedProcessError(UsageError):
    """The object was made before a fork, in the parent process."""


class BudgetExceeded(FishLiveError):
    """Text would have cost more than the caller's own budget allows. That text was not sent.

    Attributes:
        spent: What was spent before, in ``unit``.
        limit: The budget, in ``unit``.
        asked: What this text would have cost, in ``unit``.
        unit: ``usd`` (US dollars, an estimate) or ``bytes`` (UTF-8, as billed).
    """

    def __init__(
        self, message: str, *, spent: float, limit: float, asked: float, unit: str
    ) -> None:
        super().__init__(message)
        self.spent = spent
        self.limit = limit
        self.asked = asked
        self.unit = unit

    def __str__(self) -> str:
        facts = f"{self.spent:g} spent, {self.asked:g} asked, {self.limit:g} allowed"
        return f"{super().__str__()} ({facts}, in {self.unit})"


class SlotTimeout(FishLiveError, TimeoutError):
    """The account's slots stayed taken for longer than the caller would wait. Nothing was sent.

    Attributes:
        limit: How many requests may run at once.
        waited_s: How long it waited, in seconds.
    """

    retryable = True

    def __init__(self, message: str, *, limit: int, waited_s: float) -> None:
        super().__init__(message)
        self.limit = limit
        self.waited_s = waited_s


class TaskTimeout(FishLiveError, TimeoutError):
    """A gateway's task was not over in time. It goes on there, and can be waited for again.

    Attributes:
        task_id: Which task.
    """

    def __init__(self, message: str, *, task_id: str) -> None:
        super().__init__(message)
        self.task_id = task_id


class StoreError(FishLiveError):
    """The store of tasks could not be read or written. Nothing was changed, or it is not known."""

    retryable = True


class SignatureError(FishLiveError):
    """A webhook is not what its signature says, or has none. The sender learns no more than that.

    Attributes:
        reason: For the log: which step failed. It holds nothing of the body, nor of a secret.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the webhook's signature is not valid ({self.reason})"


class UtteranceInterrupted(FishLiveError):
    """The utterance was interrupted: stop producing text for it."""


class TextSourceError(FishLiveError):
    """The LLM's stream reported a failure as one of its events."""


class ConnectError(FishLiveError, ConnectionError):
    """No connection came about.

    Attributes:
        phase: ``dns``, ``tcp``, ``tls`` or ``upgrade``.
    """

    retryable = True

    def __init__(self, message: str, *, phase: str = "tcp") -> None:
        super().__init__(message)
        self.phase = phase


class DNSError(ConnectError):
    """The resolver failed, for now."""

    def __init__(self, message: str) -> None:
        super().__init__(message, phase="dns")


class HostNotFoundError(DNSError):
    """There is no such host."""

    retryable = False


class TLSError(ConnectError):
    """The certificate does not verify, or no common TLS version exists."""

    retryable = False

    def __init__(self, message: str) -> None:
        super().__init__(message, phase="tls")


class ConnectTimeout(ConnectError, TimeoutError):
    """DNS, TCP, TLS and upgrade together took longer than allowed."""


class UpgradeError(ConnectError):
    """Something answered, but not as a WebSocket server does."""

    retryable = False

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message, phase="upgrade")
        self.status = status


class APIStatusError(FishLiveError):
    """The service refused, by HTTP status or by an ``error`` event.

    Attributes:
        status: HTTP status; None when an event said it.
        message: The service's own sentence, capped and without control characters.
        reason: Its machine-readable reason, if any.
        retry_after_s: Seconds the service asks to wait, if it said so.
    """

    advice: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        reason: str | None = None,
        retry_after_s: float | None = None,
        trace_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.trace_id = trace_id

    def __str__(self) -> str:
        code = "" if self.status is None else f"{self.status} "
        wait = "" if self.retry_after_s is None else f" (retry after {self.retry_after_s:g} s)"
        advice = f": {self.advice}" if self.advice else ""
        return f"{code}{self.message}{wait}{advice}"


class AuthenticationError(APIStatusError):
    """401: the key is missing or wrong."""

    advice = "check the API key"


class InsufficientCreditsError(APIStatusError):
    """402: the API wallet is empty. It is separate from the platform's credits."""

    advice = "top up the API credit at https://fish.audio/app/billing"


class PermissionDeniedError(APIStatusError):
    """403: the key may not do this. Not the builtin PermissionError."""


class NotFoundError(APIStatusError):
    """404: no such thing."""


class ConflictError(APIStatusError):
    """409: it was changed by somebody else."""


class InvalidRequestError(APIStatusError):
    """400, 422 or another 4xx: the service understood and says no."""


class RateLimitError(APIStatusError):
    """429: too much at once."""

    retryable = True


class ConcurrencyLimitError(RateLimitError):
    """More requests run at once than the account may.

    Attributes:
        max_concurrency: How many may run, if the service said so.
    """

    def __init__(self, message: str, *, max_concurrency: int | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.max_concurrency = max_concurrency


class ServerError(APIStatusError):
    """408, 425 or 5xx: the service failed."""

    retryable = True


class StreamInterrupted(FishLiveError):
    """Speech was cut off before ``finish``. What had arrived was delivered first."""

    retryable = True


class ConnectionLost(StreamInterrupted, ConnectionError):
    """The connection ended without a close frame."""


class StallTimeout(StreamInterrupted, TimeoutError):
    """The service owed audio, or room for text, and stayed silent.

    Attributes:
        phase: ``first_audio``, ``audio`` or ``send``.
    """

    def __init__(self, message: str, *, phase: str) -> None:
        super().__init__(message)
        self.phase = phase


class ServerClosed(StreamInterrupted):
    """The service closed the socket before ``finish``.

    Attributes:
        close_code: WebSocket close code (RFC 6455, section 7.4); 1005 if it gave none.
        reason: Its reason, capped and without control characters.
    """

    def __init__(self, close_code: int, reason: str = "") -> None:
        super().__init__(close_code, reason)
        self.close_code = close_code
        self.reason = reason

    def __str__(self) -> str:
        reason = f": {self.reason}" if self.reason else ""
        return f"the service closed before finish (code {self.close_code}){reason}"


class ServerRejected(ServerClosed):
    """Closed with a code that says the same would happen again (1002, 1003, 1007 to 1010)."""

    retryable = False


class SynthesisError(FishLiveError):
    """The service gave up on this text: ``finish`` with any reason but ``stop``, or ``error``.

    Attributes:
        reason: The reason it gave.
        message: Its sentence, capped and without control characters; may be empty.
    """

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        detail = f": {self.message}" if self.message else ""
        return f"synthesis failed ({self.reason}){detail}"


class ProtocolError(FishLiveError):
    """A message that the live protocol does not allow, from either side."""


class MessageTooLarge(ProtocolError):
    """A message is over the limit; refused from its header where the transport can."""
