"""fishlive: an LLM's tokens in, speech out while it is still talking.

async with fishlive.Session() as fish, fish.live(voice=VOICE) as live:
    async for chunk in live.speak(llm_tokens()):
        player.write(chunk)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fishlive import errors
    from fishlive.errors import (
        ConfigError,
        ConnectError,
        FishLiveError,
        UtteranceInterrupted,
    )
    from fishlive.flow.retry import RetryPolicy
    from fishlive.flow.watchdog import Deadlines
    from fishlive.live.channel import LiveTTS
    from fishlive.live.plan import Attempt, Resumed
    from fishlive.live.stats import Interruption, Outcome, UtteranceStats
    from fishlive.live.utterance import Utterance
    from fishlive.models.reference import ReferenceAudio
    from fishlive.session import Session
    from fishlive.text.budget import Budget
    from fishlive.text.ledger import Ledger
    from fishlive.transport.call import Timeouts
    from fishlive.wire.words import Word

__version__ = "0.1.0"

__all__ = [
    "Attempt",
    "Budget",
    "ConfigError",
    "ConnectError",
    "Deadlines",
    "FishLiveError",
    "Interruption",
    "Ledger",
    "LiveTTS",
    "Outcome",
    "ReferenceAudio",
    "Resumed",
    "RetryPolicy",
    "Session",
    "Timeouts",
    "Utterance",
    "UtteranceInterrupted",
    "UtteranceStats",
    "Word",
    "errors",
]

_HOMES: Final = {
    "Attempt": "live.plan",
    "Budget": "text.budget",
    "ConfigError": "errors",
    "ConnectError": "errors",
    "Deadlines": "flow.watchdog",
    "FishLiveError": "errors",
    "Interruption": "live.stats",
    "Ledger": "text.ledger",
    "LiveTTS": "live.channel",
    "Outcome": "live.stats",
    "ReferenceAudio": "models.reference",
    "Resumed": "live.plan",
    "RetryPolicy": "flow.retry",
    "Session": "session",
    "Timeouts": "transport.call",
    "Utterance": "live.utterance",
    "UtteranceInterrupted": "errors",
    "UtteranceStats": "live.stats",
    "Word": "wire.words",
    "errors": "errors",
}
"""Where the public names are: each is imported when it is first used. All of them take half a
second, in which a command could not say what a Ctrl-C did."""


if not TYPE_CHECKING:  # checkers are to see that a name does not exist

    def __getattr__(name: str) -> object:
        """Return a public name."""
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = import_module(f"{__name__}.{home}")
        value = module if name == home else getattr(module, name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """Return the public names, imported or not."""
    return [*__all__, "__all__", "__doc__", "__version__"]
