"""The wallet: what the account may still spend."""

from __future__ import annotations

from typing import Final

from fishlive.errors import ConfigError
from fishlive.models.wallet import Credit, Package
from fishlive.transport.http import Call, Http, quote_id

SELF: Final = "self"
"""The user the key belongs to (openapi.json, 2026-09)."""


class Wallet:
    """Reads the wallet. Needs no credit, and takes no slot."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def credit(
        self,
        user_id: str = SELF,
        *,
        check_free_credit: bool = False,
        team_id: str | None = None,
    ) -> Credit:
        """Return the API credit, which speech, transcripts and voice design are paid from.

        Source: openapi.json, ``GET /wallet/{user_id}/api-credit`` (2026-09). Debits show 5 to
        35 s late (observed, 2026-10). Cancelling leaves nothing behind.

        Args:
            user_id: Whose; ``self`` is whose key it is.
            check_free_credit: Whether to look for free credit too.
            team_id: Whose, if it is a team's; None for the key's own.

        Raises:
            ConfigError: An id that no path or query can carry.
            APIStatusError: The service refused; its subclass says why.
        """
        query: tuple[tuple[str, str], ...] = ()
        if check_free_credit:
            query += (("check_free_credit", "true"),)
        if team_id is not None:
            query += (("team_id", _checked(team_id)),)
        user = quote_id(user_id, argument="user_id")
        call = Call(method="GET", path=f"/wallet/{user}/api-credit", query=query, safe=True)
        return Credit.read(await self._http.json(call))

    async def package(self, user_id: str = SELF) -> Package:
        """Return the plan of the web site. API calls are not paid from it.

        Source: openapi.json, ``GET /wallet/{user_id}/package`` (2026-09). Cancelling leaves
        nothing behind.

        Args:
            user_id: Whose; ``self`` is whose key it is.

        Raises:
            ConfigError: An id that no path can carry.
            APIStatusError: The service refused; its subclass says why.
        """
        user = quote_id(user_id, argument="user_id")
        call = Call(method="GET", path=f"/wallet/{user}/package", safe=True)
        return Package.read(await self._http.json(call))


def _checked(team_id: object) -> str:
    if not isinstance(team_id, str) or not team_id.strip() or not team_id.isprintable():
        raise ConfigError("team_id must be an id of printable characters", argument="team_id")
    return team_id
