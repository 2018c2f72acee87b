"""What is sent as a sample of a voice: whether it is sound, and how it will sound."""

from __future__ import annotations

import hashlib
import io
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from av.container import InputContainer

DEMUXERS: Final = "wav,mp3,flac,ogg,mov,matroska,aac,aiff,au,amr,asf,w64,caf"
"""Containers that are opened, as FFmpeg names them."""

OPTIONS: Final = {"format_whitelist": DEMUXERS}
"""For ``av.open`` of what a client sent. Without it FFmpeg opens playlists and descriptions of
sessions, too, and reads the files and listens on the ports that they name."""

_SCRIPTS: Final = (
    ("HIRAGANA", "ja"),
    ("KATAKANA", "ja"),
    ("HANGUL", "ko"),
    ("CJK", "zh"),
    ("CYRILLIC", "ru"),
    ("ARABIC", "ar"),
    ("GREEK", "el"),
    ("HEBREW", "he"),
    ("DEVANAGARI", "hi"),
    ("THAI", "th"),
)
"""Beginnings of Unicode names, and the language most written in them; Japanese before Chinese,
because it uses both."""

LATIN: Final = "en"
"""What everything else counts as."""


def opened(data: bytes) -> InputContainer:
    """Open what a client sent with PyAV, tags in any encoding; its own errors if it is nothing."""
    import av

    # Until 19 PyAV decodes tags strictly unless told otherwise; since then it cannot be told.
    old = int(av.__version__.partition(".")[0]) < 19
    tags: dict[str, Any] = {"metadata_errors": "ignore"} if old else {}
    return cast("InputContainer", av.open(io.BytesIO(data), options=OPTIONS, **tags))


def is_audio(data: bytes) -> bool:
    """Return whether at least one frame of sound can be decoded. For a thread: it takes a while."""
    from av.error import FFmpegError

    try:
        with opened(data) as container:
            return any(frame.samples for frame in container.decode(audio=0))
    # PyAV refuses some of what is no audio with the errors of Python instead of its own.
    except (FFmpegError, ValueError, LookupError, OSError):
        return False


def sound_of(samples: Iterable[bytes]) -> str:
    """Return 32 hexadecimal digits: the same samples, in the same order, always sound the same.

    As samples that come with a request do (see ``references`` of a TTS request).
    """
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(sample)
    return digest.hexdigest()[:32]


def language_of(text: str) -> str:
    """Return the language that a text's script suggests: a guess, where the service listens."""
    names = [unicodedata.name(char, "") for char in text[:1000]]
    for beginning, language in _SCRIPTS:
        if any(name.startswith(beginning) for name in names):
            return language
    return LATIN
