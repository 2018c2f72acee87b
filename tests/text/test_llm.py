"""Tests of fishlive.text.llm."""

from __future__ import annotations

import enum
import types
from collections.abc import Iterable
from typing import Any

import pytest

from fishlive.errors import InvalidTextError, TextSourceError
from fishlive.limits import MAX_ERROR_TEXT_CHARS
from fishlive.text.llm import text_of
from tests.text.events import as_dicts, library, quiet, speech

SPEECH = "Let me see. It is 3 °C."


def chat_deltas() -> list[dict[str, Any]]:
    """Return the deltas of a chat answer that reasons, speaks and calls a tool."""
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}
    more = {"index": 0, "function": {"arguments": '{"city": "Oslo"}'}}
    return [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "Hidden thought."},
        {"content": "Let me"},
        {"content": " see."},
        {"content": None, "tool_calls": [call]},
        {"tool_calls": [more]},
        {"content": " It is 3 °C."},
        {},
    ]


def chat_chunk(delta: dict[str, Any], **facts: Any) -> dict[str, Any]:
    """Return one chat completion chunk with one choice."""
    choice = {"index": facts.pop("index", 0), "delta": delta, **facts}
    return {
        "id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [choice],
    }  # fmt: skip


def chat_stream() -> list[dict[str, Any]]:
    """Return a whole chat stream with its usage chunk, which has no choices."""
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    chunks = [chat_chunk(delta) for delta in chat_deltas()]
    chunks[-1]["choices"][0]["finish_reason"] = "stop"
    return [*chunks, {**chat_chunk({}), "choices": [], "usage": usage}]


@pytest.fixture(scope="module")
def openai_chunks() -> list[Any]:
    """Return the chat stream in OpenAI's classes."""
    cls = library("openai.types.chat").ChatCompletionChunk
    return [cls.model_validate(chunk) for chunk in chat_stream()]


def test_openai_chat_says_its_content(openai_chunks: list[Any]) -> None:
    """Reasoning, tool calls and usage are left out of a chat stream."""
    assert speech(openai_chunks) == SPEECH
    assert speech(as_dicts(openai_chunks)) == SPEECH
    assert speech(chat_stream()) == SPEECH


def test_only_the_first_of_several_answers_is_said() -> None:
    """With n=2 the second answer is not mixed into the first."""
    other = chat_chunk({"content": "Other."}, index=1)
    assert speech([chat_chunk({"content": "One."}), other]) == "One."


def test_a_refusal_is_said() -> None:
    """The listener hears why there is no answer."""
    cls = library("openai.types.chat").ChatCompletionChunk
    chunk = chat_chunk({"refusal": "I cannot."})
    assert speech([cls.model_validate(chunk), chunk]) == "I cannot." * 2


def test_openai_stream_helper_events_are_said_once() -> None:
    """The helper repeats each chunk in finer events; those are silent."""
    chat = library("openai.lib.streaming.chat")
    chunk = library("openai.types.chat").ChatCompletionChunk.model_validate(
        chat_chunk({"content": "Hello."})
    )
    snapshot = types.SimpleNamespace()
    events = [
        chat.ChunkEvent.model_construct(type="chunk", chunk=chunk, snapshot=snapshot),
        chat.ContentDeltaEvent(type="content.delta", delta="Hello.", snapshot="Hello."),
        chat.ContentDoneEvent(type="content.done", content="Hello."),
        chat.LogprobsContentDoneEvent(type="logprobs.content.done", content=[]),
    ]
    assert speech(events) == "Hello."


def test_a_failed_chat_stream_raises() -> None:
    """A provider's error in a chunk ends the stream as an error."""
    error = {"code": 502, "message": "upstream\r\nfell over"}
    for chunk in (
        {**chat_chunk({}), "choices": [], "error": error},
        {**chat_chunk({"content": ""}, finish_reason="error"), "error": error},
    ):
        with pytest.raises(TextSourceError, match=r"502: upstream  fell over"):
            text_of(chunk)


