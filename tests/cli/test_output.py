"""Files that are whole, or say that they are not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fishlive.cli.exits import ExitCode, Failure
from fishlive.cli.output import Output, open_output, part_of
from tests.cli.command import names, wav_seconds

SECOND = bytes(48_000)


def opened(path: Path, *, force: bool = False, wav_rate_hz: int | None = 24_000) -> Output:
    """Open an output."""
    return open_output(str(path), force=force, wav_rate_hz=wav_rate_hz)


async def test_a_file_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    """Until the end there is only the part; then only the file, with the right length."""
    path = tmp_path / "out.wav"
    output = opened(path)
    await output.write(SECOND)

    assert names(tmp_path) == ["out.wav.part"]
    await output.write(SECOND)
    output.finish()
    assert names(tmp_path) == ["out.wav"]
    assert wav_seconds(path) == 2.0


async def test_what_was_written_is_kept_and_can_be_played(tmp_path: Path) -> None:
    """An abandoned file stays under its partial name, with a header that is right."""
    output = opened(tmp_path / "out.wav")
    await output.write(SECOND)

    assert output.abandon() == tmp_path / "out.wav.part"
    assert wav_seconds(tmp_path / "out.wav.part") == 1.0
    assert names(tmp_path) == ["out.wav.part"]


async def test_without_audio_nothing_is_left(tmp_path: Path) -> None:
    """An abandoned file with nothing in it goes away."""
    assert opened(tmp_path / "out.wav").abandon() is None
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["out.wav", "out.wav.part"])
async def test_what_exists_is_not_touched(tmp_path: Path, name: str) -> None:
    """Neither a file nor an earlier part is written over unless told to."""
    path = tmp_path / "out.wav"
    (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(Failure, match=r"exists.*--force") as caught:
        opened(path)

    assert caught.value.code is ExitCode.USAGE
    assert (tmp_path / name).read_bytes() == b"precious"
    assert names(tmp_path) == [name]


async def test_force_replaces_both(tmp_path: Path) -> None:
    """With force the old file stays until the new one is whole, then it is gone."""
    path = tmp_path / "out.wav"
    path.write_bytes(b"old")
    part_of(path).write_bytes(b"older")
    output = opened(path, force=True)
    await output.write(SECOND)

    assert path.read_bytes() == b"old"
    output.finish()
    assert wav_seconds(path) == 1.0
    assert names(tmp_path) == ["out.wav"]


async def test_a_file_that_came_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """If the name was taken while we spoke, both files are there, and the message names ours."""
    path = tmp_path / "out.wav"
    output = opened(path)
    await output.write(SECOND)
    path.write_bytes(b"somebody else's")
    with pytest.raises(Failure, match=r"complete in .*out\.wav\.part"):
        output.finish()

    assert path.read_bytes() == b"somebody else's"
    assert wav_seconds(part_of(path)) == 1.0


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
async def test_a_link_in_the_way_of_the_part_is_not_followed(tmp_path: Path) -> None:
    """A planted link cannot make us write into another file."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    part_of(tmp_path / "out.wav").symlink_to(victim)
    with pytest.raises(Failure):
        opened(tmp_path / "out.wav")
    output = opened(tmp_path / "out.wav", force=True)
    await output.write(SECOND)
    output.finish()

    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("name", [".", "missing/out.wav"])
async def test_what_cannot_be_a_file_is_said(tmp_path: Path, name: str) -> None:
    """A folder, or a file in none, is a failure of the command, named."""
    with pytest.raises(Failure, match=str(tmp_path)) as caught:
        opened(tmp_path / name)

    assert caught.value.code is ExitCode.USAGE


@pytest.mark.skipif(os.name == "nt", reason="no such device")
async def test_a_device_is_written_to_as_it_is() -> None:
    """What is no regular file is a stream: nothing is renamed, nothing is replaced."""
    device = Path(os.devnull)
    output = opened(device)
    await output.write(SECOND)
    output.finish()

    assert [file.exists() for file in (device, part_of(device))] == [True, False]


async def test_raw_audio_is_written_as_it_comes(tmp_path: Path) -> None:
    """Without a WAV header, the file is the chunks."""
    output = opened(tmp_path / "out.pcm", wav_rate_hz=None)
    await output.write(b"ab")
    await output.write(b"cd")
    output.finish()

    assert (tmp_path / "out.pcm").read_bytes() == b"abcd"
