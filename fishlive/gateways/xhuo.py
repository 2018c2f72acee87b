"""xhuoapi."""

from __future__ import annotations

from typing import ClassVar

from fishlive.gateways.gateway import Gateway


class Xhuo(Gateway):
    """A client of xhuoapi (api.xhuoapi.ai/v1); token from ``XHUOAPI_API_TOKEN``.

    Its own pages show ``tts`` and ``model``; the rest is the same product under another name,
    and not promised.
    """

    name: ClassVar[str] = "xhuo"
    token_env: ClassVar[str] = "XHUOAPI_API_TOKEN"  # noqa: S105 - a name, not a token
    default_base_url: ClassVar[str] = "https://api.xhuoapi.ai"
    default_prefix: ClassVar[str] = "/v1"
