"""call.py: what is asked, checked before it is sent."""

from __future__ import annotations

import math
from urllib.parse import unquote

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.errors import ConfigError
from fishlive.transport.call import Call, Timeouts, json_body, msgpack_body, quote_id
from fishlive.transport.upload import Multipart, Part

ODD_IDS = [
    "", ".", "..", "a/b", "../x", "a\\b", " a", "a ", "a\nb", "a\r\nX: y", "a\0", "\ud800",
    "x" * 257, "\u202e", None, 5, b"id",
]  # fmt: skip


@pytest.mark.parametrize("given", ODD_IDS, ids=ascii)
def test_an_id_that_could_lead_elsewhere_is_refused(given: object) -> None:
    """The argument is named, the value is not repeated."""
    with pytest.raises(ConfigError) as caught:
        quote_id(given, argument="voice_id")
    assert caught.value.argument == "voice_id"


@given(st.text(min_size=1))
def test_an_id_is_one_segment_of_a_path(value: str) -> None:
    """Whatever is not refused comes back whole, and brings no separator."""
    try:
        quoted = quote_id(value, argument="id")
    except ConfigError:
        return
    assert unquote(quoted) == value
    assert not set(quoted) & set("/\\?#;&% \r\n".replace("%", ""))
    assert quoted not in {".", ".."}


@pytest.mark.parametrize("query", [(("tag", "a\r\nb"),), (("tag", "\ud800"),)])
def test_a_query_that_cannot_be_sent_is_refused(query: tuple[tuple[str, str], ...]) -> None:
    """Its name is the argument."""
    with pytest.raises(ConfigError) as caught:
        Call(method="GET", path="/", query=query)
    assert caught.value.argument == "tag"


def test_bodies_and_headers_do_not_show() -> None:
    """What users say is theirs."""
    call = Call(method="POST", path="/", headers={"x": "canary"}, body=b"canary")
    assert "canary" not in repr(call)


def test_a_call_can_be_repeated_if_its_body_can() -> None:
    """No body, bytes, and forms of what can be read again."""
    call = Call(method="POST", path="/")
    assert call.repeatable
    assert call.with_body(b"x", "text/plain").repeatable
    assert call.with_body(Multipart([Part.text("a", "b")])).repeatable
    assert not call.with_body(Multipart([Part.file("a", iter([b"x"]))])).repeatable


def test_json_is_compact_and_unicode() -> None:
    """No spaces, and no escapes for letters."""
    assert json_body({"a": ["é", 1.5, None]}) == (
        '{"a":["é",1.5,null]}'.encode(),
        "application/json",
    )


def test_messagepack_holds_bytes() -> None:
    """As they are."""
    body, content_type = msgpack_body({"audio": b"\x00\xff"})
    assert msgpack.unpackb(body) == {"audio": b"\x00\xff"}
    assert content_type == "application/msgpack"


@pytest.mark.parametrize("value", [object(), {1, 2}, math.nan, math.inf, "\ud800", b"x"])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    """Without repeating it, not as a cause either."""
    with pytest.raises(ConfigError, match="JSON") as caught:
        json_body({"x": value})
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("value", [object(), {1, 2}, 2**70, "\ud800"])
def test_what_messagepack_cannot_hold_is_refused(value: object) -> None:
    """Without repeating it, not as a cause either."""
    with pytest.raises(ConfigError, match="MessagePack") as caught:
        msgpack_body({"x": value})
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", ["connect_s", "first_byte_s", "between_s", "total_s"])
@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan, "1", [1]])
def test_what_is_no_time_is_refused(name: str, value: object) -> None:
    """The argument is named."""
    facts: dict[str, object] = {name: value}
    with pytest.raises(ConfigError) as caught:
        Timeouts(**facts)  # type: ignore[arg-type]  # that is the point
    assert caught.value.argument == name


def test_every_time_may_be_unlimited() -> None:
    """None is as long as it takes."""
    Timeouts(connect_s=None, first_byte_s=None, between_s=None, total_s=None)
