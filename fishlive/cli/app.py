"""The command line: its commands, and the one place where a command's end becomes a code."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Annotated, Final, cast

import typer

from fishlive.cli import bench, dictionary, task, voices, webhook
from fishlive.cli.demo import demo
from fishlive.cli.design import design
from fishlive.cli.doctor import doctor
from fishlive.cli.exits import MEANINGS, STOPPED, ExitCode, Failure, explain, usage
from fishlive.cli.live import live
from fishlive.cli.notes import note, warnings_as_notes
from fishlive.cli.say import say
from fishlive.cli.serve import serve
from fishlive.cli.stdout import guarded_stdout
from fishlive.cli.transcribe import transcribe
from fishlive.cli.wallet import wallet

_CODES: Final = "Exit codes:\n" + "\n".join(
    f"{code.value}: {meaning}." for code, meaning in MEANINGS.items()
)
_CODES_IN_SHORT: Final = (
    "Exit codes: 0 done, 1 the service failed, 2 fix the command, 3 key or credit, 4 network, "
    "5 busy, 130 interrupted; the whole list is in fishlive --help."
)

# typer brought click inside itself; the base of this one is UsageError on either side of that.
_CommandLineError: Final = cast("type[Exception]", typer.BadParameter.__base__)

_GROUPS: Final = (voices.app, dictionary.app, task.app, webhook.app, bench.app)

app: Final[typer.Typer] = typer.Typer(
    name="fishlive",
    help="Fish Audio from the shell: text in, speech out while it is being written, and the rest.",
    epilog=_CODES,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (say, live, transcribe, serve, demo, doctor, design, wallet):
    app.command(epilog=_CODES_IN_SHORT)(_command)
for _group in _GROUPS:
    for _subcommand in _group.registered_commands:
        _subcommand.epilog = _CODES_IN_SHORT
    app.add_typer(_group, epilog=_CODES_IN_SHORT)


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"fishlive {metadata.version('fishlive')}\n")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    del version


def run(arguments: list[str]) -> int:
    """Run one command line; return its exit code. A failure is one line on standard error."""
    try:
        with warnings_as_notes(), guarded_stdout():
            return _run(arguments)
    except BaseException as error:
        failure = explain(error)
        if failure is None:
            raise
        if failure.message:
            stopped = failure.code in STOPPED
            note(failure.message if stopped else f"error: {failure.message}")
        return failure.code


def _run(arguments: list[str]) -> int:
    """Run one command line. Raises Failure, or what the command raises."""
    if not arguments:
        app(["--help"], standalone_mode=False, prog_name="fishlive")
        return ExitCode.USAGE
    try:
        code = app(arguments, standalone_mode=False, prog_name="fishlive")
    except _CommandLineError as error:
        message = cast("typer.BadParameter", error).format_message().rstrip(".")
        message = message.replace("Value error, ", "")  # how newer typers begin their reasons
        raise usage(f"{message}: see `fishlive {_named(arguments)}--help`") from error
    except typer.Abort:
        raise Failure(ExitCode.INTERRUPTED, "interrupted") from None
    if code == ExitCode.INTERRUPTED:  # typer swallows KeyboardInterrupt
        raise Failure(ExitCode.INTERRUPTED, "interrupted")
    return code if isinstance(code, int) else ExitCode.DONE


def _named(arguments: list[str]) -> str:
    """Return the command that an argument list begins with, with a space; empty if none."""
    names = {command.callback.__name__ for command in app.registered_commands if command.callback}
    if arguments[0] in names:
        return f"{arguments[0]} "
    for group in _GROUPS:
        if arguments[0] == group.info.name:
            known = {command.name for command in group.registered_commands}
            return " ".join(arguments[: 2 if known & set(arguments[1:2]) else 1]) + " "
    return ""
