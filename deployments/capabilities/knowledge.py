"""Knowledge: documents in, passages out, and the one embedding model and the one reranker of the graph."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from deployments.capabilities.base import Capability
from deployments.capabilities.progress import CallProgress
from deployments.capabilities.protocol import CallEvent, EngineInfo, Source
from deployments.settings import Settings
from pipelines.contracts.engine import EngineConfig
from pipelines.contracts.progress import Progress, no_progress
from pipelines.knowledge import Passage
from pipelines.knowledge.index.store import DocumentRecord
from pipelines.knowledge.library import READING_SHARE, Library, Reading, portion, slices
from pipelines.knowledge.parsing.documents import ReadLimits

MAINTAIN_AFTER_S = 60
READERS = 4
SWITCH_INTERVAL_S = 0.0005
"""Splitting a document is plain Python: at each step of a question it would hold the interpreter for ten times that."""

ResultT = TypeVar("ResultT")


class Knowledge(Capability[Library]):
    """Documents by owner and category, hybrid retrieval, embeddings.

    Several documents are read at once, in threads of their own. Embedding is done in the engine's thread, slice by
    slice. Of documents and of long lists of texts, which may take minutes, one slice at a time waits for that thread,
    theirs in turn: so a question waits for one slice at most.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._reading = ThreadPoolExecutor(READERS, thread_name_prefix="read")
        self._storing = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._turn = asyncio.Lock()
        self._maintenance: asyncio.TimerHandle | None = None

    def load(self, config: EngineConfig) -> Library:
        """Load the embedding model and open the store."""
        return Library.open(config, self.settings.knowledge_url)

    async def ingest(self, source: Source, sha256: str, owner: str, category: str) -> AsyncIterator[CallEvent]:
        """Add one upload to a category of an owner; the result is its `DocumentRecord`."""

        def start(progress: CallProgress) -> asyncio.Future[DocumentRecord]:
            return asyncio.ensure_future(self._add(source, sha256, owner, category, progress))

        async for event in self.follow(start):
            yield event
        self._maintain_soon()

    async def _add(
        self, source: Source, sha256: str, owner: str, category: str, progress: CallProgress
    ) -> DocumentRecord:
        limits = ReadLimits(pixels=self.settings.max_pixels)

        def read(library: Library) -> tuple[Library, Reading | DocumentRecord]:
            progress(None, "starting")
            library = library.of(owner)
            with self.store.open_reader(source.key) as file:
                return library, library.read(
                    file, source.name, source.kind, category, sha256, limits=limits, progress=progress
                )

        library, reading = await self.in_engine(read, self._reading)
        if isinstance(reading, DocumentRecord):
            return reading
        embedding = portion(progress, READING_SHARE, 1)
        vectors = np.concatenate(await self._in_slices(reading.texts, library.embed, embedding))
        progress(1.0, "storing")
        return await self.in_engine(lambda _: library.add(reading, vectors), self._storing)

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
        """Texts of a question that waits to unit vectors, float32 (N, dimension)."""
        parts = [await self.in_engine(partial(Library.embed, texts=part)) for _, part in slices(texts)]
        return np.concatenate(parts)

    async def embed_counted(
        self, texts: Sequence[str], dimensions: int | None
    ) -> tuple[EngineInfo, NDArray[np.float32], int]:
        """The engine, the vectors, of another length if `dimensions` says so, and how many tokens it read."""
        engine_info = await self.engine_info()
        library = self.slot.get()

        def work(part: Sequence[str]) -> tuple[NDArray[np.float32], int]:
            return library.embed(part, dimensions), library.count_tokens(part)

        vectors, tokens = zip(*await self._in_slices(texts, work), strict=True)
        return engine_info, np.concatenate(vectors), sum(tokens)

    async def rerank(self, query: str, texts: Sequence[str]) -> tuple[EngineInfo, NDArray[np.float32], int]:
        """The engine with its reranker, how well each text answers the question, and how many tokens were read."""
        engine_info = await self.engine_info()
        reranker = self.slot.get().require_reranker()
        scores, tokens = zip(*await self._in_slices(texts, partial(reranker.score, query)), strict=True)
        return replace(engine_info, model=reranker.name), np.concatenate(scores), sum(tokens)

    async def _in_slices(
        self,
        texts: Sequence[str],
        work: Callable[[Sequence[str]], ResultT],
        progress: Progress = no_progress,
    ) -> list[ResultT]:
        """Work on texts in the engine's thread, slice by slice: more than one slice waits for its turn each time."""
        results: list[ResultT] = []
        for done, part in slices(texts):
            progress(done, "embedding")

            def work_on(_: Library, part: Sequence[str] = part) -> ResultT:
                return work(part)

            async with nullcontext() if len(part) == len(texts) else self._turn:
                results.append(await self.in_engine(work_on))
        return results

    def _maintain_soon(self) -> None:
        """Maintain the index once nothing has changed for a while."""
        if self._maintenance is not None:
            self._maintenance.cancel()
        loop = asyncio.get_running_loop()
        self._maintenance = loop.call_later(MAINTAIN_AFTER_S, self._maintain)

    def _maintain(self) -> None:
        self._storing.submit(lambda: self.slot.get().maintain())
