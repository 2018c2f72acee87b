"""fishlive: an LLM's tokens in, speech out while it is still talking.

async with fishlive.Session() as fish, fish.live(voice=VOICE) as live:
    async for chunk in live.speak(llm_tokens()):
        player.write(chunk)
"""

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
