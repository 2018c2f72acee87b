"""Our verifier of Standard Webhooks beside the specification's own library."""

from __future__ import annotations

import base64
import hmac
import time
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.webhooks import SignatureError, StandardVerifier

standardwebhooks = pytest.importorskip("standardwebhooks")

SECRETS = st.binary(min_size=24, max_size=64).map(
    lambda secret: "whsec_" + base64.b64encode(secret).decode()
)
IDS = st.text("abcXYZ019_-.", min_size=1, max_size=40)
BODIES = st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace"))
FRESH_S = st.integers(-250, 250)
STALE_S = st.integers(350, 10**7).flatmap(lambda off_s: st.sampled_from([off_s, -off_s]))


def signed(body: bytes, delivery: str, moment_s: int, *secrets: str) -> dict[str, str]:
    """Return the headers that the other library makes."""
    when = datetime.fromtimestamp(moment_s, timezone.utc)
    signatures = [
        standardwebhooks.Webhook(secret).sign(delivery, when, body.decode()) for secret in secrets
    ]
    return {
        "webhook-id": delivery,
        "webhook-timestamp": str(moment_s),
        "webhook-signature": " ".join(signatures),
    }


def ours(body: bytes, headers: dict[str, str], *secrets: str) -> bool:
    """Return whether our verifier lets it in."""
    try:
        StandardVerifier(secrets).verify(body, headers)
    except SignatureError:
        return False
    return True


def theirs(body: bytes, headers: dict[str, str], *secrets: str) -> bool:
    """Return whether the other library lets it in under any of the secrets."""
    return any(_theirs(body, headers, secret) for secret in secrets)


def _theirs(body: bytes, headers: dict[str, str], secret: str) -> bool:
    try:
        standardwebhooks.Webhook(secret).verify(body, headers, json_parse=False)
    except Exception:  # noqa: BLE001 - it raises whatever hostile headers make of it
        return False
    return True


@given(SECRETS, IDS, BODIES, FRESH_S)
def test_what_they_sign_is_let_in_by_both(
    secret: str, delivery: str, body: bytes, off_s: int
) -> None:
    """Any body, any id, within five minutes either way."""
    headers = signed(body, delivery, int(time.time()) + off_s, secret)
    assert ours(body, headers, secret)
    assert theirs(body, headers, secret)


def by_hand(body: bytes, delivery: str, moment_s: int, secret: str) -> dict[str, str]:
    """Return headers that are signed here, by the text of the specification alone."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    said = b".".join((delivery.encode(), str(moment_s).encode(), body))
    signature = base64.b64encode(hmac.digest(key, said, "sha256")).decode()
    return {
        "webhook-id": delivery,
        "webhook-timestamp": str(moment_s),
        "webhook-signature": f"v1,{signature}",
    }


@given(SECRETS, IDS, BODIES, FRESH_S)
def test_what_we_sign_is_let_in_by_both(
    secret: str, delivery: str, body: bytes, off_s: int
) -> None:
    """Our reading of the specification is theirs: the very same headers."""
    moment_s = int(time.time()) + off_s
    headers = by_hand(body, delivery, moment_s, secret)
    assert headers == signed(body, delivery, moment_s, secret)
    assert theirs(body, headers, secret)
    assert ours(body, headers, secret)


@given(SECRETS, BODIES, st.integers(0, 10**6), st.integers(0, 7))
def test_one_changed_bit_is_refused_by_both(secret: str, body: bytes, at: int, bit: int) -> None:
    """Of the body, or of the code, wherever it is."""
    headers = by_hand(body, "msg_1", int(time.time()), secret)
    code = bytearray(base64.b64decode(headers["webhook-signature"][3:]))
    code[at % len(code)] ^= 1 << bit
    forged = {**headers, "webhook-signature": f"v1,{base64.b64encode(code).decode()}"}
    assert not ours(body, forged, secret)
    assert not theirs(body, forged, secret)
    if body:
        other = bytearray(body)
        other[at % len(body)] ^= 1 << bit
        assert not ours(bytes(other), headers, secret)
        assert not theirs(bytes(other), headers, secret)


@given(SECRETS, IDS, BODIES, STALE_S)
def test_what_is_stale_is_refused_by_both(
    secret: str, delivery: str, body: bytes, off_s: int
) -> None:
    """However well it is signed."""
    headers = signed(body, delivery, max(0, int(time.time()) + off_s), secret)
    assert not ours(body, headers, secret)
    assert not theirs(body, headers, secret)


@given(
    st.lists(SECRETS, min_size=1, max_size=3, unique=True),
    st.lists(SECRETS, min_size=1, max_size=3, unique=True),
    st.booleans(),
    BODIES,
)
def test_rotated_secrets_are_judged_alike(
    signers: list[str], known: list[str], share: bool, body: bytes
) -> None:
    """Several signatures, several secrets: one pair that fits is enough, none is not."""
    known = [signers[-1], *known] if share else known
    headers = signed(body, "msg_1", int(time.time()), *signers)
    fits = bool(set(signers) & set(known))
    assert ours(body, headers, *known) is fits
    assert theirs(body, headers, *known) is fits


@given(
    SECRETS, BODIES, BODIES,
    st.sampled_from(["body", "webhook-id", "webhook-timestamp", "webhook-signature"]),
    st.text(max_size=60), st.integers(0, 200), st.integers(0, 3),
)  # fmt: skip
def test_what_was_tampered_with_is_let_in_by_us_only_if_by_them(
    secret: str, body: bytes, other: bytes, part: str, text: str, at: int, length: int
) -> None:
    """Where they differ we are the stricter one: their base64 skips what is none."""
    headers = signed(body, "msg_1", int(time.time()), secret)
    if part == "body":
        raw_body = other
    else:
        raw_body, value = body, headers[part]
        headers[part] = value[:at] + text + value[at + length :]
    if ours(raw_body, headers, secret):
        assert theirs(raw_body, headers, secret)
        assert raw_body == body


@given(st.binary(min_size=16, max_size=64), BODIES)
def test_secrets_may_come_without_padding(secret: bytes, body: bytes) -> None:
    """As their library takes them."""
    bare = "whsec_" + base64.b64encode(secret).decode().rstrip("=")
    headers = signed(body, "msg_1", int(time.time()), bare)
    assert ours(body, headers, bare)
