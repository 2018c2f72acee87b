"""A lenient, instant server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from fishlive.server import LocalServer


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    """Return a server that runs with default settings."""
    async with LocalServer() as running:
        yield running
