"""A request is read leniently, as deployed clients need, or by the letter."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fishlive.server.refusal import Refusal
from fishlive.server.request import Order, read_order
from fishlive.server.voice.catalogue import Catalogue

HEX = "802e3bc2b27e49c2995d23ef70e6ac89"
FIND = Catalogue().find
NAMES = (
    "text", "reference_id", "references", "prosody", "format", "sample_rate", "latency", "top_p",
    "chunk_length", "min_chunk_length", "mp3_bitrate", "opus_bitrate", "normalize", "temperature",
    "pronunciation_dictionary", "max_new_tokens", "early_stop_threshold",
)  # fmt: skip
RATES = "Invalid sample rate 22050 for format pcm. Supported sample rates: 8000, 16000, 24000, "
OPUS_RATE = "Invalid sample rate 44100 for format opus. Supported sample rates: 48000"
FORMATS = "unknown variant `flac`, expected one of `wav`, `pcm`, `mp3`, `opus`"
LATENCIES = "unknown variant `quick`, expected one of `low`, `normal`, `balanced`"


def read(*, strict: bool = False, model: str = "s2-pro", live: bool = True, **raw: Any) -> Order:
    """Read a request of these fields."""
    return read_order({"text": "", **raw}, model=model, find=FIND, strict=strict, live=live)


def nulls(*names: str) -> dict[str, Any]:
    """Return fields that are all null."""
    return dict.fromkeys(names)


def refusal(**asked: Any) -> tuple[int, str, bool]:
    """Return status, sentence and plainness of a request's refusal."""
    with pytest.raises(Refusal) as refused:
        read(**asked)
    return refused.value.status, refused.value.message, refused.value.plain


@pytest.mark.parametrize("strict", [False, True])
def test_defaults(strict: bool) -> None:
    """Only text is needed; the rest is as documented."""
    order = read(strict=strict, text="Hi")
    assert (order.format, order.sample_rate_hz, order.mp3_bitrate_kbps) == ("mp3", 44100, 128)
    assert (order.speed, order.volume_db, order.opus_bitrate_bps) == (1.0, 0.0, -1000)
    assert (order.chunk_length, order.min_chunk_length, order.mime) == (300, 50, "audio/mpeg")
    assert order.voices == (FIND(None),)


def test_nulls_and_empty_lists_count_as_absent() -> None:
    """What clients of the service send for "nothing" changes nothing."""
    assert read(**nulls(*NAMES, "features")) == read()
    assert read(references=[], reference_id=[], features=[], prosody={}) == read()
    assert read(prosody={"speed": None, "volume": None}) == read()
    assert read(reference_id="") == read()


@pytest.mark.parametrize(
    ("asked", "bps"),
    [
        (32, 32000),
        (24, 24000),
        (64000, 64000),
        (-1000, -1000),
        (0, -1000),
        (40, 32000),
        (96, 64000),
    ],
)
def test_opus_bitrates(asked: int, bps: int) -> None:
    """Under 1000 means kbit/s; the nearest bitrate that there is counts."""
    assert read(format="opus", opus_bitrate=asked).opus_bitrate_bps == bps


def test_bitrates_of_other_formats_are_ignored() -> None:
    """Even an impossible one."""
    assert read(format="pcm", opus_bitrate="much", mp3_bitrate=7) == read(format="pcm")
    assert read(format="opus", mp3_bitrate=7).mp3_bitrate_kbps == 128


def test_tuning_is_not_looked_at() -> None:
    """Numbers that mean nothing to this voice never fail a lenient request."""
    assert read(temperature=2, top_p="x", max_new_tokens=-1, unheard_of={"a": 1}) == read()


def test_lengths_and_volume_are_brought_into_range() -> None:
    """Out of range is the nearest in range."""
    order = read(chunk_length=50, min_chunk_length=500, prosody={"volume": 99})
    assert (order.chunk_length, order.min_chunk_length, order.volume_db) == (100, 100, 20.0)
    assert read(chunk_length=200.0).chunk_length == 200


def test_any_model_id_speaks() -> None:
    """A 32-hex id has a voice, always the same, whatever its case; different ids differ."""
    voice = read(reference_id=HEX).voices
    assert voice == read(reference_id=HEX.upper()).voices
    assert len({read(reference_id=f"{n:032x}").voices for n in range(20)}) > 5


def test_espeak_voices_by_name() -> None:
    """Every voice of the catalogue is reachable by its id, strictly too."""
    for voice in Catalogue().all():
        assert read(strict=True, reference_id=voice.id).voices == (voice,)


def test_several_speakers() -> None:
    """A list of ids is a voice for each speaker."""
    order = read(reference_id=["de", "fr"])
    assert [voice.id for voice in order.voices] == ["de", "fr"]


def test_reference_audio_is_a_voice() -> None:
    """The same samples always sound the same, and other than different ones."""
    one, two = ({"audio": bytes([n]) * 99, "text": "x"} for n in (1, 4))
    assert read(references=[one]).voices == read(references=[one], reference_id="x").voices
    assert read(references=[one]).voices != read(references=[two]).voices
    assert len(read(references=[[one], [two]]).voices) == 2


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("asked", "message", "plain"),
    [
        ({"reference_id": "nobody"}, "Reference not found", False),
        ({"reference_id": ["de", "nobody"]}, "Reference not found", False),
        ({"format": "flac"}, FORMATS, True),
        ({"latency": "quick"}, LATENCIES, True),
        ({"format": "pcm", "sample_rate": 22050}, RATES + "32000, 44100", False),
        ({"format": "opus", "sample_rate": 44100}, OPUS_RATE, False),
        ({"prosody": {"speed": 2.5}}, "speed: 2.5 is out of range, expected 0.5 to 2.0", False),
        ({"prosody": {"speed": float("nan")}},
         "speed: invalid type: float, expected a finite number", True),
        ({"references": [{"text": "x"}]}, "Reference Audio is not valid", False),
        ({"text": 5}, "text: invalid type: int, expected a string", True),
        ({"prosody": 5}, "prosody: invalid type: int, expected a map", True),
        ({"references": 5}, "references: invalid type: int, expected a sequence", True),
        ({"reference_id": 5}, "reference_id: expected a string or an array of strings", True),
        ({"chunk_length": "x"}, "chunk_length: invalid type: str, expected an integer", True),
    ],
)  # fmt: skip
def test_always_refused(asked: dict[str, Any], message: str, plain: bool, strict: bool) -> None:
    """What the service was seen to refuse, and what cannot be read, is a 400 either way."""
    assert refusal(strict=strict, **asked) == (400, message, plain)


