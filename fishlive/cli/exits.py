"""How a command ends: one code that scripts can use, one line that people can."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from fishlive.errors import (
    APIStatusError,
    AuthenticationError,
    BudgetExceeded,
    ConfigError,
    ConnectError,
    ConnectionLost,
    FishLiveError,
    HostNotFoundError,
    InsufficientCreditsError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    RateLimitError,
    SlotTimeout,
    StreamInterrupted,
    SynthesisError,
    TaskTimeout,
    TLSError,
    UpgradeError,
)


class ExitCode(enum.IntEnum):
    """Exit codes of every command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    DENIED = 3
    NETWORK = 4
    BUSY = 5
    WORSE = 6
    HUNG_UP = 129
    INTERRUPTED = 130
    READER_GONE = 141
    TERMINATED = 143


MEANINGS: Final = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "the service failed or cut the speech off: the same command may work later",
    ExitCode.USAGE: "fix the command: an argument, a file, a missing package, a voice or text "
    "the service refuses",
    ExitCode.DENIED: "fix the account: the key, its rights or its credit",
    ExitCode.NETWORK: "no connection, or it was lost",
    ExitCode.BUSY: "too many requests at once: wait, then try again",
    ExitCode.WORSE: "a benchmark is worse than --fail-over allows: look at what changed",
    ExitCode.HUNG_UP: "the terminal went away (SIGHUP)",
    ExitCode.INTERRUPTED: "interrupted (Ctrl-C)",
    ExitCode.READER_GONE: "whoever read standard output went away, as with head; says nothing",
    ExitCode.TERMINATED: "terminated (SIGTERM)",
}
"""What each code means. 129, 130, 141 and 143 are what a shell reports for SIGHUP, SIGINT, SIGPIPE
and SIGTERM."""


STOPPED: Final = frozenset({ExitCode.HUNG_UP, ExitCode.INTERRUPTED, ExitCode.TERMINATED})
"""The codes of a command that a signal ended: that is no error."""


class Failure(Exception):
    """A command that cannot go on.

    Args:
        code: What the process returns.
        message: What happened and what to do next, in one line; empty to say nothing.
    """

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def adding(self, note: str) -> Failure:
        """Return the same failure with one more thing to know, unless it says nothing."""
        return Failure(self.code, f"{self.message}; {note}" if self.message else "")


def usage(message: str) -> Failure:
    """Return the failure of a command that has to be changed."""
    return Failure(ExitCode.USAGE, message)


_ANSWERS: Final[tuple[tuple[type[FishLiveError], ExitCode, str], ...]] = (
    (AuthenticationError, ExitCode.DENIED, "set FISH_API_KEY, or use --key-file FILE"),
    (InsufficientCreditsError, ExitCode.DENIED, ""),
    (PermissionDeniedError, ExitCode.DENIED, "ask the owner of the voice or of the key"),
    (RateLimitError, ExitCode.BUSY, "wait, then try again"),
    (BudgetExceeded, ExitCode.DENIED, "raise the budget, or say less"),
    (SlotTimeout, ExitCode.BUSY, "wait, then try again"),
    (TaskTimeout, ExitCode.FAILED, "it goes on: wait for it again, by its id"),
    (NotFoundError, ExitCode.USAGE, "check --voice, and --base-url"),
    (InvalidRequestError, ExitCode.USAGE, "check --voice and the other options"),
    (APIStatusError, ExitCode.FAILED, "try again later"),
    (HostNotFoundError, ExitCode.NETWORK, "check the network, and --base-url"),
    (TLSError, ExitCode.NETWORK, "check the certificates of this machine, and its clock"),
    (UpgradeError, ExitCode.NETWORK, "check --base-url"),
    (ConnectError, ExitCode.NETWORK, "check the network, or try --local"),
    (ConnectionLost, ExitCode.NETWORK, "try again"),
    (StreamInterrupted, ExitCode.FAILED, "try again"),
    (SynthesisError, ExitCode.FAILED, "change the text, or try again"),
    (ProtocolError, ExitCode.FAILED, "please report this"),
)
"""Errors and what to do about them: the first that fits counts."""

_OPTIONS: Final = {
    "api_key": "the key",
    "audio": "the file",
    "cover_image": "--cover",
    "dictionary_id": "the id",
    "enhance_audio_quality": "--enhance",
    "expected_latest_version_id": "--after",
    "instruction": "the description",
    "items": "the rules",
    "keys": "--key",
    "name": "the name",
    "reference_text": "--say",
    "rules": "the rules",
    "samples": "the files",
    "tags": "--tag",
    "team_id": "--team",
    "text": "the text",
    "texts": "--text",
    "version_id": "--version",
    "voice_id": "the id",
}
"""Options whose name is not the argument's own."""

_SAID: Final = (
    ("say allow_remote=True", "use --allow-remote"),
    ("say accept_any_key=True", "use --accept-any-key"),
    (", or allow_insecure=True", ""),
    ("; the key goes into api_key", "; the key goes into FISH_API_KEY, or a --key-file"),
    (" is no id", " is none that there can be"),
)
"""What programs are told, and what people are told in its place: options, or nothing."""


def explain(error: BaseException) -> Failure | None:
    """Return an error as a command's failure; None for a bug, which keeps its traceback."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Failure(ExitCode.INTERRUPTED, "interrupted")
    if isinstance(error, ConfigError):
        return refused(error)
    if isinstance(error, APIStatusError) and error.status == HTTPStatus.NOT_IMPLEMENTED:
        return usage(str(error))  # the local server, which says what to install
    for kind, code, advice in _ANSWERS:
        if isinstance(error, kind):
            return Failure(code, f"{error}; {advice}" if advice else str(error))
    if isinstance(error, OSError) and not isinstance(error, FishLiveError):
        return usage(about_file(error))
    return None


def refused(error: ConfigError, names: Mapping[str, str] = _OPTIONS) -> Failure:
    """Return the failure of an argument, in words of the command line.

    Args:
        error: What a program would be told.
        names: What arguments are called here, where that is not the option's plain name.
    """
    said = str(error)
    for program, people in _SAID:
        said = said.replace(program, people)
    if error.argument is None:
        return usage(said)
    plain = error.argument.partition("[")[0]  # rules[3] is one of the rules
    name = names.get(plain) or "--" + plain.rpartition(".")[2].replace("_", "-")
    own = f"{plain} "
    return usage(f"{name} {said[len(own) :]}" if said.startswith(own) else f"{name}: {said}")


def about_file(error: OSError) -> str:
    """Return what the system says about a file."""
    name = "" if error.filename is None else f"{error.filename}: "
    return f"{name}{error.strerror or str(error) or type(error).__name__}"


def one_line(text: str) -> str:
    """Return text for a terminal: one line, anything that could steer it escaped.

    Control characters, line separators and marks of writing direction are what is escaped.
    """
    words = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)
