"""The one way in which calls other than live speech reach the service.

One aiohttp session, opened by the first call; deadlines by phase, errors of our tree, retries,
and the account's slots. Redirects are not followed, cookies are not kept, no proxy is used unless
the caller's own ClientSession has one, and compressed answers are not asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import random
import ssl
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import aiohttp
import anyio
from aiohttp import ClientSession
from yarl import URL

from fishlive.errors import (
    FishLiveError,
    ForkedProcessError,
    SlotTimeout,
    StreamClosedError,
    WrongLoopError,
)
from fishlive.flow.governor import Governor, Slot
from fishlive.flow.retry import RetryPolicy, TokenBucket, may_repeat
from fishlive.limits import MIB
from fishlive.secret import Secret
from fishlive.transport.call import (
    Answer,
    Call,
    Timeouts,
    json_body,
    msgpack_body,
    quote_id,
)
from fishlive.transport.dial import system_tls
from fishlive.transport.http_failure import failed
from fishlive.transport.http_feed import Feed
from fishlive.transport.http_session import open_session
from fishlive.transport.http_stream import AnswerStream, Refuse, read_json, read_whole
from fishlive.transport.patience import Patience
from fishlive.transport.refusal import refusal

__all__ = [
    "Answer",
    "AnswerStream",
    "Call",
    "ClientSession",
    "Http",
    "Timeouts",
    "json_body",
    "msgpack_body",
    "quote_id",
]

MAX_JSON_BYTES: Final = 64 * MIB
"""Largest answer that is read as JSON, in bytes: four designed voices of a minute in base64."""

MAX_BODY_BYTES: Final = 1024 * MIB
"""Largest answer that is held whole, in bytes: three hours of 44.1 kHz PCM. Streams have none."""

_NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None)
"""The phases have deadlines of our own; aiohttp would count a slow listener as a slow service."""

T = TypeVar("T")


class Http:
    """Makes calls to one origin with one key.

    Args:
        base_url: Scheme, host and port.
        key: Goes into ``Authorization`` unless the call has one; None sends none.
        tls: For ``https``; None verifies with the system's certificates.
        session: Whose connections, TLS settings, proxy and traces to use instead of our own. Never
            closed here; its headers, cookies and credentials are not sent.
        timeouts: Unless a call has its own.
        retry: How stubborn to be.
        bucket: Tokens for retries, shared by all who speak to this origin with this key.
        governor: Where calls with ``slot=True`` get theirs; None for no limit.
        refuse: What a refusal means: status, headers and body to an error.
        jitter: Gives numbers from 0 to 1.
    """

    def __init__(
        self,
        *,
        base_url: str,
        key: Secret | None,
        tls: ssl.SSLContext | None = None,
        session: ClientSession | None = None,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        bucket: TokenBucket | None = None,
        governor: Governor | None = None,
        refuse: Refuse = refusal,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.base_url: str = base_url.rstrip("/")
        self._key = key
        self._tls = tls
        self._given = session
        self._own: ClientSession | None = None
        self._timeouts = timeouts or Timeouts()
        self._retry = retry or RetryPolicy()
        self._bucket = bucket or TokenBucket()
        self._governor = governor
        self._refuse = refuse if key is None else partial(_scrubbed, refuse, key)
        self._jitter = jitter
        self._streams: weakref.WeakSet[AnswerStream] = weakref.WeakSet()
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()

    async def json(self, call: Call) -> Any:
        """Return an answer's JSON; None for an empty one.

        Raises as :meth:`bytes`, and:

        Raises:
            ProtocolError: It is no JSON, or over MAX_JSON_BYTES.
        """
        return await self._attempts(call, partial(read_json, most_bytes=MAX_JSON_BYTES))

    async def bytes(self, call: Call, *, most_bytes: int = MAX_BODY_BYTES) -> Answer:
        """Return a whole answer.

        Raises as :meth:`stream`, and:

        Raises:
            ProtocolError: It is over ``most_bytes``.
            ConnectionLost, StallTimeout: It broke off; a safe call has been repeated.
        """
        return await self._attempts(call, partial(read_whole, most_bytes=most_bytes))

    @contextlib.asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[AnswerStream]:
        """Open an answer and yield it while it still comes.

        Repeated only until its head is there. Leaving early closes the connection. Cancelling
        closes it too, at any point.

        Raises:
            ConfigError: A part of the upload cannot be read; nothing was sent.
            ConnectError: No connection.
            StallTimeout: A phase took too long: ``send``, ``first_byte``, ``body`` or ``total``.
            ConnectionLost: It ended too soon.
            APIStatusError: The service refused; its subclass says why.
            SlotTimeout: Other calls kept all slots.
            ProtocolError: It is compressed.
            UpgradeError: A redirect, or something that does not speak HTTP.
            StreamClosedError: The session was closed.
            WrongLoopError, ForkedProcessError: The session belongs elsewhere.
        """
        stream = await self._attempts(call, _as_it_comes)
        try:
            yield stream
        finally:
            stream.close()

    async def aclose(self) -> None:
        """Close the connections. Calls that still run fail. Idempotent."""
        self._closed = True
        own, self._own = self._own, None
        if own is None or os.getpid() != self._pid:
            return  # a child's copies of sockets are the parent's to close
        for stream in list(self._streams):
            stream.close()
        if self._loop is not None and self._loop.is_closed():
            own.detach()  # its connections ended with their loop
        else:
            await own.close()

    # One call, as often as it takes

    async def _attempts(self, call: Call, use: Callable[[AnswerStream], Awaitable[T]]) -> T:
        timeouts = call.timeouts or self._timeouts
        if call.body is not None and not isinstance(call.body, bytes):
            await call.body.prepare()
        began_s = anyio.current_time()
        ends_at = math.inf if timeouts.total_s is None else began_s + timeouts.total_s
        attempt = 0
        while True:
            attempt += 1
            patience = Patience(timeouts, ends_at)
            try:
                return await self._attempt(call, patience, attempt, use)
            except FishLiveError as error:
                error.attempts = attempt
                began_s, ends_at = began_s + patience.excused_s, patience.ends_at
                elapsed_s = anyio.current_time() - began_s
                delay_s = self._delay_s(call, error, patience, attempt, elapsed_s)
                if delay_s is None or anyio.current_time() + delay_s >= ends_at:
                    raise
            await anyio.sleep(delay_s)

    def _delay_s(
        self, call: Call, error: FishLiveError, patience: Patience, attempt: int, elapsed_s: float
    ) -> float | None:
        """Return how long to wait before the next attempt; None for no more."""
        if isinstance(error, SlotTimeout):
            return None  # the caller has waited as long as it would
        repeat = may_repeat(error, safe=call.safe, sent=patience.sent)
        if not (repeat or error.retryable):
            return None
        # Every failure that may pass costs a token, whether it is repeated or not.
        allowed = self._bucket.fail()
        if not (allowed and repeat and call.repeatable):
            return None
        return self._retry.delay_s(error, attempt=attempt, elapsed_s=elapsed_s, jitter=self._jitter)

    async def _attempt(
        self,
        call: Call,
        patience: Patience,
        attempt: int,
        use: Callable[[AnswerStream], Awaitable[T]],
    ) -> T:
        slot = await self._slot(call)
        if slot is not None:
            patience.excuse(slot.waited_s)
        stream: AnswerStream | None = None
        try:
            feed = Feed(call.body, patience)
            response = await self._head(call, feed, patience)
            stream = AnswerStream(
                response, patience, feed=feed, slot=slot, attempt=attempt, refuse=self._refuse
            )
            self._note(stream)
            await stream.check()
            result = await use(stream)
        except BaseException as error:
            if stream is not None:
                stream.abandon(error)
            elif slot is not None:
                slot.failed(error)
                slot.release(well=False)
            raise
        self._bucket.succeed()
        return result

    async def _slot(self, call: Call) -> Slot | None:
        if self._governor is None or not call.slot:
            return None
        return await self._governor.slot(priority=call.priority)

    def _note(self, stream: AnswerStream) -> None:
        if self._governor is not None:
            self._governor.learn_headers(stream.headers)
        if self._closed:
            raise StreamClosedError("the session is closed")
        self._streams.add(stream)

    async def _head(self, call: Call, feed: Feed, patience: Patience) -> aiohttp.ClientResponse:
        """Send the request and return the answer, of which the head is there."""
        session = self._session()
        url = URL(self._url(call), encoded=True)
        failure: BaseException | None = None
        with patience.scope():
            try:
                return await session.request(
                    call.method,
                    url,
                    headers=self._headers(call, feed),
                    data=feed.data(),
                    allow_redirects=False,
                    raise_for_status=False,
                    timeout=_NO_TIMEOUT,
                    trace_request_ctx=patience,
                    ssl=self._verification(),
                )
            except asyncio.CancelledError as error:
                # Its frames have the request's headers, and somebody may print them.
                raise error.with_traceback(None)  # noqa: B904 - it is the same one
            except Exception as error:  # noqa: BLE001 - nothing foreign escapes
                failure = feed.error or failed(error, sent=patience.sent)
        # Out here it has no context: aiohttp's errors carry the request's headers.
        raise failure or patience.late() or failed(EOFError(), sent=patience.sent)

    def _url(self, call: Call) -> str:
        query = f"?{urlencode(call.query)}" if call.query else ""
        return f"{self.base_url}{call.path}{query}"

    def _headers(self, call: Call, feed: Feed) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity", "User-Agent": "fishlive", **call.headers}
        if isinstance(call.body, bytes):
            headers["Content-Type"] = call.content_type or "application/octet-stream"
        elif call.body is not None:
            headers["Content-Type"] = call.body.content_type
        if feed.length_bytes is not None:
            headers["Content-Length"] = str(feed.length_bytes)
        if self._key is not None:
            headers.setdefault("Authorization", f"Bearer {self._key.reveal()}")
        return headers

    def _verification(self) -> ssl.SSLContext | bool:
        """Return how to verify; True leaves it to the connections, which are the caller's."""
        if self._tls is not None:
            return self._tls
        ours = self._given is None and self.base_url.startswith("https")
        return system_tls() if ours else True

    def _session(self) -> ClientSession:
        if self._closed:
            raise StreamClosedError("the session is closed")
        if os.getpid() != self._pid:
            raise ForkedProcessError("the session belongs to the parent process: make a new one")
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not loop:
            raise WrongLoopError("the session is in use in another event loop")
        if self._own is None or getattr(self._given, "closed", False):
            self._own = open_session(self._given)
        self._loop = loop
        return self._own


def _scrubbed(
    refuse: Refuse, key: Secret, status: int, headers: Mapping[str, str], body: bytes
) -> FishLiveError:
    """Return what a refusal means, without the key, which some services repeat."""
    return refuse(status, headers, key.scrub(body))


async def _as_it_comes(stream: AnswerStream) -> AnswerStream:
    return stream
