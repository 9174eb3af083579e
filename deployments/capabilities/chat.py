"""Chat: a conversation in, an answer piece by piece out, grounded in a category's documents if one is named."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from deployments.capabilities.base import Capability
from deployments.capabilities.protocol import ChatCall, EngineInfo
from deployments.client.errors import from_ray
from deployments.client.handles import Handle
from deployments.settings import Settings
from pipelines.chat import ChatModel, ChatRequest, Delta
from pipelines.contracts.engine import Embed
from pipelines.knowledge import Passage

T = TypeVar("T")

PASSAGES = 8
"""How many passages are retrieved for a grounded question."""
MAX_TEXTS = 256
"""Texts of one call for embeddings: a long list must not keep the embedding model from its other callers."""


class Chat(Capability[ChatModel]):
    """Answers conversations."""

    def __init__(self, settings: Settings, knowledge: Handle) -> None:
        super().__init__(settings)
        self._knowledge = knowledge
        self.resources = replace(self.resources, embed=_embed_through(knowledge))

    def unload(self, engine: ChatModel) -> None:
        """Let the answers under way end."""
        engine.close()

    async def check_health(self) -> None:
        """Have Serve replace this replica once its model has ended."""
        if self.slot.engine is not None and not self.slot.engine.is_alive:
            raise RuntimeError("the model has ended")

    async def stream(self, call: ChatCall) -> AsyncIterator[EngineInfo | tuple[Delta, ...]]:
        """Answer a conversation: first the engine, then the answer's deltas, those that are ready together as one.

        Many run at once: chat engines are asynchronous, so this does not go through the engine's thread.
        """
        engine_info = await self.engine_info()
        model = self.slot.get()
        request = ChatRequest(
            messages=call.messages,
            temperature=call.temperature,
            max_tokens=call.max_tokens,
            stop=call.stop,
            options=call.options,
        )
        model.check(request)
        passages = await self._passages(model, call)
        yield replace(engine_info, model=model.answers_as(grounded=passages is not None) or engine_info.model)
        request = replace(request, passages=passages)
        async with aclosing(coalesced(model.stream(request))) as batches:
            async for deltas in batches:
                yield deltas

    async def _passages(self, model: ChatModel, call: ChatCall) -> tuple[Passage, ...] | None:
        """What retrieval finds for the last question; `None` if no category is named, or one that does not exist."""
        if call.category is None:
            return None
        query = await model.rewrite_query(call.messages)
        try:
            found: tuple[Passage, ...] | None = await self._knowledge.search.remote(
                call.owner, call.category, query, PASSAGES
            )
        except Exception as error:
            raise from_ray(error) from error
        return found


async def coalesced(items: AsyncGenerator[T, None], interval_s: float = 0.03) -> AsyncGenerator[tuple[T, ...], None]:
    """Batch a stream by time: the first item at once, then at most one batch per interval, all items in their order.

    Each item of a response costs Ray a message, which at many streams of tokens would cost more than the model. An
    error of `items` follows the items before it; closing the batches closes `items`.
    """
    ready: list[T] = []
    arrived = asyncio.Event()

    async def collect() -> None:
        try:
            async for item in items:
                ready.append(item)
                arrived.set()
        finally:
            arrived.set()

    collecting = asyncio.create_task(collect())
    try:
        while ready or not collecting.done():
            await arrived.wait()
            arrived.clear()
            if ready:
                batch = tuple(ready)
                ready.clear()
                yield batch
                await asyncio.wait({collecting}, timeout=interval_s)
        await collecting
    finally:
        collecting.cancel()
        await asyncio.gather(collecting, return_exceptions=True)


def _embed_through(knowledge: Handle) -> Embed:
    """Embeddings by the model of the knowledge base, for an engine's thread; blocks it while the event loop calls."""
    loop = asyncio.get_running_loop()

    async def call(texts: Sequence[str]) -> NDArray[np.float32]:
        try:
            parts = [await knowledge.embed.remote(texts[i : i + MAX_TEXTS]) for i in range(0, len(texts), MAX_TEXTS)]
        except Exception as error:
            raise from_ray(error) from error
        return np.concatenate(parts)

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        return asyncio.run_coroutine_threadsafe(call(list(texts)), loop).result()

    return embed
