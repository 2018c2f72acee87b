"""A session: the key, the address, and everything they open."""

from __future__ import annotations

import asyncio
import os
import ssl
import weakref
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from fishlive.checks import (
    check_concurrency,
    check_function,
    check_kind,
    check_resume,
    check_standby,
    checked_key,
    checked_url,
    connector,
    warn_of_stranger,
)
from fishlive.errors import ConfigError, StreamClosedError
from fishlive.flow.accounts import shared_governor
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
from fishlive.live.options import requests
from fishlive.live.plan import Fallback, OnResume, OnRetry, Resume, Terms
from fishlive.live.standby import Standby
from fishlive.live.utterance import warn_abandoned
from fishlive.models.trace import checked_traceparent
from fishlive.models.tts import check_model
from fishlive.secret import KeyedHeaders, Secret
from fishlive.text.budget import Budget
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
            self._key = checked_key(api_key)
        finally:
            del api_key  # tracebacks are printed with their locals
        url = base_url or os.environ.get("FISH_BASE_URL") or DEFAULT_BASE_URL
        self._base_url = checked_url(url, allow_insecure=allow_insecure)
        if found:
            warn_of_stranger(self._base_url)
        self._connect = connector(transport)
        self._tls = tls
        if not connect_timeout_s > 0:
            raise ConfigError("a time over 0 seconds", argument="connect_timeout_s")
        self._connect_timeout_s = connect_timeout_s
        self._timeouts = timeouts
        check_kind(retry, RetryPolicy, "retry")
        self._retry = retry or RetryPolicy()
        check_kind(deadlines, Deadlines, "deadlines")
        self._deadlines = deadlines or Deadlines()
        check_standby(standby)
        self._standby_size = standby
        self._standbys: dict[tuple[object, ...], Standby] = {}
        check_concurrency(concurrency)
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
        resume: Resume | None = None,
        resume_fallback: Fallback = "raise",
        on_resume: OnResume | None = None,
        budget: Budget | None = None,
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
            resume: How to go on when the connection is lost after the first audio was read; PCM
                only. ``aligned`` (needs ``timestamps=True``): unread audio is cut back to where
                text and audio are known to meet, and the text behind that is spoken anew, so that
                the listener hears every word once. ``segment``: each sentence is spoken over a
                socket of its own, and only the one that was lost is said again. None to fail.
            resume_fallback: What to do where that cannot be exact: ``raise`` the error, ``repeat``
                the sentence (the segment), or ``skip`` the rest of it.
            on_resume: Called with a :class:`~fishlive.live.plan.Resumed`. Must not block.
            budget: What may be spent on text over this channel; text beyond it is refused before
                it is sent, with BudgetExceeded. May be shared by channels.
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
        check_kind(deadlines, Deadlines, "deadlines")
        check_kind(retry, RetryPolicy, "retry")
        check_function(on_retry, "on_retry")
        if standby is not None:
            check_standby(standby)
        check_resume(resume, resume_fallback, timestamps=timestamps, form=options.get("format"))
        check_kind(budget, Budget, "budget")
        check_function(on_resume, "on_resume")
        check_model(model)
        if budget is not None:
            budget.check(0, model)  # a price of the model has to be known
        target = self._target(model, traceparent, timestamps=timestamps)

        def reserve() -> Standby:
            return self._reserve(target, (model, traceparent, timestamps))

        channel = LiveTTS(
            connect=self._connect,
            target=target,
            request=requests(model, {"voice": voice, "extra": extra, **options}),
            terms=Terms(
                credit_s=credit_s,
                deadlines=deadlines or self._deadlines,
                retry=retry or self._retry,
                bucket=shared_bucket(self._base_url, self._key.reveal()),
                on_retry=on_retry,
                resume=resume,
                fallback=resume_fallback,
                on_resume=on_resume,
                budget=budget,
                model=model,
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
            # Channels that were dropped open have left nobody to close what they kept warm.
            for reserve in self._standbys.values():
                await reserve.aclose()
        finally:
            self._standbys.clear()
            if self._http is not None:
                await self._http.aclose()
        return any(abandoned)

    def _reserve(self, target: Target, kind: tuple[object, ...]) -> Standby:
        """Return the warm sockets of a kind, for the running event loop."""
        place = (asyncio.get_running_loop(), *kind)
        self._standbys = {where: held for where, held in self._standbys.items() if held.size}
        reserve = self._standbys.get(place)
        if reserve is None:
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

            check_kind(self._timeouts, Timeouts, "timeouts")
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
