"""What the engines have in common whose model speaks OpenAI's chat completions, in this process or on a server.

Conversations, images and options pass through unchanged, including tools and JSON schemas, and the answer is streamed
as it arrives. Reasoning that comes apart from the answer is dropped.
"""

import json
import re
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, get_args

from pipelines.chat.base import NEUTRAL, ChatModel, ChatRequest, Delta, FinishReason, Message, Usage
from pipelines.chat.condense import condense
from pipelines.chat.grounding import build_grounded_messages, estimate_tokens
from pipelines.contracts.errors import Overloaded
from pipelines.knowledge.base import Passage

MAX_REASON_CHARACTERS = 300
MESSAGE_TOKENS = 8  # what a chat template puts around a message
_FINISH: dict[str, FinishReason] = {reason: reason for reason in get_args(FinishReason)}
_PATH = re.compile(r"\w+://\S+|(?:\b[A-Za-z]:)?(?:[\\/]+[\w.~-]+){2,}[\\/]?")


class CompletionsChat(ChatModel):
    """A model that answers bodies of OpenAI's chat completions with chunks of its stream. Tokens are the model's own.

    Args:
        model: its name, in bodies and error messages.
        context_tokens: maximum length of a conversation about documents, its answer included.
        count_tokens: of one text, exactly or rather more.
        defuse: see `build_grounded_messages`.
    """

    follows = frozenset(NEUTRAL)
    reads_images = True

    def __init__(
        self,
        model: str,
        context_tokens: int,
        count_tokens: Callable[[str], int] = estimate_tokens,
        defuse: Callable[[str], str] = str,
    ) -> None:
        self._model = model
        self._context_tokens = context_tokens
        self._count_tokens = count_tokens
        self._defuse = defuse

    async def rewrite_query(self, messages: tuple[Message, ...]) -> str:
        """The last question as a standalone query, written by the model."""
        return await condense(self, messages)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Pass the answer on as it arrives; see `ChatModel`. `usage` is None if the model does not report it.

        Raises:
            InvalidInput: what the model refuses, or a conversation that leaves no room for its answer.
            ModelUnavailable: the model cannot be reached, or fails.
            Overloaded: it is busy, or breaks off.
        """
        messages: tuple[Message, ...] = request.messages
        sources: tuple[Passage, ...] = ()
        if request.passages is not None:
            room = self._context_tokens - MESSAGE_TOKENS * (len(messages) + 1)
            budget = room - min(request.max_tokens, self._context_tokens // 2)
            messages, sources = build_grounded_messages(
                messages, request.passages, self._count_tokens, budget, self._defuse
            )
        finished: dict[int, FinishReason] = {}
        usage: Usage | None = None
        async with aclosing(self._chunks(self._body(request, messages))) as chunks:
            async for chunk in chunks:
                match chunk.get("usage"):
                    case {"prompt_tokens": int(prompt), "completion_tokens": int(completion)}:
                        usage = Usage(prompt, completion)
                for choice in chunk.get("choices") or ():
                    delta = _delta(choice)
                    if delta.text or delta.tool_calls or delta.logprobs:
                        yield delta
                    if choice.get("finish_reason"):
                        finished[delta.index] = _FINISH.get(choice["finish_reason"], "stop")
        if len(finished) < (request.options.get("n") or 1):
            raise self._broken_off()
        *others, (last, reason) = finished.items()
        for index, its_reason in others:
            yield Delta(index=index, finish_reason=its_reason, sources=sources)
        yield Delta(index=last, finish_reason=reason, usage=usage, sources=sources)

    @abstractmethod
    def _chunks(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The chunks of one stream, as plain JSON: what others add to OpenAI's schema passes through."""

    def _body(self, request: ChatRequest, messages: tuple[Message, ...]) -> dict[str, Any]:
        return {
            **request.options,
            "model": self._model,
            "messages": [{"role": m.role, "content": list(m.parts) or m.content, **m.extra} for m in messages],
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
            **({"stop": list(request.stop)} if request.stop else {}),
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    def _broken_off(self) -> Overloaded:
        return Overloaded(f"{self._model}'s server broke off its answer; send the request again.", 1)


def _delta(choice: dict[str, Any]) -> Delta:
    """The piece in one choice of a chunk."""
    piece = choice.get("delta") or {}
    return Delta(
        text=piece.get("content") or "",
        tool_calls=tuple(piece.get("tool_calls") or ()),
        index=choice.get("index") or 0,
        logprobs=tuple((choice.get("logprobs") or {}).get("content") or ()),
    )


def reason(content: object) -> str:
    """An error's own message, from its body or text, as one line without addresses and paths."""
    try:
        said = json.loads(content) if isinstance(content, str) else content
    except ValueError:
        return ""
    for key in ("error", "message", "detail"):
        if isinstance(said, dict):
            said = said.get(key) or said
    if not isinstance(said, str):
        return ""
    line = next((line.strip() for line in said.splitlines() if line.strip()), "")
    plain = "".join(character for character in _PATH.sub("…", line) if character.isprintable())
    return plain if len(plain) <= MAX_REASON_CHARACTERS else plain[:MAX_REASON_CHARACTERS] + "…"
