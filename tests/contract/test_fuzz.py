"""The local server under whatever its description allows and forbids, thought up by a machine.

Bounded and the same in every run: the cases that cover the description (the boundaries of each
value, each part left out, each wrong in each way), and a few random ones of each endpoint.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgpack
import pytest
from anyio.from_thread import start_blocking_portal

from fishlive.server import LocalServer, hearing
from tests.contract.checking import Exchange, check_answer
from tests.contract.merged import openapi

schemathesis = pytest.importorskip("schemathesis", reason="it needs Python 3.11")
requests = pytest.importorskip("requests", reason="schemathesis sends with it")

EXAMPLES: Final = 10
"""Random cases of an endpoint, of each kind: the covering ones are the most."""

KEY: Final = {"Authorization": "Bearer local"}
TTS: Final = "/v1/tts"
SSE: Final = "/v1/tts/stream/with-timestamp"
DESIGN: Final = "/v1/voice-design"
JSON: Final = "application/json"
PACKED: Final = "application/msgpack"

NOT_DESCRIBED: Final = frozenset({
    "origin", "host", "transfer-encoding", "content-length", "content-encoding", "connection",
    "upgrade", "expect", "te", "trailer",
})  # fmt: skip
"""Headers that no description has: by the first two the local server knows foreign web pages, the
others are HTTP's own, which answers 400 itself where they make no sense."""

_ON: Final = {"enabled": True}
CONFIG: Final[dict[str, Any]] = {
    "seed": 1,
    "generation": {"deterministic": True, "max-examples": EXAMPLES, "database": "none"},
    "checks": {
        "enabled": False,
        "not_a_server_error": _ON,
        "status_code_conformance": _ON,
        "content_type_conformance": _ON,
        "response_schema_conformance": _ON,
        "response_headers_conformance": _ON,
        "unsupported_method": _ON,
        "allow_header_conformance": _ON,
    },
    "operations": [
        # It takes the schema of an event's data for that of the event: check_answer reads both.
        {"include-path": SSE, "checks": {"response_schema_conformance": {"enabled": False}}},
        {"include-path": DESIGN, "checks": {"negative_data_rejection": _ON}},
    ],
}
WITHOUT_ASR: Final = {
    "include-path": "/v1/asr",
    "checks": {"not_a_server_error": {"enabled": True, "expected-statuses": ["2xx", "4xx", "501"]}},
}


def described(encodings: Mapping[str, str], **checks: Any) -> Any:
    """Return the merged description as schemathesis reads it.

    Args:
        encodings: Of each path that speaks, the one it is asked in: all of them read the same
            request in the same way, and there are hundreds of cases.
        **checks: More than in CONFIG.
    """
    config = copy.deepcopy(CONFIG)
    config["checks"].update(checks)
    if not hearing.is_installed():
        config["operations"].append(WITHOUT_ASR)
    document = copy.deepcopy(openapi())
    for path, encoding in encodings.items():
        operation = document["paths"][path]["post"]
        content = operation["requestBody"]["content"]
        operation["requestBody"]["content"] = {encoding: content[encoding]}
        # Beside its values the file says that any other means the default: so none is wrong.
        del operation["parameters"][0]["schema"]["enum"]
    return schemathesis.openapi.from_dict(document, config=schemathesis.Config.from_dict(config))


# Only excluding works together with `operations` of the configuration.
SCHEMA: Final = described({TTS: JSON, SSE: PACKED}).exclude(path_regex="^/v1/tts/live")
STRICT: Final = described({TTS: PACKED}, negative_data_rejection=_ON).exclude(
    path_regex="^(?!/v1/tts$)"
)
"""What the documents refuse, a strict server refuses. Only speech is strict or lenient."""


@schemathesis.serializer(PACKED)  # type: ignore[untyped-decorator]  # it is Any
def packed(_context: Any, value: Any) -> bytes:
    """Return a body in MessagePack."""
    data: bytes = msgpack.packb(_plain(value), unicode_errors="surrogatepass")
    return data


def _plain(value: Any) -> Any:
    """Return a value in the types that MessagePack knows."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    return getattr(value, "data", value)  # how schemathesis wraps binary strings


class Peer:
    """A server in a thread of its own, and what exists on it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        form = {"type": "tts", "train_mode": "fast", "title": "Mine", "visibility": "private"}
        voice = self._post("/model", data=form, files={"voices": b"no sound"})["_id"]
        book = self._post("/v1/pronunciation-dictionaries", json={"name": "Names"})["id"]
        self._known = {
            ("PATCH", "/model/{id}"): {"id": voice},
            ("POST", "/v1/pronunciation-dictionaries/{id}/versions"): {"id": book},
            ("GET", "/wallet/{user_id}/api-credit"): {"user_id": "self"},
        }

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def ask(self, case: Any) -> None:
        """Send a case and check its answer; what has fields is asked about what exists."""
        if known := self._known.get((case.method, case.operation.path)):
            case.path_parameters = known
        for name in [name for name in case.headers or () if name.lower() in NOT_DESCRIBED]:
            del case.headers[name]
        response = case.call_and_validate(
            base_url=self._url, session=self._session, headers=KEY, timeout=20
        )
        if case.method == case.operation.method.upper():
            headers = {name.lower(): many[0] for name, many in response.headers.items()}
            check_answer(
                Exchange(
                    case.method,
                    case.operation.path,
                    (),
                    {},
                    b"",
                    response.status_code,
                    headers,
                    response.content,
                )
            )

    def _post(self, path: str, **request: Any) -> dict[str, Any]:
        response = self._session.post(self._url + path, headers=KEY, timeout=20, **request)
        response.raise_for_status()
        made: dict[str, Any] = response.json()
        return made


def peer(**settings: Any) -> Iterator[Peer]:
    """Yield a peer with settings of the server."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(LocalServer(**settings)) as server,
    ):
        peer = Peer(server.url)
        yield peer
        peer.close()


@pytest.fixture(scope="module")
def lenient() -> Iterator[Peer]:
    """Yield a server with default settings."""
    yield from peer()


@pytest.fixture(scope="module")
def strict() -> Iterator[Peer]:
    """Yield a server that refuses what the documents refuse."""
    yield from peer(strict=True)


@SCHEMA.parametrize()  # type: ignore[untyped-decorator]  # it is Any
def test_no_request_gets_an_answer_that_is_not_described(case: Any, lenient: Peer) -> None:
    """No 5xx (501 without a recogniser excepted), no other status, no other shape."""
    lenient.ask(case)


@STRICT.parametrize()  # type: ignore[untyped-decorator]  # it is Any
def test_a_strict_server_refuses_what_the_description_forbids(case: Any, strict: Peer) -> None:
    """So it does nothing with a request that breaks its schema, and its answers are described."""
    strict.ask(case)