def test_a_whole_completion_is_no_event() -> None:
    """Who forgot stream=True is told so."""
    with pytest.raises(InvalidTextError, match="stream=True"):
        text_of({"choices": [{"index": 0, "message": {"content": "private"}}]})


def responses() -> list[dict[str, Any]]:
    """Return events of the responses API around one answer."""
    at = {"item_id": "i", "output_index": 0, "sequence_number": 1}
    part = {**at, "content_index": 0}
    text = {"type": "response.output_text.delta", **part, "logprobs": []}
    return [
        {"type": "response.reasoning_summary_text.delta", **at, "summary_index": 0, "delta": "Hm"},
        {"type": "response.reasoning_text.delta", **part, "delta": "Hidden"},
        {**text, "delta": "Let me see."},
        {"type": "response.function_call_arguments.delta", **at, "delta": '{"a": 1}'},
        {**text, "delta": " It is 3 °C."},
        {**text, "type": "response.output_text.done", "text": SPEECH},
    ]


def test_openai_responses_say_their_output_text() -> None:
    """Only the deltas of output text and refusals are speech."""
    module = library("openai.types.responses")
    classes = [
        module.ResponseReasoningSummaryTextDeltaEvent,
        module.ResponseReasoningTextDeltaEvent,
        module.ResponseTextDeltaEvent,
        module.ResponseFunctionCallArgumentsDeltaEvent,
        module.ResponseTextDeltaEvent,
        module.ResponseTextDoneEvent,
    ]
    events = [cls.model_validate(e) for cls, e in zip(classes, responses(), strict=True)]
    assert speech(events) == SPEECH
    assert speech(responses()) == SPEECH
    refusal = {**responses()[2], "type": "response.refusal.delta", "delta": "No."}
    assert speech([refusal, module.ResponseRefusalDeltaEvent.model_validate(refusal)]) == "No.No."


def test_a_failed_response_raises() -> None:
    """`error` and `response.failed` end the stream as an error that says why."""
    module = library("openai.types.responses")
    error = {"type": "error", "code": "server_error", "message": "sorry", "sequence_number": 1}
    failed = {
        "type": "response.failed",
        "response": {"error": {"code": "rate_limit", "message": "slow down"}},
    }
    for event in (error, module.ResponseErrorEvent.model_validate({**error, "param": None})):
        with pytest.raises(TextSourceError, match="server_error: "):
            text_of(event)
    for event in (failed, module.ResponseFailedEvent.model_construct(**failed)):
        with pytest.raises(TextSourceError, match="rate_limit: slow down"):
            text_of(event)


def test_an_incomplete_response_is_what_was_said() -> None:
    """Reaching the most tokens is no failure of the voice."""
    assert text_of({"type": "response.incomplete", "response": {}}) == ""


def anthropic_events() -> Iterable[dict[str, Any]]:
    """Yield raw events: thinking, speech, a citation, a tool call, speech."""

    def block(index: int, content: dict[str, Any], *deltas: dict[str, Any]) -> Any:
        yield {"type": "content_block_start", "index": index, "content_block": content}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}

    yield from block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "Hidden."},
        {"type": "signature_delta", "signature": "abc"},
    )
    yield from block(
        1,
        {"type": "text", "text": ""},
        {"type": "text_delta", "text": "Let me"},
        {"type": "text_delta", "text": " see."},
    )
    yield from block(
        2,
        {"type": "tool_use", "id": "t", "name": "weather", "input": {}},
        {"type": "input_json_delta", "partial_json": '{"city"'},
    )
    yield from block(
        3, {"type": "text", "text": ""}, {"type": "text_delta", "text": " It is 3 °C."}
    )


