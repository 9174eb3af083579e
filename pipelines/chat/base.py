"""What every chat engine offers.

Chat engines are asynchronous, unlike the others: a language model answers many callers at once (continuous batching, or
a server elsewhere), so one thread per engine would serialize what the model itself runs in parallel.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, Literal

from pipelines.knowledge.base import Passage

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True)
class Message:
    """One turn. `extra` carries OpenAI's further keys (`name`, `tool_calls`, `tool_call_id`)."""

    role: Role
    content: str
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ChatRequest:
    """One question.

    Attributes:
        passages: what retrieval found for a grounded question, best first; `None` if the question is not grounded.
        options: OpenAI's further parameters (`top_p`, `seed`, `tools`, `response_format`, …) as the client sent them.
    """

    messages: tuple[Message, ...]
    temperature: float = 0.8
    max_tokens: int = 500
    stop: tuple[str, ...] = ()
    passages: tuple[Passage, ...] | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Usage:
    """Real token counts."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Delta:
    """A piece of an answer. The last one, and only that, has `finish_reason`, `usage` and `sources`."""

    text: str = ""
    tool_calls: tuple[dict[str, Any], ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    sources: tuple[Passage, ...] = ()


class ChatModel(ABC):
    """One loaded model. Any number of `stream` calls may run at once on one event loop."""

    async def rewrite_query(self, messages: tuple[Message, ...]) -> str:
        """The last question as a query for retrieval; an engine may complete it from earlier turns ("and in 2023?")."""
        return next((message.content for message in reversed(messages) if message.role == "user"), "")

    def answers_as(self, *, grounded: bool) -> str | None:
        """The model that answers such questions, if it is another than the configuration's card names."""
        return None

    @abstractmethod
    def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Answer piece by piece; closing the iterator stops the generation.

        Raises:
            InvalidInput: messages or options that the model does not support.
        """

    def close(self) -> None:  # noqa: B027  (not every engine has something to close)
        """Wait for the answers under way, then release what the engine holds. Blocks: not for the event loop."""
