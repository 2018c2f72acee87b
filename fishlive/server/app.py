"""The local server: the service's endpoints on a loopback port, with a real voice."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, TypeAlias

from aiohttp import web

from fishlive.errors import ConfigError, UsageError
from fishlive.faults import Fault, read_faults
from fishlive.server.accounts import Account, known_model
from fishlive.server.desk import Desk
from fishlive.server.door import Door, stamp
from fishlive.server.faults.playing import Playing
from fishlive.server.faults.stage import stage_of
from fishlive.server.faults.stage import stamp as stamp_fault
from fishlive.server.gateway.jobs import Jobs
from fishlive.server.guard import HTTP_IDLE_S, body_in_time, check_crowd, check_exposure
from fishlive.server.live import Conversation
from fishlive.server.refusal import Refusal, bad_request
from fishlive.server.routes import LIVE, LIVE_TIMED, ROUTES, Access, Route
from fishlive.server.settings import Settings
from fishlive.server.shelf import Shelf
from fishlive.server.store import Store
from fishlive.server.studio import Studio

_Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

LOOPBACK: Final = "127.0.0.1"

GOODBYE_S: Final = 0.25
"""How long clients may take to answer a close frame when the server goes away, in seconds; HTTP
answers may go on as long, and be cancelled in as long. Together that stays under a second."""

CLOSE_S: Final = 1.0
"""How long a client may take to answer any other close frame, in seconds."""


class LocalServer:
    """Speaks the service's protocol on this machine: no key, no network, a real voice.

    Any number may run in one process, each in the loop that starts it. Leaving takes less than a
    second, whatever is being said. A server can be started again after it was closed.

    Args:
        settings: What it does; keywords replace single settings.
        host: Address to listen on. Anything but loopback lets others in, and needs
            ``allow_remote`` and a long key.
        port: 0 takes a free one.
        on_fault: Called with each fault as it is played, in the server's loop.

    Raises:
        ConfigError: A setting that does not exist or cannot be.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        host: str = LOOPBACK,
        port: int = 0,
        on_fault: Callable[[Fault], None] | None = None,
        **changes: Any,
    ) -> None:
        try:
            self.settings: Settings = replace(settings or Settings(), **changes)
        except TypeError as error:
            raise ConfigError(f"no such setting: {error}") from error
        check_exposure(
            host,
            self.settings.keys,
            allowed=self.settings.allow_remote,
            any_key=self.settings.accept_any_key,
        )
        self._host = host
        self._wanted_port = port
        self._door = Door((*self.settings.hosts, host))
        self._runner: web.AppRunner | None = None
        self._port = 0
        self._desk: Desk | None = None
        self._conversations: set[Conversation] = set()
        self._playing = Playing(read_faults(self.settings.faults), told=on_fault)

    @property
    def key(self) -> str:
        """A key that it accepts."""
        return self.settings.keys[0]

    @property
    def listening(self) -> bool:
        """Whether it runs."""
        return self._port > 0

    @property
    def port(self) -> int:
        """The port it listens on. Raises UsageError unless it runs."""
        if not self.listening:
            raise UsageError("the local server is not running: use it inside `async with`")
        return self._port

    @property
    def url(self) -> str:
        """Its address, for ``base_url`` and FISH_BASE_URL."""
        return f"http://{self._netloc}"

    @property
    def ws_url(self) -> str:
        """Its address for WebSocket clients."""
        return f"ws://{self._netloc}"

    @property
    def running(self) -> int:
        """Utterances that hold a slot now."""
        return self._desk.account.running if self._desk else 0

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: The extra is not installed (the message has the command), or the address
                cannot be listened on.
            UsageError: It runs already.
        """
        if self._runner is not None:
            raise UsageError("the local server is running already")
        self._desk = await self._opened()
        self._runner = web.AppRunner(
            self._app(self._desk),
            access_log=None,
            handler_cancellation=True,  # a client that leaves stops its voice at once
            shutdown_timeout=GOODBYE_S,
            keepalive_timeout=HTTP_IDLE_S,
        )
        try:
            await self._runner.setup()
            port = await self._playing.listen(self._runner, self._host, self._wanted_port)
        except OSError as error:
            await self.aclose()
            where = f"{self._host}:{self._wanted_port}"
            raise ConfigError(
                f"cannot listen on {where}: {error.strerror}", argument="port"
            ) from error
        except BaseException:  # cancelled, too: nobody would close a server that did not start
            await self.aclose()
            raise
        self._port = port

    async def aclose(self) -> None:
        """Stop speaking, say goodbye, and stop listening. Idempotent."""
        runner, self._runner, self._port = self._runner, None, 0
        if runner is None or self._desk is None:
            return
        async with self._playing.leaving():
            await runner.cleanup()
        await _shut(self._desk)

    def play(self, *faults: Fault | str) -> None:
        """Let these go wrong from now on: open sockets meet them at the next place.

        Raises:
            ConfigError: One cannot be; says which.
        """
        self._playing.play(read_faults(faults))

    def heal(self) -> None:
        """Let nothing go wrong any more; what a fault keeps open is reset."""
        self._playing.heal()

    @property
    def played(self) -> Counter[str]:
        """How often each fault was played, by its line; 0 for any other."""
        return self._playing.played

    async def serve_forever(self) -> None:
        """Serve until cancelled. Starts if it was not started, and closes then."""
        if self._runner is not None:
            await asyncio.Event().wait()
        async with self:
            await asyncio.Event().wait()

    async def __aenter__(self) -> LocalServer:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _opened(self) -> Desk:
        settings = self.settings
        async with contextlib.AsyncExitStack() as held:
            store = Store(settings.data)
            held.push_async_callback(store.aclose)
            await store.start()
            shelf = Shelf(store, training_s=settings.training_s)
            studio = Studio(shelf)
            await studio.start()
            held.push_async_callback(studio.aclose)
            await shelf.start()
            held.pop_all()
        return Desk(settings, Account(settings), studio, store, shelf, Jobs(settings))

    @property
    def _netloc(self) -> str:
        port = self.port
        return f"[{self._host}]:{port}" if ":" in self._host else f"{self._host}:{port}"

    def _app(self, desk: Desk) -> web.Application:
        @web.middleware
        async def answer(request: web.Request, handler: _Handler) -> web.StreamResponse:
            try:
                self._door.check(request)
                check_crowd(self._runner, self.settings.max_connections)
                if (played := await self._playing.arrive(request)) is not None:
                    return played
                with body_in_time(request):
                    return await handler(request)
            except Refusal as refusal:
                return refusal.response()
            except web.RequestPayloadError:  # a compression or chunks that are none
                return bad_request("the request body cannot be read", plain=True).response()
            except web.HTTPException as error:
                allowed = {
                    name: error.headers[name] for name in ("Allow",) if name in error.headers
                }
                return Refusal(error.status, error.reason, headers=allowed).response()

        async def stamped(request: web.Request, response: web.StreamResponse) -> None:
            stamp(request, response, desk.account)
            stamp_fault(request, response)

        app = web.Application(middlewares=[answer], client_max_size=self.settings.max_body_bytes)
        app.on_response_prepare.append(stamped)
        app.on_shutdown.append(self._say_goodbye)
        app.router.add_get(LIVE, self._live)
        app.router.add_get(LIVE_TIMED, self._live_timed)
        for route in ROUTES:
            app.router.add_route(route.method, route.path, self._handler(route))
        return app

    def _handler(self, route: Route) -> _Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            desk, model = self._admitted(request, route.access, route.model)
            return await route.handler(request, desk=desk, model=model)

        return handle

    def _admitted(
        self, request: web.Request, access: Access, meant: Callable[[str | None], str]
    ) -> tuple[Desk, str]:
        """Let a request in; return the desk and the model it asked for."""
        if self._desk is None or self._runner is None:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the server is going away")
        model, key = meant(request.headers.get("model")), request.headers.get("Authorization")
        if access is Access.PAID:
            self._desk.account.admit(key, model)
        elif access is Access.KEY:
            self._desk.account.authenticate(key)
        return self._desk, model

    async def _live(self, request: web.Request) -> web.StreamResponse:
        return await self._converse(request, timed=False)

    async def _live_timed(self, request: web.Request) -> web.StreamResponse:
        return await self._converse(request, timed=True)

    async def _converse(self, request: web.Request, *, timed: bool) -> web.StreamResponse:
        desk, model = self._admitted(request, Access.PAID, known_model)
        if self.settings.concurrency_refusal == "upgrade" and desk.account.full:
            raise desk.account.too_many()
        socket = web.WebSocketResponse(
            max_msg_size=self.settings.max_message_bytes, compress=False, timeout=CLOSE_S
        )
        conversation = Conversation(
            socket, desk=desk, model=model, timed=timed, stage=stage_of(request)
        )
        with contextlib.ExitStack() as held:
            full = desk.account.full
            if self.settings.idle_sockets_count and not full:
                held.callback(desk.account.slot().release)
            try:
                await socket.prepare(request)
            except ConnectionError:  # the client left during the upgrade, as clients may
                return web.Response()
            self._conversations.add(conversation)
            held.callback(self._conversations.discard, conversation)
            if self.settings.idle_sockets_count and full:
                await conversation.refuse(desk.account.too_many())
            else:
                await conversation.run()
        return socket

    async def _say_goodbye(self, _app: web.Application) -> None:
        leaving = [asyncio.ensure_future(c.abandon()) for c in self._conversations]
        if leaving:
            _, late = await asyncio.wait(leaving, timeout=GOODBYE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*leaving, return_exceptions=True)


async def _shut(desk: Desk) -> None:
    """Close all that a desk holds, whatever fails of it."""
    async with contextlib.AsyncExitStack() as held:
        held.push_async_callback(desk.studio.aclose)
        held.push_async_callback(desk.store.aclose)
        held.push_async_callback(desk.shelf.aclose)
        await desk.jobs.aclose()
