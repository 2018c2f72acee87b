"""What the handlers of one server share."""

from __future__ import annotations

from dataclasses import dataclass

from fishlive.server.accounts import Account
from fishlive.server.gateway.jobs import Jobs
from fishlive.server.settings import Settings
from fishlive.server.shelf import Shelf
from fishlive.server.store import Store
from fishlive.server.studio import Studio


@dataclass(frozen=True, slots=True)
class Desk:
    """One server's settings, the account behind its keys, its voice, and what it keeps and does."""

    settings: Settings
    account: Account
    studio: Studio
    store: Store
    shelf: Shelf
    jobs: Jobs
