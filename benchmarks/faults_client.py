"""One client's own process: lets it meet a fault, and looks at what is left behind.

``python -m benchmarks.faults_client <module of fault_clients> [core]`` answers every JSON line with
one. A client that cannot even be cancelled says so, and its process is of no more use.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own

from benchmarks.affinity import pin
from benchmarks.faults_expected import Meaning, Place, SourceFailed

SETTLE_S = 1.0
"""How long sockets, tasks and threads may take to go after the client was closed, in seconds."""

CANCEL_S = 2.0
"""How long a client that hangs may take to be cancelled, in seconds."""

LONGEST_S = 60.0
"""How long one utterance may take at all, in seconds, as long as it goes on."""

BUSY_S = 1.0
"""A client that has used so many seconds of CPU meanwhile is slow, and does not hang."""

LEAVE_S = 0.01
"""How often it is looked whether what was left has gone, in seconds."""

LOOK_S = 0.05
"""How often it is looked whether audio still comes, in seconds."""


CANCEL_AFTER_S = 0.3
"""After so many seconds without a chunk the caller is told to stop, if that is the way."""

CALLERS: dict[type[BaseException], tuple[str, Meaning]] = {
    SourceFailed: ("source", Meaning.SOURCE),
    asyncio.CancelledError: ("cancel", Meaning.CANCELLED),
}
"""The caller's own exceptions, which should come back as they are; and where."""


@dataclass
class Listener:
    """What reached the caller."""

    taken_bytes: int = 0
    foreign: int = 0
    way: str = "listen"
    last: float = field(default_factory=time.monotonic)
    ended_ns: int = 0
    error: BaseException | None = None

    async def listen(self, client: Any, place: Place) -> None:
        """Hear one utterance out. What closing raises counts if nothing was raised before."""
        try:
            async with client.stream(place) as chunks:
                try:
                    async for chunk in chunks:
                        self.take(chunk)
                        if self.way == "break":
                            break
                except BaseException as error:
                    self.end(error)
                else:
                    self.end(None)
        except BaseException as error:
            self.end(self.error or error)

    def take(self, chunk: object) -> None:
        """Count a chunk."""
        self.last = time.monotonic()
        if isinstance(chunk, bytes | bytearray | memoryview):
            self.taken_bytes += len(chunk)
        else:
            self.foreign += 1

    def end(self, error: BaseException | None) -> None:
        """Note the end; the first one is the one that counts for the time."""
        self.ended_ns = self.ended_ns or time.monotonic_ns()
        self.error = error


async def met(client: Any, place: Place, patience_s: float, heard: list[Any]) -> dict[str, Any]:
    """Let a client speak once; return how that ended, and what it left."""
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: heard.append(context))
    before = left(place)
    listener, began_ns = Listener(way=place.way), time.monotonic_ns()
    task = asyncio.create_task(listener.listen(client, place), name="the caller")
    if place.way == "cancel":
        await ended(task, listener, CANCEL_AFTER_S)
        began_ns = time.monotonic_ns()
        task.cancel()
    hung = not await ended(task, listener, patience_s)
    error, ended_ns = listener.error, listener.ended_ns
    if hung:
        listener.error = None
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_S)
        error = None
    answer = {
        "began_ns": began_ns,
        "ended_ns": ended_ns,
        "hung": hung,
        "stuck": not task.done(),
        "bytes": listener.taken_bytes,
        "foreign": listener.foreign,
        **described(client, error, place.way),
    }
    del task, error
    listener.error = None
    answer["left"] = await leftovers(place, before)
    return answer


async def ended(task: asyncio.Task[None], listener: Listener, patience_s: float) -> bool:
    """Wait for the end; return False once nothing has come, or been done, for too long."""
    until = time.monotonic() + LONGEST_S
    cpu_s = time.process_time()
    while not task.done() and not listener.ended_ns:
        now = time.monotonic()
        if now - listener.last > patience_s and time.process_time() - cpu_s > BUSY_S:
            listener.last, cpu_s = now, time.process_time()
        if now > until or now - listener.last > patience_s:
            return False
        await asyncio.wait({task}, timeout=LOOK_S)
    done, _ = await asyncio.wait({task}, timeout=patience_s)  # closing is the caller's time, too
    return bool(done)


