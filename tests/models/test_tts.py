"""Tests of fishlive.models.tts."""

from __future__ import annotations

import contextlib
import gc
import warnings
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fishlive.errors import ConfigError
from fishlive.models import RequestWarning
from fishlive.models.pronunciation import DictionaryRef, InlineDictionary, PronunciationRule
from fishlive.models.prosody import Prosody
from fishlive.models.reference import ReferenceAudio
from fishlive.models.tts import TTSRequest, audio_bytes_per_second, speech_request

SAMPLE = ReferenceAudio(audio=b"RIFFsecret", text="secret words")


def live(voice: Any = None, model: str = "s2-pro", extra: Any = None, **options: Any) -> TTSRequest:
    """Return a live request with these options."""
    return speech_request(model=model, voice=voice, options=options, extra=extra)


def test_only_what_was_set_goes_on_the_wire() -> None:
    """Defaults, None, the model and the extra mapping itself are not sent."""
    request = live(format="pcm", sample_rate=24000, temperature=None, voice="abc")
    assert request.payload() == {
        "text": "", "format": "pcm", "sample_rate": 24000, "reference_id": "abc",
    }  # fmt: skip
    assert TTSRequest(text="Hi", temperature=None).payload() == {"text": "Hi"}


def test_every_documented_field_goes_on_the_wire() -> None:
    """Each field of TTSRequest in openapi.json (2026-09) is sent under its own name."""
    fields: dict[str, Any] = {
        "reference_id": "v", "references": [{"audio": b"RIFF", "text": "hi"}], "temperature": 0.5,
        "top_p": 1, "prosody": {"speed": 1.5, "volume": -3, "normalize_loudness": False},
        "chunk_length": 100, "min_chunk_length": 0, "normalize": False, "format": "mp3",
        "sample_rate": 32000, "mp3_bitrate": 64, "latency": "low", "max_new_tokens": 512,
        "repetition_penalty": 1.1, "condition_on_previous_chunks": False,
        "early_stop_threshold": 0, "features": ["quality-guard"],
        "pronunciation_dictionary": [{"id": "d", "version": "v1"}],
    }  # fmt: skip
    assert TTSRequest(text="Hi", **fields).payload() == {"text": "Hi", **fields}
    opus: dict[str, Any] = {"format": "opus", "opus_bitrate": 24000, "sample_rate": 48000}
    assert TTSRequest(**opus).payload() == {"text": "", **opus}


def test_extra_is_merged_last() -> None:
    """What this version does not know is sent as it is and wins; None is not sent."""
    request = live(temperature=0.5, extra={"temperature": 2, "new": {"deep": [1]}, "none": None})
    assert request.payload() == {"text": "", "temperature": 2, "new": {"deep": [1]}}


@pytest.mark.parametrize(
    "extra",
    [{1: 2}, ["x"], {"a": object()}, {"a": 2**70}, {"a": "\ud800"}, {"a": {1, 2}}],
    ids=["key", "list", "object", "number", "surrogate", "set"],
)
def test_extra_holds_only_what_messagepack_can_carry(extra: Any) -> None:
    """Anything else is refused before a socket is involved."""
    with pytest.raises(ConfigError) as caught:
        live(extra=extra)
    assert caught.value.argument == "extra"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("temperature", 1.01), ("temperature", -0.1), ("temperature", "high"),
        ("temperature", float("nan")), ("temperature", True), ("top_p", 2), ("chunk_length", 99),
        ("chunk_length", 301), ("chunk_length", 100.5), ("min_chunk_length", 101),
        ("normalize", "yes"), ("format", "flac"), ("sample_rate", "24000"), ("mp3_bitrate", 96),
        ("latency", "fast"), ("max_new_tokens", 0), ("repetition_penalty", 0),
        ("early_stop_threshold", 1.5), ("features", "quality-guard"), ("features", [1]),
        ("references", []), ("references", [b"x"]), ("prosody", 5),
        ("pronunciation_dictionary", "x"),
    ],
)  # fmt: skip
def test_a_value_out_of_range_names_its_argument(option: str, value: Any) -> None:
    """The error carries the option as the caller wrote it, and pydantic's class never shows."""
    with pytest.raises(ConfigError) as caught:
        live(**{option: value})
    assert caught.value.argument == option
    assert option in str(caught.value)
    assert not isinstance(caught.value, ValidationError)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"prosody": {"speed": 2.1}}, "prosody.speed"),
        ({"prosody": {"volume": -21}}, "prosody.volume"),
        ({"prosody": {"pitch": 1}}, "prosody.pitch"),
        ({"references": [{"audio": b"x"}]}, "references.text"),
        ({"pronunciation_dictionary": {"id": "a b", "version": "1"}},
         "pronunciation_dictionary.id"),
    ],
)  # fmt: skip
def test_a_nested_value_is_named_in_full(options: dict[str, Any], argument: str) -> None:
    """The error points into the object."""
    with pytest.raises(ConfigError) as caught:
        live(**options)
    assert caught.value.argument == argument


