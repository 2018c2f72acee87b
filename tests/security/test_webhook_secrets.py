"""Tokens of gateways and secrets of webhooks go through what can fail, and show nowhere."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fishlive.errors import ConfigError
from fishlive.gateways import AceData, Xhuo
from fishlive.gateways.gateway import Gateway
from fishlive.secret import Secret
from fishlive.stores import RedisStore, StoreError
from fishlive.webhooks import FishVerifier, Inbox, Receiver, SignatureError, StandardVerifier
from tests.rest.canned import answering
from tests.security.canary import KEY, Watch, hits
from tests.security.test_canary import failing, watch
from tests.stores.servers import redis_server
from tests.webhooks.standin import URL, Standin

__all__ = ["watch"]

GATEWAYS = pytest.mark.parametrize("kind", [AceData, Xhuo])
WAYS: list[Callable[[], Any]] = [
    KEY.reveal,
    lambda: KEY,
    lambda: ["an older one, of some length", KEY.reveal()],
    lambda: (Secret("an older one, of some length"), KEY),
]
"""In which forms a secret may be given."""


def refused(watch: Watch, make: Callable[[], object]) -> ConfigError:
    """Return the error of something that cannot be made, looked at in every way."""
    with pytest.raises(ConfigError) as caught:
        make()
    watch.error(caught.value)
    return caught.value


@GATEWAYS
@pytest.mark.parametrize("given", [KEY.reveal, lambda: KEY])
async def test_a_gateway_takes_its_token_and_keeps_it(
    watch: Watch, kind: type[Gateway], given: Callable[[], Any]
) -> None:
    """As text or as a Secret: it is sent, and no attribute has it."""
    async with (
        answering(lambda _: (200, {})) as (url, asked),
        kind(given(), base_url=url) as client,
    ):
        await client.tasks.get("abc")
        watch.object(client)
        for value in vars(client).values():
            watch.object(value)
    assert asked[0].headers["authorization"] == f"Bearer {KEY.reveal()}"


@GATEWAYS
@pytest.mark.parametrize(
    "wrong", [{"base_url": "http://far.example"}, {"base_url": "x"}, {"prefix": "x"}]
)
def test_a_wrong_argument_beside_it_shows_no_token(
    watch: Watch, kind: type[Gateway], wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frame that was given the token is in the traceback; the token is not in the frame."""
    refused(watch, lambda: kind(KEY.reveal(), **wrong))
    monkeypatch.setenv(kind.token_env, KEY.reveal())
    refused(watch, lambda: kind(**wrong))


