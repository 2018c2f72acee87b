"""What both gateways share: the same product under two names."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Any, ClassVar, Final, TypeVar
from urllib.parse import urlsplit

from fishlive.errors import ConfigError, ProtocolError
from fishlive.flow.retry import RetryPolicy, shared_bucket
from fishlive.gateways.nouns import Audios, GatewayTTS, GatewayVoices, Models
from fishlive.gateways.refusals import gateway_refusal, refusal_in
from fishlive.gateways.tasks import Tasks
from fishlive.limits import MIB
from fishlive.secret import Secret
from fishlive.transport.http import Call, ClientSession, Http, Timeouts, json_body
from fishlive.wire.events import plain_text

MAX_ANSWER_BYTES: Final = 16 * MIB
"""Largest answer, in bytes: fifty records of tasks are under one."""

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

SYNC_S: Final = 300.0
"""From a request to its answer when the gateway answers with the audio, in seconds: one to two
minutes by the guides; the first-party SDK waits so long."""


GatewayT = TypeVar("GatewayT", bound="Gateway")


class Gateway:
    """A client of a gateway. An async context manager.

    The paid calls answer with the result, or, by ``submit``, with a handle at once. None of them
    is repeated once it may have been carried out.

    Args:
        token: The gateway's own token, not one of fish.audio; from the environment if None.
        base_url: ``https://…``; plain ``http`` only to loopback, unless ``allow_insecure``.
        prefix: What stands before ``/fish`` in every path. The gateway's own one unless told; not
            added again if ``base_url`` ends with it, as the pages of xhuoapi print it.
        tls: For ``https``; None verifies with the system's certificates.
        timeouts: By phase; the answer's first byte has SYNC_S unless told.
        retry: How stubborn to be with calls that do no harm twice.
        http_session: Whose connections to use; not closed here.
        allow_insecure: Whether a token may travel unencrypted to another machine.

    Raises:
        ConfigError: No token, or an argument that cannot be right.
    """

    name: ClassVar[str]
    token_env: ClassVar[str]
    default_base_url: ClassVar[str]
    default_prefix: ClassVar[str] = ""
    lone_voice_as_text: ClassVar[bool] = False
    """Whether one address of a recording is sent as text and not as a list of one."""
    _where: str = "without an address"

    def __init__(
        self,
        token: str | Secret | None = None,
        *,
        base_url: str | None = None,
        prefix: str | None = None,
        tls: ssl.SSLContext | None = None,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        http_session: ClientSession | None = None,
        allow_insecure: bool = False,
    ) -> None:
        try:
            key = self._key(token)
        finally:
            del token  # tracebacks are printed with their locals
        url = _checked(base_url or self.default_base_url, allow_insecure=allow_insecure)
        if prefix is None:
            prefix = "" if url.endswith(self.default_prefix or "/") else self.default_prefix
        self._prefix = _checked_prefix(prefix)
        self._where = url + self._prefix
        self._http = Http(
            base_url=url,
            key=key,
            tls=tls,
            session=http_session,
            timeouts=timeouts or Timeouts(first_byte_s=SYNC_S),
            retry=retry,
            bucket=shared_bucket(url, key.reveal()),
            refuse=gateway_refusal,
        )
        self.action: str = "generate"
        """The word for speech in ``audios``: what was not refused last."""
        self.audios: Audios = Audios(self)
        self.voices: GatewayVoices = GatewayVoices(self)
        self.tts: GatewayTTS = GatewayTTS(self)
        self.model: Models = Models(self)
        self.tasks: Tasks = Tasks(self)

    @classmethod
    def _key(cls, given: str | Secret | None) -> Secret:
        if isinstance(given, Secret):
            return given
        if given is None:
            given = os.environ.get(cls.token_env)
        if not given:
            raise ConfigError(f"no token: pass token, or set {cls.token_env}", argument="token")
        try:
            return Secret(given, argument="token")
        finally:
            del given

    async def __aenter__(self: GatewayT) -> GatewayT:  # noqa: PYI019  # Self is 3.11's
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections. Idempotent."""
        await self._http.aclose()

    def __repr__(self) -> str:
        return f"<fishlive.gateways.{type(self).__name__} {self._where}>"

    async def post(
        self,
        noun: str,
        fields: Mapping[str, object],
        *,
        safe: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Post to ``/fish/{noun}`` and return the JSON; a refusal under status 200 is one too."""
        body, content_type = json_body(fields)
        call = Call(
            method="POST",
            path=self.path(noun),
            headers=headers or {},
            body=body,
            content_type=content_type,
            safe=safe,
        )
        return await self._ask(call, is_record=noun == "tasks")

    async def get(self, path: str, query: tuple[tuple[str, str], ...] = ()) -> Any:
        """Get ``/fish/{path}`` and return the JSON."""
        call = Call(method="GET", path=self.path(path), query=query, safe=True)
        return await self._ask(call)

    def path(self, noun: str) -> str:
        """Return the whole path of a noun."""
        return f"{self._prefix}/fish/{noun}"

    async def _ask(self, call: Call, *, is_record: bool = False) -> Any:
        """Return an answer's JSON, with the trace id of its headers if it has none itself."""
        answer = await self._http.bytes(call, most_bytes=MAX_ANSWER_BYTES)
        trace_id = plain_text(answer.headers.get("x-trace-id")) or answer.trace_id
        said = _read(answer.body, trace_id)
        if not isinstance(said, dict) or is_record:
            return said
        if trace_id and not said.get("trace_id"):
            said["trace_id"] = trace_id
        error = refusal_in(said)  # a refusal in the disguise of a success
        if error is not None:
            raise error
        return said


def _read(body: bytes, trace_id: str | None) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        failure = ProtocolError("the gateway's answer is not JSON")
    failure.trace_id = trace_id
    raise failure


def _checked(url: str, *, allow_insecure: bool) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"base_url is no URL: {error}", argument="base_url") from error
    if parts.scheme not in {"http", "https"} or not host or not url.isprintable():
        raise ConfigError("base_url starts with https:// and names a host", argument="base_url")
    if parts.username or parts.query or parts.fragment:
        raise ConfigError("base_url has no user, query or fragment", argument="base_url")
    if parts.scheme == "http" and host not in _LOOPBACK and not allow_insecure:
        raise ConfigError(
            "base_url is http:// to another machine, where redirects lose the token and the "
            "network sees it; use https://, or allow_insecure=True",
            argument="base_url",
        )
    return url.rstrip("/")


def _checked_prefix(prefix: str) -> str:
    if prefix and not (prefix.startswith("/") and prefix.isascii() and prefix.isprintable()):
        raise ConfigError("prefix is empty, or begins with a slash", argument="prefix")
    return prefix.rstrip("/")
