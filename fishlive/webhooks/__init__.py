"""Callbacks and webhooks: heard, verified, and handled once each.

Adapters: ``fishlive.webhooks.aiohttp.handler`` and ``fishlive.webhooks.asgi.App``.
"""

from fishlive.errors import SignatureError, StoreError
from fishlive.stores import Heard
from fishlive.webhooks.events import Answer, Event, Finished, SignedEvent
from fishlive.webhooks.inbox import Inbox
from fishlive.webhooks.receiver import Receiver
from fishlive.webhooks.signatures import (
    FishVerifier,
    Signed,
    StandardVerifier,
    Verifier,
)

__all__ = [
    "Answer",
    "Event",
    "Finished",
    "FishVerifier",
    "Heard",
    "Inbox",
    "Receiver",
    "SignatureError",
    "Signed",
    "SignedEvent",
    "StandardVerifier",
    "StoreError",
    "Verifier",
]
