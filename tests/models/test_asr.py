"""models/asr.py: requests for transcripts, and transcripts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.errors import ConfigError, ProtocolError
from fishlive.models.asr import Transcript, TranscriptionRequest

WORD = {"text": "secret", "start": 0, "end": 0.5}


def test_timestamps_are_said_the_other_way_round() -> None:
    """And always, because defaults change; a hint only if there is one."""
    assert TranscriptionRequest().payload() == {"ignore_timestamps": True}
    request = TranscriptionRequest(timestamps=True, language="en", filename="a.wav")
    assert request.payload() == {"ignore_timestamps": False, "language": "en"}


def test_extra_fields_go_over_the_others() -> None:
    """They show in no repr, for they may hold anything."""
    request = TranscriptionRequest(language="en", extra={"language": "de", "x": None})
    assert request.payload() == {"ignore_timestamps": True, "language": "de"}
    assert "de" not in repr(request)


@given(st.text(max_size=40) | st.text("aZ9-", max_size=40))
def test_a_language_is_a_tag_or_an_error(language: str) -> None:
    """Nothing but ASCII letters, digits and hyphens comes through."""
    if language.isascii() and language.replace("-", "x").isalnum() and len(language) <= 35:
        assert TranscriptionRequest(language=language).payload()["language"] == language
    else:
        with pytest.raises(ConfigError) as caught:
            TranscriptionRequest(language=language)
        assert caught.value.argument == "language"


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ({"duration": 1, "segments": []}, "no text"),
        ({"text": "", "segments": []}, "no duration"),
        ({"text": "", "duration": float("nan")}, "duration"),
        ({"text": "", "duration": 1, "segments": [{**WORD, "end": "secret"}]}, "Segment: end"),
        ({"text": "", "duration": 1, "segments": "secret"}, "segments"),
    ],
)
def test_a_transcript_without_its_parts_is_none(document: dict[str, Any], what: str) -> None:
    """The error names the part, and repeats nothing that was said."""
    with pytest.raises(ProtocolError, match=what) as caught:
        Transcript.read(document)
    assert "secret" not in str(caught.value)


def test_segments_keep_what_is_new() -> None:
    """Each in its own raw."""
    heard = Transcript.read({"text": "", "duration": 1, "segments": [{**WORD, "speaker": 1}]})
    assert heard.segments[0].raw["speaker"] == 1
    assert (heard.segments[0].start_s, heard.segments[0].end_s) == (0.0, 0.5)


@pytest.mark.parametrize("turns", [None, "x", 1, {"a": 1}, [1, None]])
def test_undocumented_fields_cost_nobody_a_transcript(turns: object) -> None:
    """A recording that was paid for is read, whatever they turn into."""
    document = {"text": "", "duration": 1, "speaker_turns": turns, "request_id": turns}
    heard = Transcript.read(document)
    assert heard.speaker_turns == ()
    assert heard.raw == document


def test_speakers_are_passed_on_as_they_came() -> None:
    """Objects of the list, and a request's id as text."""
    turns = [{"speaker": 0, "text": "secret"}, "rubbish"]
    heard = Transcript.read({"text": "", "duration": 1, "speaker_turns": turns, "request_id": 7})
    assert heard.speaker_turns == ({"speaker": 0, "text": "secret"},)
    assert heard.request_id == "7"


def test_nothing_that_was_said_shows() -> None:
    """Neither in the transcript's repr nor in a segment's."""
    heard = Transcript.read({"text": "secret", "duration": 1, "segments": [WORD]})
    assert "secret" not in repr(heard)
    assert "secret" not in repr(heard.segments)