def test_anthropic_says_its_text_blocks() -> None:
    """Thinking, signatures and tool input are left out."""
    module = library("anthropic.types")
    classes = {
        "content_block_start": module.RawContentBlockStartEvent,
        "content_block_delta": module.RawContentBlockDeltaEvent,
        "content_block_stop": module.RawContentBlockStopEvent,
    }
    raw = list(anthropic_events())
    assert speech(classes[e["type"]].model_validate(e) for e in raw) == SPEECH
    assert speech([{"type": "message_start"}, {"type": "ping"}, *raw]) == SPEECH


def test_anthropic_helper_events_are_said_once() -> None:
    """MessageStream yields each delta twice, raw and as `text`: one of them is silent."""
    streaming = library("anthropic.lib.streaming._types")
    raw = library("anthropic.types").RawContentBlockDeltaEvent.model_validate(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi."}}
    )
    helpers = [
        streaming.TextEvent(type="text", text="Hi.", snapshot="Hi."),
        streaming.ThinkingEvent(type="thinking", thinking="Hm.", snapshot="Hm."),
        streaming.InputJsonEvent(type="input_json", partial_json="{", snapshot={}),
    ]
    assert speech([raw, *helpers]) == "Hi."
    assert speech(as_dicts([raw, *helpers])) == "Hi."


def test_an_anthropic_error_raises() -> None:
    """An `error` event ends the stream as an error."""
    event = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    with pytest.raises(TextSourceError, match="overloaded_error: Overloaded"):
        text_of(event)


def langchain_chunks() -> list[Any]:
    """Return message chunks as LangChain's chat models stream them."""
    cls = library("langchain_core.messages").AIMessageChunk
    call = {"name": "f", "args": "{}", "id": "1", "index": 0, "type": "tool_call_chunk"}
    return [
        cls(content="", additional_kwargs={"reasoning_content": "Hidden"}),
        cls(content="Let me"),
        cls(content=[{"type": "reasoning", "reasoning": "Hm"}, {"type": "text", "text": " see."}]),
        cls(content="", tool_call_chunks=[call]),
        cls(content=[{"type": "tool_use", "id": "1", "name": "f", "input": {}}, " It is"]),
        cls(content=" 3 °C.", chunk_position="last"),
    ]


def test_langchain_says_its_text() -> None:
    """Blocks of text are joined; reasoning and tool calls are left out."""
    chunks = langchain_chunks()
    assert speech(chunks) == SPEECH
    assert speech((chunk, {"langgraph_node": "agent"}) for chunk in chunks) == SPEECH
    assert speech(as_dicts(chunks)) == SPEECH


def test_langchain_events_are_said_once() -> None:
    """Of astream_events only the chat model's own count; chains repeat them."""
    events = []
    for chunk in langchain_chunks():
        for name in ("on_chat_model_stream", "on_parser_stream", "on_chain_stream"):
            events.append({"event": name, "name": "x", "run_id": "r", "data": {"chunk": chunk}})
    start = {"event": "on_chat_model_start", "name": "x", "run_id": "r", "data": {"input": "Hi"}}
    assert speech([start, *events]) == SPEECH


def test_the_answer_of_a_tool_is_not_said() -> None:
    """LangGraph streams messages of tools and users, too."""
    messages = library("langchain_core.messages")
    others = [
        messages.ToolMessage(content="private", tool_call_id="1"),
        messages.HumanMessage(content="private"),
    ]
    assert speech([*others, (others[0], {}), messages.AIMessage(content="Hi.")]) == "Hi."


