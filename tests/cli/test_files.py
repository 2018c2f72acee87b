"""Files that a command is to make: what is refused before anything is paid for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fishlive.cli.exits import Failure
from fishlive.cli.files import check_can_be


def test_a_device_needs_no_force() -> None:
    """It has nothing to lose, and needs no folder of ours."""
    check_can_be(Path(os.devnull), force=False, in_place=True)


def test_a_link_to_a_file_needs_force(tmp_path: Path) -> None:
    """The file that it points at would be replaced."""
    (tmp_path / "real").write_text("something")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(Failure, match="--force"):
        check_can_be(tmp_path / "link", force=False, in_place=True)
    check_can_be(tmp_path / "link", force=True, in_place=True)


def test_a_link_into_nowhere_is_refused(tmp_path: Path) -> None:
    """The folder that counts is the one it points into."""
    (tmp_path / "link").symlink_to(tmp_path / "no" / "real")
    with pytest.raises(Failure, match="there is no folder"):
        check_can_be(tmp_path / "link", force=False, in_place=True)
