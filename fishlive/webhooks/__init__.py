"""Callbacks that cannot be lost, and webhooks that can be trusted."""

from fishlive.webhooks.signatures import FishVerifier, SignatureError, StandardVerifier

__all__ = ["FishVerifier", "SignatureError", "StandardVerifier"]
