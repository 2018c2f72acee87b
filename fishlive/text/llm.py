"""What an LLM's stream says out loud, whichever library the stream comes from.

Events are known by their shape: none of those libraries is imported, and plain dicts of the same
shape will do. Understood are OpenAI (chat completions, responses, and the events of its stream
helpers), LiteLLM, Anthropic, LangChain and LangGraph, and Pydantic AI. Reasoning, tool calls,
citations and usage are not speech; a refusal is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from fishlive.errors import FishLiveError, InvalidTextError, TextSourceError
from fishlive.limits import MAX_ERROR_TEXT_CHARS

_MAX_CLASSES: Final = 256
"""Classes whose reader is remembered. The known libraries have under 100 event classes together;
more would be classes made at run time, which must not pile up."""

_TOLERATED: Final = frozenset({"openai", "anthropic", "langchain_core", "pydantic_ai"})
"""Packages whose other events are silent: a new kind of theirs must not end a conversation."""

_SILENT: Final = frozenset({
    "message_start", "message_delta", "message_stop", "content_block_stop", "ping",
    # Anthropic's helper adds these to the raw events; `text` repeats what a delta has said.
    "text", "thinking", "citation", "signature", "input_json",
    # So does OpenAI's: `chunk` carries the chunk that these repeat.
    "content.delta", "content.done", "refusal.delta", "refusal.done",
    # LangChain's messages that the model did not speak.
    "human", "HumanMessageChunk", "tool", "ToolMessageChunk", "system", "SystemMessageChunk",
})  # fmt: skip
_SILENT_FAMILIES: Final = ("response.", "tool_calls.", "logprobs.")

_Reader = Callable[[Any], str]


def text_of(item: object) -> str:
    """Return the speech in one item of a text source; empty if it holds none.

    A reply cut off at its maximum of tokens is not an error: what was said is said, and the end
    of the stream is the caller's to look into.

    Raises:
        InvalidTextError: The item is neither text nor a known event, or its text is not Unicode.
            The message names its type, never its content.
        TextSourceError: The event says that the model failed.
    """
    kind = item.__class__
    read = _READERS.get(kind)
    if read is None:
        read = _recognise(item)
        if len(_READERS) < _MAX_CLASSES:
            _READERS[kind] = read
    try:
        text = read(item)
        if text.isascii():
            return text
        text.encode()
    except (AttributeError, TypeError, KeyError, IndexError) as error:
        if isinstance(error, FishLiveError):
            raise
        raise InvalidTextError(f"{_name(item)} is malformed for an LLM event") from error
    except UnicodeEncodeError as error:
        raise InvalidTextError("text with half a surrogate pair is no Unicode") from error
    return text


def _recognise(item: object) -> _Reader:
    """Return what reads items of this class. Raises InvalidTextError for others."""
    if isinstance(item, str):
        return _plain
    if isinstance(item, tuple):
        return _pair
    if isinstance(item, Mapping):
        return _mapping
    for mark, read in _MARKS:
        if _get(item, mark) is not None:
            return read
    raise _unknown(item)


def _mapping(item: Mapping[str, Any]) -> str:
    fields = item if isinstance(item, dict) else dict(item)
    for mark, read in _MARKS:
        if fields.get(mark) is not None:
            return read(fields)
    raise _unknown(item)


def _plain(item: str) -> str:
    return str.__str__(item)


def _pair(item: tuple[Any, ...]) -> str:
    """Read ``(message, metadata)``, as LangGraph streams messages."""
    if len(item) == 2 and isinstance(item[1], Mapping) and _get(item[0], "content") is not None:
        return _typed(item[0])
    raise _unknown(item)


def _get(thing: Any, name: str) -> Any:
    if thing.__class__ is dict:
        return thing.get(name)
    return getattr(thing, name, None)


# Chat completions: OpenAI, LiteLLM and whoever speaks their protocol


def _chat(chunk: Any) -> str:
    choices = _get(chunk, "choices")
    if choices is None:
        raise _unknown(chunk)
    for choice in choices:
        if not _get(choice, "index"):  # with n > 1 the others are other answers
            return _choice(choice, chunk)
    if (error := _get(chunk, "error")) is not None:
        raise _failure(error)
    return ""


def _choice(choice: Any, chunk: Any) -> str:
    delta = _get(choice, "delta")
    if delta is None:
        if _get(choice, "message") is not None:
            raise InvalidTextError(
                f"a whole {type(chunk).__name__} is no stream: request it with stream=True"
            )
        return ""
    content = _get(delta, "content")
    if content:
        return content if content.__class__ is str else _blocks(content)
    if _get(choice, "finish_reason") == "error":  # OpenRouter ends a failed stream so
        raise _failure(_get(chunk, "error") or _get(choice, "error"))
    return _get(delta, "refusal") or ""


# Events with a ``type``: OpenAI responses, Anthropic, LangChain


def _typed(event: Any) -> str:
    kind = _get(event, "type")
    read = _TYPES.get(kind) if kind.__class__ is str else None
    if read is not None:
        return read(event)
    if kind.__class__ is str and (kind in _SILENT or kind.startswith(_SILENT_FAMILIES)):
        return ""
    if event.__class__.__module__.partition(".")[0] in _TOLERATED:
        return ""
    raise _unknown(event)


def _delta(event: Any) -> str:
    return _get(event, "delta") or ""


def _block_start(event: Any) -> str:
    block = _get(event, "content_block")
    return _get(block, "text") or "" if _get(block, "type") == "text" else ""


def _block_delta(event: Any) -> str:
    delta = _get(event, "delta")
    return _get(delta, "text") or "" if _get(delta, "type") == "text_delta" else ""


def _message(message: Any) -> str:
    content = _get(message, "content")
    return content if content.__class__ is str else _blocks(content)


def _blocks(content: Any) -> str:
    """Join the spoken parts of a list of content blocks."""
    if isinstance(content, str):
        return content
    return "".join(_block(block) for block in content or ())


def _block(block: Any) -> str:
    if isinstance(block, str):
        return block
    kind = _get(block, "type")
    return _get(block, kind) or "" if kind in {"text", "refusal"} else ""


def _helper_chunk(event: Any) -> str:
    return _chat(_get(event, "chunk"))


def _failed(event: Any) -> str:
    response = _get(event, "response")
    raise _failure(_get(event if response is None else response, "error") or event)


_TYPES: Final[Mapping[str, _Reader]] = {
    "response.output_text.delta": _delta,
    "response.refusal.delta": _delta,
    "response.failed": _failed,
    "content_block_start": _block_start,
    "content_block_delta": _block_delta,
    "error": _failed,
    "chunk": _helper_chunk,
    "AIMessageChunk": _message,
    "ai": _message,
}


# LangChain's astream_events


def _run_event(event: Any) -> str:
    """Read what a chat model streams; chains and parsers repeat it in events of their own."""
    if _get(event, "event") != "on_chat_model_stream":
        return ""
    return _typed(_get(_get(event, "data"), "chunk"))


# Pydantic AI


def _agent_event(event: Any) -> str:
    kind = _get(event, "event_kind")
    if kind == "part_delta":
        delta = _get(event, "delta")
        return _get(delta, "content_delta") if _get(delta, "part_delta_kind") == "text" else ""
    if kind == "part_start":
        part = _get(event, "part")
        return _get(part, "content") if _get(part, "part_kind") == "text" else ""
    if kind is None:
        raise _unknown(event)
    return ""


_MARKS: Final[tuple[tuple[str, _Reader], ...]] = (
    ("event_kind", _agent_event),
    ("choices", _chat),
    ("type", _typed),
    ("event", _run_event),
)
"""The attribute or key that tells whose an event is, looked for in this order."""

_READERS: Final[dict[type, _Reader]] = {str: _plain, dict: _mapping}


def _unknown(item: object) -> InvalidTextError:
    hint = "; decode it first" if isinstance(item, (bytes, bytearray, memoryview)) else ""
    return InvalidTextError(f"{_name(item)} is neither text nor a known LLM event{hint}")


def _name(item: object) -> str:
    kind = type(item)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def _failure(error: Any) -> TextSourceError:
    facts = [_get(error, name) for name in ("code", "type", "message")]
    said = ": ".join(str(fact) for fact in facts if fact) or "no reason given"
    clean = "".join(letter if letter.isprintable() else " " for letter in said)
    return TextSourceError(f"the LLM's stream failed ({clean[:MAX_ERROR_TEXT_CHARS]})")
