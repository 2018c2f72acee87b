"""``POST /v1/tts/stream/with-timestamp``: audio and words as server-sent events.

The same speech and the same alignments as on the timed WebSocket; the end of the stream is the
end of the speech (stream-with-timestamps page, 2026-08).
"""

from __future__ import annotations

import base64
import json
from typing import Final

from aiohttp import web

from fishlive.server.desk import Desk
from fishlive.server.rest import Form, spoken
from fishlive.server.speaking import Spoken
from fishlive.wire.serving import snapshot


async def speak_timed(request: web.Request, *, desk: Desk, model: str) -> web.StreamResponse:
    """Answer with events, from the first one on.

    Raises:
        Refusal: 400, 413, 429 or 503, before any audio.
    """
    return await spoken(request, desk=desk, model=model, form=EVENTS)


def event(spoken: Spoken) -> bytes:
    """Return one event. Its five fields are always there; ``alignment`` may be null."""
    fields = {
        "audio_base64": base64.b64encode(spoken.audio).decode(),
        "content": spoken.content,
        "alignment": snapshot(spoken.alignment),
        "chunk_seq": spoken.chunk_seq,
        "chunk_audio_offset_sec": round(spoken.chunk_audio_offset_s, 3),
    }
    return f"data: {json.dumps(fields, ensure_ascii=False)}\n\n".encode()


EVENTS: Final = Form(timed=True, write=event, mime="text/event-stream")
