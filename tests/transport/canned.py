"""Canned answers through aioresponses, for tests in which no byte has to travel."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import aiohttp


class CannedResponse(aiohttp.ClientResponse):
    """What aioresponses 0.7.9 makes, with the argument that aiohttp 3.14 wants besides.

    Pass it as ``response_class=`` of each canned answer.
    """

    def __init__(self, *args: Any, **facts: Any) -> None:
        nothing_sent: Any = SimpleNamespace(output_size=0)
        super().__init__(*args, stream_writer=nothing_sent, **facts)
