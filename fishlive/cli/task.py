"""``fishlive task``: speech through a gateway, now or later."""

from __future__ import annotations

import contextlib
import enum
import os
import shlex
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from fishlive.cli import options
from fishlive.cli.answers import advising, show_facts, show_json, show_table, write_text
from fishlive.cli.exits import ExitCode, Failure, refused, usage
from fishlive.cli.files import check_can_be
from fishlive.cli.ledger import Ledger, Submitted
from fishlive.cli.service import read_key
from fishlive.cli.signals import run
from fishlive.cli.texts import read_text
from fishlive.errors import AuthenticationError, ConfigError, ConnectError

if TYPE_CHECKING:
    from fishlive.gateways import Task, TaskStatus
    from fishlive.gateways.gateway import Gateway

_T = TypeVar("_T")

WAIT_S: Final = 600.0
"""How long ``wait`` waits unless told, in seconds: what the gateways' own tools wait."""

SHOWN: Final = 20
"""Tasks listed unless told: a screenful."""


class Name(str, enum.Enum):
    """The two gateways."""

    acedata = "acedata"
    xhuo = "xhuo"


_NAMES: Final = {"token": "the token", "task_id": "the id"}
"""What is no option here, as people call it."""

app: Final[typer.Typer] = typer.Typer(
    name="task", help="Speech through a gateway: submit it, look, wait for it."
)

_Gateway = Annotated[Name, typer.Option("--gateway", "-g", help="Which gateway.")]
_BaseUrl = Annotated[
    str | None, typer.Option(help="The gateway's address; its own unless given.", metavar="URL")
]
_TokenFile = Annotated[
    Path | None,
    typer.Option(
        help="File with the gateway's token, for your eyes only; ACEDATACLOUD_API_TOKEN or "
        "XHUOAPI_API_TOKEN unless given.",
        metavar="FILE",
    ),
]
_Id = Annotated[str, typer.Argument(metavar="ID", help="What the gateway calls the task.")]
_Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Where the audio goes; its link is shown."),
]
_Timeout = Annotated[
    float, typer.Option("--timeout", help="How long to wait, in seconds.", metavar="S", min=0.1)
]


