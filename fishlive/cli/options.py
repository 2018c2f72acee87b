"""The options that commands share, and what they make of them."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from fishlive.cli.exits import usage
from fishlive.cli.output import STDOUT


class Format(str, enum.Enum):
    """Formats of the service; ``wav`` is PCM behind a header of our own."""

    wav = "wav"
    pcm = "pcm"
    mp3 = "mp3"
    opus = "opus"


class Latency(str, enum.Enum):
    """What the service prefers: an early start, or the best sound."""

    low = "low"
    balanced = "balanced"
    normal = "normal"


SUFFIXES: Final = {
    "": Format.wav,
    ".wav": Format.wav,
    ".pcm": Format.pcm,
    ".raw": Format.pcm,
    ".mp3": Format.mp3,
    ".opus": Format.opus,
    ".ogg": Format.opus,
}
"""Formats by the end of a file's name. Opus comes in an Ogg container."""

PCM_RATE_HZ: Final = 24_000
"""Sample rate of PCM and WAV unless told: what speech needs, half the bytes of 44.1 kHz."""

OutputPath = Annotated[
    str,
    typer.Option(
        "--output", "-o", metavar="FILE|-", help="Where the audio goes; - is standard output."
    ),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace files that exist.")]
Voice = Annotated[
    list[str] | None,
    typer.Option(help="Reference id of the voice; again for each further speaker.", metavar="ID"),
]
Model = Annotated[
    str | None, typer.Option(help="Synthesis engine, such as s2-pro.", metavar="NAME")
]
AudioFormat = Annotated[
    Format | None,
    typer.Option("--format", help="By the output's name unless given, else wav."),
]
SampleRate = Annotated[
    int | None,
    typer.Option(help="Samples a second; 24000 for wav and pcm.", metavar="HZ", min=1),
]
LatencyMode = Annotated[Latency | None, typer.Option("--latency", help="balanced unless given.")]
Speed = Annotated[float | None, typer.Option(help="0.5 to 2.0; 1 is the voice's own.")]
Volume = Annotated[float | None, typer.Option(help="Louder or softer, in dB.", metavar="DB")]
Timestamps = Annotated[
    Path | None,
    typer.Option(help="Write the words and their times there, as JSON lines.", metavar="FILE"),
]
Stats = Annotated[bool, typer.Option("--stats", help="Write the numbers on standard error.")]
BaseUrl = Annotated[
    str | None, typer.Option(help="The service; FISH_BASE_URL unless given.", metavar="URL")
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        help="File with the API key, for your eyes only; FISH_API_KEY unless given.",
        metavar="FILE",
    ),
]
Local = Annotated[
    bool, typer.Option("--local", help="Use a local server, run for this command: no key needed.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, and nothing else.")]


def chosen_format(given: Format | None, output: str) -> Format:
    """Return the format of the output. Raises Failure for a name that says another one."""
    if given is not None:
        return given
    suffix = "" if output == STDOUT or _is_device(output) else Path(output).suffix.lower()
    if suffix not in SUFFIXES:
        raise usage(f"no format is known by {suffix}: add --format wav, pcm, mp3 or opus")
    return SUFFIXES[suffix]


def request_fields(
    *,
    audio: Format,
    voice: list[str] | None = None,
    model: str | None = None,
    sample_rate: int | None = None,
    latency: Latency | None = None,
    speed: float | None = None,
    volume: float | None = None,
    timestamps: bool = False,
) -> dict[str, Any]:
    """Return the arguments of :meth:`Session.live`: only what was asked for."""
    plain = audio in {Format.wav, Format.pcm}
    prosody = {"speed": speed, "volume": volume}
    given = {
        "voice": voice[0] if voice and len(voice) == 1 else voice or None,
        "model": model,
        "sample_rate": sample_rate or (PCM_RATE_HZ if plain else None),
        "latency": None if latency is None else latency.value,
        "prosody": {name: value for name, value in prosody.items() if value is not None} or None,
    }
    fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return fields | {"format": "pcm" if plain else audio.value, "timestamps": timestamps}


def _is_device(output: str) -> bool:
    path = Path(output)
    return path.exists() and not path.is_file() and not path.is_dir()
