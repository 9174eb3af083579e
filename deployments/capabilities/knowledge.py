"""Knowledge: documents in, passages out, and the one embedding model and the one reranker of the graph."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from deployments.capabilities.base import Capability
from deployments.capabilities.progress import CallProgress
from deployments.capabilities.protocol import CallEvent, EngineInfo, Source
from deployments.settings import Settings
from pipelines.contracts.engine import EngineConfig
from pipelines.knowledge import Passage
from pipelines.knowledge.index.store import DocumentRecord
from pipelines.knowledge.library import Library
from pipelines.knowledge.parsing.documents import ReadLimits

MAINTAIN_AFTER_S = 60


class Knowledge(Capability[Library]):
    """Documents by owner and category, hybrid retrieval, embeddings.

    Documents are added in a thread of their own: a long one must not hold up questions.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._ingesting = ThreadPoolExecutor(1, thread_name_prefix="ingest")
        self._maintenance: asyncio.TimerHandle | None = None

    def load(self, config: EngineConfig) -> Library:
        """Load the embedding model and open the store."""
        return Library.open(config, self.settings.knowledge_url)

    async def ingest(self, source: Source, sha256: str, owner: str, category: str) -> AsyncIterator[CallEvent]:
        """Add one upload to a category of an owner; the result is its `DocumentRecord`."""
        limits = ReadLimits(pixels=self.settings.max_pixels)

        def work(library: Library, progress: CallProgress) -> DocumentRecord:
            with self.store.open_reader(source.key) as file:
                return library.of(owner).ingest(
                    file, source.name, source.kind, category, sha256, limits=limits, progress=progress
                )

        async for event in self.run(work, thread=self._ingesting):
            yield event
        self._maintain_soon()

    async def search(self, owner: str, category: str, query: str, count: int) -> tuple[Passage, ...] | None:
        """The best passages of a category for a question; `None` if the category has no documents."""
        return await self.in_engine(lambda library: library.of(owner).search(category, query, count))

    async def documents(self, owner: str, category: str) -> list[DocumentRecord]:
        """The documents of a category."""
        return await self.in_engine(lambda library: library.of(owner).documents(category))

    async def stored_bytes(self, owner: str) -> int:
        """Size of all documents of an owner."""
        return await self.in_engine(lambda library: library.of(owner).stored_bytes())

    async def delete(self, owner: str, category: str, document_id: str) -> bool:
        """Remove a document; False if the category has none with that id."""
        removed = await self.in_engine(lambda library: library.of(owner).delete(category, document_id))
        self._maintain_soon()
        return removed

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts to unit vectors, float32 (N, dimension)."""
        return await self.in_engine(lambda library: library.embed(texts))

    async def embed_counted(
        self, texts: Sequence[str], dimensions: int | None
    ) -> tuple[EngineInfo, NDArray[np.float32], int]:
        """The engine, the vectors, of another length if `dimensions` says so, and how many tokens it read."""
        engine_info = await self.engine_info()
        vectors = await self.in_engine(lambda library: library.embed(texts, dimensions))
        tokens = await self.in_engine(lambda library: sum(library.count_tokens(text) for text in texts))
        return engine_info, vectors, tokens

    async def rerank(self, query: str, texts: Sequence[str]) -> tuple[EngineInfo, NDArray[np.float32], int]:
        """The engine with its reranker, how well each text answers the question, and how many tokens were read."""
        engine_info = await self.engine_info()

        def work(library: Library) -> tuple[str, NDArray[np.float32], int]:
            reranker = library.require_reranker()
            return reranker.name, *reranker.score(query, texts)

        model, scores, tokens = await self.in_engine(work)
        return replace(engine_info, model=model), scores, tokens

    def _maintain_soon(self) -> None:
        """Maintain the index once nothing has changed for a while."""
        if self._maintenance is not None:
            self._maintenance.cancel()
        loop = asyncio.get_running_loop()
        self._maintenance = loop.call_later(MAINTAIN_AFTER_S, self._maintain)

    def _maintain(self) -> None:
        self._ingesting.submit(lambda: self.slot.get().maintain())
