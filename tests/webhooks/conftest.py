"""Nobody waits for a real gateway's pace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fishlive.webhooks import reconciler, worker


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at tasks without the pauses that a real gateway asks for."""
    for name in ("POLL_SPACING_S", "HINT_SPACING_S", "PENDING_S", "TROUBLE_S"):
        monkeypatch.setattr(reconciler, name, 0.001)
    monkeypatch.setattr(worker, "IDLE_S", 0.005)
    monkeypatch.setattr(worker, "FAILED_S", 0.001)


@pytest.fixture(autouse=True)
def logs_are_forgotten(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Let go of what was logged: errors among it hold whole receivers."""
    yield
    for when in ("setup", "call"):
        caplog.get_records(when).clear()
