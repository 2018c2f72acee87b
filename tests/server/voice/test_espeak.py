"""The binding itself, where it can be had without its one owner: how it fails to load."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fishlive.errors import ConfigError
from fishlive.server.voice import espeak
from fishlive.server.voice.espeak import Espeak, data_path

INSTALL = r'pip install "fishlive\[local\]"'


def test_a_missing_package_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without espeakng-loader the error says what to install."""
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(ConfigError, match=INSTALL):
        Espeak()
    with pytest.raises(ConfigError, match=INSTALL):
        data_path()


def test_musl_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no wheel, installing would not help, and the error says so."""
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    monkeypatch.setattr(espeak, "_has_glibc", lambda: False)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(ConfigError, match="no wheel for musl"):
        Espeak()


def test_a_library_that_does_not_load_is_said_plainly(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file that is no library ends as our error, with the loader's as its cause."""
    broken = tmp_path / "libespeak-ng.so"
    broken.write_bytes(b"not a library")
    loader = SimpleNamespace(get_library_path=lambda: str(broken))
    monkeypatch.setitem(sys.modules, "espeakng_loader", loader)
    with pytest.raises(ConfigError, match="does not load") as caught:
        Espeak()
    assert isinstance(caught.value.__cause__, OSError)


def test_missing_data_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel's own complaint becomes ours."""

    def nowhere() -> str:
        raise RuntimeError("data path not exists")

    monkeypatch.setitem(sys.modules, "espeakng_loader", SimpleNamespace(get_data_path=nowhere))
    with pytest.raises(ConfigError, match=INSTALL):
        data_path()
