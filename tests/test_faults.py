"""Faults as data: every one has a line, every line is checked, and errors name the place."""

from __future__ import annotations

import json
import sys
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.errors import ConfigError
from fishlive.faults import (
    COUNTED,
    KINDS,
    MESSAGES,
    Endpoint,
    Fault,
    Place,
    lines,
    load_faults,
    read_faults,
)

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
VISIBLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=10)
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,9}", fullmatch=True)
OPTIONS = {
    "reason": TEXTS,
    "held": st.booleans(),
    "body": TEXTS | st.none(),
    "headers": st.lists(st.tuples(NAMES, VISIBLE), max_size=3).map(tuple),
    "max_concurrency": st.none() | TEXTS | st.integers(-(10**18) + 1, 10**18 - 1),
}


@st.composite
def faults(draw: st.DrawFn) -> Fault:
    """Draw any fault that can be."""
    name = draw(st.sampled_from(sorted(KINDS)))
    kind = KINDS[name]
    at = draw(st.sampled_from([place for place in Place if place in kind.places]))
    given: dict[str, Any] = {"kind": name, "at": at, "value": None}
    if at in COUNTED:
        given["n"] = draw(st.none() | st.integers(COUNTED[at], 10**6))
    if (amount := kind.amount) is not None:
        values: st.SearchStrategy[Any] = st.integers(amount.least, amount.most)
        if amount.type is float:
            values = st.floats(0, 1e9)
        elif amount.type is str:
            values = st.sampled_from(sorted(amount.names)) if amount.names else TEXTS
        given["value"] = draw(st.none() | values)
    if name != "refuse":
        given["times"] = draw(st.none() | st.integers(1, 1000))
        given["every"] = draw(st.integers(1, 1000))
        given["connection"] = draw(st.none() | st.integers(1, 1000))
    if at not in (Place.CONNECT, Place.TLS):
        endpoints = ["live", "timed", "rest"] if kind.http else ["live", "timed"]
        given["on"] = draw(st.none() | st.sampled_from(endpoints))
    given |= {option: draw(OPTIONS[option]) for option in kind.options}
    return Fault(**given)


@given(faults())
def test_a_line_gives_the_fault_back(fault: Fault) -> None:
    """Any fault is what its line says, and has one line."""
    line = str(fault)
    assert Fault.parse(line) == fault
    assert str(Fault.parse(line)) == line
    assert line.isprintable() or "\n" not in line


@given(faults())
def test_a_table_gives_the_fault_back(fault: Fault) -> None:
    """Any fault is what a table of its parts says, through JSON."""
    table: dict[str, Any] = {
        "kind": fault.kind,
        "at": f"{fault.at.value}:{fault.n}" if fault.n is not None else fault.at.value,
        "value": fault.value,
        "times": "always" if fault.times is None else fault.times,
        "every": fault.every,
        "connection": fault.connection,
        "on": fault.on,
        "reason": fault.reason,
        "held": fault.held,
        "body": fault.body,
        "max-concurrency": fault.max_concurrency,
    }
    if len(dict(fault.headers)) == len(fault.headers):
        table["headers"] = dict(fault.headers)
    else:
        fault = Fault.parse(str(fault).partition(",header=")[0])
    assert load_faults(json.dumps([table]), name="x.json") == (fault,)


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_any_text_is_a_fault_or_an_error(text: str) -> None:
    """Nothing but ConfigError comes of text that is no fault."""
    try:
        fault = Fault.parse(text)
    except ConfigError:
        return
    assert Fault.parse(str(fault)) == fault


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(["kind", "at", "value", "times", "every", "connection", "on", "reason",
                         "held", "body", "headers", "max-concurrency"]),
        JSON | st.sampled_from([*KINDS, "audio:2", "upgrade", "connect", "always"]),
    )
)  # fmt: skip
def test_any_table_is_a_fault_or_an_error(table: dict[str, Any]) -> None:
    """Nothing but ConfigError comes of a table that is no fault."""
    try:
        fault = Fault.of(table)
    except ConfigError:
        return
    assert Fault.parse(str(fault)) == fault


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("rst", "no place ''"),
        ("rst@nowhere", "no place 'nowhere'"),
        ("explode@audio", "no kind 'explode'"),
        ("status@audio", "status happens at upgrade, not at audio"),
        ("hang@upgrade:2", "upgrade has no number"),
        ("rst@audio:0", "audio counts from 1"),
        ("rst@audio:x", "a whole number is expected, not 'x'"),
        ("rst@audio:٣", "a whole number is expected"),
        ("rst:1@audio", "rst has no value"),
        ("close:hello@audio", "a whole number is expected"),
        ("close:65536@audio", "from 0 to 65535"),
        ("status:101@upgrade", "from 200 to 599"),
        ("split:0@audio", "from 1 to"),
        ("delay:soon@start", "a number is expected, not 'soon'"),
        ("delay:-1@start", "not negative"),
        ("delay:inf@start", "not negative"),
        ("delay:nan@start", "not negative"),
        ("message:nothing@audio", "message has no name 'nothing'"),
        ("rst@audio,times=0", "times is a whole number, at least 1"),
        ("rst@audio,every=always", "a whole number is expected"),
        ("rst@audio,on=moon", "on is one of live, timed, rest"),
        ("rst@connect,on=live", "nobody knows the endpoint yet"),
        ("close@audio,on=rest", "cannot happen to an HTTP call"),
        ("rst@audio,held", "rst has no held"),
        ("close@audio,held=yes", "held has no value"),
        ("close@audio,held,held", "or not twice"),
        ("rst@audio,often", "no option 'often'"),
        ("status@upgrade,header=A b:1", "header: names, and visible text"),
        ("status@upgrade,header=A:1%0D%0AB:2", "header: names, and visible text"),
        ("close@audio,reason=" + "x" * 124, "a text of at most 123 bytes"),
        ("refuse@connect,times=2", "nobody can count who was refused"),
    ],
)
def test_what_is_wrong_is_named(line: str, part: str) -> None:
    """The error shows the line, and says which part of it cannot be."""
    with pytest.raises(ConfigError) as caught:
        Fault.parse(line)
    assert str(caught.value).startswith(f"fault {line!r}: ")
    assert part in str(caught.value)
    assert caught.value.argument


