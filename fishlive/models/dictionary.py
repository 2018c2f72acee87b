"""Pronunciation dictionaries that the service keeps.

Source: the pages create-dictionary, get-dictionary, create-version and get-version of the API
reference (2026-10). Only parts of them could be read: what they do not say passes as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, TypeAlias

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field

from fishlive.errors import ConfigError
from fishlive.models.answer import Answer, When
from fishlive.models.base import Request, Text
from fishlive.models.extras import checked_extra
from fishlive.models.pronunciation import DictionaryRef, PronunciationRule

_RULE_FIELDS: Final = frozenset(PronunciationRule.model_fields)


def _named(value: str) -> str:
    if not value.strip():
        raise ConfigError("name must be a name", argument="name")
    return value


class DictionaryRequest(Request):
    """A new dictionary, without rules.

    Attributes:
        name: What people call it.
        description: What it is for.
    """

    name: Annotated[Text, AfterValidator(_named)]
    description: Text | None = None


class Dictionary(Answer):
    """A dictionary of the key's team. Its rules are in its versions.

    Attributes:
        id: For requests.
        name: What people call it.
        description: What it is for.
        latest_version_id: Its newest version; None before the first.
    """

    id: str = Field(validation_alias=AliasChoices("id", "_id"))
    name: str = ""
    description: str | None = None
    latest_version_id: str | None = None
    created_at: When = None
    updated_at: When = None


def _objects(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Rules: TypeAlias = Annotated[tuple[dict[str, Any], ...], BeforeValidator(_objects)]


class DictionaryVersion(Answer):
    """One version, which never changes: the complete, ordered list of rules.

    Attributes:
        id: For requests.
        dictionary_id: Whose version it is.
        rules: As the service sent them; empty where it does not repeat them.
    """

    id: str = Field(validation_alias=AliasChoices("id", "_id", "version_id"))
    dictionary_id: str
    rules: Rules = Field(default=(), validation_alias=AliasChoices("rules", "items"), repr=False)
    created_at: When = None

    @property
    def ref(self) -> DictionaryRef:
        """What ``pronunciation_dictionary`` takes. Raises ConfigError for an odd id."""
        return DictionaryRef(id=self.dictionary_id, version=self.id)


def rules_on_wire(
    rules: Iterable[PronunciationRule | Mapping[str, Any]], *, argument: str
) -> list[object]:
    """Return rules as JSON knows them.

    A rule with the fields of a :class:`PronunciationRule` is checked as one; any other passes as
    it is.

    Raises:
        ConfigError: Not a list of rules, or a value that JSON does not know; it repeats none.
    """
    if isinstance(rules, (str, bytes, Mapping)) or not isinstance(rules, Iterable):
        raise ConfigError(f"{argument} must be a list of rules", argument=argument)
    made = [_rule(rule, argument=f"{argument}[{at}]") for at, rule in enumerate(rules)]
    try:
        json.dumps(made, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{argument} holds what JSON cannot carry", argument=argument) from error
    return made


def _rule(rule: object, *, argument: str) -> object:
    if isinstance(rule, PronunciationRule):
        return rule.payload()
    if not isinstance(rule, Mapping):
        kind = type(rule).__name__
        raise ConfigError(f"{argument} must be a PronunciationRule, not {kind}", argument=argument)
    if set(rule) <= _RULE_FIELDS:
        try:
            return PronunciationRule(**rule).payload()
        except ConfigError as error:
            raise ConfigError(f"{argument}: {error}", argument=argument) from error
    try:
        return checked_extra(rule)
    except ConfigError as error:
        raise ConfigError(f"{argument} holds what JSON cannot carry", argument=argument) from error
