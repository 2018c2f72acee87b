"""``fishlive wallet``: what the account may still spend."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fishlive.cli import options
from fishlive.cli.answers import ask, show_facts, show_json
from fishlive.cli.service import Service
from fishlive.errors import NotFoundError
from fishlive.models.wallet import Credit, Package
from fishlive.session import Session


def wallet(
    team: Annotated[
        str | None, typer.Option(help="A team's wallet instead of the key's own.", metavar="ID")
    ] = None,
    free: Annotated[bool, typer.Option("--free", help="Look for free credit too.")] = False,
    base_url: options.BaseUrl = None,
    key_file: options.KeyFile = None,
    local: options.Local = False,
    as_json: options.AsJson = False,
) -> None:
    """Show the API credit, which calls are paid from, and the web site's plan."""

    async def question(fish: Session) -> tuple[Credit, Package | None]:
        credit = await fish.wallet.credit(check_free_credit=free, team_id=team)
        try:
            return credit, await fish.wallet.package()
        except NotFoundError:  # an account that never had a plan
            return credit, None

    found = ask(Service(base_url, key_file, local), question, about="--team")
    if as_json:
        show_json(_document(*found))
    else:
        show_facts(_facts(*found))


def _document(credit: Credit, package: Package | None) -> dict[str, Any]:
    plan = (
        None
        if package is None
        else {
            "type": package.type,
            "total": package.total,
            "balance": package.balance,
            "extra_balance": package.extra_balance,
            "finished_at": package.finished_at,
        }
    )
    return {
        "credit_usd": credit.credit,
        "cumulative_top_up_usd": credit.cumulative_top_up,
        "has_free_credit": credit.has_free_credit,
        "updated_at": credit.updated_at,
        "package": plan,
    }


def _facts(credit: Credit, package: Package | None) -> dict[str, object]:
    top_up = credit.cumulative_top_up
    facts: dict[str, object] = {
        "API credit": f"${credit.credit:f}",
        "paid in so far": None if top_up is None else f"${top_up:f}",
        "free credit": credit.has_free_credit,
        "as of": credit.updated_at,
    }
    if package is not None:
        facts["plan"] = f"{package.type}, {package.balance:f} of {package.total:f} left"
        facts["plan ends"] = package.finished_at
    return facts
