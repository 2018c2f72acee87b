"""Texts that become files: whole, through links, and never in the place of a device."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from fishlive.bench.whole import write_whole
from fishlive.errors import ConfigError

needs_fifos = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """What was there is gone, and no part is left beside it."""
    path = tmp_path / "a"
    path.write_text("longer than before")
    write_whole(path, "å\n", argument="json")
    assert path.read_bytes() == "å\n".encode()
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """What it points at is replaced, also in another folder."""
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "real", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write_whole(link, "new", argument="json")
    assert link.is_symlink()
    assert target.read_text() == "new"


@needs_fifos
def test_a_named_pipe_is_written_to(tmp_path: Path) -> None:
    """Its reader gets the text, more than the pipe holds at once, and the pipe is still there."""
    path, text, read = tmp_path / "pipe", "x" * 200_000, list[str]()
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: read.append(path.read_text()), daemon=True)
    reader.start()
    write_whole(path, text, argument="json")
    reader.join(timeout=30)
    assert read == [text]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_a_device_is_written_to(tmp_path: Path) -> None:
    """Through a link too: nothing takes its place."""
    link = tmp_path / "null"
    link.symlink_to(os.devnull)
    write_whole(link, "text", argument="json")
    assert link.is_symlink()
    assert not Path(os.devnull).is_file()


def test_what_is_no_text_becomes_what_is_asked_for(tmp_path: Path) -> None:
    """Half a character does not stop a page."""
    write_whole(tmp_path / "a", "\udce9", argument="html", errors="xmlcharrefreplace")
    assert (tmp_path / "a").read_text() == "&#56553;"


def test_what_cannot_be_written_names_the_argument(tmp_path: Path) -> None:
    """With the system's reason."""
    with pytest.raises(ConfigError, match="No such file") as caught:
        write_whole(tmp_path / "no" / "a", "x", argument="json")
    assert caught.value.argument == "json"
