"""A key that does not show, and the headers that carry it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from os.path import commonprefix
from typing import Any, Final, NoReturn

from fishlive.errors import ConfigError, FishLiveError

LOCAL_KEY: Final = "local"
"""What opens a local server unless it is told otherwise. It is in the README, so no secret, and an
ordinary word: what the server says of itself keeps it."""

_TELLING_CHARS: Final = 8
"""So many characters of a key are not repeated: a service's sentence may be cut within the key."""

_SHOWN: Final = "Secret(•••)"
_DOTS: Final = "•••".encode()
_AUTHORIZATION: Final = "Authorization"


class Secret:
    """Holds a key so that it appears only where :meth:`reveal` is called.

    ``repr``, ``str`` and formatting show dots; pickling, copying and ``vars`` fail. Raises
    ConfigError for a key that no header can carry (control characters, white space around it, or
    not ASCII), without repeating it: not even the traceback's local variables have it.

    Args:
        value: The key.
        argument: What the caller calls it, for the error.
    """

    __slots__ = ("__value",)

    def __init__(self, value: str, *, argument: str = "api_key") -> None:
        usable = _is_usable(value)
        self.__value = value if usable else ""
        del value  # tracebacks are printed with their locals
        if not usable:
            raise ConfigError(
                "the API key is empty, or has characters that no key has (white space around "
                "it, line breaks, or not ASCII)",
                argument=argument,
            )

    def reveal(self) -> str:
        """Return the key. Never give it a name: use it where it is needed."""
        return self.__value

    def scrub(self, text: bytes) -> bytes:
        """Return what somebody else wrote, with dots where it repeats the key, or begins to.

        LOCAL_KEY stays.
        """
        if self.__value == LOCAL_KEY:
            return text
        pieces, at = [], 0
        while (found := text.find(self.__value[:_TELLING_CHARS].encode(), at)) >= 0:
            same = commonprefix((text[found : found + len(self.__value)], self.__value.encode()))  # noqa: RUF071 - no path
            pieces += [text[at:found], _DOTS]
            at = found + len(same)
        return b"".join((*pieces, text[at:]))

    def __repr__(self) -> str:
        return _SHOWN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return _SHOWN

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")


class KeyedHeaders(Mapping[str, str]):
    """Headers of a request, its key among them: the names show, and no value does.

    A dict would be printed with everything in it, wherever it is a local variable.

    Args:
        key: Sent as ``Authorization: Bearer …``.
        others: What is sent beside it.
    """

    __slots__ = ("_key", "_others")

    def __init__(self, key: Secret, others: Mapping[str, str]) -> None:
        self._key = key
        self._others = dict(others)

    def scrub(self, error: FishLiveError) -> None:
        """Put dots where an error or a cause of it repeats the key, as some services do."""
        known: set[int] = set()
        told: BaseException | None = error
        while told is not None and id(told) not in known:
            known.add(id(told))
            told.args = tuple(self._without_key(value) for value in told.args)
            for name, value in vars(told).items():
                with suppress(AttributeError, TypeError):  # foreign errors may not let us
                    setattr(told, name, self._without_key(value))
            told = told.__cause__ or told.__context__

    def _without_key(self, value: Any) -> Any:
        if isinstance(value, bytes):
            return self._key.scrub(value)
        if isinstance(value, str):  # headers may hold what is no Unicode
            clean = self._key.scrub(value.encode("utf-8", "surrogatepass"))
            return clean.decode("utf-8", "surrogatepass")
        return value

    def __getitem__(self, name: str) -> str:
        if name == _AUTHORIZATION:
            return f"Bearer {self._key.reveal()}"
        return self._others[name]

    def __iter__(self) -> Iterator[str]:
        yield _AUTHORIZATION
        yield from self._others

    def __len__(self) -> int:
        return 1 + len(self._others)

    def __repr__(self) -> str:
        return f"<headers {', '.join(self)}>"


def _is_usable(value: object) -> bool:
    """Return whether a header can carry it; says nothing of what it is."""
    return (
        isinstance(value, str)
        and bool(value)
        and value.isascii()
        and value.isprintable()
        and value == value.strip()
    )
