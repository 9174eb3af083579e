"""Chat, in OpenAI's shape."""

import json
import secrets
import string
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from fastapi import Response
from fastapi.responses import StreamingResponse

from deployments.capabilities.protocol import ChatCall
from deployments.client.caller import Call
from deployments.http import families
from deployments.http.errors import describe
from deployments.http.families import CALL_ERRORS
from deployments.http.schemas.errors import OpenAIError
from deployments.http.schemas.openai import (
    ChatCompletion,
    ChatCompletionBody,
    ChatMessage,
    Choice,
    ChoiceMessage,
    ImagePart,
    Logprobs,
    SourcePassage,
    TextPart,
    Usage,
)
from deployments.http.services import PrincipalDep, ServicesDep, needs
from pipelines import chat
from pipelines.chat.tool_calls import join_tool_calls
from pipelines.contracts.errors import SensoriumError
from pipelines.knowledge import Passage
from pipelines.knowledge.base import DEFAULT_OWNER

ALPHABET = string.ascii_letters + string.digits
DEFAULT_MAX_TOKENS = 500
ANSWER = {"content": {"text/event-stream": {}}, "description": "The answer, or with `stream` its chunks."}

Json = dict[str, Any]
Count = Callable[[chat.Usage | None], Usage]
"""Counts a completion's tokens as used, and gives them as the answer has them."""

router = families.OPENAI.router("Chat", dependencies=[needs("chat")])


@router.post(
    "/chat/completions",
    response_model=ChatCompletion,
    response_model_exclude_unset=True,
    responses={200: ANSWER, **families.OPENAI.errors(*CALL_ERRORS, 404)},
)
async def chat_completions(
    services: ServicesDep, principal: PrincipalDep, response: Response, body: ChatCompletionBody
) -> ChatCompletion | StreamingResponse:
    """Answer a conversation; `category` grounds the answer in that category's documents."""
    whose = principal
    if body.category:
        whose = services.registry.owner_of(principal, body.owner, body.category, "read")
    call = await services.caller.call(services.caller.handles.chat.stream, chat_call(body, whose.name))
    head = {
        "id": "chatcmpl-" + "".join(secrets.choice(ALPHABET) for _ in range(22)),
        "created": int(time.time()),
        "model": call.engine_info.model,
    }

    def count(usage: chat.Usage | None) -> Usage:
        counted = _usage(usage)
        services.usage.add(principal.name, tokens=counted.total_tokens)
        return counted

    if body.stream:
        events = _events(call, _chunks(call, head, body, count))
        return StreamingResponse(events, media_type="text/event-stream", headers=call.headers())
    response.headers.update(call.headers())
    with call:
        return await _completion(call, head, count, grounded=bool(body.category))


def chat_call(body: ChatCompletionBody, owner: str = DEFAULT_OWNER) -> ChatCall:
    """The body as the capability takes it; `owner` has the category."""
    return ChatCall(
        messages=tuple(_message(message) for message in body.messages),
        category=body.category or None,
        owner=owner,
        temperature=body.temperature,
        max_tokens=body.max_completion_tokens or body.max_tokens or DEFAULT_MAX_TOKENS,
        stop=(body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ()),
        options={**(body.model_extra or {}), **({} if body.n is None else {"n": body.n})},
    )


def _message(message: ChatMessage) -> chat.Message:
    parts = (
        message.content if isinstance(message.content, list) else [TextPart(type="text", text=message.content or "")]
    )
    has_images = any(isinstance(part, ImagePart) for part in parts)
    return chat.Message(
        role="system" if message.role == "developer" else message.role,
        content="".join(part.text for part in parts if isinstance(part, TextPart)),
        extra=message.model_extra or {},
        parts=tuple(part.model_dump() for part in parts) if has_images else (),
    )


async def _deltas(call: Call) -> AsyncIterator[chat.Delta]:
    async for batch in call:
        for delta in batch:
            yield delta


async def _completion(call: Call, head: Json, count: Count, *, grounded: bool) -> ChatCompletion:
    answers: dict[int, list[chat.Delta]] = {}
    last = chat.Delta()
    async for last in _deltas(call):
        answers.setdefault(last.index, []).append(last)
    choices = [_choice(index, deltas) for index, deltas in sorted(answers.items())]
    completion = ChatCompletion(object="chat.completion", **head, choices=choices, usage=count(last.usage))
    if grounded:
        completion.sources = _sources(last.sources)
    return completion


def _choice(index: int, deltas: Sequence[chat.Delta]) -> Choice:
    message = ChoiceMessage(role="assistant", content="".join(delta.text for delta in deltas))
    if tool_calls := [piece for delta in deltas for piece in delta.tool_calls]:
        message.tool_calls = join_tool_calls(tool_calls)
    choice = Choice(index=index, message=message, finish_reason=deltas[-1].finish_reason or "stop")
    if logprobs := [token for delta in deltas for token in delta.logprobs]:
        choice.logprobs = Logprobs(content=logprobs)
    return choice


async def _chunks(call: Call, head: Json, body: ChatCompletionBody, count: Count) -> AsyncIterator[Json]:
    head = {**head, "object": "chat.completion.chunk"}

    def chunk(index: int, delta: Json, finish_reason: str | None = None, **further: Any) -> Json:
        choice = {"index": index, "delta": delta, "finish_reason": finish_reason, **further}
        return {**head, "choices": [choice]}

    for index in range(body.n or 1):
        yield chunk(index, {"role": "assistant", "content": ""})
    last = chat.Delta()
    async for last in _deltas(call):
        changes: Json = {"content": last.text} if last.text else {}
        if last.tool_calls:
            changes["tool_calls"] = list(last.tool_calls)
        if last.logprobs:
            yield chunk(last.index, changes, logprobs={"content": list(last.logprobs)})
        elif changes:
            yield chunk(last.index, changes)
        if last.finish_reason is not None:
            ending = chunk(last.index, {}, last.finish_reason)
            if body.category:
                ending["sources"] = [source.model_dump() for source in _sources(last.sources)]
            yield ending
    usage = count(last.usage)
    if body.stream_options and body.stream_options.include_usage:
        yield {**head, "choices": [], "usage": usage.model_dump()}


async def _events(call: Call, chunks: AsyncIterator[Json]) -> AsyncIterator[str]:
    """Chunks as server-sent events; an error after the first byte is reported as an event, as OpenAI does."""
    with call:
        try:
            async for chunk in chunks:
                yield f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"
        except SensoriumError as error:
            yield f"data: {OpenAIError.of(describe(error)).model_dump_json()}\n\n"
    yield "data: [DONE]\n\n"


def _sources(passages: Sequence[Passage]) -> list[SourcePassage]:
    return [
        SourcePassage(document=passage.document, page=passage.page, passage=passage.text, score=round(passage.score, 4))
        for passage in passages
    ]


def _usage(usage: chat.Usage | None) -> Usage:
    prompt, completion = (usage.prompt_tokens, usage.completion_tokens) if usage else (0, 0)
    return Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)
