"""fishlive's own server, with a real voice, as its own process: for the time to first audio.

``python -m benchmarks.local_voice [core]`` says where it listens and ends with stdin.
"""

from __future__ import annotations

import asyncio
import json
import sys
from urllib.parse import urlsplit

from benchmarks.affinity import pin

PROFILE = "fish-balanced"


async def serve() -> None:
    from fishlive.server import LocalServer

    async with LocalServer(profile=PROFILE) as server:
        print(json.dumps({"port": urlsplit(server.url).port}), flush=True)
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    pin(sys.argv[1:])
    try:
        asyncio.run(serve())
    except Exception as error:  # the report says why there are no numbers
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
