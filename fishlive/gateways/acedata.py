"""Ace Data Cloud."""

from __future__ import annotations

from typing import ClassVar

from fishlive.gateways.gateway import Gateway


class AceData(Gateway):
    """A client of Ace Data Cloud (api.acedata.cloud); token from ``ACEDATACLOUD_API_TOKEN``."""

    name: ClassVar[str] = "acedata"
    token_env: ClassVar[str] = "ACEDATACLOUD_API_TOKEN"  # noqa: S105 - a name, not a token
    default_base_url: ClassVar[str] = "https://api.acedata.cloud"
    # An array is refused upstream, says the newest contract (2026-09).
    lone_voice_as_text: ClassVar[bool] = True
