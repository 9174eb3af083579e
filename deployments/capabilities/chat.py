"""Chat: a conversation in, an answer piece by piece out, grounded in a category's documents where one is named."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

from deployments.capabilities.base import Capability
from deployments.capabilities.embedding import embed_through
from deployments.capabilities.protocol import ChatCall, EngineInfo
from deployments.client.errors import from_ray
from deployments.client.handles import Handle
from deployments.settings import Settings
from pipelines.chat import ChatModel, ChatRequest, Delta
from pipelines.knowledge import Passage

PASSAGES = 8
"""How many passages are retrieved for a grounded question."""


class Chat(Capability[ChatModel]):
    """Answers conversations."""

    def __init__(self, settings: Settings, knowledge: Handle) -> None:
        super().__init__(settings)
        self._knowledge = knowledge
        self.resources = replace(self.resources, embed=embed_through(knowledge))

    def unload(self, engine: ChatModel) -> None:
        """Let the answers under way end."""
        engine.close()

    async def stream(self, call: ChatCall) -> AsyncIterator[EngineInfo | Delta]:
        """Answer a conversation: first what answers, then the answer's pieces.

        Many run at once: chat engines are asynchronous, so this does not go through the engine's thread.
        """
        yield await self.answering()
        model = self._loaded_engine()
        request = ChatRequest(
            messages=call.messages,
            temperature=call.temperature,
            max_tokens=call.max_tokens,
            stop=call.stop,
            passages=await self._passages(model, call),
            options=call.options,
        )
        async with aclosing(model.stream(request)) as deltas:
            async for delta in deltas:
                yield delta

    async def _passages(self, model: ChatModel, call: ChatCall) -> tuple[Passage, ...] | None:
        """What the category's documents say to the question; `None` where there is no such category."""
        if call.category is None:
            return None
        query = await model.rewrite_query(call.messages)
        try:
            found: tuple[Passage, ...] | None = await self._knowledge.search.remote(call.category, query, PASSAGES)
        except Exception as error:
            raise from_ray(error) from error
        return found
