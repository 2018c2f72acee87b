"""rest/voices.py: to find, make, change and delete voices."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
from collections.abc import AsyncIterator, Callable
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from fishlive.errors import (
    ConfigError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    ServerError,
    StallTimeout,
    SynthesisError,
)
from fishlive.flow.retry import RetryPolicy
from fishlive.models.voice_walk import MOST_STALE_PAGES
from fishlive.rest.voices import Voices
from fishlive.secret import Secret
from fishlive.server import LocalServer
from fishlive.session import Session
from fishlive.transport.http import Http
from tests.rest.canned import Asked, answering, canned

VOICE: dict[str, Any] = {
    "_id": "a" * 32, "type": "tts", "title": "Me", "description": "", "cover_image": "",
    "train_mode": "fast", "state": "trained", "tags": ["x"], "samples": [],
    "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05Z",
    "languages": ["en"], "visibility": "private", "lock_visibility": False, "like_count": 1,
    "mark_count": 2, "shared_count": 3, "task_count": 4,
    "author": {"_id": "u1", "nickname": "Fish", "avatar": ""},
}  # fmt: skip


@contextlib.asynccontextmanager
async def against(
    answer: Callable[[Asked], tuple[int, object]],
) -> AsyncIterator[tuple[Voices, list[Asked]]]:
    """Yield a client of a service that answers by a function, and what it was asked."""
    async with answering(answer) as (url, asked):
        http = Http(base_url=url, key=Secret("sesame"))
        try:
            yield Voices(http), asked
        finally:
            await http.aclose()


def form(asked: Asked) -> list[tuple[str, str | None, bytes]]:
    """Return name, file name and content of each part of a form, read by the standard library."""
    head = f"Content-Type: {asked.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + asked.body)
    return [
        (
            str(part.get_param("name", header="content-disposition")),
            part.get_filename(),
            cast("bytes", part.get_payload(decode=True)),
        )
        for part in message.iter_parts()
    ]


# Reading


async def test_a_voice_is_read() -> None:
    """Its id is what `voice` takes; what is new is in raw."""
    async with canned({**VOICE, "new": [1]}) as service:
        voice = await Voices(service.http).get("a" * 32)
    assert (voice.id, voice.title, voice.state, voice.trained) == ("a" * 32, "Me", "trained", True)
    assert (voice.languages, voice.tags) == (("en",), ("x",))
    assert voice.author is not None
    assert voice.author.nickname == "Fish"
    assert voice.raw["new"] == [1]
    assert (service.asked[0].method, service.asked[0].path) == ("GET", f"/model/{'a' * 32}")


@pytest.mark.parametrize(
    "change", [{"state": "distilled"}, {"visibility": "secret"}, {"type": "x"}, {"samples": None}]
)
async def test_values_of_later_versions_are_kept(change: dict[str, Any]) -> None:
    """An enum that has grown, or a null, is no error."""
    async with canned({**VOICE, **change}) as service:
        voice = await Voices(service.http).get("x")
    for name, value in change.items():
        assert getattr(voice, name) == (() if value is None else value)


async def test_an_answer_without_an_id_is_an_error() -> None:
    """It names the field."""
    async with canned({k: v for k, v in VOICE.items() if k != "_id"}) as service:
        with pytest.raises(ProtocolError, match="_id"):
            await Voices(service.http).get("x")


@pytest.mark.parametrize(
    "voice_id", ["", ".", "..", "a/b", "../x", "a\\b", "a\r\nb", " a", "x" * 300]
)
async def test_an_id_leads_nowhere_else(voice_id: str) -> None:
    """What could be another path is refused before anything is sent."""
    async with canned(VOICE) as service:
        voices = Voices(service.http)
        for call in (voices.get, voices.delete, voices.wait_until_trained):
            with pytest.raises(ConfigError) as caught:
                await call(voice_id)
            assert caught.value.argument == "voice_id"
        assert service.asked == []


async def test_odd_ids_are_encoded() -> None:
    """They stay one segment."""
    async with canned(VOICE) as service:
        await Voices(service.http).get("a?b#c d%e")
    assert service.asked[0].path == "/model/a%3Fb%23c%20d%25e"


async def test_every_filter_is_sent_by_its_name() -> None:
    """Lists repeat theirs, booleans are words, and what was left out is not there."""
    async with canned({"total": 0, "items": []}) as service:
        voices = Voices(service.http)
        await voices.list()
        await voices.list(
            page_size=5, page_number=2, title="a b", tag=["x", "y"], mine=True, author_id="u",
            language="en", title_language=["en", "de"], licensed=False, sort_by="created_at",
        )  # fmt: skip
    assert service.asked[0].path == "/model"
    assert service.asked[1].path == (
        "/model?page_size=5&page_number=2&title=a+b&tag=x&tag=y&self=true&author_id=u&language=en"
        "&title_language=en&title_language=de&licensed=false&sort_by=created_at"
    )


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"page_size": 0}, "page_size"),
        ({"page_size": 101}, "page_size"),
        ({"page_number": 0}, "page_number"),
        ({"sort_by": "colour"}, "sort_by"),
        ({"mine": 1}, "mine"),
    ],
)
async def test_filters_out_of_range_are_named(arguments: dict[str, Any], argument: str) -> None:
    """Before anything is sent."""
    async with canned({}) as service:
        with pytest.raises(ConfigError) as caught:
            await Voices(service.http).list(**arguments)
        assert caught.value.argument == argument
        assert service.asked == []


# All pages


def paged(*pages: list[str], **more: Any) -> Callable[[Asked], tuple[int, object]]:
    """Return an answer that knows these ids, page by page."""

    def answer(asked: Asked) -> tuple[int, object]:
        number = int(asked.path.rpartition("page_number=")[2].partition("&")[0])
        ids = pages[number - 1] if number <= len(pages) else []
        items = [{**VOICE, "_id": one} for one in ids]
        facts = {"total": sum(map(len, pages)), "has_more": number < len(pages), **more}
        return 200, {"items": items, **facts}

    return answer


async def ids_of(voices: Voices, **filters: Any) -> list[str]:
    """Return the ids of all voices."""
    return [voice.id async for voice in voices.iter(**filters)]


async def test_all_pages_are_read_one_after_the_other() -> None:
    """The next page is asked for when the one before it was read."""
    async with against(paged(["a", "b"], ["c", "d"], ["e"])) as (voices, asked):
        walking = voices.iter(page_size=2, tag="x")
        async with contextlib.aclosing(walking):
            assert [(await anext(walking)).id for _ in range(2)] == ["a", "b"]
            assert len(asked) == 1
            assert [voice.id async for voice in walking] == ["c", "d", "e"]
    assert [one.path for one in asked] == [
        f"/model?page_size=2&page_number={number}&tag=x" for number in (1, 2, 3)
    ]


async def test_without_has_more_the_total_decides() -> None:
    """An older answer does not say whether there is more."""
    async with against(paged(["a", "b"], ["c"], has_more=None)) as (voices, asked):
        assert await ids_of(voices) == ["a", "b", "c"]
    assert len(asked) == 2


async def test_voices_that_move_are_met_once() -> None:
    """A new voice pushes others to the next page; they are not yielded again."""
    async with against(paged(["a", "b"], ["b", "c"], ["d"])) as (voices, _):
        assert await ids_of(voices) == ["a", "b", "c", "d"]


async def test_a_page_of_known_voices_is_not_the_end() -> None:
    """With one voice a page, a new one in front makes the next page the same as the last."""
    async with against(paged(["a"], ["a"], ["b"])) as (voices, _):
        assert await ids_of(voices, page_size=1) == ["a", "b"]


async def test_a_page_without_voices_is_the_end() -> None:
    """Whatever it promises."""
    pages = paged(["a"], [], ["b"], has_more=True)
    async with against(pages) as (voices, asked):
        assert await ids_of(voices) == ["a"]
    assert len(asked) == 2


async def test_voices_of_a_page_are_read_as_voices_alone_are() -> None:
    """Nulls are fields that were left out, and what is new is in each one's raw."""
    nulls = {"description": None, "cover_image": None, "author": {"_id": "u", "nickname": None}}
    async with canned({"total": 1, "items": [{**VOICE, **nulls, "new": 1}]}) as service:
        (voice,) = (await Voices(service.http).list()).items
    assert (voice.description, voice.cover_image) == ("", "")
    assert voice.author is not None
    assert voice.author.nickname == ""
    assert voice.raw["new"] == 1


