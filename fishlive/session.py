"""A session: the key, the address, and everything they open."""

from __future__ import annotations

import asyncio
import os
import ssl
import weakref
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

from fishlive.errors import ConfigError, StreamClosedError
from fishlive.flow.accounts import shared_governor
from fishlive.flow.capacity import MAX_LIMIT
from fishlive.flow.governor import Governor
from fishlive.flow.retry import RetryPolicy, shared_bucket
from fishlive.flow.watchdog import Deadlines
from fishlive.limits import (
    CONNECT_TIMEOUT_S,
    CREDIT_S,
    DEFAULT_BASE_URL,
    DEFAULT_MODEL,
    STANDBY_SOCKETS,
)
from fishlive.live.channel import LiveTTS
from fishlive.live.plan import OnRetry, Terms
from fishlive.live.standby import Standby
from fishlive.live.utterance import warn_abandoned
from fishlive.models.trace import checked_traceparent
from fishlive.models.tts import TTSRequest, check_model, speech_request
from fishlive.models.warning import warn
from fishlive.secret import KeyedHeaders, Secret
from fishlive.transport.socket import Connect, Target

if TYPE_CHECKING:
    from fishlive.rest.asr import ASR
    from fishlive.rest.dictionaries import Dictionaries
    from fishlive.rest.tts import TTS
    from fishlive.rest.voice_design import VoiceDesign
    from fishlive.rest.voices import Voices
    from fishlive.rest.wallet import Wallet
    from fishlive.transport.call import Timeouts
    from fishlive.transport.http import ClientSession, Http

_Noun = TypeVar("_Noun")

TransportName = Literal["picows", "aiohttp"]

LIVE_PATH: Final = "/v1/tts/live"
TIMED_LIVE_PATH: Final = "/v1/tts/live/with-timestamp"