@app.command("submit")
def submit(
    text: Annotated[
        str, typer.Argument(metavar="TEXT|FILE|-", help="What to say; - is standard input.")
    ],
    gateway: _Gateway = Name.acedata,
    voice: options.Voice = None,
    model: options.Model = None,
    callback_url: Annotated[
        str | None,
        typer.Option(help="Where the gateway sends the result, besides keeping it.", metavar="URL"),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for it.")] = False,
    output: _Output = None,
    timeout_s: _Timeout = WAIT_S,
    force: options.Force = False,
    base_url: _BaseUrl = None,
    token_file: _TokenFile = None,
    as_json: options.AsJson = False,
) -> None:
    """Submit a text, and write its task's id; with --wait or -o, also what became of it.

    Into a pipe the id comes alone: id=$(fishlive task submit hello). A gateway that answers at once
    makes no task; then it is the result.
    """
    said = read_text(text, command="fishlive task submit")
    if output is not None:
        check_can_be(output, force=force)
    given: dict[str, Any] = {} if model is None else {"model": model}
    if voice:
        given["voice"] = voice[0] if len(voice) == 1 else voice

    async def question(client: Gateway) -> TaskStatus | Submitted:
        task = await client.tts.submit(said, callback_url=callback_url, **given)
        entry = Submitted(task.id, task.kind, task.gateway, task.started_at)
        if task.id:
            Ledger().add(entry)
        # Older backends know no `async`: they answer with the result, and there is no task.
        if task.id and not (wait or output):
            return entry
        status = await _waited(task, timeout_s, again)
        await _saved(status, output, force=force)
        return status

    again = _options(gateway, base_url, token_file)
    _show(_ask(gateway, base_url, token_file, question), as_json=as_json)


@app.command("status")
def status(
    task_id: _Id,
    gateway: _Gateway = Name.acedata,
    base_url: _BaseUrl = None,
    token_file: _TokenFile = None,
    as_json: options.AsJson = False,
) -> None:
    """Show how a task stands: unknown, pending, succeeded or failed."""

    async def question(client: Gateway) -> TaskStatus:
        return await client.tasks.get(task_id)

    _show(_ask(gateway, base_url, token_file, question), as_json=as_json)


@app.command("wait")
def wait_for(
    task_id: _Id,
    gateway: _Gateway = Name.acedata,
    output: _Output = None,
    timeout_s: _Timeout = WAIT_S,
    force: options.Force = False,
    base_url: _BaseUrl = None,
    token_file: _TokenFile = None,
    as_json: options.AsJson = False,
) -> None:
    """Wait until a task is over. Exit code 1 if it failed, or is not over in time."""
    if output is not None:
        check_can_be(output, force=force)

    again = _options(gateway, base_url, token_file)

    async def question(client: Gateway) -> TaskStatus:
        found = await _waited(client.tasks.handle(task_id), timeout_s, again)
        await _saved(found, output, force=force)
        return found

    _show(_ask(gateway, base_url, token_file, question), as_json=as_json)


@app.command("list")
def list_tasks(
    limit: Annotated[int, typer.Option(help="Most tasks shown.", min=1)] = SHOWN,
    as_json: options.AsJson = False,
) -> None:
    """List the tasks submitted from this machine, the newest first. Asks nobody."""
    entries = Ledger().newest(limit)
    if as_json:
        show_json({"tasks": [entry.document() for entry in entries]})
    else:
        rows = [(e.id, e.gateway, e.kind, e.started_at) for e in entries]
        show_table(("id", "gateway", "kind", "started"), rows)


async def _waited(task: Task, timeout_s: float, options: Sequence[str]) -> TaskStatus:
    """Return how a task ended. Raises Failure, with the command that waits again."""
    from fishlive.gateways import TaskState

    last = None
    async with contextlib.aclosing(task.changes(timeout_s=timeout_s)) as changes:
        async for status in changes:
            if status.state.over:
                status.unwrap()
                return status
            last = status.state
    again = shlex.join(["fishlive", "task", "wait", task.id, *options])
    if last is TaskState.UNKNOWN:
        raise Failure(
            ExitCode.FAILED,
            f"{task.gateway} knows no task {task.id} after {timeout_s:g} s: check the id, or, if "
            f"it is new, wait for it again: `{again}`",
        )
    raise Failure(
        ExitCode.FAILED,
        f"task {task.id} was not over within {timeout_s:g} s; it goes on: `{again}`",
    )


def _options(gateway: Name, base_url: str | None, token_file: Path | None) -> tuple[str, ...]:
    """Return the options of a command that asks the same gateway."""
    given = {"--gateway": gateway.value, "--base-url": base_url, "--token-file": token_file}
    return tuple(
        str(word) for name, value in given.items() if value is not None for word in (name, value)
    )


async def _saved(status: TaskStatus, output: Path | None, *, force: bool) -> None:
    from fishlive.gateways import AudioLink

    if output is None:
        return
    made = status.unwrap()
    if not isinstance(made, AudioLink):
        raise usage("the task made a voice, not audio: leave -o out")
    await made.download(output, overwrite=force)


def _ask(
    name: Name,
    base_url: str | None,
    token_file: Path | None,
    question: Callable[[Gateway], Awaitable[_T]],
) -> _T:
    from fishlive.gateways import AceData, Xhuo

    kind = {Name.acedata: AceData, Name.xhuo: Xhuo}[name]
    token = None if token_file is None else read_key(token_file)
    cure = f"set {kind.token_env}, or use --token-file FILE"
    if token is None and not os.environ.get(kind.token_env):
        raise usage(f"no token: {cure}")

    async def asked() -> _T:
        async with kind(token, base_url=base_url) as client:
            return await question(client)

    with advising("the id"), _advising_gateway(cure):
        return run(asked)


@contextlib.contextmanager
def _advising_gateway(cure: str) -> Iterator[None]:
    """Say what to do in words of these commands, whose options are not the service's."""
    try:
        yield
    except AuthenticationError as error:
        raise Failure(ExitCode.DENIED, f"{error}; {cure}") from error
    except ConfigError as error:
        if error.argument not in _NAMES:
            raise
        raise refused(error, _NAMES) from error
    except ConnectError as error:
        if type(error) is not ConnectError:
            raise
        raise Failure(ExitCode.NETWORK, f"{error}; check the network, and --base-url") from error


def _show(found: TaskStatus | Submitted, *, as_json: bool) -> None:
    document = found.document() if isinstance(found, Submitted) else _document(found)
    if as_json:
        show_json(document)
    elif isinstance(found, Submitted) and not sys.stdout.isatty():
        write_text(f"{found.id}\n")
    else:
        show_facts(document)


def _document(status: TaskStatus) -> dict[str, Any]:
    """Return a task as scripts see it: always these keys."""
    result = status.result
    return {
        "id": status.id or None,
        "state": status.state.value,
        "audio_url": getattr(result, "audio_url", None),
        "voice": getattr(result, "id", None),
        "error": None if status.error is None else str(status.error),
    }
