"""OpenAI's shapes of an answer, whole and streamed, from the deltas that cross the handle."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from deployments.http.routes.openai.chat import _chunks, _completion, _usage, chat_call
from deployments.http.schemas.openai import ChatCompletionBody
from pipelines.chat import Delta, Usage

HEAD = {"id": "chatcmpl-x", "created": 1, "model": "m"}
TOKEN = {"token": "A", "logprob": -0.5, "bytes": [65], "top_logprobs": []}
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}


def body(**keys: Any) -> ChatCompletionBody:
    return ChatCompletionBody.model_validate({"messages": [{"content": "Hi"}], **keys})


async def two_answers() -> AsyncIterator[tuple[Delta, ...]]:
    yield (Delta("B", index=1), Delta("A", logprobs=(TOKEN,)))
    yield (Delta(tool_calls=(CALL,), index=1), Delta(index=1, finish_reason="tool_calls"))
    yield (Delta(finish_reason="stop", usage=Usage(3, 4)),)


async def test_whole() -> None:
    answer = (await _completion(two_answers(), HEAD, _usage, grounded=False)).model_dump(exclude_unset=True)  # type: ignore[arg-type]
    first, second = answer["choices"]
    assert first == {
        "index": 0,
        "message": {"role": "assistant", "content": "A"},
        "finish_reason": "stop",
        "logprobs": {"content": [TOKEN]},
    }
    assert (second["index"], second["finish_reason"], "logprobs" in second) == (1, "tool_calls", False)
    assert second["message"]["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


async def test_streamed() -> None:
    asked = body(n=2, stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in _chunks(two_answers(), HEAD, asked, _usage)]  # type: ignore[arg-type]
    choices = [chunk["choices"][0] for chunk in chunks[:-1]]
    assert [(it["index"], it["delta"].get("content"), it["finish_reason"]) for it in choices] == [
        (0, "", None),
        (1, "", None),
        (1, "B", None),
        (0, "A", None),
        (1, None, None),
        (1, None, "tool_calls"),
        (0, None, "stop"),
    ]
    assert choices[3]["logprobs"] == {"content": [TOKEN]}
    assert choices[4]["delta"]["tool_calls"] == [CALL]
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["total_tokens"]) == ([], 7)
    json.dumps(chunks)


def test_an_image_goes_to_the_engine_as_it_came() -> None:
    call = chat_call(body(messages=[{"content": [{"type": "text", "text": "What is this?"}, IMAGE]}]))
    [message] = call.messages
    assert (message.content, message.parts[1]) == ("What is this?", IMAGE)
    assert chat_call(body(messages=[{"content": [{"type": "text", "text": "Hi"}]}])).messages[0].parts == ()


def test_how_many_answers() -> None:
    assert chat_call(body(n=3)).options == {"n": 3}
    assert chat_call(body(n=None)).options == {}
    for n in (0, 129, 1.5):
        with pytest.raises(ValueError, match="n"):
            body(n=n)
