"""``fishlive live``: text that is still being written, spoken at once."""

from __future__ import annotations

import sys

from fishlive.cli import options
from fishlive.cli.output import STDOUT
from fishlive.cli.service import Service
from fishlive.cli.speech import Speech, speak
from fishlive.cli.texts import pieces


def live(
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
    """Speak standard input while it is still being written.

    Example: llm | fishlive live -o - | ffplay -
    """
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
    typing = sys.stdin is not None and sys.stdin.isatty()
    service = Service(base_url, key_file, local)
    speech = Speech(service, fields, output, chosen, force, timestamps, stats, not typing)
    speak(pieces, speech)
