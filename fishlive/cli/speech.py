"""What ``say`` and ``live`` have in common: one utterance, from a source into an output."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fishlive.cli import notes
from fishlive.cli.exits import ExitCode, Failure, about_file, explain, usage
from fishlive.cli.options import Format
from fishlive.cli.output import Output, check_free, open_output
from fishlive.cli.service import Service
from fishlive.cli.signals import run
from fishlive.live.stats import UtteranceStats
from fishlive.live.utterance import Utterance
from fishlive.wire.words import Word


@dataclass(frozen=True)
class Speech:
    """One run of ``say`` or ``live``.

    Attributes:
        service: Where to speak to.
        fields: Arguments of :meth:`Session.live`.
        output: A path, or ``-``.
        audio: The format of the output.
        force: Whether files may be replaced.
        words: File for the words and their times, if wanted.
        stats: Whether to write the utterance's numbers.
        progress: Whether to show progress on a terminal.
    """

    service: Service
    fields: dict[str, Any]
    output: str
    audio: Format
    force: bool = False
    words: Path | None = None
    stats: bool = False
    progress: bool = True


@dataclass(frozen=True)
class Spoken:
    """What an utterance left to know."""

    stats: UtteranceStats
    words: tuple[Word, ...]


def speak(source: Callable[[], str | Iterable[str]], speech: Speech) -> None:
    """Speak a source into the output, and say so as the options ask.

    Everything that can be wrong is looked at before ``source`` is called, and that before
    anything is sent.

    Raises:
        Failure: It did not work. If there is audio, it is kept, and the failure says where.
    """
    speech.service.check()
    if speech.words is not None:
        check_free(speech.words, force=speech.force)
    text = source()
    with output_for(speech) as output:
        spoken = run(lambda: _speak(text, speech, output))
    if speech.words is not None:
        _write_words(speech.words, spoken.words, force=speech.force)
    if speech.stats:
        notes.show_stats(spoken.stats)
    else:
        notes.done(output.name, spoken.stats)


@contextlib.contextmanager
def output_for(speech: Speech) -> Iterator[Output]:
    """Yield the open output; finish it at the end, or keep what there is and say where.

    Raises:
        Failure: For every error that is not a bug.
    """
    rate_hz = speech.fields["sample_rate"] if speech.audio is Format.wav else None
    output = open_output(speech.output, force=speech.force, wav_rate_hz=rate_hz)
    try:
        yield output
        if not output.written_bytes:
            raise Failure(ExitCode.FAILED, "the service sent no audio: is there a word to say?")
    except BaseException as error:
        kept = output.abandon()
        failure = explain(error)
        if failure is None:
            raise
        if kept is not None:
            failure = failure.adding(f"the audio so far is in {kept}")
        raise failure from error
    output.finish()


async def carry(utterance: Utterance, output: Output, tick: notes.Tick) -> None:
    """Write an utterance's audio as it comes."""
    async for chunk in utterance:
        await output.write(chunk)
        tick(utterance)


async def _speak(text: str | Iterable[str], speech: Speech, output: Output) -> Spoken:
    async with speech.service.open() as fish, fish.live(**speech.fields) as live:
        utterance = live.speak(text)
        with notes.progress(wanted=speech.progress) as tick:
            await carry(utterance, output, tick)
        return Spoken(utterance.stats, utterance.words)


def _write_words(path: Path, words: tuple[Word, ...], *, force: bool) -> None:
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            for word in words:
                file.write(json.dumps(_rounded(word), ensure_ascii=False) + "\n")
    except OSError as error:
        raise usage(f"cannot write the words: {about_file(error)}") from error


def _rounded(word: Word) -> dict[str, Any]:
    """Return a word as an object; its times in seconds, to the millisecond."""
    return {"text": word.text, "start_s": round(word.start_s, 3), "end_s": round(word.end_s, 3)}