async def test_a_service_that_repeats_itself_comes_to_an_end() -> None:
    """A few pages without anything new are the last ones, whatever they promise."""

    def answer(_asked: Asked) -> tuple[int, object]:
        return 200, {"total": 99, "has_more": True, "items": [VOICE]}

    async with against(answer) as (voices, asked):
        assert len(await ids_of(voices)) == 1
    assert len(asked) == 1 + MOST_STALE_PAGES


async def test_paging_ends_where_the_service_ends_it() -> None:
    """Beyond ``max_offset`` nothing can be asked for."""
    pages = paged(["a", "b"], ["c", "d"], ["e"], max_offset=3)
    async with against(pages) as (voices, asked):
        assert await ids_of(voices, page_size=2) == ["a", "b", "c", "d"]
    assert len(asked) == 2


async def test_iter_says_which_filter_is_wrong() -> None:
    """At the first step, before anything is sent."""
    async with canned({}) as service:
        with pytest.raises(ConfigError) as caught:
            await ids_of(Voices(service.http), page_size=0)
        assert caught.value.argument == "page_size"
        assert service.asked == []


async def test_iter_takes_every_filter_that_list_takes() -> None:
    """But for the page's number, which is its own."""
    filters: dict[str, Any] = {
        "page_size": 7, "title": "t", "tag": "x", "mine": False, "author_id": "u",
        "language": "en", "title_language": "de", "licensed": True, "sort_by": "score",
    }  # fmt: skip
    async with canned({"total": 0, "items": []}) as service:
        voices = Voices(service.http)
        await voices.list(page_number=1, **filters)
        assert await ids_of(voices, **filters) == []
    assert service.asked[0].path == service.asked[1].path


