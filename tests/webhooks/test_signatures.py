"""webhooks/signatures.py: Fish's scheme and Standard Webhooks, by their documents."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.errors import ConfigError
from fishlive.webhooks import FishVerifier, SignatureError, StandardVerifier
from fishlive.webhooks.signatures import FISH_HEADER
from tests.webhooks.fuzz_signatures import fuzz

SECRET = "fish-webhook-secret-of-some-length"
VECTOR = "6f393854ecf6d5c9a23333c7d64fde55ddc4ba0540eab39683450b4b04860537"
NOW_S = 1_760_000_000
BODY = b'{"event": "session.ended"}'


def fish(**more: object) -> FishVerifier:
    """Return a verifier whose clock stands."""
    return FishVerifier(SECRET, now_s=lambda: float(NOW_S), **more)  # type: ignore[arg-type]  # as given


def mac(moment: object = NOW_S, body: bytes = BODY, secret: str = SECRET) -> str:
    """Return a signature, computed here by hand."""
    return hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()


def header(*elements: str) -> dict[str, str]:
    """Return Fish's header."""
    return {FISH_HEADER: ",".join(elements)}


def test_a_known_vector() -> None:
    """Computed with another tool: openssl dgst -sha256 -hmac."""
    verifier = FishVerifier("0123456789abcdef0123456789abcdef", now_s=lambda: 1_700_000_000.0)
    signed = verifier.verify(
        b'{"hello":"world"}',
        header("t=1700000000", "v1=" + VECTOR),
    )
    assert (signed.sent_s, signed.skew_s, signed.key) == (1_700_000_000, 0.0, 0)


@pytest.mark.parametrize(
    "elements",
    [
        ("t={t}", "v1={v}"),
        ("v1={v}", "t={t}"),
        (" t={t}", " v1={v} "),
        ("t={t}", "v1=" + "0" * 64, "v1={v}"),  # several, any of which may fit
        ("t={t}", "v1={v}", "v2=whatever", "x=y"),  # versions to come
    ],
)
def test_what_the_documents_allow_is_let_in(elements: tuple[str, ...]) -> None:
    """Order, white space, several signatures, unknown versions."""
    given = [element.format(t=NOW_S, v=mac()) for element in elements]
    assert fish().verify(BODY, header(*given)).sent_s == NOW_S


@pytest.mark.parametrize(
    "elements",
    [
        (),
        ("t={t}",),
        ("v1={v}",),
        ("t={t}", "t={t}", "v1={v}"),
        ("t={t}", "v1=" + "0" * 64),
        ("t={t}", "v1={V}"),  # upper case
        ("t={t}", "v1={v}0"),
        ("t={t}", "v1=\xe9" + "0" * 63),
        ("t={t}", "v2={v}"),
        ("t=\xb2", "v1={v}"),  # a digit to isdigit, not to int
        ("t=" + "9" * 5000, "v1={v}"),
        ("t=-1", "v1={v}"),
        ("t= {t}", "v1={v}"),
        ("t", "v1={v}"),
        ("",),
    ],
)
def test_everything_else_is_refused(elements: tuple[str, ...]) -> None:
    """With one error, whatever was wrong."""
    given = [element.format(t=NOW_S, v=mac(), V=mac().upper()) for element in elements]
    with pytest.raises(SignatureError):
        fish().verify(BODY, header(*given))


def test_a_changed_body_is_refused() -> None:
    """Also one that says the same in other bytes."""
    for body in (BODY + b" ", BODY.replace(b" ", b""), b""):
        with pytest.raises(SignatureError, match="no match"):
            fish().verify(body, header(f"t={NOW_S}", f"v1={mac()}"))


@pytest.mark.parametrize(
    ("off_s", "good"), [(300, True), (301, False), (-300, True), (-301, False)]
)
def test_times_are_within_five_minutes_either_way(off_s: int, *, good: bool) -> None:
    """Neither replayed nor from the future."""
    moment = NOW_S - off_s
    signed = header(f"t={moment}", f"v1={mac(moment)}")
    if good:
        assert fish().verify(BODY, signed).skew_s == off_s
        return
    with pytest.raises(SignatureError, match="too old"):
        fish().verify(BODY, signed)


