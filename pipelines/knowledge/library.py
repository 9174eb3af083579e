"""A library: documents come in as files, passages come out for questions."""

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from pipelines.contracts.engine import EngineConfig, Resources
from pipelines.contracts.errors import InvalidInput
from pipelines.contracts.progress import Progress, no_progress
from pipelines.knowledge.base import Embedder, Passage
from pipelines.knowledge.index.store import DocumentRecord, KnowledgeStore
from pipelines.knowledge.parsing.documents import ReadLimits, read_document
from pipelines.knowledge.parsing.passages import Piece, split

MAX_CATEGORY_CHARACTERS = 256
MAX_NAME_CHARACTERS = 1_000
_EMBED_AT_ONCE = 32
_READING = 0.3  # the share of reading in the time that a long document takes; the rest is embedding


class Library:
    """An embedding model and a store. One thread may add documents while another asks."""

    def __init__(self, embedder: Embedder, store: KnowledgeStore) -> None:
        self.embedder = embedder
        self._embedding = Lock()  # a tokenizer that two threads use at once raises
        self._store = store

    @classmethod
    def open(cls, config: EngineConfig, url: str, *, storage_options: Mapping[str, str] | None = None) -> Self:
        """Load the model and open the store.

        Raises:
            ModelUnavailable: the model is missing, or the store cannot be opened or was made for another model.
        """
        embedder = config.load(Resources())
        store = KnowledgeStore.open(
            url, model=config.card().model, dimension=embedder.dimension, storage_options=storage_options
        )
        return cls(embedder, store)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts to unit vectors, float32 (N, dimension)."""
        with self._embedding:
            return self.embedder.embed(texts)

    def count_tokens(self, text: str) -> int:
        """How many tokens the model reads in `text`."""
        with self._embedding:
            return self.embedder.count_tokens(text)

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
        """Add a document: when this returns it is durable and found; when it raises, nothing of it is left.

        Args:
            file: from its beginning.
            name: what its owner calls it.
            kind: "txt", "docx" or "pdf", known by the bytes.
            category: 1 to 256 characters of any text.
            sha256: of the bytes, in hexadecimal; the same file again in the same category changes nothing.
            limits: what the file may ask for.
            progress: called between pages and batches.

        Raises:
            InvalidInput: a category that cannot be taken.
            UnsupportedMedia: not a kind that can be read.
            UnusableMedia: empty, encrypted, damaged, without text, or beyond the limits.
            Overloaded: too many writers at once.
            StorageFull: no space is left.
            Cancelled: `progress` said so.
        """
        _check(category)
        if present := self._store.find(category, sha256):
            return present
        label = name.encode("utf-8", "replace").decode()[:MAX_NAME_CHARACTERS] or "document"

        def reading(fraction: float | None, stage: str, /) -> None:
            progress(None if fraction is None else fraction * _READING, stage)

        document = read_document(file, label, kind, limits=limits, progress=reading)
        size_bytes = file.tell()
        pieces = split(document)
        vectors = self._embed(pieces, progress)
        return self._store.add(
            category, label, sha256, pieces, vectors, pages=len(document.pages), size_bytes=size_bytes
        )

    def search(self, category: str, query: str, k: int = 8) -> tuple[Passage, ...] | None:
        """The best passages of a category, best first; None where the category has no documents.

        Raises:
            InvalidInput: a category that cannot be taken.
            Overloaded: the store does not answer.
        """
        _check(category)
        vector = self._embed_query(query) if self.embedder.reads(query) else None
        hits = self._store.search(category, query, vector, k, self.embedder.similarity_range)
        if not hits and not self._store.list_documents(category):
            return None
        return tuple(Passage(hit.document, hit.page, hit.text, hit.score) for hit in hits)

    def documents(self, category: str) -> list[DocumentRecord]:
        """A category's documents, oldest first."""
        _check(category)
        return self._store.list_documents(category)

    def delete(self, category: str, document: str) -> bool:
        """Remove a document by its id; False where the category has none by it."""
        _check(category)
        return self._store.delete_document(category, document)

    def maintain(self) -> None:
        """Keep searches fast after many changes; call it now and then, when there is time."""
        self._store.maintain()

    def _embed_query(self, text: str) -> NDArray[np.float32]:
        with self._embedding:
            return self.embedder.embed_query(text)

    def _embed(self, pieces: list[Piece], progress: Progress) -> NDArray[np.float32]:
        parts = []
        for start in range(0, len(pieces), _EMBED_AT_ONCE):
            progress(_READING + (1 - _READING) * start / len(pieces), "embedding")
            parts.append(self.embed([piece.text for piece in pieces[start : start + _EMBED_AT_ONCE]]))
        progress(1.0, "storing")
        return np.concatenate(parts)


def _check(category: str) -> None:
    if not 1 <= len(category) <= MAX_CATEGORY_CHARACTERS:
        raise InvalidInput(f"`category` must be 1 to {MAX_CATEGORY_CHARACTERS} characters.", "category")
    if any("\ud800" <= character <= "\udfff" for character in category):
        raise InvalidInput("`category` must be valid Unicode text.", "category")