def test_litellm_says_its_content(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its chunks are read like OpenAI's; reasoning_content is left out."""
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else importing it asks the network
    module = library("litellm.types.utils")
    with quiet():  # it builds its schemas, with warnings, at the first use
        chunks = [
            module.ModelResponseStream(
                choices=[module.StreamingChoices(index=0, delta=module.Delta(**delta))]
            )
            for delta in chat_deltas()
        ]
    assert speech(chunks) == SPEECH


def pydantic_ai_events() -> list[Any]:
    """Return events of an agent that thinks, speaks and calls a tool."""
    m = library("pydantic_ai.messages")
    call = m.ToolCallPart(tool_name="f", args="{}")
    return [
        m.PartStartEvent(index=0, part=m.ThinkingPart(content="Hidden")),
        m.PartDeltaEvent(index=0, delta=m.ThinkingPartDelta(content_delta=" thought")),
        m.PartStartEvent(index=1, part=m.TextPart(content="Let me")),
        m.FinalResultEvent(tool_name=None, tool_call_id=None),
        m.PartDeltaEvent(index=1, delta=m.TextPartDelta(content_delta=" see.")),
        m.PartEndEvent(index=1, part=m.TextPart(content="Let me see.")),
        m.PartStartEvent(index=2, part=call),
        m.PartDeltaEvent(index=2, delta=m.ToolCallPartDelta(args_delta="{}")),
        m.FunctionToolCallEvent(part=call),
        m.PartStartEvent(index=0, part=m.TextPart(content=" It is")),
        m.PartDeltaEvent(index=0, delta=m.TextPartDelta(content_delta=" 3 °C.")),
    ]


def test_pydantic_ai_says_its_text_parts() -> None:
    """Parts and deltas of text are speech; the summary at a part's end repeats them."""
    assert speech(pydantic_ai_events()) == SPEECH


def test_a_stream_of_text_is_said_as_it_is() -> None:
    """Plain strings pass, and so do their subclasses, as plain strings."""

    class Word(str, enum.Enum):
        HI = "hi"

    assert text_of("hi") == "hi"
    assert type(text_of(Word.HI)) is str
    assert text_of(Word.HI) == "hi"


@pytest.mark.parametrize(
    "item",
    [None, 7, b"private", ["private"], object(), {}, {"private": 1}, {"type": "private"}, ("a", 1)],
    ids=lambda item: type(item).__name__,
)
def test_what_is_no_text_is_named_by_its_type_only(item: object) -> None:
    """The error names the type and shows nothing of the content."""
    with pytest.raises(InvalidTextError, match=type(item).__name__) as caught:
        text_of(item)
    assert "private" not in str(caught.value)


@pytest.mark.parametrize(
    "item",
    [
        {"choices": 5},
        {"choices": [{"delta": {"content": 5}}]},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": 5}},
        {"event_kind": "part_delta", "delta": {"part_delta_kind": "text"}},
    ],
    ids=str,
)
def test_a_malformed_event_is_no_text(item: object) -> None:
    """Nothing but errors of ours comes out of an event of the wrong shape."""
    with pytest.raises(InvalidTextError):
        text_of(item)


@pytest.mark.parametrize("item", ["\ud800", {"choices": [{"delta": {"content": "a\udfff"}}]}])
def test_half_a_surrogate_pair_is_no_text(item: object) -> None:
    """What UTF-8 cannot hold is refused before it reaches the wire."""
    with pytest.raises(InvalidTextError, match="surrogate"):
        text_of(item)


def test_a_class_is_not_taken_for_what_another_object_of_it_was() -> None:
    """That one namespace was an event does not make another one silent."""
    assert text_of(types.SimpleNamespace(type="ping")) == ""
    with pytest.raises(InvalidTextError):
        text_of(types.SimpleNamespace(private="x"))


def test_a_long_reason_is_capped() -> None:
    """A provider cannot fill the log."""
    with pytest.raises(TextSourceError) as caught:
        text_of({"type": "error", "error": {"message": "x" * 10_000}})
    assert len(str(caught.value)) < MAX_ERROR_TEXT_CHARS + 50


def test_a_new_event_of_a_known_library_is_silent() -> None:
    """A kind of event added tomorrow does not end a conversation."""
    raw = library("anthropic.types").RawMessageStopEvent
    assert text_of(raw.model_construct(type="message_paused")) == ""
