"""How the service says no: a status and a body, or an ``error`` event."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web


class Refusal(Exception):
    """A request that is not served. Never leaves the server but as an answer.

    Attributes:
        status: HTTP status.
        message: The service's sentence.
        plain: Whether the body is plain text: the service answers so when it could not read the
            request at all (errors page, 2026-08); otherwise JSON ``{message, status}``.
        max_concurrency: Named in the ``error`` event of a concurrency refusal.
        headers: Extra headers of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        plain: bool = False,
        max_concurrency: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message
        self.plain = plain
        self.max_concurrency = max_concurrency
        self.headers: dict[str, str] = headers or {}

    def response(self) -> web.Response:
        """Return the HTTP answer."""
        if self.plain:
            return web.Response(status=self.status, text=self.message, headers=self.headers)
        body = {"message": self.message, "status": self.status}
        return web.json_response(body, status=self.status, headers=self.headers)


def bad_request(message: str, *, plain: bool = False) -> Refusal:
    """Return a 400."""
    return Refusal(HTTPStatus.BAD_REQUEST, message, plain=plain)