async def test_more_tags_than_samples_may_be_asked_for() -> None:
    """Only texts and samples have a limit."""
    async with canned({"total": 0, "items": []}) as service:
        await Voices(service.http).list(tag=[str(number) for number in range(30)])
    assert service.asked[0].path.count("tag=") == 30


# Making


async def test_a_form_carries_everything(tmp_path: Path) -> None:
    """Plain fields, then recordings under their names; it is private unless told."""
    file = tmp_path / 'a "b".wav'
    file.write_bytes(b"RIFF1")

    async def source() -> AsyncIterator[bytes]:
        yield b"RI"
        yield b"FF3"

    async with canned(VOICE, status=201) as service:
        samples: list[Any] = [file, b"RIFF2", source()]
        voice = await Voices(service.http).create(
            title="Mé", samples=samples, texts=["1", "2", "3"], tags=["x", "y"],
            description="d", enhance_audio_quality=False, cover_image=b"PNG",
        )  # fmt: skip
    assert voice.id == "a" * 32
    parts = form(service.asked[0])
    assert [(name, data.decode()) for name, file_name, data in parts if file_name is None] == [
        ("type", "tts"), ("train_mode", "fast"), ("title", "Mé"), ("visibility", "private"),
        ("description", "d"), ("tags", "x"), ("tags", "y"), ("texts", "1"), ("texts", "2"),
        ("texts", "3"), ("enhance_audio_quality", "false"),
    ]  # fmt: skip
    files = [part for part in parts if part[1] is not None]
    assert [(name, data) for name, _, data in files] == [
        ("voices", b"RIFF1"), ("voices", b"RIFF2"), ("voices", b"RIFF3"), ("cover_image", b"PNG"),
    ]  # fmt: skip
    assert files[0][1] == "a %22b%22.wav"


async def test_a_single_recording_needs_no_list(tmp_path: Path) -> None:
    """A path, bytes, an open file or a source by itself is one sample."""
    file = tmp_path / "a.wav"
    file.write_bytes(b"RIFF")

    async def source() -> AsyncIterator[bytes]:
        yield b"RIFF"

    async with canned(VOICE, status=201) as service:
        for sample in (file, str(file), b"RIFF", io.BytesIO(b"RIFF"), source()):
            await Voices(service.http).create(title="x", samples=sample)
            parts = form(service.asked[-1])
            assert [data for name, _, data in parts if name == "voices"] == [b"RIFF"]


