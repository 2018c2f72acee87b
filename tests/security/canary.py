"""Looks for a key wherever programs print, keep and send things."""

from __future__ import annotations

import base64
import contextlib
import io
import logging
import pickle
import secrets
import socket
import traceback
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn

import pytest
from rich.console import Console
from rich.traceback import Traceback

from fishlive.secret import Secret

KEY: Final = Secret(secrets.token_hex(20))
"""A key of this run: whoever shows these 40 characters shows the key. Held so that the locals of
the tests' own frames are no hits."""

ALL: Final = 1
"""A level under DEBUG, where picows writes whole requests."""

DEEP: Final = 12
"""How far an object's insides are followed."""


def hits(text: str) -> bool:
    """Return whether a text has the key, plainly or in base64."""
    plain = KEY.reveal()
    return plain in text or base64.b64encode(plain.encode()).decode()[:48] in text


def prints(error: BaseException, *, slow: bool = True) -> Iterator[tuple[str, str]]:
    """Yield an error in every way in which programs print it, by name.

    The last two print the same frames as the one before them, a hundred times as slowly.
    """
    yield "str", str(error)
    yield "repr", repr(error)
    yield "args", repr(error.args)
    yield "vars", repr(vars(error))
    with contextlib.suppress(Exception):
        yield "pickle", pickle.dumps(error).decode("latin-1")
    kept = traceback.TracebackException.from_exception(error, capture_locals=True)
    yield "traceback with locals", "".join(kept.format())
    if not slow:
        return
    out = io.StringIO()
    rich = Traceback.from_exception(
        type(error), error, error.__traceback__, show_locals=True, locals_max_length=1000,
        locals_max_string=10_000,
    )  # fmt: skip
    Console(file=out, width=500).print(rich)
    yield "rich traceback", out.getvalue()
    if error.__traceback__ is not None:
        shown = pytest.ExceptionInfo.from_exception(error).getrepr(showlocals=True, style="long")
        yield "pytest --showlocals", str(shown)


def held(value: object, *, at: str = "", depth: int = DEEP, seen: set[int] | None = None) -> str:
    """Return where an object of ours holds the key as it is; empty if it does not.

    Follows attributes of our own objects, and containers. A Secret is where it may be.
    """
    seen = set() if seen is None else seen
    if isinstance(value, Secret) or id(value) in seen or depth == 0:
        return ""
    seen.add(id(value))
    if isinstance(value, (str, bytes, bytearray)):
        text = value if isinstance(value, str) else bytes(value).decode("latin-1")
        return at if hits(text) else ""
    for name, inside in _inside(value):
        if found := held(inside, at=f"{at}.{name}", depth=depth - 1, seen=seen):
            return found
    return ""


def _inside(value: object) -> Iterator[tuple[str, object]]:
    if type(value) is dict:
        for key, item in value.items():
            yield repr(key), item
            yield "key", key
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from ((str(index), item) for index, item in enumerate(value))
    elif type(value).__module__.startswith("fishlive"):
        names = {name for cls in type(value).__mro__ for name in getattr(cls, "__slots__", ())}
        yield from vars(value).items() if hasattr(value, "__dict__") else ()
        yield from ((n, getattr(value, n)) for n in names if hasattr(value, n))


async def knows_nobody(host: object, *_rest: object, **_more: object) -> NoReturn:
    """Resolve nothing: what ``names.look_up`` is replaced by, so that no test asks a network."""
    raise socket.gaierror(socket.EAI_NONAME, f"no {type(host).__name__} of that name")


class Watch(logging.Handler):
    """Hears everything that is logged and warned, and is shown errors and objects."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.found: list[str] = []
        self.heard = 0
        self.errors = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Look at a record, as it is formatted and as it is."""
        self.heard += 1
        self.look(f"log of {record.name}", record.getMessage() + repr(vars(record)))
        if record.exc_info and record.exc_info[1]:
            self.error(record.exc_info[1], f"log of {record.name}")

    def look(self, where: str, text: str) -> None:
        """Note where a text has the key, and the line of it."""
        if hits(text):
            lines = [line for line in text.splitlines() if hits(line)]
            place = lines[0] if lines else text
            self.found.append(f"{where}: {place[:300]}")

    def error(self, error: BaseException, where: str = "") -> None:
        """Look at an error in every way."""
        self.errors += 1
        for way, text in prints(error, slow=self.errors == 1):
            self.look(f"{where} {type(error).__name__} as {way}", text)

    def object(self, value: object) -> None:
        """Look at an object: its repr, its attributes, its pickle."""
        name = type(value).__name__
        self.look(f"repr of {name}", f"{value!r} {value!s} {value:}")
        with contextlib.suppress(Exception):
            self.look(f"pickle of {name}", pickle.dumps(value).decode("latin-1"))
        if found := held(value):
            self.found.append(f"{name}{found}")

    @contextlib.contextmanager
    def everything(self) -> Iterator[None]:
        """Turn on all that is ever logged, and listen."""
        root = logging.getLogger()
        levels: Mapping[str, Any] = {"": root.level}
        loggers = [logging.getLogger(name) for name in _LOGGERS]
        before = [(logger, logger.level, logger.propagate) for logger in loggers]
        root.addHandler(self)
        root.setLevel(ALL)
        for logger in loggers:
            logger.setLevel(ALL)
            logger.propagate = True
        try:
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                yield
            for warning in warned:
                self.look("warning", str(warning.message))
        finally:
            root.removeHandler(self)
            root.setLevel(levels[""])
            for logger, level, propagates in before:
                logger.setLevel(level)
                logger.propagate = propagates


_LOGGERS: Final = (
    "aiohttp", "aiohttp.access", "aiohttp.client", "aiohttp.internal", "aiohttp.server",
    "aiohttp.web", "aiohttp.websocket", "aiohappyeyeballs", "asyncio", "concurrent", "fishlive",
    "fishlive.server", "fishlive.transport", "fishlive.webhooks", "picows", "picows.client",
    "py.warnings",
)  # fmt: skip
