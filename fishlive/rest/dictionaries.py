"""Pronunciation dictionaries that the service keeps, in versions that never change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from fishlive.errors import ConfigError
from fishlive.models.dictionary import (
    Dictionary,
    DictionaryRequest,
    DictionaryVersion,
    rules_on_wire,
)
from fishlive.models.extras import checked_extra
from fishlive.models.pronunciation import PronunciationRule
from fishlive.transport.http import Call, Http, json_body, quote_id

PATH: Final = "/v1/pronunciation-dictionaries"


class Dictionaries:
    """Makes and reads pronunciation dictionaries of the key's team."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def create(
        self,
        name: str,
        *,
        description: str | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> Dictionary:
        """Return a new dictionary without rules; :meth:`new_version` gives it some.

        Not repeated once it may have been carried out. Source: page create-dictionary of the API
        reference (2026-10).

        Args:
            name: What people call it.
            description: What it is for.
            extra: Fields this version does not know, merged last.

        Raises:
            ConfigError: An argument is wrong; it names which, and nothing was sent.
            APIStatusError: The service refused; its subclass says why.
        """
        request = DictionaryRequest(name=name, description=description)
        fields = {**request.payload(), **checked_extra(extra)}
        return Dictionary.read(await self._post(PATH, fields))

    async def get(self, dictionary_id: str) -> Dictionary:
        """Return a dictionary: its name, and the id of its newest version.

        Source: page get-dictionary of the API reference (2026-10).

        Raises:
            ConfigError: An id that no path can carry.
            NotFoundError: The key's team has no such dictionary.
        """
        path = f"{PATH}/{quote_id(dictionary_id, argument='dictionary_id')}"
        return Dictionary.read(await self._http.json(Call(method="GET", path=path, safe=True)))

    async def get_version(self, dictionary_id: str, version_id: str) -> DictionaryVersion:
        """Return a version with its rules: what to merge into after a ConflictError.

        Source: page get-version of the API reference (2026-10).

        Raises:
            ConfigError: An id that no path can carry.
            NotFoundError: There is no such version.
        """
        dictionary = quote_id(dictionary_id, argument="dictionary_id")
        version = quote_id(version_id, argument="version_id")
        call = Call(method="GET", path=f"{PATH}/{dictionary}/versions/{version}", safe=True)
        return _version(await self._http.json(call), dictionary_id)

    async def new_version(
        self,
        dictionary_id: str,
        rules: Iterable[PronunciationRule | Mapping[str, Any]] | None = None,
        *,
        items: Iterable[PronunciationRule | Mapping[str, Any]] | None = None,
        expected_latest_version_id: str | None,
        extra: Mapping[str, object] | None = None,
    ) -> DictionaryVersion:
        """Publish the complete, ordered list of rules as the newest version.

        Not repeated once it may have been carried out. Source: page create-version of the API
        reference (2026-10), of which the name of the list could not be read: inline dictionaries
        call it ``items``, its own text "rules".

        Args:
            dictionary_id: Whose version.
            rules: Every rule, not only what changed; sent as ``rules``. A rule with fields of its
                own is a mapping and passes as it is.
            items: The same, sent as ``items``.
            expected_latest_version_id: The version the rules are based on; None for the first
                version (and then null is sent).
            extra: Fields this version does not know, merged last.

        Raises:
            ConfigError: An argument is wrong; it names which, and nothing was sent.
            ConflictError: Another version came first. Read it with :meth:`get_version`, merge,
                and publish that: sending the same rules again would drop the other's.
            NotFoundError: There is no such dictionary.
        """
        dictionary = quote_id(dictionary_id, argument="dictionary_id")
        if expected_latest_version_id is not None:
            quote_id(expected_latest_version_id, argument="expected_latest_version_id")
        fields = {
            **_rules(rules, items),
            "expected_latest_version_id": expected_latest_version_id,
            **checked_extra(extra),
        }
        return _version(await self._post(f"{PATH}/{dictionary}/versions", fields), dictionary_id)

    async def _post(self, path: str, fields: Mapping[str, object]) -> Any:
        body, content_type = json_body(fields)
        return await self._http.json(
            Call(method="POST", path=path, body=body, content_type=content_type)
        )


def _rules(rules: Any, items: Any) -> dict[str, object]:
    if (rules is None) == (items is None):
        raise ConfigError("give rules, or items, and not both", argument="rules")
    name, given = ("rules", rules) if items is None else ("items", items)
    return {name: rules_on_wire(given, argument=name)}


def _version(answer: object, dictionary_id: str) -> DictionaryVersion:
    if isinstance(answer, dict):
        answer = {"dictionary_id": dictionary_id} | answer
    return DictionaryVersion.read(answer)
