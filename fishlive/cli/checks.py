"""What ``fishlive doctor`` looks at, one step after another."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from fishlive.cli.exits import ExitCode, Failure
from fishlive.cli.report import Report
from fishlive.cli.service import Service, read_key
from fishlive.errors import (
    APIStatusError,
    AuthenticationError,
    FishLiveError,
    NotFoundError,
    ProtocolError,
)
from fishlive.flow.retry import RetryPolicy
from fishlive.limits import CONNECT_TIMEOUT_S, DEFAULT_BASE_URL, DEFAULT_MODEL
from fishlive.models.wallet import Credit
from fishlive.secret import LOCAL_KEY, KeyedHeaders, Secret
from fishlive.session import LIVE_PATH, Session
from fishlive.transport.http import Call, Http, Timeouts
from fishlive.transport.probe import Steps, probe
from fishlive.transport.socket import Target

FREE_MODEL: Final = "s2.1-pro-free"
"""Costs nothing (pricing page, 2026-08)."""

_STEPS: Final = {"dns": "dns", "tcp": "tcp", "tls": "tls", "upgrade": "websocket"}
_PROXIES: Final = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
_NOBODY: Final = "nobody"
"""Stands for the key where none is sent: a session needs one to check an address."""


@dataclass(frozen=True)
class Examination:
    """What to look at.

    Attributes:
        service: Where, and with which key.
        timeout_s: For each connection, in seconds.
        speak: Whether to say a word too, with the free model.
    """

    service: Service
    timeout_s: float = CONNECT_TIMEOUT_S
    speak: bool = False

    async def run(self, report: Report) -> None:
        """Fill the report. What does not work is a check of it, and no exception."""
        if not self.service.local:
            await self._run(report, _key(self.service, report), _address(self.service))
            return
        from fishlive.server import LocalServer

        async with LocalServer() as server:
            report.key_from = "the local server"
            report.add("key", "the local server's own")
            await self._run(report, Secret(LOCAL_KEY), server.url)

    async def _run(self, report: Report, key: Secret | None, url: str) -> None:
        try:
            # Checks the address; the network is looked at without a key too.
            fish = Session(
                _NOBODY if key is None else key,
                base_url=url,
                connect_timeout_s=self.timeout_s,
            )
        except FishLiveError as error:
            report.fail("address", error)
            return
        report.base_url = fish.base_url
        _look_at_address(report, fish.base_url)
        async with fish:
            refused = await self._connect(report, fish.base_url, key)
            if key is None or (refused is not None and not _goes_on(refused)):
                self._skip(report, "needs a key" if key is None else "not reached")
                return
            await self._look_further(report, fish, key, refused)

    async def _look_further(
        self, report: Report, fish: Session, key: Secret, refused: FishLiveError | None
    ) -> None:
        if refused is None:
            await _look_at_live(report, fish)
        else:
            report.skip("live", "not reached")
        await self._look_at_account(report, fish.base_url, key)
        if self.speak:
            await _look_at_speech(report, fish)

    def _skip(self, report: Report, why: str) -> None:
        for name in ("live", "account", *(("speech",) if self.speak else ())):
            report.skip(name, why)

    async def _connect(
        self, report: Report, base_url: str, key: Secret | None
    ) -> FishLiveError | None:
        """Take a connection step by step; return why it went no further."""
        target = Target(
            url="ws" + base_url.removeprefix("http") + LIVE_PATH,
            headers={} if key is None else KeyedHeaders(key, {"model": DEFAULT_MODEL}),
            timeout_s=self.timeout_s,
        )
        steps = await probe(target, upgrade=key is not None)
        report.hear(steps.headers)
        _note_steps(report, steps, keyed=key is not None)
        return steps.error

    async def _look_at_account(self, report: Report, base_url: str, key: Secret) -> None:
        http = Http(
            base_url=base_url,
            key=key,
            timeouts=Timeouts(connect_s=self.timeout_s, first_byte_s=self.timeout_s),
            retry=RetryPolicy(attempts=1),  # a fault is to be seen, not to be overcome
        )
        try:
            call = Call(method="GET", path="/wallet/self/api-credit", safe=True)
            answer = await http.bytes(call)
            report.hear(answer.headers)
            credit = Credit.read(_json(answer.body))
        except NotFoundError:
            report.warn("account", f"{base_url} has no wallet: is it the service?")
            return
        except FishLiveError as error:
            report.fail("account", error)
            return
        finally:
            await http.aclose()
        report.credit = credit.credit
        if credit.credit > 0:
            report.add("account", f"${credit.credit:f} of API credit")
        else:
            report.warn("account", f"no API credit: only the model {FREE_MODEL} speaks; top up")


def _goes_on(refused: FishLiveError) -> bool:
    """Return whether the account can be looked at: the service answered, and knows the key."""
    return isinstance(refused, APIStatusError) and not isinstance(refused, AuthenticationError)


def _key(service: Service, report: Report) -> Secret | None:
    """Return the key, noting where it came from; None, noting why, if there is none."""
    source = "--key-file" if service.key_file else "FISH_API_KEY"
    try:
        if service.key_file:
            key = read_key(service.key_file)
        elif os.environ.get("FISH_API_KEY"):
            key = Secret(os.environ["FISH_API_KEY"])
        else:
            raise Failure(ExitCode.USAGE, "no key: set FISH_API_KEY, or use --key-file FILE")
    except (Failure, FishLiveError) as error:
        report.fail("key", error)
        return None
    report.key_from = source
    report.add("key", f"from {source}")
    return key


def _address(service: Service) -> str:
    return service.base_url or os.environ.get("FISH_BASE_URL") or DEFAULT_BASE_URL


def _look_at_address(report: Report, base_url: str) -> None:
    parts, own = urlsplit(base_url), urlsplit(DEFAULT_BASE_URL)
    local = parts.scheme == "http"  # which a session allows to loopback only
    if local or parts.hostname == own.hostname:
        report.add("address", base_url)
    else:
        report.warn("address", f"{base_url} is not the service's own {DEFAULT_BASE_URL}")
    proxies = [name for name in _PROXIES if os.environ.get(name)]
    if proxies and not local:
        report.warn("proxy", f"{proxies[0]} is set, and live connections do not use it")


def _note_steps(report: Report, steps: Steps, *, keyed: bool) -> None:
    took = {
        "dns": (steps.dns_s, ""),
        "tcp": (steps.tcp_s, steps.peer or ""),
        "tls": (steps.tls_s, steps.tls or ""),
        "upgrade": (steps.upgrade_s, ""),
    }
    for phase, name in _STEPS.items():
        seconds, detail = took[phase]
        if steps.error is not None and steps.phase == phase:
            report.fail(name, steps.error)
        elif seconds is not None:
            report.add(name, detail, seconds=seconds)
        elif phase == "tls" and steps.phase in {None, "upgrade"}:
            report.skip(name, "not encrypted: plain http to this machine")
        elif phase == "upgrade" and not keyed:
            report.skip(name, "needs a key")
        else:
            report.skip(name, "not reached")


async def _look_at_live(report: Report, fish: Session) -> None:
    """Open a channel as programs do."""
    try:
        async with fish.live() as live:
            await live.ready()
    except FishLiveError as error:
        report.fail("live", error)
        return
    report.add("live", "a channel opens")


async def _look_at_speech(report: Report, fish: Session) -> None:
    try:
        async with fish.live(model=FREE_MODEL) as live:
            utterance = live.speak("Hello.")
            async for _ in utterance:
                pass
    except FishLiveError as error:
        report.fail("speech", error)
        return
    stats = utterance.stats
    report.add("speech", f"{stats.audio_s:.1f} s of audio", seconds=stats.first_audio_s)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("the answer is no JSON") from error