def test_secrets_can_be_rotated() -> None:
    """Either opens, and which one is told."""
    old, new = "an-old-secret-of-length", "a-new-secret-of-length"
    verifier = FishVerifier([new, old], now_s=lambda: float(NOW_S))
    for key, secret in enumerate((new, old)):
        signed = header(f"t={NOW_S}", f"v1={mac(secret=secret)}")
        assert verifier.verify(BODY, signed).key == key


@pytest.mark.parametrize("secrets", [[], "", "short", ["long-enough-for-this", "short"]])
def test_nothing_is_let_in_without_a_secret(secrets: object) -> None:
    """There is no unsigned mode."""
    for verifier in (FishVerifier, StandardVerifier):
        with pytest.raises(ConfigError) as caught:
            verifier(secrets)  # type: ignore[arg-type]  # on purpose
        assert caught.value.argument == "secrets"


def test_errors_hold_no_secret() -> None:
    """Nor the body."""
    with pytest.raises(SignatureError) as caught:
        fish().verify(b"private", header(f"t={NOW_S}", "v1=" + "0" * 64))
    assert SECRET not in repr(caught.value)
    assert "private" not in repr(caught.value)


# Standard Webhooks: the vector of its own libraries

STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DELIVERY = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
PAYLOAD = b'{"test": 2432232314}'


def standard(now_s: float = 1_614_265_330.0) -> StandardVerifier:
    """Return a verifier whose clock stands."""
    return StandardVerifier(STANDARD, now_s=lambda: now_s)


def test_the_published_vector_is_let_in() -> None:
    """Of the reference libraries' tests; its id is the delivery's."""
    signed = standard().verify(PAYLOAD, DELIVERY)
    assert (signed.sent_s, signed.id) == (1_614_265_330, "msg_p5jXN8AQM9LWM0D4loKWxJek")


def test_several_signatures_may_come() -> None:
    """Separated by spaces, of several versions."""
    several = f"v1a,xyz v1,{base64.b64encode(b'0' * 32).decode()} {DELIVERY['webhook-signature']}"
    assert standard().verify(PAYLOAD, {**DELIVERY, "webhook-signature": several}).key == 0


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "msg_other"},
        {"webhook-timestamp": "1614265331"},
        {"webhook-signature": "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "x" * 2000},
        {"webhook-id": ""},
        {"webhook-timestamp": "soon"},
    ],
)
def test_other_deliveries_are_refused(change: dict[str, str]) -> None:
    """Each part is signed."""
    with pytest.raises(SignatureError):
        standard().verify(PAYLOAD, {**DELIVERY, **change})


def test_old_deliveries_are_refused() -> None:
    """As with the other scheme."""
    with pytest.raises(SignatureError, match="too old"):
        standard(1_614_265_330.0 + 301).verify(PAYLOAD, DELIVERY)


@given(st.binary(max_size=50), st.text(max_size=80), st.text(max_size=20), st.text(max_size=20))
def test_hostile_headers_raise_one_error_only(
    body: bytes, signature: str, moment: str, delivery: str
) -> None:
    """Nothing a stranger sends gets through, or raises anything else."""
    with pytest.raises(SignatureError):
        fish().verify(body, {FISH_HEADER: signature})
    with pytest.raises(SignatureError):
        fish().verify(body, {FISH_HEADER: f"t={moment},v1={signature}"})
    headers = {
        "webhook-id": delivery, "webhook-timestamp": moment, "webhook-signature": f"v1,{signature}",
    }  # fmt: skip
    with pytest.raises(SignatureError):
        standard().verify(body, headers)


def test_changed_deliveries_are_refused_or_what_was_signed() -> None:
    """A short run of ``tests.webhooks.fuzz_signatures``, which runs for as long as one likes."""
    let_in = fuzz(8000, seed=1)
    assert set(let_in) == {"fish", "standard", "token", "body"}
    assert all(let_in.values())  # some were left as they were
