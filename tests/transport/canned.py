"""Canned answers through aioresponses, for tests in which no byte has to travel."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import aiohttp
from aioresponses import aioresponses
from aioresponses.core import RequestCall


class CannedResponse(aiohttp.ClientResponse):
    """What aioresponses 0.7.9 makes, with the argument that aiohttp 3.14 wants besides.

    Pass it as ``response_class=`` of each canned answer.
    """

    def __init__(self, *args: Any, **facts: Any) -> None:
        nothing_sent: Any = SimpleNamespace(output_size=0)
        super().__init__(*args, stream_writer=nothing_sent, **facts)


class Canned(aioresponses):
    """aioresponses, which notes what was asked as it is.

    It would copy that deeply; on Python 3.10 the copy gets as far as the event loop, and half a
    loop complains when it is thrown away.
    """

    def _build_request_call(self, *args: Any, **asked: Any) -> RequestCall:
        return RequestCall(args, asked)
