"""What a command found out, on standard output: a table for people, JSON for scripts."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

from fishlive.cli.exits import one_line, usage
from fishlive.cli.service import Service
from fishlive.cli.signals import run
from fishlive.errors import ConflictError, InvalidRequestError, NotFoundError
from fishlive.session import Session

_T = TypeVar("_T")

WIDE_CELLS: Final = 10_000
"""Width of a table that goes into a pipe, in cells: wide enough that nothing is cut."""


def ask(
    service: Service, question: Callable[[Session], Awaitable[_T]], *, about: str = "the id"
) -> _T:
    """Return what a session answers.

    Args:
        service: Where.
        question: Is given an open session.
        about: What to check if there is no such thing.

    Raises:
        Failure: The service cannot be asked, or has no such thing.
    """
    service.check()

    async def asked() -> _T:
        async with service.open() as fish:
            return await question(fish)

    with advising(about):
        return run(asked)


@contextlib.contextmanager
def advising(about: str) -> Iterator[None]:
    """Say of a refusal what to change, by what the command is about."""
    try:
        yield
    except NotFoundError as error:
        raise usage(f"{error}; check {about}") from error
    except ConflictError as error:
        raise usage(f"{error}; read it again, and base the change on that") from error
    except InvalidRequestError as error:
        raise usage(f"{error}; check the arguments") from error


def show_json(document: object) -> None:
    """Write a document as JSON, and nothing else. Amounts are strings, dates ISO 8601."""
    sys.stdout.write(json_text(document) + "\n")


def write_text(text: str) -> None:
    """Write lines of text; on a terminal without what could steer it."""
    out = sys.stdout
    if out.isatty():
        text = "".join(one_line(line) + "\n" for line in text.splitlines())
    encoding = out.encoding or "utf-8"
    out.write(text.encode(encoding, "backslashreplace").decode(encoding))


def json_text(document: object) -> str:
    """Return a document as JSON, in ASCII: every terminal and every pipe can carry it."""
    return json.dumps(document, indent=2, default=_plain)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write rows under their names. In a pipe nothing is cut, and each row is one line."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, show_edge=False, header_style="bold", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    if sys.stdout.isatty():
        Console(highlight=False).print(table)
        return
    console = Console(highlight=False, width=WIDE_CELLS)
    with console.capture() as captured:
        console.print(table)
    write_text("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))


def show_facts(facts: Mapping[str, object]) -> None:
    """Write one thing, a fact a line; what is not known is left out."""
    known = {name: value for name, value in facts.items() if value not in (None, "", ())}
    size = max(map(len, known), default=0)
    write_text("".join(f"{name:<{size}}  {shown(value)}\n" for name, value in known.items()))


def shown(value: object) -> str:
    """Return a value for people: one line that cannot steer the terminal."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, (list, tuple)):
        return ", ".join(shown(item) for item in value) or "-"
    return one_line(str(value)) or "-"


def _cell(value: object) -> Any:
    from rich.text import Text

    return Text(shown(value), overflow="fold")


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no form in JSON")
