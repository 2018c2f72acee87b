"""A key that does not show."""

from __future__ import annotations

from typing import Final, NoReturn

from fishlive.errors import ConfigError

_SHOWN: Final = "Secret(•••)"


class Secret:
    """Holds a key so that it appears only where :meth:`reveal` is called.

    ``repr``, ``str`` and formatting show dots; pickling and ``vars`` fail. Raises ConfigError
    for a key that no header can carry (control characters, or outside Latin-1), without
    repeating it.
    """

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        if not value or not value.isprintable() or value != value.strip() or not value.isascii():
            raise ConfigError(
                "the API key is empty, or has characters that no key has (white space around "
                "it, line breaks, or not ASCII)",
                argument="api_key",
            )
        self.__value = value

    def reveal(self) -> str:
        """Return the key."""
        return self.__value

    def __repr__(self) -> str:
        return _SHOWN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return _SHOWN

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")