RULE: dict[str, Any] = {"key": "SQL", "value": "S IY1 K W AH0 L"}
WRONG_RULES: list[Any] = [
    "SQL",
    {"key": "SQL"},
    {"value": "x"},
    {**RULE, "key": ""},
    {**RULE, "key": "k" * 257},
    {**RULE, "value": "v" * 1025},
    {**RULE, "value": "<|phoneme_start|>x"},
    {**RULE, "case_sensitive": None},
]


@pytest.mark.parametrize(
    "asked",
    [
        {"reference_id": HEX},
        {"reference_id": []},
        {"reference_id": ""},
        {"reference_id": ["de", "fr"], "model": "s1"},
        {"chunk_length": 99},
        {"chunk_length": 301},
        {"chunk_length": 200.0},
        {"chunk_length": None},
        {"min_chunk_length": 101},
        {"mp3_bitrate": 320},
        {"opus_bitrate": 32},
        {"temperature": 1.5},
        {"top_p": -0.1},
        {"early_stop_threshold": 2},
        {"max_new_tokens": 1.5},
        {"normalize": 1},
        {"format": None},
        {"text": None},
        {"prosody": {"volume": 21}},
        {"prosody": {"normalize_loudness": "yes"}},
        {"references": [{"audio": "YmFzZTY0", "text": "x"}]},
        {"references": [{"audio": b"x"}]},
        {"pronunciation_dictionary": [{"id": "a", "version": "1"}] * 4},
        {"pronunciation_dictionary": [{"id": "a b", "version": "1"}]},
        {"pronunciation_dictionary": [{"id": "a", "version": "1"}, {"items": []}]},
        {"features": "quality-guard"},
        {"features": [1]},
        *({"pronunciation_dictionary": [{"items": [rule]}]} for rule in WRONG_RULES),
        {"pronunciation_dictionary": [{"items": [RULE] * 5001}]},
    ],
    ids=lambda asked: repr(asked)[:80],
)
def test_strictly_refused(asked: dict[str, Any]) -> None:
    """Outside the documents is a 400 when strict, and fine when lenient."""
    assert refusal(strict=True, **asked)[0] == 400
    assert read(**asked).voices


def test_rules_within_their_limits_are_strictly_allowed() -> None:
    """The longest key and value, and as many rules as may be, with a feature."""
    rules = [{**RULE, "key": "k" * 256, "value": "v" * 1024, "case_sensitive": True}] * 5000
    asked: dict[str, Any] = {
        "pronunciation_dictionary": [{"items": rules}],
        "features": ["quality-guard"],
    }
    assert read(strict=True, **asked).voices


def test_strictly_allowed() -> None:
    """The full example of the AsyncAPI document passes strictly, but for its unknown voice."""
    example: dict[str, Any] = {
        "text": "", "max_new_tokens": 1024, "top_p": 0.7, "repetition_penalty": 1.2,
        "temperature": 0.7, "min_chunk_length": 50, "chunk_length": 300,
        "condition_on_previous_chunks": True, "normalize": True, "early_stop_threshold": 1.0,
        "format": "mp3", "sample_rate": 44100, "mp3_bitrate": 128, "opus_bitrate": -1000,
        "references": [], "reference_id": "en-us", "latency": "normal",
        "prosody": {"speed": 1.2, "volume": 2.0, "normalize_loudness": True},
    }  # fmt: skip
    order = read(strict=True, **example)
    assert (order.speed, order.volume_db) == (1.2, 2.0)
    nullable = ["reference_id", "references", "prosody", "sample_rate", "pronunciation_dictionary"]
    assert read(strict=True, **nulls(*nullable)) == read()


def test_text_is_required() -> None:
    """Missing text is a 400 over HTTP, and on a live socket only when strict."""
    for strict, live in ((False, False), (True, False), (True, True)):
        with pytest.raises(Refusal) as refused:
            read_order({}, model="s1", find=FIND, strict=strict, live=live)
        assert (refused.value.message, refused.value.plain) == ("missing field `text`", True)
    assert read_order({}, model="s1", find=FIND, strict=False, live=True).text == ""


INNER = st.sampled_from(["speed", "volume", "audio", "text", "id", "version", "items"])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
JUNK = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(INNER | st.text(), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(raw=st.dictionaries(st.sampled_from(NAMES), JUNK), strict=st.booleans())
@example(raw={"prosody": {"speed": 10**400}}, strict=False)  # JSON has integers of any size
@example(raw={"temperature": 10**400}, strict=True)
def test_any_map_is_read_or_refused(raw: dict[str, Any], strict: bool) -> None:
    """Whatever stands in the fields, the answer is an order or a 400."""
    try:
        assert read(strict=strict, **raw).voices
    except Refusal as refused:
        assert refused.status == 400  # noqa: PT017 - refusing is one of two good ends