_LIVE_DEFAULTS: Final[Mapping[str, object]] = {
    "format": "pcm",
    "latency": "balanced",
    # The service's own 300 makes large bursts with audible gaps (LiveKit plugin, 2026-08).
    "chunk_length": 100,
}
_PCM_RATE_HZ: Final = 24_000
"""Sample rate of live PCM and WAV unless told: what speech needs, half the bytes of 44.1 kHz."""

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Session:
    """Speaks to Fish Audio, or to whatever answers like it.

    Args:
        api_key: The key; from ``FISH_API_KEY`` if None. One from there that would go to another
            machine than api.fish.audio or this one warns: a key belongs to one service.
        base_url: ``https://…`` of the service; from ``FISH_BASE_URL`` if None, else
            https://api.fish.audio. Plain ``http`` only to loopback, unless ``allow_insecure``.
        transport: ``picows`` (fast, the default), ``aiohttp``, or a function that connects.
        tls: TLS context for ``https``; None verifies with the system's certificates.
        connect_timeout_s: For DNS, TCP, TLS and upgrade together, in seconds.
        timeouts: Of the calls that are not live, phase by phase; ``connect_timeout_s`` and the
            defaults of :class:`~fishlive.transport.call.Timeouts` if None.
        retry: How stubborn calls are, and utterances before their first audio was read; see
            :class:`~fishlive.flow.retry.RetryPolicy`.
        deadlines: How long the service may owe audio, a place for text or a sign of life, over
            live channels; see :class:`~fishlive.flow.watchdog.Deadlines`.
        standby: Warm live sockets kept in reserve for each model and endpoint, shared by the
            channels that use it, from the first utterance on; 0 for none. With one, no turn waits
            for a handshake, not even after an interruption.
        concurrency: Requests of this account that may run at once, live and not, shared by all
            sessions with this key in one event loop. None for no limit until the service names
            one.
        idle_sockets_count: Whether an open live socket counts while nothing is spoken over it.
        http_session: An ``aiohttp.ClientSession`` whose connections, TLS settings, proxy and trace
            configurations calls use that are not live. It is not closed here; its headers, cookies
            and credentials are not sent.
        allow_insecure: Whether a key may travel unencrypted to another machine.

    Raises:
        ConfigError: No key, or an argument that cannot be right. Environment variables are read
            here and never again.
    """

    def __init__(
        self,
        api_key: str | Secret | None = None,
        *,
        base_url: str | None = None,
        transport: TransportName | Connect = "picows",
        tls: ssl.SSLContext | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        deadlines: Deadlines | None = None,
        standby: int = STANDBY_SOCKETS,
        concurrency: int | None = None,
        idle_sockets_count: bool = False,
        http_session: ClientSession | None = None,
        allow_insecure: bool = False,
    ) -> None:
        found = api_key is None
        try:
            self._key = _key(api_key)
        finally:
            del api_key  # tracebacks are printed with their locals
        url = base_url or os.environ.get("FISH_BASE_URL") or DEFAULT_BASE_URL
        self._base_url = _checked_url(url, allow_insecure=allow_insecure)
        if found:
            _warn_of_stranger(self._base_url)
        self._connect = _connector(transport)
        self._tls = tls
        if not connect_timeout_s > 0:
            raise ConfigError("a time over 0 seconds", argument="connect_timeout_s")
        self._connect_timeout_s = connect_timeout_s
        self._timeouts = timeouts
        _check_kind(retry, RetryPolicy, "retry")
        self._retry = retry or RetryPolicy()
        _check_kind(deadlines, Deadlines, "deadlines")
        self._deadlines = deadlines or Deadlines()
        _check_standby(standby)
        self._standby_size = standby
        self._standbys: dict[tuple[object, ...], Standby] = {}
        _check_concurrency(concurrency)
        self._concurrency = concurrency
        self._idle_sockets_count = idle_sockets_count
        self._http_session = http_session
        self._http: Http | None = None
        self._governor: Governor | None = None
        self._nouns: dict[str, Any] = {}
        self._channels: weakref.WeakSet[LiveTTS] = weakref.WeakSet()
        self._closed = False

    @property
    def base_url(self) -> str:
        """Where it speaks to."""
        return self._base_url

    @property
    def tts(self) -> TTS:
        """Speech of a whole text: ``create``, ``stream``, ``stream_timestamps``."""
        from fishlive.rest.tts import TTS

        return self._noun(TTS)

    @property
    def asr(self) -> ASR:
        """Text of speech: ``transcribe``."""
        from fishlive.rest.asr import ASR

        return self._noun(ASR)

    @property
    def voices(self) -> Voices:
        """Voices: ``list``, ``iter``, ``get``, ``create``, ``update``, ``delete``."""
        from fishlive.rest.voices import Voices

        return self._noun(Voices)

    @property
    def wallet(self) -> Wallet:
        """What is left to spend: ``credit``, ``package``."""
        from fishlive.rest.wallet import Wallet

        return self._noun(Wallet)

    @property
    def voice_design(self) -> VoiceDesign:
        """Voices from a description: ``create``."""
        from fishlive.rest.voice_design import VoiceDesign

        return self._noun(VoiceDesign)

    @property
    def dictionaries(self) -> Dictionaries:
        """Pronunciation dictionaries: ``create``, ``get``, ``new_version``."""
        from fishlive.rest.dictionaries import Dictionaries

        return self._noun(Dictionaries)

    @property
    def governor(self) -> Governor:
        """The account's slots: their limit, and how long requests waited for one."""
        if self._governor is None:
            self._governor = shared_governor(
                self._base_url,
                self._key.reveal(),
                limit=self._concurrency,
                idle_sockets_count=self._idle_sockets_count,
            )
        return self._governor

    def live(
        self,
        *,
        voice: str | Sequence[str] | None = None,
        model: str = DEFAULT_MODEL,
        timestamps: bool = False,
        traceparent: str | None = None,
        credit_s: float | None = CREDIT_S,
        deadlines: Deadlines | None = None,
        retry: RetryPolicy | None = None,
        on_retry: OnRetry | None = None,
        standby: int | None = None,
        extra: Mapping[str, object] | None = None,
        **options: object,
    ) -> LiveTTS:
        """Return a live channel; ``async with`` opens it.

        Args:
            voice: Reference id of the voice, or one for each speaker; None for the service's own.
            model: Synthesis engine, fixed for the channel. An unknown one is replaced by the paid
                default silently (asyncapi.yml, 2026-08), so it warns.
            timestamps: Whether to use the endpoint that aligns words; fills
                :attr:`Utterance.words`.
            traceparent: W3C trace context for the service's own traces.
            credit_s: Seconds of unplayed audio above which no more text is sent; None for no
                limit.
            deadlines: As the session's, for this channel.
            retry: As the session's, for this channel.
            standby: As the session's, for this channel; of several that share a reserve, the
                largest counts.
            on_retry: Called with a :class:`~fishlive.live.plan.Attempt` before an utterance is
                tried again; returning False forbids it. Must not block.
            extra: Request fields this version does not know, merged last.
            **options: Request fields by the API's names. Sent unless told otherwise:
                ``format="pcm"``, ``sample_rate=24000`` (for pcm and wav), ``latency="balanced"``,
                ``chunk_length=100``.

        Raises:
            ConfigError: An argument is wrong; it names which.
            StreamClosedError: The session is closed.
        """
        if self._closed:
            raise StreamClosedError("the session is closed")
        if credit_s is not None and not 0 < credit_s < float("inf"):
            raise ConfigError(
                "credit_s is a number of seconds over 0, or None", argument="credit_s"
            )
        _check_kind(deadlines, Deadlines, "deadlines")
        _check_kind(retry, RetryPolicy, "retry")
        if on_retry is not None and not callable(on_retry):
            raise ConfigError("on_retry is a function, or None", argument="on_retry")
        if standby is not None:
            _check_standby(standby)
        check_model(model)
        base: dict[str, Any] = {"voice": voice, "extra": extra, **_LIVE_DEFAULTS, **options}

        def request(changes: Mapping[str, Any]) -> TTSRequest:
            fields = _with_rate({**base, **changes})
            return speech_request(
                model=model, voice=fields.pop("voice"), extra=fields.pop("extra"), options=fields
            )

        target = self._target(model, traceparent, timestamps=timestamps)

        def reserve() -> Standby:
            return self._reserve(target, (model, traceparent, timestamps))

        channel = LiveTTS(
            connect=self._connect,
            target=target,
            request=request,
            terms=Terms(
                credit_s=credit_s,
                deadlines=deadlines or self._deadlines,
                retry=retry or self._retry,
                bucket=shared_bucket(self._base_url, self._key.reveal()),
                on_retry=on_retry,
            ),
            governor=self.governor,
            standby=reserve,
            standby_size=self._standby_size if standby is None else standby,
        )
        self._channels.add(channel)
        return channel

    async def aclose(self) -> None:
        """Close every channel that is still open. Idempotent."""
        if await self._shut():
            warn_abandoned()

    async def __aenter__(self) -> Session:
        if self._closed:
            raise StreamClosedError("the session is closed")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if await self._shut() and error is None:
            warn_abandoned()

    async def _shut(self) -> bool:
        """Close everything; return whether speech was abandoned."""
        self._closed = True
        try:
            abandoned = [await channel.shut() for channel in list(self._channels)]
        finally:
            if self._http is not None:
                await self._http.aclose()
        return any(abandoned)

    def _reserve(self, target: Target, kind: tuple[object, ...]) -> Standby:
        """Return the warm sockets of a kind, for the running event loop."""
        place = (asyncio.get_running_loop(), *kind)
        reserve = self._standbys.get(place)
        if reserve is None or not reserve.size:
            reserve = self._standbys[place] = Standby(self._connect, target, self.governor)
        return reserve

    def _noun(self, kind: type[_Noun]) -> _Noun:
        """Return the one object of a kind that this session has."""
        name = kind.__name__
        if name not in self._nouns:
            self._nouns[name] = kind(self._opened_http())  # type: ignore[call-arg]  # all take an Http
        noun: _Noun = self._nouns[name]
        return noun

    def _opened_http(self) -> Http:
        if self._closed:
            raise StreamClosedError("the session is closed")
        if self._http is None:
            from fishlive.transport.http import Http, Timeouts

            _check_kind(self._timeouts, Timeouts, "timeouts")
            self._http = Http(
                base_url=self._base_url,
                key=self._key,
                tls=self._tls,
                session=self._http_session,
                timeouts=self._timeouts or Timeouts(connect_s=self._connect_timeout_s),
                retry=self._retry,
                bucket=shared_bucket(self._base_url, self._key.reveal()),
                governor=self.governor,
            )
        return self._http

    def __repr__(self) -> str:
        # One that could not be made is printed too, in tracebacks with locals.
        base_url = getattr(self, "_base_url", "unmade")
        return (
            f"<fishlive.Session {base_url}{' closed' if getattr(self, '_closed', False) else ''}>"
        )

    def _target(self, model: str, traceparent: str | None, *, timestamps: bool) -> Target:
        trace = checked_traceparent(traceparent)
        path = TIMED_LIVE_PATH if timestamps else LIVE_PATH
        return Target(
            url="ws" + self._base_url.removeprefix("http") + path,
            headers=KeyedHeaders(self._key, {"model": model, **trace}),
            tls=self._tls,
            timeout_s=self._connect_timeout_s,
        )


