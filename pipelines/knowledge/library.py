"""A library: takes documents as files, and finds the passages that answer a question."""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from threading import Lock
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from pipelines.contracts.engine import EngineConfig, Resources
from pipelines.contracts.errors import InvalidInput, UnsupportedByEngine
from pipelines.contracts.progress import Progress, no_progress
from pipelines.knowledge.base import Embedder, Passage, cut
from pipelines.knowledge.index.store import DocumentRecord, KnowledgeStore
from pipelines.knowledge.parsing.chunks import Chunk, split
from pipelines.knowledge.parsing.documents import ReadLimits, read_document
from pipelines.knowledge.reranker import Reranker, RerankingConfig

MAX_CATEGORY_CHARACTERS = 256
MAX_NAME_CHARACTERS = 1_000
SLICE_TEXTS = 32
SLICE_CHARACTERS = 8_000
READING_SHARE = 0.3  # of the time that a long document takes; the rest is embedding
_CANDIDATES = 32  # that a reranker chooses from


@dataclass(frozen=True)
class Reading:
    """A document that was read, and is yet to be embedded and stored; see `KnowledgeStore.add`."""

    category: str
    name: str
    sha256: str
    chunks: list[Chunk]
    pages: int
    size_bytes: int
    not_read: tuple[str, ...]

    @property
    def texts(self) -> list[str]:
        """Of its chunks."""
        return [chunk.text for chunk in self.chunks]


