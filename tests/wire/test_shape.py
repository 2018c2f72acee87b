"""wire/shape.py: counting values before they cost memory."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.errors import ProtocolError
from fishlive.limits import MAX_MAP_KEYS, MAX_STRING_BYTES
from fishlive.wire.shape import MAX_DEPTH, MAX_VALUES, check_shape, check_values

_SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats()
_VALUES = st.recursive(
    _SCALARS | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(), inner, max_size=20),
    max_leaves=30,
)


def depth(value: Any) -> int:
    """Return how deep a value nests: 0 for a scalar."""
    inner = value.values() if isinstance(value, dict) else value
    if not isinstance(value, (dict, list)):
        return 0
    return 1 + max(map(depth, inner), default=0)


@given(_VALUES)
def test_every_format_is_walked_as_messagepack_reads_it(value: object) -> None:
    """A value of any type passes if and only if it is not too deep."""
    packed = msgpack.packb(value)
    if depth(value) <= MAX_DEPTH:
        check_shape(packed)
    else:
        with pytest.raises(ProtocolError):
            check_shape(packed)


@pytest.mark.parametrize("size", [40, 300, 70_000])
@pytest.mark.parametrize("kind", ["str", "bytes", "list", "dict"])
def test_every_width_of_length_is_understood(kind: str, size: int) -> None:
    """Lengths of 8, 16 and 32 bits are skipped right, seen by what follows them."""
    value: Any = {
        "str": "x" * size,
        "bytes": b"x" * size,
        "list": [1] * min(size, MAX_VALUES // 2),
        "dict": {str(i): 1 for i in range(min(size, MAX_VALUES // 4))},
    }[kind]
    check_shape(msgpack.packb([value, "end"]))
    with pytest.raises(ProtocolError):
        check_shape(msgpack.packb([value])[:-1].replace(b"\x91", b"\x92", 1))


@pytest.mark.parametrize("number", [-32, -1, 0, 127])
def test_a_small_number_is_its_format(number: int) -> None:
    """It has no byte but that one, seen by what follows it."""
    check_shape(msgpack.packb([number, "end"]))


def test_one_value_too_many_is_refused() -> None:
    """The limit is exact: the list counts as one value of its own."""
    check_shape(msgpack.packb([0] * (MAX_VALUES - 1)))
    with pytest.raises(ProtocolError, match="too many"):
        check_shape(msgpack.packb([0] * MAX_VALUES))


@pytest.mark.parametrize("code", [0xC1, 0xC7, 0xC8, 0xC9, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8])
def test_extensions_and_the_unused_code_are_refused(code: int) -> None:
    """No extension format passes, and the error says where it stood."""
    with pytest.raises(ProtocolError, match="at byte 1"):
        check_shape(bytes([0x91, code, 0, 0, 0, 0, 0, 0]))


def test_depth_is_exact() -> None:
    """A value at the limit passes, one level more does not."""
    value: Any = 1
    for _ in range(MAX_DEPTH // 2):
        value = {"a": [value]}
    check_values(value)
    with pytest.raises(ProtocolError, match="nested"):
        check_values([value])


@pytest.mark.parametrize(
    "value",
    [
        [msgpack.ExtType(5, b"")],
        {"a": [{"b": msgpack.Timestamp(1)}]},
        {"a": "x" * (MAX_STRING_BYTES + 1)},
        {str(number): 0 for number in range(MAX_MAP_KEYS + 1)},
        {b"a": 1},
    ],
    ids=["extension", "timestamp", "long text", "many keys", "key of bytes"],
)
def test_what_no_event_holds_is_refused(value: object) -> None:
    """Extension types, endless strings and maps, and keys that are no text are refused."""
    with pytest.raises(ProtocolError):
        check_values(value)
