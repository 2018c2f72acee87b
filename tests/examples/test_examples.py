"""Every example runs as it is, and what it wrote is speech."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import wave
from pathlib import Path

import pytest

from fishlive.server import LocalServer

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.py") if path.stem != "locustfile")
WAIT_S = 30.0
"""How long a test waits for what must happen; only a failing test ever waits it out."""


async def run(example: Path, *arguments: str, **settings: str) -> str:
    """Run an example as a user does; return what it printed. Fail unless it succeeds quietly."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FISH_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        str(example),
        *arguments,
        env=clean | {"PYTHONPATH": str(ROOT)} | settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, error = await asyncio.wait_for(process.communicate(), WAIT_S)
    except asyncio.TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert (process.returncode, error) == (0, b"")
    return out.decode()


def seconds(file: Path) -> float:
    """Return how long a WAV file is; fail if it is silent."""
    with wave.open(str(file)) as opened:
        frames = opened.readframes(opened.getnframes())
        assert any(frames)
        length: float = opened.getnframes() / opened.getframerate()
        return length


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
async def test_examples_run_without_a_key(example: Path, tmp_path: Path) -> None:
    """With nothing set each runs its own local server, and writes speech."""
    await run(example, str(tmp_path / "out.wav"))

    assert seconds(tmp_path / "out.wav") > 2


async def test_an_llm_is_spoken_by_the_service_of_the_key(tmp_path: Path) -> None:
    """With key and address set, that is where it speaks; it says how much."""
    async with LocalServer(keys=("sesame",)) as server:
        said = await run(
            ROOT / "examples" / "llm_to_speech.py",
            str(tmp_path / "out.wav"),
            FISH_API_KEY="sesame",
            FISH_BASE_URL=server.url,
        )

    assert f"{seconds(tmp_path / 'out.wav'):.1f} s of speech" in said


async def test_the_second_turn_follows_what_was_heard_of_the_first(tmp_path: Path) -> None:
    """The first reply is cut where it was interrupted; the second is whole."""
    async with LocalServer() as server:
        said = await run(
            ROOT / "examples" / "two_turns_with_interruption.py",
            str(tmp_path / "out.wav"),
            FISH_API_KEY="local",
            FISH_BASE_URL=server.url,
        )

    first = re.search(r"first reply: interrupted after ([0-9.]+) s \(marked\)", said)
    second = re.search(r"second reply: finished, ([0-9.]+) s", said)
    assert first is not None
    assert second is not None
    assert 2 <= float(first[1]) < 3
    assert seconds(tmp_path / "out.wav") == pytest.approx(
        float(first[1]) + float(second[1]), abs=0.02
    )


async def test_a_lost_connection_is_gone_on_from(tmp_path: Path) -> None:
    """Every word is heard; how it went on depends on how far the listener was."""
    said = await run(ROOT / "examples" / "lost_connection.py", str(tmp_path / "out.wav"))

    assert re.search(r"ConnectionLost, went on \((exact|repeat)\)", said)
    assert "all: True" in said