async def test_progress_is_told(tmp_path: Path) -> None:
    """It grows to the whole body, whose length is known when every part's is."""
    file = tmp_path / "a.wav"
    file.write_bytes(bytes(1_000_000))
    told: list[tuple[int, int | None]] = []
    async with canned(VOICE, status=201) as service:
        await Voices(service.http).create(
            title="x", samples=file, on_progress=lambda sent, total: told.append((sent, total))
        )
    assert [sent for sent, _ in told] == sorted({sent for sent, _ in told})
    assert told[-1] == (len(service.asked[0].body), len(service.asked[0].body))
    assert len(told) > 3


async def test_fields_of_later_versions_go_through() -> None:
    """After the others, and as a form writes them."""
    async with canned(VOICE, status=201) as service:
        await Voices(service.http).create(
            title="x", samples=b"RIFF", extra={"beta": True, "rank": 1.5, "notes": ["a", "b"]}
        )
    plain = [(name, data) for name, file, data in form(service.asked[0]) if file is None]
    assert plain[-4:] == [("beta", b"true"), ("rank", b"1.5"), ("notes", b"a"), ("notes", b"b")]


async def test_names_cannot_break_the_form() -> None:
    """Neither a field's value nor its name becomes a header or another part."""
    evil = 'x"\r\nX-Evil: 1\r\n\r\n--'
    async with canned(VOICE, status=201) as service:
        await Voices(service.http).create(title=evil, samples=b"RIFF", extra={evil: evil})
    parts = form(service.asked[0])
    assert ("title", None, evil.encode()) in parts
    assert len(parts) == 6
    assert "x-evil" not in service.asked[0].headers


async def test_a_file_of_any_size_is_read_in_pieces(tmp_path: Path) -> None:
    """Progress comes after every piece, and none is a large part of the file."""
    file = tmp_path / "a.wav"
    file.write_bytes(bytes(20_000_000))
    told = [0]
    async with canned(VOICE, status=201) as service:
        await Voices(service.http).create(
            title="x", samples=file, on_progress=lambda sent, _: told.append(sent)
        )
    assert max(after - before for before, after in itertools.pairwise(told)) < 1_000_000


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"title": ""}, "title"),
        ({"title": "\ud800"}, "title"),
        ({"samples": []}, "samples"),
        ({"samples": [b"x"] * 21}, "samples"),
        ({"samples": b""}, "samples"),
        ({"samples": [1]}, "samples"),
        ({"samples": 1}, "samples"),
        ({"samples": None}, "samples"),
        ({"samples": [b"x", "missing.wav"]}, "samples"),
        ({"samples": [b"x"] * 20, "texts": ["x"] * 21}, "texts"),
        ({"train_mode": "full"}, "train_mode"),
        ({"enhance_audio_quality": "no"}, "enhance_audio_quality"),
        ({"extra": {"voices": ["x"]}}, "extra"),
        ({"extra": {"x": b"bytes"}}, "extra"),
        ({"extra": {"x": {"a": 1}}}, "extra"),
        ({"samples": "missing.wav"}, "samples"),
        ({"samples": "."}, "samples"),
        ({"texts": ["one", "two"]}, "texts"),
        ({"visibility": "public"}, "cover_image"),
        ({"visibility": "secret"}, "visibility"),
        ({"cover_image": "missing.png"}, "cover_image"),
        ({"cover_image": b""}, "cover_image"),
        ({"tags": [1]}, "tags"),
    ],
)
async def test_what_is_wrong_is_named_before_anything_is_sent(
    arguments: dict[str, Any], argument: str
) -> None:
    """Fields, files that are missing or empty, and what does not go together."""
    async with canned(VOICE) as service:
        with pytest.raises(ConfigError) as caught:
            await Voices(service.http).create(**{"title": "x", "samples": b"RIFF", **arguments})
        assert caught.value.argument == argument
        assert service.asked == []


async def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    """It names the argument and the file."""
    file = tmp_path / "a.wav"
    file.touch()
    async with canned(VOICE) as service:
        with pytest.raises(ConfigError, match=r"a\.wav is empty"):
            await Voices(service.http).create(title="x", samples=file)