def described(client: Any, error: BaseException | None, way: str) -> dict[str, Any]:
    """Return what an error is, as text: whose class, and what it means."""
    if error is None:
        return {"error": None, "own": False, "crash": False, "meanings": [Meaning.FINISHED.name]}
    callers = CALLERS.get(type(error))
    if callers is not None and callers[0] == way:
        means = [callers[1].name]
        return {"error": type(error).__name__, "own": True, "crash": False, "meanings": means}
    meanings = client.meanings(error)
    inside = getattr(error, "exceptions", ())
    names = "+".join(sorted({type(each).__name__ for each in inside}))
    return {
        "error": type(error).__name__ + (f"({names})" if names else ""),
        "text": str(error)[:160],
        "own": meanings is not None,
        "crash": not isinstance(error, Exception),
        "meanings": sorted(meaning.name for meaning in meanings or ()),
    }


def left(place: Place) -> Counter[str]:
    """Count what belongs to the caller's process now: sockets to the server, tasks, threads."""
    port = int(place.url.rsplit(":", 1)[1])
    sockets = psutil.Process().net_connections("tcp")
    return Counter(
        sockets=sum(1 for each in sockets if each.raddr and each.raddr.port == port),
        tasks=len(asyncio.all_tasks()) - 1,
        threads=sum(1 for each in threading.enumerate() if not each.name.startswith("asyncio_")),
    )


async def leftovers(place: Place, before: Counter[str]) -> dict[str, int]:
    """Return what is more than before, after it had its time to go."""
    until = time.monotonic() + SETTLE_S
    while True:
        gc.collect()
        await asyncio.sleep(LEAVE_S)
        more = left(place) - before
        if not more or time.monotonic() > until:
            return dict(more)


def answer(client: Any, ask: dict[str, Any]) -> dict[str, Any]:
    """Answer one question."""
    place, heard = Place(**ask["place"]), list[Any]()
    with warnings.catch_warnings(record=True) as warned, unraised(heard):
        warnings.simplefilter("always")
        result = asyncio.run(met(client, place, ask["patience_s"], heard))
        gc.collect()
    bad = [each for each in warned if issubclass(each.category, ResourceWarning | RuntimeWarning)]
    result["complaints"] = sorted({complaint(each) for each in heard})
    result["left"] |= {
        name: count for name, count in (("complaints", len(heard)), ("warnings", len(bad))) if count
    }
    return result


def complaint(context: Any) -> str:
    """Return what the event loop, or the interpreter, had to say, in short."""
    if isinstance(context, dict):
        error = context.get("exception")
        what = str(context.get("message", "")).split(" <")[0]
        return f"{what[:80]}: {type(error).__name__}" if error else what[:80]
    return f"unraisable {type(context.exc_value).__name__}"


class unraised:  # noqa: N801 - used as a statement
    """Collects what could not be raised anywhere."""

    def __init__(self, heard: list[Any]) -> None:
        self._heard = heard
        self._before: Callable[[Any], Any] = sys.unraisablehook

    def __enter__(self) -> None:
        sys.unraisablehook = self._heard.append

    def __exit__(self, *_: object) -> None:
        sys.unraisablehook = self._before


def main() -> None:
    pin(sys.argv[2:])
    try:
        client = importlib.import_module(f"benchmarks.fault_clients.{sys.argv[1]}")
    except ImportError as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
        return
    ways = sorted(getattr(client, "WAYS", {"listen", "source", "break", "cancel"}))
    print(json.dumps({"title": client.TITLE, "ways": ways}), flush=True)
    gc.freeze()  # what is imported is not looked through again for every meeting
    for line in sys.stdin:
        print(json.dumps(answer(client, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