class Library:
    """An embedding model, a store, and perhaps a reranker. One thread may add documents while another asks."""

    def __init__(self, embedder: Embedder, store: KnowledgeStore, reranker: Reranker | None = None) -> None:
        self.embedder = embedder
        self._reranker = reranker
        self._embedding = Lock()  # a tokenizer raises if two threads use it at once
        self._store = store

    @classmethod
    def open(cls, config: EngineConfig, url: str) -> Self:
        """Load the models and open the store.

        Raises:
            ModelUnavailable: a model is missing, or the store cannot be opened or was made for another model.
        """
        embedder = config.load(Resources())
        reranker = config.load_reranker() if isinstance(config, RerankingConfig) else None
        store = KnowledgeStore.open(url, model=config.card().model, dimension=embedder.dimension)
        return cls(embedder, store, reranker)

    def of(self, owner: str) -> Self:
        """The same library as another owner sees it: with categories of its own."""
        library = copy(self)
        library._store = self._store.of(owner)
        return library

    def embed(self, texts: Sequence[str], dimensions: int | None = None) -> NDArray[np.float32]:
        """Texts to unit vectors, float32 (N, dimension), or (N, `dimensions`) if the model was trained for that.

        Raises:
            UnsupportedByEngine: it was not.
        """
        dimension = self.embedder.dimension
        if dimensions not in (None, dimension, *self.embedder.shorter_dimensions):
            raise UnsupportedByEngine(
                f"`dimensions` is not supported: this model's vectors have {dimension}.", "dimensions"
            )
        with self._embedding:
            vectors = self.embedder.embed(cut(texts, self.embedder.max_tokens))
        if dimensions in (None, dimension):
            return vectors
        vectors = vectors[:, :dimensions]
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)  # type: ignore[no-any-return]

    def count_tokens(self, texts: Sequence[str]) -> int:
        """How many tokens the model reads in all of `texts`."""
        with self._embedding:
            return sum(map(self.embedder.count_tokens, cut(texts, self.embedder.max_tokens)))

    def require_reranker(self) -> Reranker:
        """The reranker.

        Raises:
            UnsupportedByEngine: none is configured.
        """
        if self._reranker is None:
            raise UnsupportedByEngine(
                "No reranker is configured. Set `reranker: BAAI/bge-reranker-v2-m3` in the block of Knowledge, and "
                "fetch it with `make pull`."
            )
        return self._reranker

    def ingest(
        self,
        file: BinaryIO,
        name: str,
        kind: str,
        category: str,
        sha256: str,
        *,
        limits: ReadLimits | None = None,
        progress: Progress = no_progress,
    ) -> DocumentRecord:
        """Add a document: once this returns it is durable and searchable; if it raises, nothing of it is left.

        It replaces what the category has under the same name, in one commit.

        Args:
            file: from its beginning.
            name: what its owner calls it; a document without a name replaces none.
            kind: one of `documents.KINDS`, as detected from the bytes.
            category: 1 to 256 characters of any text.
            sha256: of the bytes, in hexadecimal; the same file again in the same category changes nothing.
            limits: of reading the file.
            progress: called between pages and batches.

        Raises:
            InvalidInput: not a valid category.
            UnsupportedMedia: not a supported document type.
            UnusableMedia: empty, encrypted, damaged, without text, or beyond the limits.
            ModelUnavailable: a page is a scan, and what reads it is not installed.
            Overloaded: too many writers at once.
            StorageFull: no space is left.
            Cancelled: `progress` said so.
        """
        reading = self.read(file, name, kind, category, sha256, limits=limits, progress=progress)
        if isinstance(reading, DocumentRecord):
            return reading
        parts = []
        for done, texts in slices(reading.texts):
            portion(progress, READING_SHARE, 1)(done, "embedding")
            parts.append(self.embed(texts))
        progress(1.0, "storing")
        return self.add(reading, np.concatenate(parts))

    def read(
        self,
        file: BinaryIO,
        name: str,
        kind: str,
        category: str,
        sha256: str,
        *,
        limits: ReadLimits | None = None,
        progress: Progress = no_progress,
    ) -> Reading | DocumentRecord:
        """The first step of `ingest`, in any thread; the record if the category has the file already."""
        _check(category)
        label = name.encode("utf-8", "replace").decode()[:MAX_NAME_CHARACTERS]
        if present := self._store.find(category, sha256):
            self._store.retire(category, label, keep=present.id)
            return present
        document = read_document(file, label, kind, limits=limits, progress=portion(progress, 0, READING_SHARE))
        return Reading(category, label, sha256, split(document), len(document.pages), file.tell(), document.not_read)

    def add(self, reading: Reading, vectors: NDArray[np.float32]) -> DocumentRecord:
        """The last step of `ingest`, with the vectors of `reading.texts`."""
        return self._store.add(
            reading.category,
            reading.name,
            reading.sha256,
            reading.chunks,
            vectors,
            pages=reading.pages,
            size_bytes=reading.size_bytes,
            not_read=reading.not_read,
        )

    def search(self, category: str, query: str, k: int = 8) -> tuple[Passage, ...] | None:
        """The best passages of a category, best first; `None` if the category has no documents.

        With a reranker, more are found, and it decides which are the best; `score` is its own.

        Raises:
            InvalidInput: not a valid category.
            Overloaded: the store does not answer.
        """
        _check(category)
        vector = self._embed_query(query) if self.embedder.reads(query) else None
        count = k if self._reranker is None else max(k, _CANDIDATES)
        hits = self._store.search(category, query, vector, count, self.embedder.similarity_range)
        if not hits and not self._store.list_documents(category):
            return None
        return tuple(self._reranked(query, hits)[:k])

    def documents(self, category: str) -> list[DocumentRecord]:
        """A category's documents, oldest first."""
        _check(category)
        return self._store.list_documents(category)

    def delete(self, category: str, document: str) -> bool:
        """Remove a document by its id; False if the category has none with that id."""
        _check(category)
        return self._store.delete_document(category, document)

    def stored_bytes(self) -> int:
        """Size of all documents of the owner."""
        return self._store.stored_bytes()

    def maintain(self) -> None:
        """See `KnowledgeStore.maintain`."""
        self._store.maintain()

    def _reranked(self, query: str, hits: list[Passage]) -> list[Passage]:
        if self._reranker is None:
            return hits
        scores, _ = self._reranker.score(query, [hit.text for hit in hits])
        rescored = [replace(hit, score=round(float(score), 4)) for hit, score in zip(hits, scores, strict=True)]
        return sorted(rescored, key=lambda hit: -hit.score)

    def _embed_query(self, text: str) -> NDArray[np.float32]:
        with self._embedding:
            return self.embedder.embed_query(*cut([text], self.embedder.max_tokens))


def slices(texts: Sequence[str]) -> Iterator[tuple[float, Sequence[str]]]:
    """Parts that are embedded in well under a second each, even on a CPU, with the fraction that comes before them."""
    start = characters = 0
    for index, text in enumerate(texts):
        characters += len(text)
        if index > start and (index - start == SLICE_TEXTS or characters > SLICE_CHARACTERS):
            yield start / len(texts), texts[start:index]
            start, characters = index, len(text)
    yield start / len(texts), texts[start:]


def portion(progress: Progress, start: float, stop: float) -> Progress:
    """Reports the progress of one step as that of the whole."""
    return lambda fraction, stage, /: progress(None if fraction is None else start + (stop - start) * fraction, stage)


def _check(category: str) -> None:
    if not 1 <= len(category) <= MAX_CATEGORY_CHARACTERS:
        raise InvalidInput(f"`category` must be 1 to {MAX_CATEGORY_CHARACTERS} characters.", "category")
    if any("\ud800" <= character <= "\udfff" for character in category):
        raise InvalidInput("`category` must be valid Unicode text.", "category")