async def test_a_public_voice_has_a_cover() -> None:
    """With one it may be public."""
    async with canned(VOICE, status=201) as service:
        await Voices(service.http).create(
            title="x", samples=b"RIFF", visibility="public", cover_image=b"PNG"
        )
    assert ("visibility", None, b"public") in form(service.asked[0])


# Changing


async def test_what_is_left_out_is_untouched() -> None:
    """Only what was named is sent; None clears what can be cleared."""
    async with canned(None) as service:
        voices = Voices(service.http)
        await voices.update("v", title="New")
        await voices.update("v", description=None, tags=None)
        await voices.update("v", tags="one", visibility="unlist")
    assert [asked.json for asked in service.asked] == [
        {"title": "New"},
        {"description": "", "tags": []},
        {"tags": ["one"], "visibility": "unlist"},
    ]
    assert {(asked.method, asked.path) for asked in service.asked} == {("PATCH", "/model/v")}


async def test_a_new_cover_is_sent_as_a_file() -> None:
    """With the other changes beside it."""
    async with canned(None) as service:
        await Voices(service.http).update("v", cover_image=b"PNG", title="New")
    assert [(name, data) for name, _, data in form(service.asked[0])] == [
        ("title", b"New"), ("cover_image", b"PNG"),
    ]  # fmt: skip


async def test_a_cover_is_cleared_by_a_null() -> None:
    """Which JSON can say, and a form cannot."""
    async with canned(None) as service:
        await Voices(service.http).update("v", cover_image=None, title="New")
    assert service.asked[0].json == {"title": "New", "cover_image": None}


async def test_tags_are_cleared_beside_a_new_cover() -> None:
    """A form has no empty list, so a second request clears them."""
    async with canned(None) as service:
        await Voices(service.http).update("v", cover_image=b"PNG", description=None, tags=None)
    first, second = service.asked
    assert [(name, data) for name, _, data in form(first)] == [
        ("description", b""), ("cover_image", b"PNG"),
    ]  # fmt: skip
    assert second.json == {"tags": []}


async def test_what_a_change_answers_does_not_matter() -> None:
    """Its answer is undocumented: words do as well as nothing."""
    async with canned(b"OK") as service:
        await Voices(service.http).update("v", title="New")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"title": ""},
        {"title": None},
        {"visibility": None},
        {"cover_image": "missing.png"},
        {"cover_image": b""},
        {"visibility": "public", "cover_image": None},
    ],
)
async def test_changes_that_cannot_be_are_refused(changes: dict[str, Any]) -> None:
    """Nothing at all, clearing what cannot be empty, and pictures that are none."""
    async with canned(None) as service:
        with pytest.raises(ConfigError):
            await Voices(service.http).update("v", **changes)
        assert service.asked == []


# Training


async def test_it_waits_until_the_voice_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking less often each time, up to a cap."""
    states = ["created", *["training"] * 6, "trained"]
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("fishlive.rest.voices.anyio.sleep", sleep)
    async with against(lambda _: (200, {**VOICE, "state": states.pop(0)})) as (voices, _):
        assert (await voices.wait_until_trained("v")).trained
    assert slept == [1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]


async def test_a_failed_training_is_an_error() -> None:
    """It ends the wait at once."""
    async with canned({**VOICE, "state": "failed"}) as service:
        with pytest.raises(SynthesisError, match="failed"):
            await Voices(service.http).wait_until_trained("v")


async def test_training_that_takes_too_long_is_an_error() -> None:
    """Its phase says what was waited for."""
    async with canned({**VOICE, "state": "training"}) as service:
        with pytest.raises(StallTimeout) as caught:
            await Voices(service.http).wait_until_trained("v", timeout_s=0.05, poll_s=0.01)
        assert caught.value.phase == "training"


async def test_it_looks_more_often_near_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A voice that is trained shortly before the time is up is still seen."""
    now = [anyio.current_time()]
    trained_at = now[0] + 9
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("fishlive.rest.voices.anyio.sleep", sleep)
    monkeypatch.setattr("fishlive.rest.voices.anyio.current_time", lambda: now[0])

    def answer(_asked: Asked) -> tuple[int, object]:
        return 200, {**VOICE, "state": "trained" if now[0] >= trained_at else "training"}

    async with against(answer) as (voices, _):
        assert (await voices.wait_until_trained("v", timeout_s=10)).trained
    assert slept == pytest.approx([1, 2, 3.5, 1.75, 1], abs=0.1)


