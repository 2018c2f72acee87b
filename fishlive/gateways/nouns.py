"""What a gateway offers: speech in two ways, voices in two ways."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from fishlive.errors import InvalidRequestError, NotFoundError, ProtocolError
from fishlive.gateways.results import AudioLink, MadeVoice, Result, read_result
from fishlive.gateways.tasks import Kind, Task, acknowledged
from fishlive.gateways.verdict import TaskState, classify
from fishlive.models.gateway import (
    MODELS,
    AudiosRequest,
    GatewayRequest,
    GatewayTTSRequest,
    LinkedReference,
    ModelRequest,
    VoicesRequest,
)
from fishlive.models.voice import MAX_PAGE, SortBy, Voice, VoicePage, VoiceQuery
from fishlive.models.voice_walk import Walk
from fishlive.transport.http import quote_id

if TYPE_CHECKING:
    from fishlive.gateways.gateway import Gateway


class Paid:
    """A noun whose calls cost money."""

    kind: ClassVar[Kind]

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def _now(
        self, request: GatewayRequest, headers: Mapping[str, str] | None = None
    ) -> Result:
        """Return the result of a request that the gateway answers when it is done.

        One that it acknowledges instead, because it chose to work later, is waited for.
        """
        answer = await self._post(request, later=False, headers=headers)
        verdict = classify(answer)
        if verdict.state is TaskState.SUCCEEDED and verdict.result is not None:
            return read_result(verdict.result, answer, None)
        if verdict.error is not None:
            raise verdict.error
        return await acknowledged(answer, self.kind, self._gateway).wait()

    async def _later(
        self, request: GatewayRequest, headers: Mapping[str, str] | None = None
    ) -> Task:
        # With a callback the guides' form is enough; `async` is younger than some backends.
        later = request.callback_url is None
        answer = await self._post(request, later=later, headers=headers)
        return acknowledged(answer, self.kind, self._gateway)

    async def _post(
        self, request: GatewayRequest, *, later: bool, headers: Mapping[str, str] | None
    ) -> Any:
        fields = request.fields(later=later)
        return await self._gateway.post(self.kind, fields, headers=headers)


class Audios(Paid):
    """Speech in the oldest way (``POST /fish/audios``); gone from the newest contract."""

    kind: ClassVar[Kind] = "audios"

    async def create(
        self,
        prompt: str,
        *,
        voice_id: str,
        model: str = "fish-tts",
        extra: Mapping[str, object] | None = None,
    ) -> AudioLink:
        """Return a link to the speech, once it is made: one to two minutes by the guide.

        ``action`` is ``generate``, as the guide says. Other documents say ``speech``: if the
        gateway refuses the first word with a 400, the call is repeated once with the second,
        which this client uses from then on.

        Args:
            prompt: What to say; not empty.
            voice_id: Id of the voice.
            model: ``fish-tts``.
            extra: Fields this version does not know, merged last.

        Raises:
            ConfigError: An argument is wrong; it names which, and nothing was sent.
            APIStatusError: The gateway refused; its subclass says why.
            SynthesisError: The gateway gave up.
            ConnectError, ConnectionLost, StallTimeout: The network failed.
        """
        return _audio(await self._now(_audios(prompt, voice_id, model, None, extra)))

    async def submit(
        self,
        prompt: str,
        *,
        voice_id: str,
        model: str = "fish-tts",
        callback_url: str | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> Task:
        """Return a handle at once. Arguments and errors as :meth:`create`.

        Args:
            prompt: What to say.
            voice_id: Id of the voice.
            model: ``fish-tts``.
            callback_url: Where the gateway sends the result, besides keeping it.
            extra: Fields this version does not know, merged last.
        """
        return await self._later(_audios(prompt, voice_id, model, callback_url, extra))

    async def _post(
        self, request: GatewayRequest, *, later: bool, headers: Mapping[str, str] | None
    ) -> Any:
        gateway = self._gateway
        fields = request.fields(later=later)
        fields.setdefault("action", gateway.action)
        if "action" not in request.extra:
            fields["action"] = gateway.action
        try:
            return await gateway.post(self.kind, fields, headers=headers)
        except InvalidRequestError as error:
            if error.status not in (400, None) or fields["action"] != "generate":
                raise
        answer = await gateway.post(self.kind, {**fields, "action": "speech"}, headers=headers)
        gateway.action = "speech"
        return answer


class GatewayVoices(Paid):
    """Voices from a recording (``POST /fish/voices``); legacy, see :class:`Models`."""

    kind: ClassVar[Kind] = "voices"

    async def create(
        self,
        voice_url: str,
        *,
        title: str | None = None,
        image: str | None = None,
        description: str | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> MadeVoice:
        """Return a voice made of a recording. Its id is what ``voice_id`` takes.

        Args:
            voice_url: Where the recording is.
            title: What people call it.
            image: Where a picture is; sent as ``image_url`` (one guide says ``image_urls``).
            description: What it sounds like.
            extra: Fields this version does not know, merged last.

        Raises:
            As :meth:`Audios.create`.
        """
        request = _voices(voice_url, title, image, description, None, extra)
        return _voice(await self._now(request))

    async def submit(
        self,
        voice_url: str,
        *,
        title: str | None = None,
        image: str | None = None,
        description: str | None = None,
        callback_url: str | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> Task:
        """Return a handle at once. Arguments and errors as :meth:`create`."""
        request = _voices(voice_url, title, image, description, callback_url, extra)
        return await self._later(request)


class GatewayTTS(Paid):
    """Speech (``POST /fish/tts``). Answers with a link, not with audio."""

    kind: ClassVar[Kind] = "tts"

    async def create(
        self,
        text: str,
        *,
        voice: str | Sequence[str] | None = None,
        model: str = MODELS[1],
        references: Sequence[LinkedReference | Mapping[str, str]] | None = None,
        extra: Mapping[str, object] | None = None,
        **options: object,
    ) -> AudioLink:
        """Return a link to the speech, once it is made.

        Args:
            text: What to say; not empty.
            voice: Id of the voice, or one for each speaker.
            model: ``s1``, ``s2-pro`` or ``s2.1-pro`` (newest era, Ace only); a header.
            references: At most one recording to speak like, ``{"audio": url, "text": …}``.
            extra: Fields this version does not know, merged last.
            **options: Other fields by their names; see
                :class:`~fishlive.models.gateway.GatewayTTSRequest`.

        Raises:
            As :meth:`Audios.create`.
        """
        request = _tts(text, voice, model, references, extra, options)
        return _audio(await self._now(request, {"model": request.model}))

    async def submit(
        self,
        text: str,
        *,
        voice: str | Sequence[str] | None = None,
        model: str = MODELS[1],
        references: Sequence[LinkedReference | Mapping[str, str]] | None = None,
        callback_url: str | None = None,
        extra: Mapping[str, object] | None = None,
        **options: object,
    ) -> Task:
        """Return a handle at once. Arguments and errors as :meth:`create`."""
        options = {**options, "callback_url": callback_url}
        request = _tts(text, voice, model, references, extra, options)
        return await self._later(request, {"model": request.model})


class Models:
    """Voices in the newer way (``/fish/model``)."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def create(self, *, title: str, voices: str | Sequence[str], **fields: Any) -> MadeVoice:
        """Return a voice made of recordings that the gateway fetches. It answers at once.

        May cost (era-dependent), so it is not repeated once it may have been carried out.

        Args:
            title: What people call it.
            voices: Where its recordings are: one address, or several.
            **fields: Other fields by their names; see
                :class:`~fishlive.models.gateway.ModelRequest`.

        Raises:
            As :meth:`Audios.create`.
        """
        given: dict[str, Any] = {"title": title, "voices": voices, **_chosen(fields)}
        request = _made(ModelRequest, given)
        body = request.body(lone_as_text=self._gateway.lone_voice_as_text)
        answer = await self._gateway.post("model", body)
        if not isinstance(answer, dict) or not answer.get("_id"):
            raise ProtocolError("the answer to a new model has no _id")
        return _voice(read_result(answer, answer, None))

    async def list(self, **filters: Any) -> VoicePage:
        """Return one page of voices. Filters as :meth:`fishlive.rest.voices.Voices.list`."""
        return await self._page(_made(VoiceQuery, _chosen(filters)))

    async def iter(
        self, *, page_size: int | None = MAX_PAGE, sort_by: SortBy | None = None, **filters: Any
    ) -> AsyncGenerator[Voice, None]:
        """Yield all voices that fit, page by page, each once."""
        given = {**_chosen(filters), "page_size": page_size, "sort_by": sort_by, "page_number": 1}
        first, walk = _made(VoiceQuery, given), Walk()
        while not walk.over:
            page = await self._page(first.model_copy(update={"page_number": walk.number}))
            for voice in walk.take(page):
                yield voice

    async def get(self, voice_id: str) -> Voice:
        """Return a voice.

        Raises:
            ConfigError: No id.
            NotFoundError: There is none; gateways say so with 404 or 400.
        """
        answer = await self._gateway.get(f"model/{quote_id(voice_id, argument='voice_id')}")
        if not answer:
            raise NotFoundError("there is no such model")
        return Voice.read(answer)

    async def _page(self, query: VoiceQuery) -> VoicePage:
        return VoicePage.read(await self._gateway.get("model", query.query()))


