"""What is spoken: shipped texts, and files of the user's, right or wrong."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from fishlive.bench.workload import SIZES, Prompt, Workload, load
from fishlive.errors import ConfigError


@pytest.mark.parametrize("name", ["mixed", *SIZES])
def test_the_shipped_texts_have_an_origin(name: str) -> None:
    """Each part has several languages, ids of its own, and says where it comes from."""
    workload = load(name)
    assert "Apache-2.0" in workload.origin
    assert len({prompt.language for prompt in workload.prompts}) >= 4
    assert len({prompt.id for prompt in workload.prompts}) == len(workload.prompts) >= 5


def test_sizes_differ() -> None:
    """Short is a sentence, long an answer: an order of magnitude apart."""
    short, long = (
        max(len(p.text) for p in load("short").prompts),
        min(len(p.text) for p in load("long").speaking(["en", "de", "es"]).prompts),
    )
    assert long > 10 * short


def test_languages_can_be_chosen() -> None:
    """Only those; and what there is, if there is none."""
    assert {p.language for p in load("mixed").speaking(["de", "zh"]).prompts} == {"de", "zh"}
    with pytest.raises(ConfigError, match="it has de, en"):
        load("short").speaking(["xx"])


def test_every_text_comes_before_one_comes_again() -> None:
    """In each round all of them, in another order; the same for the same seed."""
    workload = load("short")
    count = len(workload.prompts)
    first = [p.id for p in itertools.islice(workload.order(5), 2 * count)]
    assert first == [p.id for p in itertools.islice(workload.order(5), 2 * count)]
    assert set(first[:count]) == set(first[count:]) == {p.id for p in workload.prompts}
    assert first[:count] != first[count:]


def test_texts_that_warm_up_have_an_order_apart() -> None:
    """The same for the same seed, and not the one that is measured."""
    workload = load("short")
    count = len(workload.prompts)
    first = [p.id for p in itertools.islice(workload.order(5, warmup=True), count)]
    assert first == [p.id for p in itertools.islice(workload.order(5, warmup=True), count)]
    assert first != [p.id for p in itertools.islice(workload.order(5), count)]


def test_the_hash_is_of_what_is_spoken() -> None:
    """Another name or id changes nothing; another text does."""
    one = Workload("a", "x", (Prompt("p", "Hello."),))
    assert one.sha256 == Workload("b", "y", (Prompt("q", "Hello."),)).sha256
    assert one.sha256 != Workload("a", "x", (Prompt("p", "Hallo."),)).sha256


def write(folder: Path, name: str, text: str) -> str:
    """Write a file; return its name."""
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def test_a_text_file_has_a_text_a_line(tmp_path: Path) -> None:
    """Empty lines are none, and a byte order mark is no text."""
    found = load(write(tmp_path, "a.txt", "\ufeffHello.\n\n  World. \n"))
    assert [prompt.text for prompt in found.prompts] == ["Hello.", "World."]
    assert [prompt.id for prompt in found.prompts] == ["p1", "p2"]


def test_a_json_file_says_more(tmp_path: Path) -> None:
    """Ids, languages, the origin, and times at which a model wrote."""
    rows = [
        {"id": "x", "text": "Hello.", "language": "en"},
        "Just text.",
        {"tokens": [["Hel", 0], ["lo.", 0.25]]},
    ]
    text = json.dumps({"origin": "a log", "prompts": rows})
    found = load(write(tmp_path, "a.json", text))
    assert found.origin == "a log"
    assert [(p.id, p.text, p.language) for p in found.prompts] == [
        ("x", "Hello.", "en"),
        ("p2", "Just text.", "und"),
        ("p3", "Hello.", "und"),
    ]
    assert found.prompts[2].tokens == (("Hel", 0.0), ("lo.", 0.25))
    assert not found.recorded


def test_json_lines_are_prompts(tmp_path: Path) -> None:
    """One a line."""
    found = load(write(tmp_path, "a.jsonl", '{"text": "Hello."}\n\n"World."\n'))
    assert [prompt.text for prompt in found.prompts] == ["Hello.", "World."]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.txt", "", "no text in it"),
        ("a.txt", "  \n \n", "no text in it"),
        ("a.txt", "...\n", "p1 has nothing to say"),
        ("a.txt", "x" * (1 << 20) + "y", "over 1 MiB"),
        ("a.json", "{", "not JSON"),
        ("a.json", "7", "a list of prompts"),
        ("a.json", "{}", "a list of prompts"),
        ("a.json", '["a", 7]', "prompt 2 is no text"),
        ("a.json", '[{"text": 7}]', "text, id and language"),
        ("a.json", '[{"text": "\\ud800 x"}]', "text, id and language"),
        ("a.json", '[{"id": "x", "text": "a"}, {"id": "x", "text": "b"}]', "the same id"),
        ("a.json", '[{"text": "b", "tokens": [["a", 0]]}]', "its tokens are not its text"),
        ("a.json", '[{"tokens": [["a", 1], ["b", 0.5]]}]', "none is before the last"),
        ("a.json", '[{"tokens": [["a", 1e999]]}]', "none is before the last"),
        ("a.json", '[{"tokens": 7}]', "a list of"),
        ("a.jsonl", '"a"\n{', "line 2 is not JSON"),
    ],
)
def test_a_wrong_file_says_where(tmp_path: Path, name: str, text: str, why: str) -> None:
    """The argument is named, and the place."""
    with pytest.raises(ConfigError, match=why) as caught:
        load(write(tmp_path, name, text))
    assert caught.value.argument == "workload"


def test_a_missing_file_tells_what_is_shipped(tmp_path: Path) -> None:
    """A slip in the name of a shipped one looks like a file."""
    with pytest.raises(ConfigError, match="shipped are mixed, short, medium, long"):
        load(str(tmp_path / "shrot"))


def test_another_encoding_is_refused(tmp_path: Path) -> None:
    """With the byte at which it is not UTF-8."""
    (tmp_path / "a.txt").write_bytes(b"Gr\xfc\xdfe")
    with pytest.raises(ConfigError, match="at byte 2"):
        load(str(tmp_path / "a.txt"))
