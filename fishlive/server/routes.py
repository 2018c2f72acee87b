"""The table of endpoints: where they are, who may use them, and who answers.

Every handler is a coroutine ``(request, *, desk, model) -> web.StreamResponse`` and says no by
raising a Refusal.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, TypeAlias

from aiohttp import web

from fishlive.server import dictionaries, voices, wallet
from fishlive.server.accounts import asr_model, given_model, known_model
from fishlive.server.asr import transcribe
from fishlive.server.design import design
from fishlive.server.desk import Desk
from fishlive.server.gateway import handlers as gateway
from fishlive.server.rest import speak
from fishlive.server.sse import speak_timed

Handler: TypeAlias = Callable[..., Awaitable[web.StreamResponse]]
"""Called with the request, and ``desk`` and ``model`` by name."""


class Access(enum.Enum):
    """Who may use an endpoint."""

    ANYBODY = "anybody"
    KEY = "whoever shows a key"
    PAID = "whoever shows a key and has credit"


class Route(NamedTuple):
    """One endpoint.

    Attributes:
        model: What the ``model`` header means here.
    """

    method: str
    path: str
    handler: Handler
    access: Access = Access.KEY
    model: Callable[[str | None], str] = known_model


LIVE: Final = "/v1/tts/live"
LIVE_TIMED: Final = "/v1/tts/live/with-timestamp"


async def _health(_request: web.Request, *, desk: Desk, model: str) -> web.Response:
    del desk, model  # every handler gets them
    endpoints = [LIVE, LIVE_TIMED, *dict.fromkeys(route.path for route in ROUTES[1:])]
    return web.json_response({"server": "fishlive local server", "endpoints": endpoints})


_DICTIONARIES: Final = "/v1/pronunciation-dictionaries"


def _gateway(prefix: str) -> tuple[Route, ...]:
    """Return a gateway's endpoints, which look at tokens themselves: they say no differently."""
    return (
        Route("POST", f"{prefix}/audios", gateway.audios, Access.ANYBODY),
        Route("POST", f"{prefix}/voices", gateway.voices, Access.ANYBODY),
        Route("POST", f"{prefix}/tts", gateway.tts, Access.ANYBODY),
        Route("POST", f"{prefix}/model", gateway.create_model, Access.ANYBODY),
        Route("GET", f"{prefix}/model", gateway.list_models, Access.ANYBODY),
        Route("GET", f"{prefix}/model/{{id}}", gateway.get_model, Access.ANYBODY),
        Route("POST", f"{prefix}/tasks", gateway.tasks, Access.ANYBODY),
    )


ROUTES: Final = (
    Route("GET", "/", _health, Access.ANYBODY),
    Route("POST", "/v1/tts", speak, Access.PAID),
    Route("POST", "/v1/tts/stream/with-timestamp", speak_timed, Access.PAID),
    Route("POST", "/v1/asr", transcribe, Access.PAID, asr_model),
    Route("POST", "/v1/voice-design", design, Access.PAID, given_model),
    Route("GET", "/model", voices.list_voices),
    Route("POST", "/model", voices.create_voice),
    Route("GET", "/model/{id}", voices.get_voice),
    Route("PATCH", "/model/{id}", voices.update_voice),
    Route("DELETE", "/model/{id}", voices.delete_voice),
    Route("GET", "/coverimage/{id}", voices.get_cover),
    Route("GET", "/task/{id}", voices.get_sample),
    Route("GET", "/wallet/{user_id}/package", wallet.package),
    Route("GET", "/wallet/{user_id}/api-credit", wallet.api_credit),
    Route("POST", _DICTIONARIES, dictionaries.create),
    Route("GET", f"{_DICTIONARIES}/{{id}}", dictionaries.get),
    Route("POST", f"{_DICTIONARIES}/{{id}}/versions", dictionaries.create_version),
    Route("GET", f"{_DICTIONARIES}/{{id}}/versions/{{version_id}}", dictionaries.get_version),
    *_gateway("/fish"),
    *_gateway("/v1/fish"),
    Route("GET", "/gateway/audio/{name}", gateway.get_audio, Access.ANYBODY),
)
"""All but the live sockets, which a server keeps hold of. Uploads are served where the service's
answers say they are: ``coverimage/…`` and ``task/…`` (seen in answers, 2025-09)."""