def _audios(
    prompt: str,
    voice_id: str,
    model: str,
    callback_url: str | None,
    extra: Mapping[str, object] | None,
) -> AudiosRequest:
    given = {"prompt": prompt, "voice_id": voice_id, "model": model, "callback_url": callback_url}
    request: AudiosRequest = _made(AudiosRequest, {**given, "extra": extra})
    return request


def _voices(
    voice_url: str,
    title: str | None,
    image: str | None,
    description: str | None,
    callback_url: str | None,
    extra: Mapping[str, object] | None,
) -> VoicesRequest:
    given = {
        "voice_url": voice_url,
        "title": title,
        "image_url": image,
        "description": description,
        "callback_url": callback_url,
        "extra": extra,
    }
    request: VoicesRequest = _made(VoicesRequest, given)
    return request


def _tts(
    text: str,
    voice: str | Sequence[str] | None,
    model: str,
    references: Sequence[LinkedReference | Mapping[str, str]] | None,
    extra: Mapping[str, object] | None,
    options: Mapping[str, object],
) -> GatewayTTSRequest:
    linked = None
    if references is not None:
        linked = [r if isinstance(r, LinkedReference) else LinkedReference(**r) for r in references]
    given = {
        "text": text,
        "reference_id": voice,
        "model": model,
        "references": linked,
        "extra": extra,
    }
    request: GatewayTTSRequest = _made(GatewayTTSRequest, {**options, **given})
    return request


def _made(kind: Any, fields: Mapping[str, Any]) -> Any:
    """Return a request of the fields that were given."""
    return kind(**{name: value for name, value in fields.items() if value is not None})


def _chosen(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _audio(result: Result) -> AudioLink:
    if not isinstance(result, AudioLink):
        raise ProtocolError("the answer has no audio_url")
    return result


def _voice(result: Result) -> MadeVoice:
    if not isinstance(result, MadeVoice):
        raise ProtocolError("the answer has no voice")
    return result
