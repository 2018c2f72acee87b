"""``fishlive demo``: an LLM that is writing, a voice that is speaking, no key, no network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from importlib import resources
from typing import Annotated, Final

import typer

from fishlive.cli import notes, options
from fishlive.cli.output import STDOUT, Output
from fishlive.cli.service import Service
from fishlive.cli.signals import run
from fishlive.cli.speech import Speech, carry, output_for
from fishlive.cli.tokens import TOKENS_PER_S, write
from fishlive.live.stats import UtteranceStats
from fishlive.session import Session

PROFILE: Final = "fish-balanced"
"""The local server speaks as fast as the service does in its balanced mode."""

KIB: Final = 1024


def demo(
    output: options.OutputPath = "demo.wav",
    force: options.Force = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="Write all tokens at once, instead of 50 a second.")
    ] = False,
) -> None:
    """Speak a page of prose while a pretended LLM writes it, with the local server's voice.

    Writes the audio, and says how long everything took.
    """
    audio = options.chosen_format(None, output)
    fields = options.request_fields(audio=audio)
    speech = Speech(Service(local=True), fields, output, audio, force)
    story = Story(pace_per_s=None if fast else TOKENS_PER_S)
    with output_for(speech) as opened:
        stats = run(lambda: _perform(story, speech, opened))
    _report(story, stats, output)


def page() -> str:
    """Return a page of English prose, written for this package."""
    return resources.files("fishlive.cli").joinpath("page.txt").read_text(encoding="utf-8")


@dataclass
class Story:
    """The page, and how its writing went.

    Attributes:
        pace_per_s: Tokens a second; None for as fast as they are taken.
        tokens: Tokens written so far.
        written_s: Seconds the writing took, or has taken so far.
    """

    pace_per_s: float | None
    tokens: int = 0
    written_s: float = 0.0
    text: str = field(default_factory=page, repr=False)

    async def write(self) -> AsyncIterator[str]:
        """Yield the page, token by token, and count."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        async for token in write(self.text, pace_per_s=self.pace_per_s):
            self.tokens += 1
            self.written_s = loop.time() - began_s
            yield token


async def _perform(story: Story, speech: Speech, output: Output) -> UtteranceStats:
    from fishlive.server import LocalServer

    async with (
        LocalServer(profile=PROFILE) as server,
        Session(server.key, base_url=server.url) as fish,
        fish.live(**speech.fields) as live,
    ):
        await live.ready()
        utterance = live.speak(story.write())
        with notes.progress() as tick:
            await carry(utterance, output, tick)
        return utterance.stats


def _report(story: Story, stats: UtteranceStats, output: str) -> None:
    """Print what happened; beside the audio, should that go to standard output."""
    from rich.console import Console
    from rich.table import Table

    console = Console(stderr=output == STDOUT, highlight=False)
    table = Table("what happened", "", show_edge=False, header_style="bold")
    for row in _rows(story, stats):
        table.add_row(*row)
    console.print(table)
    if output != STDOUT:
        console.print(f"\nListen:          ffplay -autoexit {output}", markup=False, soft_wrap=True)
    console.print(
        "With a real key: echo Hello there. | FISH_API_KEY=<your key> fishlive live -o reply.wav",
        markup=False,
        soft_wrap=True,
    )


def _rows(story: Story, stats: UtteranceStats) -> list[tuple[str, str]]:
    first = "none" if stats.first_audio_s is None else f"{stats.first_audio_s:.3f} s"
    return [
        ("LLM wrote", f"{story.tokens} tokens in {story.written_s:.2f} s"),
        ("time to first audio", f"{first} after its first words"),
        ("audio", f"{stats.audio_s:.2f} s"),
        ("wall time", f"{stats.wall_s:.2f} s"),
        ("messages", f"{stats.messages} of audio, {stats.audio_bytes / KIB:.0f} KiB"),
        ("peak buffer", f"{stats.peak_buffer_bytes / KIB:.1f} KiB"),
        ("text", f"{stats.text_utf8_bytes} bytes of UTF-8, as the service bills it"),
    ]
