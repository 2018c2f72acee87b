"""``fishlive doctor``: what works, what does not, and what to do about it."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Annotated, Any, Final

import typer

from fishlive.cli import options
from fishlive.cli.answers import show_facts, show_json, show_table
from fishlive.cli.exits import usage
from fishlive.cli.report import Report
from fishlive.cli.service import Service
from fishlive.cli.signals import run
from fishlive.limits import CONNECT_TIMEOUT_S

_PACKAGES: Final = ("fishlive", "picows", "aiohttp", "msgpack", "pydantic")
"""Whose versions a report of a fault needs."""


def doctor(
    timeout: Annotated[
        float, typer.Option(help="Seconds that a connection may take.", min=0.1, metavar="SECONDS")
    ] = CONNECT_TIMEOUT_S,
    speak: Annotated[
        bool, typer.Option("--speak", help="Say a word too, with the free model.")
    ] = False,
    base_url: options.BaseUrl = None,
    key_file: options.KeyFile = None,
    local: options.Local = False,
    as_json: options.AsJson = False,
) -> None:
    """Look at key, network, account and live channel; say what works and what to do next.

    The exit code is that of the first thing that does not work. The key is never shown.
    """
    from fishlive.cli.checks import Examination  # and aiohttp, which speech does without

    if local and (base_url is not None or key_file is not None):
        raise usage("--local needs no --base-url and no --key-file: leave one side out")
    report = Report()
    examination = Examination(Service(base_url, key_file, local), timeout, speak)
    run(lambda: examination.run(report))
    if as_json:
        show_json(_document(report))
    else:
        _show(report)
    raise typer.Exit(report.code)


def _show(report: Report) -> None:
    rows = [
        (check.name, check.result.value, _ms(check.seconds), check.detail)
        for check in report.checks
    ]
    show_table(("check", "result", "ms", "what was seen"), rows)
    limit = None if report.limit is None else f"{report.limit} requests at once"
    show_facts(
        {
            "tier": None if limit is None else f"{limit} ({report.tier})",
            "to do": report.next,
        }
    )


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.1f}"


def _document(report: Report) -> dict[str, Any]:
    return {
        "ok": report.works,
        "exit_code": int(report.code),
        "base_url": report.base_url,
        "key_from": report.key_from,
        "checks": [
            {
                "name": check.name,
                "result": check.result.value,
                "detail": check.detail,
                "seconds": check.seconds,
            }
            for check in report.checks
        ],
        "concurrency": {"limit": report.limit, "running": report.running},
        "tier": report.tier,
        "to_do": report.next,
        "credit_usd": report.credit,
        "versions": {
            "python": platform.python_version(),
            "platform": platform.platform(),
            **{name: metadata.version(name) for name in _PACKAGES},
        },
    }
