"""secret.py: a key that does not show."""

from __future__ import annotations

import copy
import logging
import pickle

import pytest

from fishlive.errors import ConfigError
from fishlive.secret import LOCAL_KEY, Secret

KEY = "canary-4b1d"


@pytest.mark.parametrize(
    "shown",
    [repr, str, "{}".format, "{:>40}".format, lambda s: f"{s!r}", lambda s: "%s" % s],  # noqa: UP031  # on purpose
)
def test_it_never_shows(shown: object) -> None:
    """Whatever prints it prints dots."""
    assert KEY not in shown(Secret(KEY))  # type: ignore[operator]  # all of them are functions


def test_only_reveal_gives_it() -> None:
    """The key comes out where it is asked for by name."""
    assert Secret(KEY).reveal() == KEY


def test_what_others_say_is_kept_but_for_the_key() -> None:
    """Dots stand where a service repeats it; the local server's key is a word, and no secret."""
    assert Secret(KEY).scrub(f"{KEY} is spent".encode()) == "••• is spent".encode()
    assert Secret(KEY).scrub(f"{KEY}{KEY} {KEY[:-1]}".encode()) == "•••••• •••".encode()
    assert Secret(LOCAL_KEY).scrub(b"this local server") == b"this local server"


def test_it_is_not_pickled_copied_or_listed() -> None:
    """No way of copying an object's state finds the key."""
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy, vars):
        with pytest.raises(TypeError):
            attempt(Secret(KEY))


def test_it_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Passing it to a logger logs dots."""
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").warning("key %s %r", Secret(KEY), Secret(KEY))
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    "value", ["", " ", "a\r\nX-Evil: 1", "a\n", "a\0b", " a", "a ", "kéy", "a\tb"]
)
def test_what_no_header_can_carry_is_refused(value: str) -> None:
    """Header injection ends here, and the error does not repeat the key."""
    with pytest.raises(ConfigError) as caught:
        Secret(value)
    assert caught.value.argument == "api_key"
    assert len(value.strip()) < 3 or value.strip() not in str(caught.value)