@GATEWAYS
@pytest.mark.parametrize("ruin", ["{}\n", " {}", "é{}"])
def test_a_token_that_is_none_shows_nowhere(
    watch: Watch, kind: type[Gateway], ruin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused under the name that the caller used."""
    assert refused(watch, lambda: kind(ruin.format(KEY.reveal()))).argument == "token"
    monkeypatch.setenv(kind.token_env, ruin.format(KEY.reveal()))
    assert refused(watch, kind).argument == "token"


@pytest.mark.parametrize("given", WAYS)
async def test_a_receiver_shows_no_secret_and_no_token(
    watch: Watch, given: Callable[[], Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in its attributes, its logs or its file, whatever comes and however its handler fails."""
    caplog.set_level(logging.DEBUG)

    async def fails(_done: object) -> None:
        raise ValueError("on purpose")

    gateway, file = Standin(), tmp_path / "tasks.sqlite3"
    async with (
        answering(gateway.answer) as (base_url, _),
        AceData("token", base_url=base_url) as client,
        Receiver(client, fails, url=URL, secret=given(), store=file, overdue_s=0.001) as receiver,
    ):
        task = await receiver.submit(lambda url: client.tts.submit("x", callback_url=url))
        query = gateway.query(task.id)
        body = b'{"task_id": "%s"}' % task.id.encode()
        gateway.finish(task.id)
        for said in (query, "token=x", f"{query}x", ""):
            watch.object(await receiver.handle(body, {"x": "y"}, said))
            watch.object(await receiver.handle(b"\xff", {}, said))
        while "the handler failed" not in caplog.text:
            await receiver.store.get("whatever")
        for thing in (receiver, *vars(receiver).values(), *vars(receiver._tokens).values()):
            watch.object(thing)
        proof = query.rpartition(".")[2]
        kept = b"".join(path.read_bytes() for path in tmp_path.iterdir()).decode("latin-1")
    assert task.id in kept
    assert proof not in kept
    assert not hits(kept)
    assert proof not in caplog.text
    caplog.clear()  # its tracebacks hold the client


@pytest.mark.parametrize(
    "wrong", [{"url": "http://far.example"}, {"concurrency": 0}, {"most_failures": -1}]
)
def test_a_wrong_argument_beside_it_shows_no_secret(watch: Watch, wrong: dict[str, Any]) -> None:
    """Of the receiver; its own mistakes are under test above."""
    client, arguments = AceData(KEY), {"url": URL, **wrong}
    for given in WAYS:
        refused(watch, lambda given=given: Receiver(client, None, secret=given(), **arguments))  # type: ignore[misc]  # a default


async def test_a_store_that_cannot_be_opened_shows_no_secret(watch: Watch, tmp_path: Path) -> None:
    """Entering fails; the receiver is in that traceback's frames."""

    async def enter() -> None:
        async with Receiver(AceData(KEY), None, url=URL, secret=KEY, store=tmp_path):
            pass

    assert isinstance(await failing(watch, enter()), ConfigError)


BAD: list[Callable[[], Any]] = [
    lambda: KEY.reveal() + "\n",
    lambda: " " + KEY.reveal(),
    lambda: [KEY.reveal(), "short"],
    lambda: [KEY.reveal(), None],
    lambda: [KEY.reveal(), KEY.reveal().encode()],
    lambda: KEY.reveal() + "\ud800",
    list,
    lambda: None,
]


@pytest.mark.parametrize("bad", BAD)
def test_a_secret_that_is_none_shows_nowhere(watch: Watch, bad: Callable[[], Any]) -> None:
    """Cut short, copied with its line end, or missing: it is refused, and a secret all the same."""
    client = AceData(KEY)
    assert refused(watch, lambda: FishVerifier(bad())).argument == "secrets"
    assert refused(watch, lambda: StandardVerifier(bad())).argument == "secrets"
    made = refused(watch, lambda: Receiver(client, None, url=URL, secret=bad()))
    assert made.argument == "secret"


def test_a_secret_that_is_not_base64_shows_nowhere(watch: Watch) -> None:
    """Decoding fails far below, with the text in its hands."""
    refused(watch, lambda: StandardVerifier(f"whsec_{KEY.reveal()}!"))


@pytest.mark.parametrize("given", WAYS)
async def test_verifiers_show_no_secret(
    watch: Watch, given: Callable[[], Any], tmp_path: Path
) -> None:
    """Nor does an inbox, when signatures are wrong and right."""
    verifier = FishVerifier(given())
    inbox = Inbox(verifier, print, store=tmp_path / "x")  # type: ignore[arg-type]  # never called
    for headers in ({}, {"x-fish-webhook-signature": f"t=1,v1={'0' * 64}"}):
        with pytest.raises(SignatureError) as caught:
            verifier.verify(b"{}", headers)
        watch.error(caught.value)
        watch.object(await inbox.handle(b"{}", headers))
    for thing in (verifier, inbox, *vars(verifier).values(), *vars(inbox).values()):
        watch.object(thing)
    await inbox.aclose()


def test_a_standard_verifier_shows_no_secret(watch: Watch) -> None:
    """Neither as it is written, nor as it is once decoded."""
    verifier = StandardVerifier("whsec_" + base64.b64encode(KEY.reveal().encode()).decode())
    headers = {"webhook-id": "a", "webhook-timestamp": "1", "webhook-signature": f"v1,{'A' * 43}="}
    with pytest.raises(SignatureError) as caught:
        verifier.verify(b"{}", headers)
    watch.error(caught.value)
    for thing in (verifier, *vars(verifier).values()):
        watch.object(thing)


async def test_a_redis_that_refuses_the_password_shows_none(watch: Watch) -> None:
    """Its library holds the password in the very frame that fails."""
    with redis_server() as url:
        path = url.removeprefix("unix://")
        store = RedisStore(f"unix://nobody:{KEY.reveal()}@{path}")
        assert isinstance(await failing(watch, store.start()), StoreError)
        for thing in (store, *vars(store).values()):
            watch.object(thing)
        await store.aclose()


def test_a_wrong_address_of_a_redis_shows_no_password(watch: Watch) -> None:
    """Neither the sentence nor the frames."""
    refused(watch, lambda: RedisStore(f"nonsense://:{KEY.reveal()}@h"))
    refused(watch, lambda: RedisStore(f"redis://:{KEY.reveal()}@h:port/0"))
