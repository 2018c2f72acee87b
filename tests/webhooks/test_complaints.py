"""Complaints are few."""

from __future__ import annotations

import time

import pytest

from fishlive.webhooks.complaints import Complaints


def test_a_flood_of_refusals_is_a_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first at once; the next, when time has passed, says how many there were."""
    some = Complaints()
    for _ in range(1000):
        some.add("its token is not ours")
    assert len(caplog.records) == 1
    monkeypatch.setattr(time, "monotonic", lambda: 1e12)
    some.add("it is too large")
    assert "it is too large (and 999 more since)" in caplog.text
