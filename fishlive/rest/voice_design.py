"""Voice design: voices from a description of them."""

from __future__ import annotations

from fishlive.errors import ProtocolError
from fishlive.models.engine import safe_model
from fishlive.models.voice_design import MODEL, VoiceCandidate, VoiceDesignRequest
from fishlive.transport.http import Call, Http, json_body


class VoiceDesign:
    """Makes voices from descriptions. The service keeps none of them."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def create(
        self,
        instruction: str,
        *,
        reference_text: str | None = None,
        language: str | None = None,
        n: int | None = 2,
        speed: float | None = None,
        num_step: int | None = None,
        guidance_scale: float | None = None,
        instruct_guidance_scale: float | None = None,
        seed: int | None = None,
        model: str = MODEL,
    ) -> tuple[VoiceCandidate, ...]:
        """Return voices that fit a description, each with a WAV of it speaking.

        Costs $0.01 a request (pricing page, 2026-08), so it is never repeated once it may have
        been carried out; cancelling may not save the price. Holds one of the account's slots.
        Source: openapi.json, ``POST /v1/voice-design`` (2026-09).

        Args:
            instruction: What the voice is like, 1 to 2000 characters.
            reference_text: What it says, at most 150 characters.
            language: BCP-47 tag such as ``en``, a hint.
            n: Candidates, 1 to 4.
            speed: Factor of the speaking rate, over 0 up to 3; 1 if None.
            num_step: Diffusion steps, 1 to 128; 32 if None.
            guidance_scale: How strongly it follows the description, from 0; 2 if None.
            instruct_guidance_scale: From 0; 0 if None.
            seed: The same one gives the same voices.
            model: The design model, a header.

        Raises:
            ConfigError: An argument is wrong; it names which, and nothing was sent.
            APIStatusError: The service refused; its subclass says why.
            ProtocolError: The answer is not what it must be.
        """
        request = VoiceDesignRequest(
            instruction=instruction,
            reference_text=reference_text,
            language=language,
            n=n,
            speed=speed,
            num_step=num_step,
            guidance_scale=guidance_scale,
            instruct_guidance_scale=instruct_guidance_scale,
            seed=seed,
        )
        body, content_type = json_body(request.payload())
        answer = await self._http.json(
            Call(
                method="POST",
                path="/v1/voice-design",
                headers={"model": safe_model(model)},
                body=body,
                content_type=content_type,
                slot=True,
            )
        )
        return _candidates(answer)


def _candidates(answer: object) -> tuple[VoiceCandidate, ...]:
    found = answer.get("candidates") if isinstance(answer, dict) else None
    if not isinstance(found, list):
        raise ProtocolError("the answer to voice design has no list of candidates")
    return tuple(VoiceCandidate.read(item) for item in found)
