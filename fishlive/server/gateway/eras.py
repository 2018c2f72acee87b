"""What the gateways' answers looked like, era by era. Pure.

Source: the guides and contracts of both gateways (2025-05 to 2026-09); api notes on the gateways,
§0 (eras), §3 (bodies), §5 (errors).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http import HTTPStatus
from typing import Any, Final, get_args

from aiohttp import web

from fishlive.server.refusal import Refusal
from fishlive.server.settings import Era

ERAS: Final[tuple[Era, ...]] = get_args(Era)
"""2025: audios and voices, in an envelope. 2026-05: tts and model as Fish has them. 2026-06:
``async``, times in seconds, ``format`` required. 2026-09: ``cost``, s2.1-pro, wav."""

CREDITS_PER_BYTE: Final = 0.000_13
"""What one UTF-8 byte of text costs, in the gateways' credits: near what others saw charged
(0.0055 for a short text, 2026). Only so that there is a figure."""

_TYPES: Final = {"audios": "audios", "voices": "voices", "tts": "fish_tts"}


@dataclass(slots=True)
class Record:
    """A task as the server knows it. Times are seconds since 1970.

    Attributes:
        outcome: The bare outcome once it is over: an answer's body, without the envelope.
        failed: Whether the outcome is a failure.
    """

    id: str
    kind: str
    trace_id: str
    request: Mapping[str, Any]
    created_s: float
    started_s: float
    finished_s: float | None = None
    outcome: dict[str, Any] | None = None
    failed: bool = False
    hidden: set[str] = field(default_factory=set)


class GatewayRefusal(Refusal):
    """How the gateways say no.

    Attributes:
        code: Their machine-readable code.
        trace_id: What support would know the request by.
        era: Decides the form.
        native: Whether Fish's own form is used, as for what its validation finds.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        era: Era,
        trace_id: str = "",
        native: bool = False,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers=headers)
        self.code = code
        self.era = era
        self.trace_id = trace_id
        self.native = native

    def response(self) -> web.Response:
        """Return the HTTP answer."""
        return web.json_response(self.body(), status=self.status, headers=self.headers)

    def body(self) -> dict[str, Any]:
        """Return the JSON."""
        if self.native and self.era in {"2026-06", "2026-09"}:
            rows = [{"type": "value_error", "loc": ["body"], "msg": self.message}]
            return {"status": self.status, "message": json.dumps(rows), "trace_id": self.trace_id}
        body: dict[str, Any] = {"error": {"code": self.code, "message": self.message}}
        if self.era in {"2025", "2026-05"}:
            body["success"] = False
        return {**body, "trace_id": self.trace_id}


def moment(seconds: float, era: Era) -> float | str:
    """Return a time as an era writes it: ISO 8601, later Unix seconds."""
    if era in {"2025", "2026-05"}:
        iso = datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")
        return iso.replace("+00:00", "Z")
    return round(seconds, 3)


def acknowledgement(record: Record, era: Era) -> dict[str, Any]:
    """Return what a submission is answered with."""
    body: dict[str, Any] = {"task_id": record.id}
    if record.kind == "tts":
        body["started_at"] = moment(record.started_s, era)
    if era == "2026-09":
        body["trace_id"] = record.trace_id
    return body


def answer(record: Record) -> dict[str, Any]:
    """Return what a request is answered with that waited for its outcome."""
    outcome = record.outcome or {}
    if record.failed or record.kind == "tts":
        return outcome
    data = [outcome] if record.kind == "audios" else outcome
    return {"success": True, "task_id": record.id, "trace_id": record.trace_id, "data": data}


def callback(record: Record) -> dict[str, Any]:
    """Return what is posted to the callback address: the answer, with the task's id in it."""
    return {"task_id": record.id, **answer(record)}


def document(record: Record, era: Era) -> dict[str, Any]:
    """Return the record as the tasks API shows it: without its end until there is one."""
    shown: dict[str, Any] = {
        "_id": record.trace_id.replace("-", "")[:24],
        "id": record.id,
        "api_id": "10ca1000-0000-4000-8000-000000000000",
        "application_id": "10ca1000-0000-4000-8000-000000000001",
        "credential_id": None,
        "user_id": "10ca1000-0000-4000-8000-000000000002",
        "type": _TYPES[record.kind],
        "trace_id": record.trace_id,
        "created_at": moment(record.created_s, era),
        "started_at": moment(record.started_s, era),
        "request": dict(record.request),
    }
    if record.finished_s is not None:
        shown["finished_at"] = moment(record.finished_s, era)
        shown["elapsed"] = round(record.finished_s - record.started_s, 3)
        shown["response"] = callback(record)
    return shown


def unknown(era: Era, trace_id: str) -> Any:
    """Return what an unknown id is answered with. Raises the 404 of the oldest era."""
    if era == "2025":
        raise GatewayRefusal(
            HTTPStatus.NOT_FOUND, "task_not_found", "task not found", era=era, trace_id=trace_id
        )
    return None if era == "2026-06" else {}


def failure(code: str, message: str, record: Record, era: Era) -> dict[str, Any]:
    """Return the outcome of a task that failed."""
    if record.kind == "tts" and era in {"2026-06", "2026-09"}:
        return {"status": 400, "message": message, "trace_id": record.trace_id}
    error = {"code": code, "message": message}
    return {"success": False, "error": error, "trace_id": record.trace_id}


def cost(text: str, era: Era) -> dict[str, Any]:
    """Return the ``cost`` of speech, in the era that names one."""
    if era != "2026-09":
        return {}
    amount = round(len(text.encode("utf-8", "replace")) * CREDITS_PER_BYTE, 9)
    return {"cost": {"amount": amount, "currency": "credit", "list_amount": amount}}