def _key(given: str | Secret | None) -> Secret:
    if isinstance(given, Secret):
        return given
    if given is None:
        given = os.environ.get("FISH_API_KEY")
    if not given:
        raise ConfigError(
            "no API key: pass api_key, or set FISH_API_KEY "
            "(the local server takes the key `local`)",
            argument="api_key",
        )
    try:
        return Secret(given)
    finally:
        del given


def _warn_of_stranger(base_url: str) -> None:
    """Warn that a key nobody passed for this address goes there."""
    host = urlsplit(base_url).hostname
    if host not in _LOOPBACK and host != urlsplit(DEFAULT_BASE_URL).hostname:
        warn(
            f"the key of FISH_API_KEY goes to {host}: if that is meant, name the key itself "
            "(api_key, or --key-file)"
        )


def _with_rate(fields: dict[str, Any]) -> dict[str, Any]:
    """Add the live sample rate where the format lets us choose and the caller did not."""
    if "sample_rate" not in fields and fields.get("format") in {"pcm", "wav"}:
        fields["sample_rate"] = _PCM_RATE_HZ
    return fields


def _checked_url(url: str, *, allow_insecure: bool) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"base_url is no URL: {error}", argument="base_url") from error
    if parts.scheme not in {"http", "https"} or not host or not url.isprintable():
        raise ConfigError("base_url starts with https:// and names a host", argument="base_url")
    if parts.username or parts.query or parts.fragment:
        raise ConfigError(
            "base_url has no user, query or fragment; the key goes into api_key",
            argument="base_url",
        )
    if parts.scheme == "http" and host not in _LOOPBACK and not allow_insecure:
        raise ConfigError(
            "base_url is http:// to another machine, which would show the key to the network; "
            "use https://, or allow_insecure=True",
            argument="base_url",
        )
    return url.rstrip("/")


def _check_kind(value: object, kind: type, argument: str) -> None:
    if value is not None and not isinstance(value, kind):
        raise ConfigError(f"{argument} is a {kind.__name__}, or None", argument=argument)


def _check_standby(standby: object) -> None:
    if not (type(standby) is int and 0 <= standby <= MAX_LIMIT):
        raise ConfigError(f"standby is a whole number from 0 to {MAX_LIMIT}", argument="standby")


def _check_concurrency(concurrency: object) -> None:
    # Here, and not where it is used first: the key is a local variable there.
    if concurrency is not None and not (type(concurrency) is int and 1 <= concurrency <= MAX_LIMIT):
        raise ConfigError(
            f"concurrency is a whole number from 1 to {MAX_LIMIT}, or None", argument="concurrency"
        )


def _connector(transport: object) -> Connect:
    if transport == "picows":
        from fishlive.transport.picows import connect_picows

        return connect_picows
    if transport == "aiohttp":
        from fishlive.transport.aiohttp import connect_aiohttp

        return connect_aiohttp
    if callable(transport):
        return transport
    raise ConfigError("transport is picows, aiohttp or a function", argument="transport")
