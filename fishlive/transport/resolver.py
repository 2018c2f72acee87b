"""What aiohttp resolves names with, wherever the connector is ours."""

from __future__ import annotations

import socket
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

from fishlive.transport import names
from fishlive.transport.names import Address

_NUMBERS: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class SystemResolver(AbstractResolver):
    """The system's resolver, as :func:`~fishlive.transport.names.look_up` asks it.

    aiohttp's own use the event loop's threads, or aiodns where that happens to be installed.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a name. Cancelling waits for nothing.

        Raises:
            OSError: There is none, or the resolver failed.
        """
        try:
            found = await names.look_up(host, port, family)
        except UnicodeError as error:  # aiohttp expects nothing but an OSError
            raise socket.gaierror(socket.EAI_NONAME, "no such name is possible") from error
        return [_result(host, address) for address in found]

    async def close(self) -> None:
        """Do nothing: it holds nothing."""


def _result(host: str, address: Address) -> ResolveResult:
    family, _, proto, _, name = address
    ip, port, *rest = name
    if len(rest) == 2 and rest[1]:
        ip = f"{ip.partition('%')[0]}%{rest[1]}"  # link-local: it means nothing without a zone
    return ResolveResult(
        hostname=host, host=ip, port=port, family=int(family), proto=proto, flags=_NUMBERS
    )
