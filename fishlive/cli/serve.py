"""``fishlive serve``: the local server, until it is stopped."""

from __future__ import annotations

import enum
import ipaddress
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from fishlive.cli.exits import STOPPED, Failure
from fishlive.cli.notes import note, warn
from fishlive.cli.serve_faults import read_given, show_kinds
from fishlive.cli.signals import run
from fishlive.secret import LOCAL_KEY

if TYPE_CHECKING:
    from fishlive.server import LocalServer


MAX_PORT: Final = 65_535
"""The highest port there is: 16 bits."""


class Pace(str, enum.Enum):
    """Profiles of the local server: how fast it speaks."""

    instant = "instant"
    fish_low = "fish-low"
    fish_balanced = "fish-balanced"
    fish_normal = "fish-normal"


class Era(str, enum.Enum):
    """Generations of the gateways' answers."""

    legacy = "2025"
    compatible = "2026-05"
    later = "2026-06"
    newest = "2026-09"


class Callbacks(str, enum.Enum):
    """Ways in which callbacks come, or do not."""

    once = "once"
    never = "never"
    twice = "twice"
    early = "early"
    out_of_order = "out-of-order"
    failure_first = "failure-first"
    garbage = "garbage"


def _checked(port: int) -> int:
    """Return a port. Raises BadParameter: a range of typer's own would widen the help by half."""
    if not 0 <= port <= MAX_PORT:
        raise typer.BadParameter(f"{port} is not in the range 0 to {MAX_PORT}")
    return port


def serve(
    host: Annotated[
        str,
        typer.Option(help="Address to listen on; anything but loopback needs --allow-remote."),
    ] = "127.0.0.1",
    allow_remote: Annotated[
        bool,
        typer.Option("--allow-remote", help="Let other machines in; the key is then a long one."),
    ] = False,
    port: Annotated[
        int, typer.Option(metavar="PORT", help="0 takes a free one.", callback=_checked)
    ] = 8765,
    key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="The key it accepts, not your real one: local unless given, and a new one with "
            "--allow-remote.",
        ),
    ] = None,
    accept_any_key: Annotated[
        bool, typer.Option("--accept-any-key", help="Accept every key, real ones too.")
    ] = False,
    profile: Annotated[
        Pace,
        typer.Option(
            metavar="NAME",
            help="How fast it speaks: at once, or as the service does "
            f"({', '.join(pace.value for pace in Pace)}).",
        ),
    ] = Pace.instant,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse what the documents say is refused.")
    ] = False,
    concurrency: Annotated[
        int | None,
        typer.Option(metavar="N", help="Utterances at once; more are refused.", min=1),
    ] = None,
    credit: Annotated[
        float | None,
        typer.Option(metavar="USD", help="On the account; no end unless given.", min=0),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder that keeps voices and dictionaries; they are in memory unless given.",
            file_okay=False,
        ),
    ] = None,
    era: Annotated[
        Era,
        typer.Option(
            metavar="ERA",
            help="Whose answers the gateways give, /fish and /v1/fish "
            f"({', '.join(era.value for era in Era)}).",
        ),
    ] = Era.newest,
    callbacks: Annotated[
        Callbacks,
        typer.Option(
            metavar="HOW",
            help="How the gateways tell of a task's end, or fail to "
            f"({', '.join(how.value for how in Callbacks)}).",
        ),
    ] = Callbacks.once,
    allow_local_webhooks: Annotated[
        bool,
        typer.Option("--allow-local-webhooks", help="Let callbacks go to this machine."),
    ] = False,
    close_after_finish: Annotated[
        bool | None,
        typer.Option(
            "--close-after-finish/--stay",
            help="Whether the socket closes behind an utterance; as documented unless given.",
        ),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPEC",
            help="What goes wrong, such as rst@audio:3. Once; every time with ,times=always "
            "behind it, and more: see --list-faults. Repeatable.",
        ),
    ] = None,
    faults: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="What goes wrong: a list in TOML or JSON.", dir_okay=False
        ),
    ] = None,
    list_faults: Annotated[
        bool, typer.Option("--list-faults", help="Show what can go wrong, and end.")
    ] = False,
) -> None:
    """Run a server on this machine that speaks Fish Audio's protocol with a real voice.

    Needs no key and no network. Ctrl-C stops it, with exit code 0.
    """
    if list_faults:
        show_kinds()
        return
    from fishlive.server import LocalServer

    if key is None:
        key = f"{LOCAL_KEY}-{secrets.token_urlsafe(18)}" if allow_remote else LOCAL_KEY
    limits: dict[str, Any] = {} if concurrency is None else {"concurrency": concurrency}
    server = LocalServer(
        host=host,
        port=port,
        keys=(key,),
        allow_remote=allow_remote,
        accept_any_key=accept_any_key,
        profile=profile.value,
        strict=strict,
        credit=credit,
        data=data,
        era=era.value,
        callbacks=callbacks.value,
        allow_local_webhooks=allow_local_webhooks,
        close_after_finish=close_after_finish,
        faults=read_given(fault or (), faults),
        on_fault=lambda each: note(f"played {each}"),
        **limits,
    )
    try:
        run(lambda: _serve(server))
    except Failure as failure:
        if failure.code not in STOPPED:
            raise
        note("stopped")


async def _serve(server: LocalServer) -> None:
    key = server.key
    async with server:
        if not _is_loopback(server.url):
            warn("whoever reaches this address and knows the key can use it")
        sys.stdout.write(f"listening on {server.url}, key {key} (Ctrl-C stops it). Try:\n")
        sys.stdout.write(
            f"FISH_API_KEY={key} FISH_BASE_URL={server.url} fishlive say hello -o hello.wav\n"
        )
        sys.stdout.flush()
        await server.serve_forever()


def _is_loopback(url: str) -> bool:
    host = url.removeprefix("http://").rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