def test_a_short_value_is_shown() -> None:
    """The message says what was given and what may be."""
    with pytest.raises(ConfigError, match=r"^temperature must be at most 1, not 1\.5$"):
        live(temperature=1.5)


@pytest.mark.parametrize(
    "options",
    [
        {"references": [{"audio": b"secret", "text": 5}]},
        {"references": [{"audio": "secret", "text": "a"}]},
        {"references": [{"audio": b"x", "text": "secret\ud800"}]},
        {"latency": "secret" * 10},
        {"pronunciation_dictionary": {"items": [{"key": "secret", "value": "<|secret"}]}},
    ],
    ids=str,
)
def test_text_audio_and_long_values_are_not_shown(options: dict[str, Any]) -> None:
    """Neither the message nor the chain behind it repeats what users say."""
    with pytest.raises(ConfigError) as caught:
        live(**options)
    error: BaseException | None = caught.value
    while error is not None:
        assert "secret" not in str(error)
        error = error.__cause__


def test_audio_and_text_show_in_no_repr() -> None:
    """A logged request gives nothing away."""
    request = TTSRequest(text="secret", references=(SAMPLE,), extra={"a": "secret"})
    assert "secret" not in f"{request!r} {request} {SAMPLE!r} {SAMPLE}"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("temprature", "temperature"), ("samplerate", "sample_rate"), ("voise", "voice"),
        ("reference_id", "voice"), ("text", "speak"), ("zzz", "extra"), ("model", "connecting"),
    ],
)  # fmt: skip
def test_an_unknown_option_is_refused_with_a_hint(name: str, hint: str) -> None:
    """The error names the option and the likely one."""
    with pytest.raises(ConfigError, match=hint) as caught:
        speech_request(model="s2-pro", voice=None, options={name: 1}, extra=None)
    assert caught.value.argument == name


RATES = (8000, 16000, 22050, 24000, 32000, 44100, 48000)
GOOD = {
    "pcm": {8000, 16000, 24000, 32000, 44100}, "wav": {8000, 16000, 24000, 32000, 44100},
    "mp3": {32000, 44100}, "opus": {48000},
}  # fmt: skip


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("kind", GOOD)
def test_formats_and_sample_rates_go_together(kind: str, rate: int) -> None:
    """Exactly the documented pairs are accepted."""
    if rate in GOOD[kind]:
        assert live(format=kind, sample_rate=rate).effective_sample_rate_hz == rate
    else:
        with pytest.raises(ConfigError) as caught:
            live(format=kind, sample_rate=rate)
        assert caught.value.argument == "sample_rate"


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [("pcm", "mp3_bitrate", 64), ("opus", "mp3_bitrate", 64), ("mp3", "opus_bitrate", 24000)],
)
def test_a_bitrate_goes_with_its_format_only(kind: str, name: str, value: int) -> None:
    """A bitrate for another format is an error, not a wish."""
    with pytest.raises(ConfigError) as caught:
        options = {"format": kind, name: value}
        speech_request(model="s2-pro", voice=None, options=options, extra=None)
    assert caught.value.argument == name


@pytest.mark.parametrize("kbps", [24, 32, 48, 64])
def test_opus_kilobits_are_converted(kbps: int) -> None:
    """Old units are understood, and said to be old."""
    with pytest.warns(RequestWarning, match="bits a second"):
        request = live(format="opus", opus_bitrate=kbps)
    assert request.payload()["opus_bitrate"] == kbps * 1000


@pytest.mark.parametrize("model", ["s2.1-pro", "s2.1-pro-free"])
def test_a_repetition_penalty_without_effect_warns(model: str) -> None:
    """The warning points at the caller's own line."""
    with pytest.warns(RequestWarning, match="no effect") as caught:
        live(model=model, repetition_penalty=1.5)
    assert caught[0].filename == __file__


