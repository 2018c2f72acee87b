"""``fishlive say``: a text that is there, as a file of speech."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from fishlive.cli import options
from fishlive.cli.output import STDOUT
from fishlive.cli.service import Service
from fishlive.cli.speech import Speech, speak
from fishlive.cli.texts import read_text


def say(
    text: Annotated[
        str,
        typer.Argument(metavar="TEXT|FILE|-", help="What to say, a file of it, or standard input."),
    ],
    output: options.OutputPath = STDOUT,
    force: options.Force = False,
    voice: options.Voice = None,
    model: options.Model = None,
    audio: options.AudioFormat = None,
    sample_rate: options.SampleRate = None,
    latency: options.LatencyMode = None,
    speed: options.Speed = None,
    volume: options.Volume = None,
    timestamps: options.Timestamps = None,
    base_url: options.BaseUrl = None,
    key_file: options.KeyFile = None,
    local: options.Local = False,
    stats: options.Stats = False,
) -> None:
    """Speak a text into a file, or to standard output."""
    chosen = options.chosen_format(audio, output)
    fields = options.request_fields(
        voice=voice,
        model=model,
        audio=chosen,
        sample_rate=sample_rate,
        latency=latency,
        speed=speed,
        volume=volume,
        timestamps=timestamps is not None,
    )
    service = Service(base_url, key_file, local)
    speech = Speech(service, fields, output, chosen, force, timestamps, stats)
    speak(partial(read_text, text), speech)
