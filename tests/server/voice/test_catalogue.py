"""What a reference_id finds."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest

from fishlive.server.voice.catalogue import Catalogue, Voice
from fishlive.server.voice.engine import Engine
from tests.server.voice.conftest import rms

SILENT = {"art/xex", "gmq/fo", "trk/kaa"}
"""Languages that espeak-ng 1.52 lists and has no dictionary for."""

LISTER = """
import ctypes, espeakng_loader
class Voice(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("languages", ctypes.c_char_p),
                ("identifier", ctypes.c_char_p)]
library = ctypes.CDLL(str(espeakng_loader.get_library_path()))
library.espeak_Initialize(2, 0, str(espeakng_loader.get_data_path()).encode(), 0x8000)
library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(Voice))
voices = library.espeak_ListVoices(None)
at = 0
while voices[at]:
    print(voices[at].contents.identifier.decode())
    at += 1
"""


def model_id(number: int) -> str:
    """Return an id that looks like the service's."""
    return hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()


def sample(voices: tuple[Voice, ...], count: int) -> list[Voice]:
    """Return some of the voices: the same in every run, spread by hash."""
    return sorted(voices, key=lambda v: hashlib.sha256(v.id.encode()).digest())[:count]


@pytest.mark.parametrize(
    ("reference_id", "name"),
    [
        (None, "gmw/en-US"),
        ("en-us", "gmw/en-US"),
        ("EN_us", "gmw/en-US"),
        ("en-gb", "gmw/en"),
        ("en", "gmw/en"),
        ("de", "gmw/de"),
        ("gmw/de", "gmw/de"),
        ("German", "gmw/de"),
        ("zh", "sit/cmn"),
        ("pt-br", "roa/pt-BR"),
        ("en-us+f3", "gmw/en-US+f3"),
        ("de+Annie", "gmw/de+Annie"),
        ("f3", "gmw/en-US+f3"),
        ("Mr serious", "gmw/en-US+Mr serious"),
        ("grandma", "gmw/en-US+grandma"),
    ],
)
def test_names_of_espeak_are_found(
    catalogue: Catalogue, reference_id: str | None, name: str
) -> None:
    """Languages, files, names and variants all lead to what espeak-ng loads."""
    voice = catalogue.find(reference_id)
    assert voice is not None
    assert voice.espeak_name == name


@pytest.mark.parametrize(
    "reference_id",
    ["", "xx", "en-us+", "+", "+f3+f4", "en-us+nobody", "xx+f3", "../../etc", "f" * 31, "g" * 32],
)
def test_unknown_names_are_not_found(catalogue: Catalogue, reference_id: str) -> None:
    """What espeak-ng does not have is None, not a guess."""
    assert catalogue.find(reference_id) is None


def test_every_voice_is_found_by_its_id(catalogue: Catalogue) -> None:
    """Ids are unique, and lead back to the voice that bears them."""
    voices = catalogue.all()
    assert len({voice.id for voice in voices}) == len(voices)
    assert [catalogue.find(voice.id) for voice in voices] == list(voices)


def test_the_catalogue_has_every_language_espeak_lists(catalogue: Catalogue) -> None:
    """The files say the same as the library, which a process of its own asks."""
    listed = subprocess.run(
        [sys.executable, "-c", LISTER], check=True, capture_output=True, text=True
    ).stdout.split()
    ours = {voice.path for voice in catalogue.all()}
    assert set(listed) - ours == SILENT
    assert not ours - set(listed)


def test_a_model_id_means_the_same_voice_everywhere(catalogue: Catalogue) -> None:
    """The choice is made by hash: these were written down once."""
    chosen = [catalogue.find(model_id(number)) for number in range(3)]
    assert [(v.espeak_name, v.pitch) for v in chosen if v] == [
        ("gmw/en-US+f4", 50),
        ("gmw/en-GB-x-rp+Lee", 50),
        ("gmw/en-GB-x-rp+Lee", 60),
    ]


def test_model_ids_sound_different_and_english(catalogue: Catalogue) -> None:
    """A hundred ids give many voices, all of them English and bearing their id."""
    voices = [catalogue.find(model_id(number)) for number in range(100)]
    assert all(voice and voice.language.startswith("en") for voice in voices)
    assert [voice.id for voice in voices if voice] == [model_id(number) for number in range(100)]
    assert len({(voice.espeak_name, voice.pitch) for voice in voices if voice}) > 60
    assert catalogue.find("A" * 32) == catalogue.find("a" * 32)


async def test_voices_speak(catalogue: Catalogue, engine: Engine) -> None:
    """A dozen of all voices, spread over languages and timbres, can be heard."""
    for voice in sample(catalogue.all(), 12):
        speech = await engine.say("Hello, 1 2 3.", voice=voice)
        assert speech.duration_s > 0.5, voice.id
        assert rms(speech.pcm) > 500, voice.id