async def test_a_state_of_later_versions_is_waited_through() -> None:
    """Only trained and failed end the wait."""
    states = ["queued", "resting", "trained"]
    async with against(lambda _: (200, {**VOICE, "state": states.pop(0)})) as (voices, _):
        assert (await voices.wait_until_trained("v", timeout_s=None, poll_s=0.001)).trained


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("timeout_s", 0), ("timeout_s", float("nan")), ("timeout_s", "5"), ("poll_s", 0),
        ("poll_s", -1), ("poll_s", float("inf")), ("poll_s", None),
    ],
)  # fmt: skip
async def test_times_have_to_be_times(argument: str, value: Any) -> None:
    """What is no number of seconds over zero is refused, and named."""
    async with canned(VOICE) as service:
        with pytest.raises(ConfigError) as caught:
            await Voices(service.http).wait_until_trained("v", **{argument: value})
        assert caught.value.argument == argument
        assert service.asked == []


# For real


async def test_the_whole_life_of_a_voice() -> None:
    """Made of real speech, found, used, changed and deleted on the local server."""
    async with LocalServer() as server, Session("local", base_url=server.url) as fish:
        sample = await fish.tts.create("A sample of my voice.", format="wav")
        voice = await fish.voices.create(title="Me", samples=sample, texts="A sample.", tags="t")
        voice = await fish.voices.wait_until_trained(voice.id)
        assert [found.id async for found in fish.voices.iter(mine=True, tag="t")] == [voice.id]
        assert await fish.tts.create("Hello", voice=voice.id)
        await fish.voices.update(voice.id, title="You", tags=None, cover_image=b"P6 1 1 1 abc")
        changed = await fish.voices.get(voice.id)
        assert (changed.title, changed.tags, bool(changed.cover_image)) == ("You", (), True)
        await fish.voices.update(voice.id, cover_image=None)
        assert not (await fish.voices.get(voice.id)).cover_image
        await fish.voices.delete(voice.id)
        with pytest.raises(NotFoundError):
            await fish.voices.get(voice.id)


async def test_somebody_elses_voice_is_forbidden() -> None:
    """403 has its class."""
    body = {"status": 403, "message": "no"}
    async with canned(body, status=403) as service:
        with pytest.raises(PermissionDeniedError):
            await Voices(service.http).delete("v")


@pytest.mark.parametrize(
    ("name", "arguments", "times"),
    [
        ("list", {}, 2),
        ("get", {"voice_id": "v"}, 2),
        ("update", {"voice_id": "v", "title": "New"}, 2),
        ("update", {"voice_id": "v", "cover_image": b"PNG"}, 2),
        ("create", {"title": "x", "samples": b"RIFF"}, 1),
        ("delete", {"voice_id": "v"}, 1),
    ],
)
async def test_only_what_does_no_harm_twice_is_repeated(
    name: str, arguments: dict[str, Any], times: int
) -> None:
    """After a failure of which nobody knows whether it was one."""
    async with answering(lambda _: (503, {"status": 503, "message": "busy"})) as (url, asked):
        policy = RetryPolicy(attempts=2)
        http = Http(base_url=url, key=Secret("sesame"), retry=policy, jitter=lambda: 0.0)
        with pytest.raises(ServerError) as caught:
            await getattr(Voices(http), name)(**arguments)
        await http.aclose()
    assert (len(asked), caught.value.attempts) == (times, times)


async def test_cancelling_an_upload_leaves_nothing_open(tmp_path: Path) -> None:
    """The file is closed and the connection cut; warnings about either would fail this test."""
    file = tmp_path / "a.wav"
    file.write_bytes(bytes(50_000_000))
    started = asyncio.Event()
    async with canned(VOICE) as service:
        making = asyncio.create_task(
            Voices(service.http).create(
                title="x", samples=file, on_progress=lambda *_: started.set()
            )
        )
        await started.wait()
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making
