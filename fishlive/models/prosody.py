"""How speech is paced and how loud it is."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from fishlive.models.base import Request


class Prosody(Request):
    """Speed and loudness. Passing any at all may change the loudness by itself.

    With an object of this kind the service normalises loudness unless told otherwise; third
    parties measured some 9 dB between none and an empty one (2026-10).

    Attributes:
        speed: Factor of the speaking rate, 0.5 to 2; 1 if None.
        volume: Change of loudness in dB, -20 to 20 (asyncapi.yml, 2026-08); 0 if None.
        normalize_loudness: True if None. No effect on s1.
    """

    speed: Annotated[float, Field(ge=0.5, le=2.0)] | None = None
    volume: Annotated[float, Field(ge=-20.0, le=20.0)] | None = None
    normalize_loudness: bool | None = None
