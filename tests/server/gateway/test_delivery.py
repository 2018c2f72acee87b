"""server/gateway/delivery.py: callbacks go where they may, and nowhere else."""

from __future__ import annotations

import logging
import socket
from typing import Any

import pytest
from aiohttp import web

from fishlive.server.gateway.delivery import Forbidden, Postman, check_address, check_url
from fishlive.transport import names


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::", "fe80::1", "fe80::1%eth0",
        "fc00::1", "ff02::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1",
        "64:ff9b::a00:1", "2001:db8::1", "127.0.0.1", "::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    """Private, link-local, shared, multicast, documentation, mapped and translated ones."""
    with pytest.raises(Forbidden):
        check_address(address, local=False)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_public_addresses_pass(address: str) -> None:
    """Also under their other names."""
    check_address(address, local=False)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
def test_loopback_passes_only_if_allowed(address: str) -> None:
    """It is needed in development, and therefore explicit."""
    check_address(address, local=True)
    with pytest.raises(Forbidden):
        check_address("10.0.0.1", local=True)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x.example/", "file:///etc/passwd", "http://", "http://u:p@x.example/", "x",
        "http://x.example:22/", "http://x.example:8080/", "https://[::1]/", "http://127.0.0.1/",
        "http://0x7f.1:99999/", "http://10.0.0.1:80/",
    ],
)  # fmt: skip
def test_urls_that_are_not_posted_to(url: str) -> None:
    """Other schemes, other ports, credentials, and addresses as above."""
    with pytest.raises(Forbidden):
        check_url(url, local=False)


def test_urls_that_are_posted_to() -> None:
    """The usual ports; any port of loopback where that is allowed."""
    check_url("https://hooks.example/x", local=False)
    check_url("http://hooks.example:80/x", local=False)
    check_url("http://127.0.0.1:8123/x", local=True)
    check_url("http://localhost:8123/x", local=True)


class Inbox:
    """A receiver on loopback."""

    def __init__(self, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.bodies: list[bytes] = []
        self._status, self._headers = status, headers or {}

    async def take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        return web.Response(status=self._status, headers=self._headers)


@pytest.fixture
async def hook() -> Any:
    """Return a function that opens a receiver and returns its address."""
    runners = []

    async def open_(inbox: Inbox) -> str:
        app = web.Application()
        app.router.add_post("/{path:.*}", inbox.take)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}/hook"

    yield open_
    for runner in runners:
        await runner.cleanup()


async def test_a_callback_is_posted(hook: Any) -> None:
    """As JSON, once, and its status comes back."""
    inbox, postman = Inbox(204), Postman(local=True)
    assert await postman.post(await hook(inbox), b'{"task_id": "t"}') == 204
    await postman.aclose()
    assert inbox.bodies == [b'{"task_id": "t"}']


async def test_loopback_is_refused_and_logged(hook: Any, caplog: pytest.LogCaptureFixture) -> None:
    """With the reason, and without the path, which may be a secret."""
    inbox, postman = Inbox(), Postman(local=False)
    with caplog.at_level(logging.WARNING):
        assert await postman.post(await hook(inbox), b"{}") is None
    await postman.aclose()
    assert inbox.bodies == []
    assert "not delivered" in caplog.text
    assert "/hook" not in caplog.text


async def test_a_name_that_leads_home_is_refused(
    hook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its addresses are looked at where they are used: one that is not public spoils them all."""
    rows = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 80)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80)),
    ]

    async def resolve(*_args: object, **_kwargs: object) -> list[Any]:
        return rows

    monkeypatch.setattr(names, "look_up", resolve)
    postman = Postman(local=False)
    assert await postman.post("http://rebound.example/x", b"{}") is None
    await postman.aclose()


async def test_redirects_are_not_followed(hook: Any) -> None:
    """They would lead past every check."""
    target = Inbox()
    inbox = Inbox(302, {"Location": await hook(target)})
    postman = Postman(local=True)
    assert await postman.post(await hook(inbox), b"{}") == 302
    await postman.aclose()
    assert target.bodies == []