@pytest.mark.parametrize("listed", ["rst@audio", {"kind": "rst"}, 7, None])
def test_a_list_is_expected(listed: object) -> None:
    """One fault is no list of faults."""
    with pytest.raises(ConfigError, match="faults: a list of faults is expected"):
        read_faults(listed)


def test_the_place_in_a_list_is_named() -> None:
    """The error of a list says which of it."""
    with pytest.raises(ConfigError, match=r"^faults\[1\]: fault 'x@y'") as caught:
        read_faults(["rst@audio", "x@y"])
    assert caught.value.argument == "faults[1]"
    with pytest.raises(ConfigError, match=r"^faults\[0\]: a line or a table, not int"):
        read_faults([7])


def test_json() -> None:
    """A file holds a list, or a table with one."""
    expected = (Fault.parse("rst@audio:3"), Fault.parse("close:1011@audio:2,held"))
    listed = '["rst@audio:3", {"kind": "close", "value": 1011, "at": "audio:2", "held": true}]'
    assert load_faults(listed, name="a.json") == expected
    assert load_faults(f'{{"faults": {listed}}}', name="a.json") == expected


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python reads TOML since 3.11")
def test_toml() -> None:
    """TOML is read by its name, with lines and tables."""
    text = """
        faults = [
            "rst@audio:3",
            { kind = "status", at = "upgrade", value = 429, headers = { Retry-After = "2" } },
        ]
    """
    one, two = load_faults(text, name="a.toml")
    assert (str(one), str(two)) == ("rst@audio:3", "status:429@upgrade,header=Retry-After:2")


@pytest.mark.parametrize(
    ("text", "name", "part"),
    [
        ("[", "a.json", "a.json: "),
        ("[" * 100_000, "a.json", "a.json: "),
        ("{}", "a.json", "a.json: one list named faults is expected"),
        ('{"faults": [], "x": 1}', "a.json", "a.json: one list named faults is expected"),
        ('["rst@audio", "x"]', "a.json", "a.json: faults[1]: fault 'x': "),
        ("faults = 7", "a.toml", "a.toml: "),
    ],
)
def test_a_file_that_cannot_be(text: str, name: str, part: str) -> None:
    """The error names the file, and the fault in it."""
    with pytest.raises(ConfigError) as caught:
        load_faults(text, name=name)
    assert str(caught.value).startswith(part)


def test_the_table_shows_every_kind() -> None:
    """Each kind has a line, each wrong message its own."""
    table = dict(lines())
    assert len(table) == len(KINDS) - 1 + len(MESSAGES)
    assert all(table.values())
    assert "close[:code]@upgrade|start|text|audio|finish" in table


def test_nothing_but_text() -> None:
    """A fault is compared, hashed and kept like any value, and cannot be changed."""
    fault = Fault.parse("rst@audio")
    assert fault == Fault(kind="rst", at=Place.AUDIO, n=1)
    assert {fault, Fault.parse("rst@audio:1")} == {fault}
    with pytest.raises(AttributeError):
        fault.kind = "fin"  # type: ignore[misc]
    assert get_args(Endpoint) == ("live", "timed", "rest")
