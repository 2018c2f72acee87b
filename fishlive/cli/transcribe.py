"""``fishlive transcribe``: what is said in a recording."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from fishlive.cli import options
from fishlive.cli.answers import advising, json_text, write_text
from fishlive.cli.exits import ExitCode, Failure, usage
from fishlive.cli.files import saved
from fishlive.cli.output import STDOUT
from fishlive.cli.service import Service
from fishlive.cli.signals import run
from fishlive.cli.subtitles import Cue, srt, vtt
from fishlive.cli.uploads import upload_bar

if TYPE_CHECKING:
    from fishlive.models.asr import Transcript


class Form(str, enum.Enum):
    """What a transcript is written as."""

    text = "text"
    srt = "srt"
    vtt = "vtt"
    json = "json"


class Recogniser(str, enum.Enum):
    """Models of the service; pro tells speakers apart."""

    standard = "transcribe-1"
    pro = "transcribe-1-pro"


_SUFFIXES: Final = {".srt": Form.srt, ".vtt": Form.vtt, ".json": Form.json}
"""Forms by the end of the output's name; any other is text."""


def transcribe(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The recording.")],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE|-", help="Where it goes; - is standard output."
        ),
    ] = STDOUT,
    as_srt: Annotated[bool, typer.Option("--srt", help="Write SRT subtitles.")] = False,
    as_vtt: Annotated[bool, typer.Option("--vtt", help="Write WebVTT subtitles.")] = False,
    as_json: options.AsJson = False,
    language: Annotated[
        str | None, typer.Option(help="A hint, such as en or zh.", metavar="TAG")
    ] = None,
    model: Annotated[
        Recogniser, typer.Option(help="pro marks speakers, emotions and events.")
    ] = Recogniser.standard,
    force: options.Force = False,
    base_url: options.BaseUrl = None,
    key_file: options.KeyFile = None,
    local: options.Local = False,
) -> None:
    """Write down what is said in a recording, or make subtitles of it.

    The form follows the output's name (.srt, .vtt, .json), or an option; otherwise it is text.
    """
    form = _form(output, as_srt=as_srt, as_vtt=as_vtt, as_json=as_json)
    service = Service(base_url, key_file, local)
    service.check()
    fields = {"language": language, "model": model.value, "timestamps": form is not Form.text}
    with advising("the options"):
        run(lambda: _write(service, file, form, output, force, fields))


def written(transcript: Transcript, form: Form) -> str:
    """Return a transcript in a form.

    Raises:
        Failure: It has words and no times, and the form needs them.
    """
    if form is Form.text:
        return transcript.text.strip() + "\n"
    if form is Form.json:
        return json_text(_document(transcript)) + "\n"
    cues = [Cue(s.start_s, s.end_s, s.text) for s in transcript.segments]
    if not cues and transcript.text.strip():
        raise Failure(
            ExitCode.FAILED, "the service gave no times for the words: leave --srt or --vtt out"
        )
    return srt(cues) if form is Form.srt else vtt(cues)


async def _write(
    service: Service, file: Path, form: Form, output: str, force: bool, fields: dict[str, Any]
) -> None:
    if output == STDOUT:
        write_text(written(await _heard(service, file, fields), form))
        return
    with saved(Path(output), force=force) as made:
        text = written(await _heard(service, file, fields), form)
        await made.write(text.encode())


async def _heard(service: Service, file: Path, fields: dict[str, Any]) -> Transcript:
    async with service.open() as fish:
        with upload_bar([file], then="the transcript") as on_progress:
            return await fish.asr.transcribe(file, on_progress=on_progress, **fields)


def _form(output: str, *, as_srt: bool, as_vtt: bool, as_json: bool) -> Form:
    asked = [
        form
        for form, is_asked in ((Form.srt, as_srt), (Form.vtt, as_vtt), (Form.json, as_json))
        if is_asked
    ]
    if len(asked) > 1:
        raise usage("--srt, --vtt and --json are one choice: leave all but one out")
    return asked[0] if asked else _SUFFIXES.get(Path(output).suffix.lower(), Form.text)


def _document(transcript: Transcript) -> dict[str, Any]:
    return {
        "text": transcript.text,
        "duration_s": transcript.duration_s,
        "language": transcript.language,
        "language_code": transcript.language_code,
        "segments": [
            {"text": s.text, "start_s": s.start_s, "end_s": s.end_s} for s in transcript.segments
        ],
        "speaker_turns": list(transcript.speaker_turns),
    }
