"""What the handlers of one server share."""

from __future__ import annotations

from dataclasses import dataclass

from fishlive.server.accounts import Account
from fishlive.server.settings import Settings
from fishlive.server.studio import Studio


@dataclass(frozen=True, slots=True)
class Desk:
    """One server's settings, the account behind its keys, and its voice."""

    settings: Settings
    account: Account
    studio: Studio
