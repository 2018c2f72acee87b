"""How greenlets have something spoken: by a process apart, over its pipes.

Only for processes that gevent has patched: import it nowhere else. Patched sockets and selectors
would carry an event loop of asyncio, in a real thread even, but not as they do without: with
gevent 26.9 connecting took 1.5 ms instead of 0.6, and the CPU time of an utterance grew by half,
which would all be measured as the service's. And a thread shares the interpreter with whatever
Locust does meanwhile. So asyncio runs in a process of its own, which nothing is patched in.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any, Final, TypeVar

import gevent  # type: ignore[import-untyped]
from gevent import subprocess
from gevent.event import AsyncResult, Event  # type: ignore[import-untyped]
from gevent.queue import Queue  # type: ignore[import-untyped]
from pydantic import TypeAdapter

from fishlive.bench.conditions import Client, Environment, Overhead
from fishlive.bench.records import Combination, Record
from fishlive.bench.workload import Prompt

CHILD: Final = "fishlive.bench.apart"
"""What the other process runs."""

END_S: Final = 10.0
"""How long it may take to end, in seconds, with everything that is under way cancelled; then it is
killed."""

PACKAGES: Final = ("locust", "gevent")
"""Whose versions a result names too."""

PROGRAM: Final = "locust"
"""What a command line of its began with."""

_T = TypeVar("_T")

Told = Callable[[Record], None]


class CtrlC:
    """While it is held, Ctrl-C interrupts the main greenlet, where that waits, and no other.

    Python raises it in whatever runs: also between two lines of ours, where an order that was
    written already is written again, or an answer that was taken off its list is never told. A
    handler that somebody else put there is left alone.
    """

    def __init__(self) -> None:
        self._before = signal.getsignal(signal.SIGINT)
        self._watch: Any = None
        if self._before is signal.default_int_handler:
            self._watch = gevent.signal_handler(signal.SIGINT, self._tell)

    def _tell(self) -> None:
        gevent.get_hub().handle_system_error(KeyboardInterrupt, KeyboardInterrupt())

    def release(self) -> None:
        """Let Python have it again. Idempotent."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
            signal.signal(signal.SIGINT, self._before)  # cancelling left none: it would kill


class NotSpoken(Exception):
    """The process that was to speak refused, ended, or has a bug; it says which."""


class Mouth:
    """A process that speaks. :meth:`close` ends it; so does the end of this process.

    Args:
        settings: Of :func:`fishlive.bench.apart.serve`. None of them is secret: the key is in the
            environment, which it inherits.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.environment: Environment | None = None
        """Where it runs; None until it can speak."""
        self.overhead: Overhead | None = None
        """What the tool itself adds there; None until it can speak."""
        self.client: Client | None = None
        """How this machine did; None until it was closed."""
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[AsyncResult, Told]] = {}
        self._orders: Queue = Queue()
        self._refused: str | None = None
        self._begun = Event()
        self._child = subprocess.Popen(
            [sys.executable, "-m", CHILD, json.dumps(dict(settings))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C of the terminal is for us, who then end it
        )
        self._ctrl_c = CtrlC()
        self._writer = gevent.spawn(self._write)
        self._reader = gevent.spawn(self._read)

    def wait(self) -> None:
        """Wait until it can speak, or it is known that it cannot."""
        self._begun.wait()

    @property
    def idle(self) -> bool:
        """Whether nothing is being spoken."""
        return not self._waiting

    def speak(
        self,
        combination: Combination,
        prompt: Prompt,
        told: Told,
        *,
        warmup: bool,
        due_s: float | None,
    ) -> Record | None:
        """Have an utterance spoken, and return its record; None if it was cancelled early.

        Killing the greenlet cancels the utterance. Its record is told all the same, at the latest
        in :meth:`close`.

        Args:
            combination: How.
            prompt: What.
            told: Told of the record, before it is returned.
            warmup: Whether it only warms up.
            due_s: When it should begin, by the monotonic clock; None for as soon as it can.

        Raises:
            NotSpoken: There is nobody to speak.
        """
        if self._refused is not None:
            raise NotSpoken(self._refused)
        number, over = next(self._numbers), AsyncResult()
        self._waiting[number] = over, told
        order = {
            "speak": number,
            "combination": dataclasses.asdict(combination),
            "prompt": dataclasses.asdict(prompt),
            "warmup": warmup,
            "due_s": due_s,
        }
        self._orders.put(order)
        try:
            return over.get()  # type: ignore[no-any-return]
        except gevent.GreenletExit:
            self._orders.put({"cancel": number})
            raise

    def close(self) -> None:
        """End it: what is under way is cancelled, and told. Idempotent."""
        self._orders.put(None)
        try:
            with gevent.Timeout(END_S, exception=False):
                self._reader.join()
                self._child.wait()
            if self._child.poll() is None:
                self._child.kill()
                self._child.wait()
            gevent.joinall([self._writer, self._reader])
        finally:
            self._ctrl_c.release()

    def _write(self) -> None:
        pipe = self._child.stdin
        try:
            while (order := self._orders.get()) is not None:
                pipe.write(json.dumps(order).encode() + b"\n")
                pipe.flush()
            pipe.close()
        except OSError:
            pass  # it has ended, which the reader finds out

    def _read(self) -> None:
        for line in self._child.stdout:
            self._hear(json.loads(line))
        self._child.stdout.close()
        if self._refused is None:
            code = self._child.wait()
            self._refused = f"the process that speaks has ended (exit code {code})"
        self._begun.set()
        for over, _ in self._waiting.values():
            over.set_exception(NotSpoken(self._refused))
        self._waiting.clear()

    def _hear(self, line: dict[str, Any]) -> None:
        if "over" in line:
            self._over(line)
        elif "ready" in line:
            found = _read(Environment, line["ready"])
            versions = dict(found.versions) | {name: version(name) for name in PACKAGES}
            command = tuple(sys.argv[1:])
            self.environment = replace(found, command=command, program=PROGRAM, versions=versions)
            self.overhead = _read(Overhead, line["overhead"])
            self._begun.set()
        elif "client" in line:
            self.client = _read(Client, line["client"])
        else:
            self._refused = str(line["refused"])

    def _over(self, line: dict[str, Any]) -> None:
        over, told = self._waiting.pop(line["over"])
        if "bug" in line:
            over.set_exception(NotSpoken(f"a bug in fishlive: {line['bug']}"))
            return
        record: Record | None = None
        if "record" in line:
            record = _read(Record, line["record"])
            told(record)
        over.set(record)


def _read(kind: type[_T], document: object) -> _T:
    return TypeAdapter(kind).validate_json(json.dumps(document), strict=True)
