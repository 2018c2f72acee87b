"""What all answers share: frozen, and tolerant of what this version does not know."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, TypeAlias, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, PrivateAttr, TypeAdapter
from pydantic import ValidationError as _Invalid

from fishlive.errors import ProtocolError

AnswerT = TypeVar("AnswerT", bound="Answer")


class Answer(BaseModel):
    """A frozen value of the service's. Fields this version does not know are in :attr:`raw`."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="ignore", hide_input_in_errors=True, protected_namespaces=()
    )

    _raw: Mapping[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def raw(self) -> Mapping[str, Any]:
        """The whole answer as the service sent it. Not to be changed; shows in no repr."""
        return self._raw

    @classmethod
    def read(cls: type[AnswerT], document: object) -> AnswerT:  # noqa: PYI019  # Self is 3.11's
        """Return the answer that a JSON document is.

        A null stands for a field that was left out.

        Raises:
            ProtocolError: It is no object, or a field that must be there is missing or is not
                what it must be; it names the field, and repeats no value.
        """
        if not isinstance(document, dict):
            raise ProtocolError(f"{cls.__name__}: the answer is a {_kind(document)}, not an object")
        try:
            answer = cls.model_validate({k: v for k, v in document.items() if v is not None})
        except _Invalid as error:
            raise ProtocolError(f"{cls.__name__}: {_first(error)}") from error
        answer._raw = cls._kept(document)
        return answer

    @classmethod
    def _kept(cls, document: dict[str, Any]) -> Mapping[str, Any]:
        """Return what of a document becomes :attr:`raw`."""
        return document


def _kind(document: object) -> str:
    return "null" if document is None else type(document).__name__


def _first(error: _Invalid) -> str:
    details = error.errors(include_url=False, include_input=False, include_context=False)[0]
    name = ".".join(str(part) for part in details["loc"])
    return f"no {name} in it" if details["type"] == "missing" else f"{name} is not what it must be"


_DATE: TypeAdapter[datetime] = TypeAdapter(datetime)


def _date(value: object) -> datetime | None:
    try:
        return _DATE.validate_python(value)
    except _Invalid:
        return None


When: TypeAlias = Annotated[datetime | None, BeforeValidator(_date)]
"""A date, or None where it was left out or cannot be read: nobody's call fails for it."""
