"""A long run of what strangers may send: ``python -m tests.webhooks.fuzz_signatures COUNT SEED``.

Valid deliveries of both schemes, tokens and bodies are changed at random, a little or a lot.
Whatever comes of it, only SignatureError and MalformedBody are raised, and what is let in is what
was signed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import sys
import time
from collections import Counter
from collections.abc import Callable

from fishlive.webhooks import FishVerifier, SignatureError, StandardVerifier
from fishlive.webhooks.bodies import MalformedBody, parsed
from fishlive.webhooks.signatures import FISH_HEADER
from fishlive.webhooks.tokens import Tokens

NOW_S = 1_760_000_000
KEY = b"a key of the fuzz run, and of nothing else"
BODY = b'{"event": "session.ended", "session": {"id": "s-1", "n": [1, 2.5, null, true]}}'
PIECES = (
    *("", ",", "=", " ", ".", "v1", "v1,", "v1=", "t=", "t", "v2=", "\x00", "\r\n", "\xb2", "\xe9"),
    *(
        "0",
        "9" * 40,
        "A" * 43,
        "a" * 64,
        "\u0661",
        "\ud800",
        "\U0001f41f",
        "{",
        "}",
        "[",
        '"',
        "\\",
    ),
    *("1e999", "NaN", "-", "\ufeff", "null", "[" * 40, '{"a":1,"a":2}'),
)
Dice = random.Random


def changed(text: str, dice: Dice) -> str:
    """Return a text with some of it replaced, repeated or left out."""
    for _ in range(dice.choice((0, 1, 1, 1, 2, 5))):
        at = dice.randint(0, len(text))
        until = min(len(text), at + dice.choice((0, 0, 1, 1, 2, 8, 64)))
        new = dice.choice(PIECES) if dice.random() < 0.7 else chr(dice.randrange(0x300))
        text = text[:at] + dice.choice((new, new, text[at:until] * 2, "")) + text[until:]
    return text


def changed_bytes(body: bytes, dice: Dice) -> bytes:
    """Return a body with some of it changed."""
    return changed(body.decode("latin-1"), dice).encode("utf-8", "surrogatepass")


def fish(dice: Dice, verifier: FishVerifier, good: dict[str, str]) -> bool:
    """Try Fish's scheme; return whether it was let in."""
    body = BODY if dice.random() < 0.5 else changed_bytes(BODY, dice)
    try:
        signed = verifier.verify(body, {FISH_HEADER: changed(good[FISH_HEADER], dice)})
    except SignatureError:
        return False
    assert (signed.sent_s, body) == (NOW_S, BODY)
    return True


def standard(dice: Dice, verifier: StandardVerifier, good: dict[str, str]) -> bool:
    """Try Standard Webhooks."""
    body = BODY if dice.random() < 0.5 else changed_bytes(BODY, dice)
    part = dice.choice(tuple(good))
    try:
        signed = verifier.verify(body, {**good, part: changed(good[part], dice)})
    except SignatureError:
        return False
    assert (signed.sent_s, signed.id, body) == (NOW_S, "msg_1", BODY)
    return True


def token(dice: Dice, tokens: Tokens, ticket: str, good: str) -> bool:
    """Try a token."""
    given = changed(good, dice)
    found = tokens.ticket(given)
    assert found in (None, ticket)
    assert found is None or given == good
    return found is not None


def body(dice: Dice) -> bool:
    """Try a body."""
    try:
        return isinstance(parsed(changed_bytes(BODY, dice)), dict)
    except MalformedBody:
        return False


def trials(dice: Dice) -> dict[str, Callable[[], bool]]:
    """Return what is tried, by name."""
    mac = hmac.digest(KEY, f"{NOW_S}.".encode() + BODY, "sha256").hex()
    signed = hmac.digest(KEY, f"msg_1.{NOW_S}.".encode() + BODY, hashlib.sha256)
    deliveries = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(NOW_S),
        "webhook-signature": "v1," + base64.b64encode(signed).decode(),
    }
    now_s = float(NOW_S)
    one = FishVerifier(KEY.decode(), now_s=lambda: now_s)
    other = StandardVerifier(base64.b64encode(KEY).decode(), now_s=lambda: now_s)
    tokens = Tokens(KEY.decode(), purpose="fuzz")
    ticket, good = tokens.mint()
    return {
        "fish": lambda: fish(dice, one, {FISH_HEADER: f"t={NOW_S},v1={mac}"}),
        "standard": lambda: standard(dice, other, deliveries),
        "token": lambda: token(dice, tokens, ticket, good),
        "body": lambda: body(dice),
    }


def fuzz(count: int, seed: int) -> Counter[str]:
    """Try so many times; return how many of what were let in."""
    tries = trials(random.Random(seed))  # noqa: S311 - repeatable
    let_in: Counter[str] = Counter()
    for number in range(count):
        name = ("fish", "standard", "token", "body")[number % 4]
        let_in[name] += tries[name]()
    return let_in


if __name__ == "__main__":
    chosen = [int(one) for one in sys.argv[1:]] + [10_000_000, 1][len(sys.argv[1:]) :]
    began_s = time.monotonic()
    found = fuzz(*chosen)
    took_s = time.monotonic() - began_s
    print(f"{chosen[0]} tries with seed {chosen[1]} in {took_s:.0f} s, let in: {dict(found)}")  # noqa: T201 - a command
