"""The process of :func:`fishlive.bench.local.local_server`.

``python -m fishlive.bench.child SETTINGS`` prints its address, and ends when its standard input
does: with its parent, whatever ended that.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any


async def serve(settings: Mapping[str, Any]) -> None:
    """Serve until standard input ends."""
    from fishlive.server import LocalServer

    async with LocalServer(**settings) as server:
        sys.stdout.write(json.dumps({"url": server.url, "key": server.key}) + "\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.argv[1])))