def test_an_ordinary_request_warns_of_nothing() -> None:
    """No warning without a reason."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        live(voice=["a", "b"], repetition_penalty=1.5, format="opus", opus_bitrate=24000)


@pytest.mark.parametrize(
    "voice",
    ["", "a\r\nb", "a\nb", "a\0b", "x" * 257, [], ["a", 5], ["a", "b\n"], 5, b"a"],
    ids=repr,
)
def test_a_voice_no_wire_should_carry_is_refused(voice: Any) -> None:
    """Line breaks and the like cannot be smuggled in, and the error speaks of `voice`."""
    with pytest.raises(ConfigError, match=r"^voice ") as caught:
        live(voice=voice)
    assert caught.value.argument == "voice"


@pytest.mark.parametrize("model", ["s2-pro\r\nx: y", "", "a b", "é", "x" * 200])
def test_a_model_no_header_can_carry_is_refused(model: str) -> None:
    """The model becomes a header, so it cannot end one."""
    with pytest.raises(ConfigError) as caught:
        live(model=model)
    assert caught.value.argument == "model"


def test_several_voices_need_a_model_that_has_them() -> None:
    """s1 speaks with one voice, whichever way several are given."""
    for fields in ({"voice": ["a"]}, {"references": [[SAMPLE]]}):
        with pytest.raises(ConfigError, match="one voice only"):
            live(model="s1", **fields)
        for model in ("s2-pro", "s2.1-pro-free", "drama-3-preview", "not-heard-of"):
            live(model=model, **fields)


def test_voices_and_samples_are_for_the_same_speakers() -> None:
    """Two-dimensional samples go with as many ids."""
    live(voice=["a", "b"], references=[[SAMPLE], [SAMPLE, SAMPLE]])
    live(voice="a", references=[SAMPLE])
    live(references=[[SAMPLE], [SAMPLE]])
    for voice, references in (
        (["a"], [[SAMPLE], [SAMPLE]]), ("a", [[SAMPLE]]), (["a", "b"], [SAMPLE, SAMPLE]),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match="equally many") as caught:
            live(voice=voice, references=references)
        assert caught.value.argument == "voice"


def test_samples_in_one_and_two_dimensions_do_not_mix() -> None:
    """Half a list of speakers is none."""
    with pytest.raises(ConfigError, match="for each speaker"):
        live(references=[SAMPLE, [SAMPLE]])


def test_objects_and_dicts_are_the_same_on_the_wire() -> None:
    """Whoever likes types may use them."""
    typed = live(
        prosody=Prosody(speed=1.5),
        references=[SAMPLE],
        pronunciation_dictionary=[
            InlineDictionary(items=(PronunciationRule(key="a", value="AH0"),)),
        ],
    )
    plain = live(
        prosody={"speed": 1.5},
        references=[{"audio": b"RIFFsecret", "text": "secret words"}],
        pronunciation_dictionary={"items": [{"key": "a", "value": "AH0"}]},
    )
    assert typed.payload() == plain.payload()


def test_dictionaries_are_few_and_of_one_kind() -> None:
    """At most three, all stored or all inline."""
    ref = DictionaryRef(id="d", version="1")
    inline = {"items": [{"key": "a", "value": "AH0"}]}
    live(pronunciation_dictionary=[ref] * 3)
    for bad in ([ref] * 4, [ref, inline]):
        with pytest.raises(ConfigError, match="all stored or all inline"):
            live(pronunciation_dictionary=bad)


def test_a_request_never_changes() -> None:
    """It can be kept and sent again."""
    request = live(temperature=0.5)
    with pytest.raises(ValidationError):
        request.temperature = 1.0
    request.payload()["temperature"] = 1.0
    assert request.payload()["temperature"] == 0.5


@pytest.mark.parametrize(
    ("options", "rate"),
    [
        ({"format": "pcm", "sample_rate": 24000}, 48000), ({"format": "wav"}, 88200), ({}, 16000),
        ({"format": "mp3", "mp3_bitrate": 192}, 24000), ({"format": "opus"}, 4000),
        ({"format": "opus", "opus_bitrate": -1000}, 4000),
        ({"format": "opus", "opus_bitrate": 64000}, 8000),
        ({"extra": {"format": "pcm", "sample_rate": 48000}}, 96000),
    ],
)  # fmt: skip
def test_bytes_a_second_follow_format_and_bitrate(options: dict[str, Any], rate: float) -> None:
    """Samples count exactly, compressed audio by its bitrate, `extra` included."""
    assert audio_bytes_per_second(live(**options)) == rate


@given(
    st.dictionaries(
        st.sampled_from(sorted(TTSRequest.model_fields)) | st.text(max_size=5),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
        | st.binary(max_size=3) | st.lists(st.integers() | st.text(max_size=2), max_size=2)
        | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
        max_size=4,
    )
)  # fmt: skip
def test_only_errors_of_ours_come_out(options: dict[str, Any]) -> None:
    """Whatever is given, it makes a request or a ConfigError."""
    with warnings.catch_warnings(), contextlib.suppress(ConfigError):
        warnings.simplefilter("ignore", RequestWarning)
        payload = speech_request(model="s2-pro", voice=None, options=options, extra=None).payload()
        assert None not in payload.values()


class Held:
    """Something that a caller has while it asks for what cannot be."""

    error: ConfigError


@pytest.mark.parametrize("wrong", [{"voice": "\ud800"}, {"voice": []}, {"prosody": {"speed": 9}}])
def test_a_refusal_holds_nothing_of_its_caller(wrong: dict[str, Any]) -> None:
    """Once it is forgotten, so are the frames in which it was raised."""
    gone: list[weakref.ref[Held]] = []

    def ask() -> None:
        held = Held()
        gone.append(weakref.ref(held))
        with pytest.raises(ConfigError) as caught:
            TTSRequest(**{"text": "Hi.", **wrong})
        held.error = caught.value

    ask()
    gc.collect()
    assert gone[0]() is None
