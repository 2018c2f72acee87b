"""Settings are data, and checked."""

from __future__ import annotations

from typing import Any

import pytest

from fishlive.errors import ConfigError
from fishlive.server import PROFILES, Profile, Settings


def test_profiles_get_slower() -> None:
    """From instant to normal, first audio comes later; only instant takes no time at all."""
    names = ["instant", "fish-low", "fish-balanced", "fish-normal"]
    assert list(PROFILES) == names
    firsts = [PROFILES[name].first_audio_s for name in names]
    assert firsts == sorted(firsts)
    assert [PROFILES[name].real_time_factor > 0 for name in names] == [False, True, True, True]


def test_numbers_replace_the_profiles() -> None:
    """A delay or factor set by hand wins over the profile."""
    pace = Settings(profile="fish-low", first_audio_s=2.0, real_time_factor=0.0).pace
    assert (pace.first_audio_s, pace.real_time_factor) == (2.0, 0.0)
    assert pace.event_s == PROFILES["fish-low"].event_s


def test_a_profile_of_ones_own() -> None:
    """A Profile may be given instead of a name."""
    own = Profile(first_audio_s=1.0, real_time_factor=0.5, event_s=0.2)
    assert Settings(profile=own).pace == own


@pytest.mark.parametrize(
    ("wrong", "argument"),
    [
        ({"profile": "fast"}, "profile"),
        ({"keys": ()}, "keys"),
        ({"keys": "local"}, "keys"),
        ({"keys": ("",)}, "keys"),
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency_refusal": "never"}, "concurrency_refusal"),
        ({"max_message_bytes": 0}, "max_message_bytes"),
        ({"first_audio_s": -1}, "profile"),
        ({"training_s": -1}, "training_s"),
        ({"training_s": float("nan")}, "training_s"),
        ({"credit": float("inf")}, "credit"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any], argument: str) -> None:
    """A wrong setting is a ConfigError that names it."""
    with pytest.raises(ConfigError) as refused:
        Settings(**wrong)
    assert refused.value.argument == argument


def test_keys_are_not_shown() -> None:
    """The repr of settings has no key."""
    assert "secret" not in repr(Settings(keys=("secret",)))


@pytest.mark.parametrize(
    ("setting", "plain", "timed"), [(None, True, False), (True, True, True), (False, False, False)]
)
def test_who_closes(setting: bool | None, plain: bool, timed: bool) -> None:
    """Unless told otherwise only the plain endpoint closes after finish, as documented."""
    settings = Settings(close_after_finish=setting)
    assert (settings.closes(timed=False), settings.closes(timed=True)) == (plain, timed)
