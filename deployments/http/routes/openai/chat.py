"""Chat and embeddings, in OpenAI's shape."""

import base64
import json
import secrets
import string
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

import numpy as np
from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from deployments.capabilities.protocol import ChatCall
from deployments.client.caller import Call
from deployments.http.errors import body_for, describe
from deployments.http.schemas.all import (
    ChatCompletion,
    ChatCompletionBody,
    ChatMessage,
    EmbeddingBody,
    Embeddings,
    OpenAIError,
    call_errors,
)
from deployments.http.services import Services
from pipelines.chat import Delta, Message, Usage
from pipelines.chat.tool_calls import join_tool_calls
from pipelines.contracts.errors import SensoriumError
from pipelines.knowledge import Passage

ALPHABET = string.ascii_letters + string.digits
DEFAULT_MAX_TOKENS = 500


def _message(message: ChatMessage) -> Message:
    content = message.content
    if isinstance(content, list):
        content = "".join(part.text for part in content)
    role = "system" if message.role == "developer" else message.role
    return Message(role=role, content=content or "", extra=message.model_extra or {})


def chat_call(body: ChatCompletionBody) -> ChatCall:
    """The body as the capability takes it."""
    return ChatCall(
        messages=tuple(_message(message) for message in body.messages),
        category=body.category or None,
        temperature=body.temperature,
        max_tokens=body.max_completion_tokens or body.max_tokens or DEFAULT_MAX_TOKENS,
        stop=(body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ()),
        options=body.model_extra or {},
    )


def _sources(sources: tuple[Passage, ...]) -> list[dict[str, Any]]:
    return [
        {"document": source.document, "page": source.page, "passage": source.text, "score": round(source.score, 4)}
        for source in sources
    ]


def _usage(usage: Usage) -> dict[str, int]:
    return {**asdict(usage), "total_tokens": usage.prompt_tokens + usage.completion_tokens}


async def _completion(call: Call, head: dict[str, Any], grounded: bool) -> dict[str, Any]:
    text: list[str] = []
    tool_calls: list[dict[str, Any]] = []
    last = Delta()
    async for last in call:
        text.append(last.text)
        tool_calls.extend(last.tool_calls)
    message: dict[str, Any] = {"role": "assistant", "content": "".join(text)}
    if tool_calls:
        message["tool_calls"] = join_tool_calls(tool_calls)
    completion: dict[str, Any] = {
        **head,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": last.finish_reason or "stop"}],
        "usage": _usage(last.usage or Usage(0, 0)),
    }
    if grounded:
        completion["sources"] = _sources(last.sources)
    return completion


async def _chunks(call: Call, head: dict[str, Any], body: ChatCompletionBody) -> AsyncIterator[dict[str, Any]]:
    head = {**head, "object": "chat.completion.chunk"}

    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}

    yield chunk({"role": "assistant", "content": ""})
    async for delta in call:
        told: dict[str, Any] = {"content": delta.text} if delta.text else {}
        if delta.tool_calls:
            told["tool_calls"] = list(delta.tool_calls)
        if told:
            yield chunk(told)
        if delta.finish_reason is not None:
            ending = chunk({}, delta.finish_reason)
            if body.category:
                ending["sources"] = _sources(delta.sources)
            yield ending
            if body.stream_options and body.stream_options.include_usage:
                yield {**head, "choices": [], "usage": _usage(delta.usage or Usage(0, 0))}


def router(services: Services) -> APIRouter:
    """`/v1/chat/completions`, `/v1/embeddings`."""
    routes = APIRouter(tags=["Chat"])
    chat, knowledge = services.caller.handles.chat, services.caller.handles.knowledge

    @routes.post(
        "/v1/chat/completions",
        response_model=ChatCompletion,
        responses={
            200: {"content": {"text/event-stream": {}}, "description": "The answer; a stream of chunks where asked."},
            **call_errors(OpenAIError),
        },
    )
    async def chat_completions(body: ChatCompletionBody) -> Response:
        """Answer a conversation; `category` grounds the answer in that category's documents."""
        call = await services.caller.call(chat.stream, chat_call(body))
        head = {
            "id": "chatcmpl-" + "".join(secrets.choice(ALPHABET) for _ in range(22)),
            "created": int(time.time()),
            "model": call.answering.model,
        }
        if body.stream:
            events = _events(call, _chunks(call, head, body))
            return StreamingResponse(events, media_type="text/event-stream", headers=call.headers())
        with call:
            completion = await _completion(call, head, bool(body.category))
        return Response(
            json.dumps(completion, ensure_ascii=False), media_type="application/json", headers=call.headers()
        )

    @routes.post("/v1/embeddings", response_model=Embeddings, responses=call_errors(OpenAIError))
    async def embeddings(body: EmbeddingBody) -> Response:
        """Texts to vectors, by the model that indexes the documents."""
        texts = [body.input] if isinstance(body.input, str) else body.input
        answering, vectors, tokens = await services.caller.ask(knowledge.embed_counted, texts)

        def shown(vector: np.ndarray[Any, np.dtype[np.float32]]) -> list[float] | str:
            if body.encoding_format == "base64":
                return base64.b64encode(vector.astype("<f4").tobytes()).decode()
            return [float(number) for number in vector]

        answer = {
            "object": "list",
            "data": [{"object": "embedding", "index": i, "embedding": shown(v)} for i, v in enumerate(vectors)],
            "model": answering.model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
        headers = {"x-sensorium-engine": answering.engine, "x-sensorium-model": answering.model}
        return Response(json.dumps(answer), media_type="application/json", headers=headers)

    return routes


async def _events(call: Call, chunks: AsyncIterator[dict[str, Any]]) -> AsyncIterator[str]:
    """Chunks as server-sent events; an error after the first byte is told as an event, as OpenAI does."""
    with call:
        try:
            async for chunk in chunks:
                yield f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"
        except SensoriumError as error:
            yield f"data: {json.dumps(body_for('/v1/chat')(describe(error)))}\n\n"
    yield "data: [DONE]\n\n"
