"""What all requests share: frozen, strict, and errors that are ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Final, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from fishlive.errors import ConfigError

_MOST_SHOWN_CHARS: Final = 40
"""Longest value an error repeats, in characters. Ids have 32."""

_NAMES: Final = {"reference_id": "voice"}
"""Fields that our callers know by another name."""

_UNSHOWN: Final = frozenset({"text", "audio", "extra", "key", "value"})
"""Arguments that hold what users say, and never appear in a message."""

_NO_VALUE: Final = frozenset({"missing", "extra_forbidden"})
"""Failures in which the value plays no part."""

_RULES: Final = {
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "finite_number": "a finite number",
    "literal_error": "{expected}",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "True or False",
    "string_type": "a string",
    "string_unicode": "text without halves of surrogate pairs",
    "string_too_short": "at least {min_length} characters long",
    "string_too_long": "at most {max_length} characters long",
    "string_pattern_mismatch": "1 to 128 letters, digits, hyphens and underscores",
    "bytes_type": "bytes",
    "bytes_too_short": "not empty",
    "too_short": "at least {min_length} long",
    "too_long": "at most {max_length} long",
    "tuple_type": "a list",
    "model_type": "an object of its own kind, or a dict",
    "extra_forbidden": "left out: there is no such field",
    "missing": "given",
}
"""What a field must be, by pydantic's type of error (its errors documentation, 2.13)."""


def _unicode(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:  # it quotes the text, so it is not chained
        raise ConfigError("text with half a surrogate pair is no Unicode") from None
    return text


Text: TypeAlias = Annotated[str, AfterValidator(_unicode)]
"""A string that UTF-8 can hold. Strict strings of pydantic 2.14 may have halves of pairs."""


class Request(BaseModel):
    """A frozen value. What is wrong with it is a ConfigError that names the argument."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,
        protected_namespaces=(),
    )

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise explained(error) from error

    def payload(self) -> dict[str, object]:
        """Return the fields that were set to something, as they go on the wire."""
        chosen = self.model_fields_set
        return {
            name: on_wire(value)
            for name, value in self.__dict__.items()
            if value is not None and name in chosen
        }

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        return ((name, value) for name, value in super().__repr_args__() if value is not None)


def on_wire(value: object) -> object:
    """Return a value in the types that MessagePack and JSON know."""
    if isinstance(value, Request):
        return value.payload()
    if isinstance(value, tuple):
        return [on_wire(item) for item in value]
    return value


def explained(error: ValidationError) -> ConfigError:
    """Return the first failure as an error of ours, without users' text in it."""
    found = error.errors(include_url=False)
    for each in found:
        _let_go(each.get("ctx", {}).get("error"))
    details = found[0]
    inner = details.get("ctx", {}).get("error")
    if isinstance(inner, ConfigError):
        return _inside(inner, details["loc"])
    argument = _dotted(details["loc"])
    rule = _rule(details)
    return ConfigError(f"{argument} must be {rule}{_shown(argument, details)}", argument=argument)


def _let_go(error: BaseException | None) -> None:
    """Forget the frames of an error that pydantic keeps, where no collector finds the cycle."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__


def _inside(inner: ConfigError, loc: tuple[int | str, ...]) -> ConfigError:
    """Return an error of a nested value under its full name."""
    outer = _dotted(loc)
    named = inner.argument
    if not outer or named == outer:
        return ConfigError(str(inner), argument=named)
    if named is None:
        return ConfigError(str(inner), argument=outer)
    full = f"{outer}.{named}"
    return ConfigError(str(inner).replace(named, full, 1), argument=full)


def _rule(details: ErrorDetails) -> str:
    template = _RULES.get(details["type"], "something else")
    context: Mapping[str, object] = details.get("ctx", {})
    return template.format_map({name: _number(value) for name, value in context.items()})


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _dotted(loc: tuple[int | str, ...]) -> str:
    names = [str(part) for part in loc if isinstance(part, str)]
    return ".".join(_NAMES.get(name, name) for name in names)


def _shown(argument: str, details: ErrorDetails) -> str:
    """Return `, not <value>` if the value is short and nobody's text."""
    value = details["input"]
    if details["type"] in _NO_VALUE or argument.rpartition(".")[2] in _UNSHOWN:
        return ""
    if isinstance(value, (int, float, str)) and len(shown := repr(value)) <= _MOST_SHOWN_CHARS:
        return f", not {shown}"
    return f", not this {type(value).__name__}"
