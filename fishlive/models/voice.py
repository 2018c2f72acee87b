"""Voices, which the API calls models.

Source: openapi.json, ``/model`` and ``/model/{id}`` (2026-09).
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AliasChoices, BeforeValidator, Field, field_validator, model_validator

from fishlive.errors import ConfigError
from fishlive.models.answer import Answer, When
from fishlive.models.base import Request, Text
from fishlive.models.form import form_extra, form_fields
from fishlive.models.nested import each, one

MAX_SAMPLES: Final = 20
"""Most recordings, and most texts, of a new voice (openapi.json, 2026-09)."""

MAX_PAGE: Final = 100
"""Most voices on a page (openapi.json, 2026-09)."""

Visibility: TypeAlias = Literal["public", "unlist", "private"]
SortBy: TypeAlias = Literal["score", "task_count", "created_at"]

_FILES: Final = frozenset({"voices", "cover_image"})
_NOT_SENT: Final = frozenset({"covered", "extra"})


def _one_or_more(value: object) -> object:
    """Return a list of one for a single string, which the API takes too."""
    return (value,) if isinstance(value, str) else value


_Given: TypeAlias = (
    Annotated[tuple[Text, ...], Field(strict=False), BeforeValidator(_one_or_more)] | None
)
_Texts: TypeAlias = (
    Annotated[
        tuple[Text, ...], Field(strict=False, max_length=MAX_SAMPLES), BeforeValidator(_one_or_more)
    ]
    | None
)


class Sample(Answer):
    """A recording that a voice can be heard in.

    Attributes:
        title: Its name.
        text: What is said.
        audio: Where it is, a URL.
        task_id: What made it.
    """

    title: str = ""
    text: str = Field(default="", repr=False)
    audio: str = Field(default="", repr=False)
    task_id: str | None = None


class Author(Answer):
    """Whose voice it is.

    Attributes:
        id: Of the user.
        nickname: What others see.
        avatar: A picture, a URL or its path.
    """

    id: str = Field(default="", validation_alias=AliasChoices("_id", "id"))
    nickname: str = ""
    avatar: str = ""


class Voice(Answer):
    """A voice. Its id is what ``voice`` takes everywhere.

    Attributes:
        id: Of 32 hexadecimal digits.
        title: What people call it.
        description: What it sounds like.
        state: ``created``, ``training``, ``trained`` or ``failed``; others may come.
        visibility: ``public``, ``unlist`` or ``private``.
        languages: That it was made for.
        tags: As given.
        type: ``tts``, or ``svc`` for singing.
        train_mode: ``fast`` or ``full``.
        cover_image: A picture, a URL or its path.
        samples: To listen to.
        default_text: What it says of itself unless told.
        author: Whose it is.
        created_at: When.
        updated_at: When it was changed last.
        licensed: Whether a licence comes with it.
        lock_visibility: Whether its visibility cannot be changed.
        task_count: How often it was used.
        like_count: How many like it.
        mark_count: How many keep it.
        shared_count: How often it was shared.
    """

    id: str = Field(validation_alias=AliasChoices("_id", "id"))
    title: str
    description: str = ""
    state: str
    visibility: str = "private"
    languages: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    type: str = "tts"
    train_mode: str | None = None
    cover_image: str = ""
    samples: Annotated[tuple[Sample, ...], each(Sample)] = Field(default=(), repr=False)
    default_text: str = Field(default="", repr=False)
    author: Annotated[Author | None, one(Author)] = Field(default=None, repr=False)
    created_at: When = None
    updated_at: When = None
    licensed: bool = False
    lock_visibility: bool = False
    task_count: int = 0
    like_count: int = 0
    mark_count: int = 0
    shared_count: int = 0

    @property
    def trained(self) -> bool:
        """Whether it can be used."""
        return self.state == "trained"


class VoicePage(Answer):
    """One page of voices.

    Attributes:
        items: The voices.
        total: How many there are, or at least that many if not ``total_is_exact``.
        has_more: Whether another page follows; None if not told.
        total_is_exact: Whether ``total`` is more than a guess.
        window_limited: Whether there is more than can be paged to.
        max_offset: How far can be paged, in voices; None for no end.
        accessible_upper_bound: How many can be reached at most (undocumented); None if not told.
    """

    items: Annotated[tuple[Voice, ...], each(Voice)] = Field(default=(), repr=False)
    total: int
    has_more: bool | None = None
    total_is_exact: bool = True
    window_limited: bool = False
    max_offset: int | None = None
    accessible_upper_bound: int | None = None


def goes_on(page: VoicePage, read: int) -> bool:
    """Return whether there is another page after so many voices."""
    if page.max_offset is not None and read > page.max_offset:
        return False
    if page.has_more is not None:
        return page.has_more
    return not page.total_is_exact or read < page.total


class VoiceQuery(Request):
    """Which voices to list. What is None is not asked for.

    Raises ConfigError for a value out of range.

    Attributes:
        page_size: Voices on a page, 1 to 100; 10 if None.
        page_number: Which page, from 1.
        title: In the title.
        tag: One or several.
        mine: Whether only the key's own; called ``self`` on the wire.
        author_id: By this user.
        language: One or several.
        title_language: One or several.
        licensed: Whether only licensed ones.
        sort_by: ``score`` if None.
    """

    page_size: Annotated[int, Field(ge=1, le=MAX_PAGE)] | None = None
    page_number: Annotated[int, Field(ge=1)] | None = None
    title: Text | None = None
    tag: _Given = None
    mine: bool | None = None
    author_id: Text | None = None
    language: _Given = None
    title_language: _Given = None
    licensed: bool | None = None
    sort_by: SortBy | None = None

    def query(self) -> tuple[tuple[str, str], ...]:
        """Return names and values for a URL; lists repeat their name."""
        fields = {"self" if name == "mine" else name: v for name, v in self.payload().items()}
        return tuple(form_fields(fields))


class NewVoice(Request):
    """The fields of a new voice, but for its files.

    Raises ConfigError for a value out of range, and for a public voice without a cover image.

    Attributes:
        title: What people call it; not empty.
        visibility: ``private`` unless told; the API's own default is public.
        description: What it sounds like.
        tags: For those who look for it.
        texts: What is said in each recording, in order; the service listens for itself if None.
        train_mode: ``fast``, which is all there is.
        enhance_audio_quality: Whether the recordings are cleaned; True if None.
        generate_sample: Whether a recording to listen to is made; False if None.
        covered: Whether a cover image comes with it. Not sent.
        extra: Fields this version does not know, merged last. Not the files.
    """

    title: Annotated[Text, Field(min_length=1)]
    visibility: Visibility = "private"
    description: Text | None = None
    tags: _Given = None
    texts: _Texts = Field(default=None, repr=False)
    train_mode: Literal["fast"] = "fast"
    enhance_audio_quality: bool | None = None
    generate_sample: bool | None = None
    covered: bool = False
    extra: Annotated[
        dict[str, object], BeforeValidator(lambda value: form_extra(value, files=_FILES))
    ] = Field(default_factory=dict, repr=False)

    @model_validator(mode="after")
    def _public_has_a_cover(self) -> NewVoice:
        if self.visibility == "public" and not self.covered:
            raise ConfigError("a public voice needs a cover_image", argument="cover_image")
        return self

    def form(self) -> list[tuple[str, str]]:
        """Return the fields of the form, lists repeated."""
        given = {k: v for k, v in self.payload().items() if k not in _NOT_SENT}
        always = {"type": "tts", "train_mode": self.train_mode}
        return form_fields({**always, **given, "visibility": self.visibility, **self.extra})


class VoiceChanges(Request):
    """What to change about a voice. Only what was given is sent, None included.

    Attributes:
        title: Not empty.
        description: None clears it.
        visibility: Who finds it.
        tags: None, or none, clears them.
    """

    title: Annotated[Text, Field(min_length=1)] | None = None
    description: Text | None = None
    visibility: Visibility | None = None
    tags: _Given = None

    @field_validator("title", "visibility")
    @classmethod
    def _not_cleared(cls, value: object) -> object:
        if value is None:
            raise ConfigError("cannot be cleared: leave it out")
        return value

    def changes(self) -> dict[str, object]:
        """Return what goes on the wire."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        if "description" in given and given["description"] is None:
            given["description"] = ""
        if "tags" in given:
            given["tags"] = list(given["tags"] or ())
        return given
