"""errors.py: one tree, facts as attributes, advice on the class."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from fishlive import errors
from fishlive.errors import (
    APIStatusError,
    BudgetExceeded,
    ConcurrencyLimitError,
    ConfigError,
    ConnectTimeout,
    FishLiveError,
    InsufficientCreditsError,
    InvalidTextError,
    RateLimitError,
    ServerClosed,
    SignatureError,
    StallTimeout,
    SynthesisError,
    UpgradeError,
)

CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, FishLiveError)
]
EXAMPLES = [
    ConfigError("bad", argument="voice"),
    InvalidTextError("not text", index=3),
    ConnectTimeout("slow", phase="tls"),
    UpgradeError("no", status=200),
    APIStatusError("no", status=418, reason="teapot", retry_after_s=2.0, trace_id="t"),
    ConcurrencyLimitError("busy", max_concurrency=5, status=429),
    StallTimeout("silent", phase="audio"),
    BudgetExceeded("too dear", spent=1.5, limit=2.0, asked=0.75, unit="usd"),
    ServerClosed(1011, "restart"),
    SignatureError("no match"),
    SynthesisError("error", "oom"),
]


def test_there_is_one_root_and_every_class_is_exported() -> None:
    """Whatever we raise is a FishLiveError, and its name is public."""
    assert sorted(cls.__name__ for cls in CLASSES) == sorted(errors.__all__)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """The picture on top of the module names every class, indented under its base."""
    drawn = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines()[2:]:
        bare = line.lstrip("│├└─ ")
        depth = (len(line) - len(bare)) // 4
        path[depth:] = [bare.split()[0]]
        drawn[path[-1]] = path[-2] if depth else None
    tree = {
        cls.__name__: next((b.__name__ for b in cls.__bases__ if b in CLASSES), None)
        for cls in CLASSES
    }

    assert drawn == tree


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_class_says_something(cls: type[FishLiveError]) -> None:
    """Each class has its own docstring and its own answer to "may I try again?"."""
    assert cls.__doc__
    assert cls.__dict__.get("__doc__")
    assert isinstance(cls.retryable, bool)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_facts_survive_pickling_and_copying(error: FishLiveError) -> None:
    """An error that crosses a process keeps its class, sentence and attributes."""
    error.audio_bytes = 12
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # our own
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)


def test_sentences_say_what_to_do() -> None:
    """Status, wait and advice are in the sentence."""
    assert "402 empty" in str(InsufficientCreditsError("empty", status=402))
    assert "top up" in str(InsufficientCreditsError("empty", status=402))
    assert "retry after 2 s" in str(RateLimitError("slow down", status=429, retry_after_s=2.0))
    assert str(ServerClosed(1011, "restart")).endswith("(code 1011): restart")
    assert str(SynthesisError("error")) == "synthesis failed (error)"


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        (ConfigError, ValueError),
        (InvalidTextError, TypeError),
        (errors.UsageError, RuntimeError),
        (errors.ConnectError, ConnectionError),
        (ConnectTimeout, TimeoutError),
        (StallTimeout, TimeoutError),
        (errors.ConnectionLost, ConnectionError),
    ],
)
def test_builtin_habits_work(cls: type[FishLiveError], builtin: type[Exception]) -> None:
    """Code that catches the builtin meaning of an error catches ours too."""
    assert issubclass(cls, builtin)
