"""What the gateways do for money: speak, and make voices of recordings."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout

from fishlive.server.cutting import TextBuffer
from fishlive.server.desk import Desk
from fishlive.server.gateway.delivery import Forbidden, check_url
from fishlive.server.gateway.eras import GatewayRefusal, Record, cost
from fishlive.server.request import Order
from fishlive.server.samples import is_audio
from fishlive.server.speaking import Inbox, Piece, Speaking, Spoken
from fishlive.server.voice_rows import NewVoice, Sample

MAX_SAMPLE_BYTES: Final = 20 * 1024 * 1024
"""Largest recording that is fetched, in bytes: 5 minutes of wav at 32 kHz."""

FETCH_S: Final = 10.0
"""How long fetching a recording may take, in seconds."""

_WAV_HEADER_BYTES: Final = 44
_MIMES: Final = {"mp3": "audio/mpeg", "wav": "audio/wav", "opus": "audio/opus"}


async def speech(desk: Desk, order: Order, record: Record, origin: str) -> dict[str, Any]:
    """Speak, keep the audio behind a link, and return the outcome."""
    began_s = asyncio.get_running_loop().time()
    slot = desk.account.slot()
    try:
        audio = await _whole(order, desk)
    finally:
        slot.release()
    desk.account.charge(order.text, order.model)
    if order.format == "wav":
        audio = _sized(audio)
    desk.jobs.keep(record.id, audio, _MIMES[order.format])
    # In one era the link's ending lies, for all formats.
    ending = "mp3" if desk.settings.era == "2026-06" else order.format
    outcome: dict[str, Any] = {"audio_url": f"{origin}/gateway/audio/{record.id}.{ending}"}
    if record.kind == "tts":
        outcome["latency_ms"] = round(1000 * (asyncio.get_running_loop().time() - began_s))
        outcome |= cost(order.text, desk.settings.era)
    return outcome


async def _whole(order: Order, desk: Desk) -> bytes:
    pieces: list[bytes] = []

    async def emit(spoken: Spoken) -> None:
        pieces.append(spoken.audio)

    inbox: Inbox = asyncio.Queue()
    buffer = TextBuffer(chunk_length=order.chunk_length, min_chunk_length=order.min_chunk_length)
    now_s = asyncio.get_running_loop().time()
    for piece in (*buffer.add(order.text), *buffer.flush()):
        inbox.put_nowait(Piece(piece, now_s))
    inbox.put_nowait(None)
    speaking = Speaking(
        order, studio=desk.studio, profile=desk.settings.pace, emit=emit, timed=False
    )
    await speaking.run(inbox)
    return b"".join(pieces)


def _sized(wav: bytes) -> bytes:
    """Return a streamed WAV with its true sizes: a file behind a link is whole."""
    if len(wav) < _WAV_HEADER_BYTES:
        return wav
    riff, data = struct.pack("<I", len(wav) - 8), struct.pack("<I", len(wav) - _WAV_HEADER_BYTES)
    return wav[:4] + riff + wav[8:40] + data + wav[44:]


async def voice(desk: Desk, links: list[str], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Make a voice of recordings, which are fetched only from loopback and only if allowed."""
    samples, audible = [], True
    for number, link in enumerate(links, 1):
        fetched = await _fetched(link, desk)
        if fetched is not None:
            audible = audible and await desk.studio.work(partial(is_audio, fetched))
        # Unfetched, the address stands for the sound: the same one always sounds the same.
        samples.append(Sample(f"Sample {number}", "", fetched or link.encode()))
    tags = fields.get("tags")
    visibility = fields.get("visibility")
    return await desk.shelf.create(
        NewVoice(
            title=str(fields.get("title") or "Untitled"),
            description=str(fields.get("description") or ""),
            visibility=visibility if visibility in {"public", "unlist", "private"} else "private",
            tags=[str(tag) for tag in tags] if isinstance(tags, list) else [],
            samples=samples,
            audible=audible,
            cover=b"",
            default_text="",
        )
    )


async def _fetched(link: str, desk: Desk) -> bytes | None:
    """Return a recording from loopback, if that is allowed; None leaves the link alone."""
    host = urlsplit(link).hostname
    if not desk.settings.allow_local_links or host not in {"127.0.0.1", "::1", "localhost"}:
        return None
    try:
        check_url(link, local=True)
        timeout = ClientTimeout(total=FETCH_S)
        async with (
            ClientSession(timeout=timeout, trust_env=False) as session,
            session.get(link, allow_redirects=False) as response,
        ):
            data = await response.content.read(MAX_SAMPLE_BYTES + 1)
            if response.status == HTTPStatus.OK and len(data) <= MAX_SAMPLE_BYTES:
                return data
    except (ClientError, Forbidden, OSError, asyncio.TimeoutError):
        pass
    raise GatewayRefusal(
        HTTPStatus.BAD_REQUEST, "bad_request", "the recording cannot be fetched",
        era=desk.settings.era,
    )  # fmt: skip
