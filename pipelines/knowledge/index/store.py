"""The store of all documents: their chunks with vectors and terms, in one LanceDB table.

A document is one commit: it is there whole or not at all, whatever dies at whatever instant. The same commit removes
the version of that name which it replaces; of two versions that are added at the same instant, one stays. A document's
key is its category and the hash of its bytes, so adding the same file again changes nothing, even if two processes
add it at once. Each owner has categories of its own, whatever their names. Every read sees the newest version. In a
category of fewer than `MIN_INDEXED` chunks all vectors are compared; in a larger one an index, which `maintain` builds,
finds the nearest cells, and newer chunks are compared one by one.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipelines.contracts.errors import ModelUnavailable, Overloaded, StorageFull
from pipelines.knowledge.base import DEFAULT_OWNER, Passage
from pipelines.knowledge.index.ranking import Candidate, rank
from pipelines.knowledge.index.table import (
    FAILURES,
    answering,
    connect,
    indexed_columns,
    indexed_terms,
    insist,
    is_remote,
    open_table,
    require_made_with,
)
from pipelines.knowledge.parsing.chunks import Chunk
from pipelines.text.terms import document_terms, query_terms

_MAX_CANDIDATES = 50
_MAX_TERMS = 64
MIN_INDEXED = 20_000
_KEPT_VERSIONS = timedelta(hours=1)
_MIN_FREE_BYTES = 64 << 20
_RECORD_COLUMNS = ["document_id", "document", "category", "pages", "passages", "bytes", "added_at", "not_read"]
NO_NAME = "document"
"""What a document without a name is called."""


@dataclass(frozen=True)
class DocumentRecord:
    """One document of a category.

    Attributes:
        pages: how many it has, 1 if its format has none.
        passages: how many chunks it was cut into.
        added_at: when this version came, in seconds since 1970.
        not_read: what it holds besides text, for people: "2 pictures".
    """

    id: str
    name: str
    category: str
    pages: int
    passages: int
    bytes: int
    added_at: int
    not_read: tuple[str, ...] = ()


class KnowledgeStore:
    """An open table, as one owner sees it. Any number of threads and processes may use it."""

    def __init__(self, table: Any, url: str, owner: str = DEFAULT_OWNER) -> None:
        self._table = table
        self._url = url
        self._owner = owner

    @classmethod
    def open(cls, url: str, *, model: str, dimension: int) -> Self:
        """Open the store, or create it if there is none.

        Args:
            url: a folder, or "s3://bucket/prefix" with the credentials and endpoint of the environment (`AWS_…`).
            model: the name of the embedding model; kept with the vectors.
            dimension: of the vectors.

        Raises:
            ModelUnavailable: made for another model, unreachable, or on a server on which documents could be lost.
        """
        try:
            database = connect(url)
            table = insist(lambda: open_table(database, model, dimension))
        except FAILURES as error:
            raise ModelUnavailable(
                "The knowledge base cannot be opened: its folder or bucket does not answer."
            ) from error
        require_made_with(table, model, dimension)
        return cls(table, url)

    def of(self, owner: str) -> Self:
        """The same table as another owner sees it."""
        return type(self)(self._table, self._url, owner)

    def add(
        self,
        category: str,
        name: str,
        sha256: str,
        chunks: Sequence[Chunk],
        vectors: NDArray[np.float32],
        *,
        pages: int,
        size_bytes: int,
        not_read: Sequence[str] = (),
    ) -> DocumentRecord:
        """Add a document, durably, instead of what has its name; one that is there already stays as it is.

        Args:
            category: any text.
            name: what its owner calls it; "" replaces nothing.
            sha256: of its bytes, in hexadecimal.
            chunks: at least one.
            vectors: float32 (chunks, dimension).
            pages: how many it has.
            size_bytes: how large it is.
            not_read: what it holds besides text.

        Raises:
            Overloaded: too many writers at once, or the store does not answer.
            StorageFull: no space is left.
        """
        key = self._document_id(category, sha256)
        record = DocumentRecord(
            key, name or NO_NAME, category, pages, len(chunks), size_bytes, int(time.time()), tuple(not_read)
        )
        keys = {"category_key": self._key(category), "owner_key": self._owner_key}
        rows = _rows(self._table.schema, record, keys, chunks, vectors)

        def insert() -> None:
            # All rows of a document have one key: either none of them is there, or all are. Without the index: a join
            # through it does not note which keys it inserts, and two inserts of one key would both be committed.
            insertion = self._table.merge_insert("document_id").use_index(False).when_not_matched_insert_all()
            if older := [one.id for one in self._namesakes(category, name) if one.id != key]:
                insertion.when_not_matched_by_source_delete(_any_of(older))
            insertion.execute(rows)

        self._commit(insert)
        versions = self._namesakes(category, name)
        if len(versions) > 1:  # another process has added one in the same instant
            self.retire(category, name, keep=max(versions, key=lambda one: (one.added_at, one.id)).id)
        return self.find(category, sha256) or record

    def find(self, category: str, sha256: str) -> DocumentRecord | None:
        """The record of a file in a category, or `None` if it is not there."""
        found = self._records(f"document_id = '{self._document_id(category, sha256)}' AND position = 0")
        return found[0] if found else None

    def list_documents(self, category: str) -> list[DocumentRecord]:
        """A category's documents, oldest first."""
        found = self._records(f"category_key = '{self._key(category)}' AND position = 0")
        return sorted(found, key=lambda record: (record.added_at, record.name, record.id))

    def stored_bytes(self) -> int:
        """Size of all documents of the owner."""
        owned = "IS NULL" if self._owner_key is None else f"= '{self._owner_key}'"
        return sum(record.bytes for record in self._records(f"owner_key {owned} AND position = 0"))

    def retire(self, category: str, name: str, *, keep: str) -> None:
        """Remove all documents of a name except the one of the id `keep`; "" is no name.

        Raises:
            Overloaded: the store does not answer.
        """
        if older := [one.id for one in self._namesakes(category, name) if one.id != keep]:
            self._commit(lambda: self._table.delete(_any_of(older)))

    def delete_document(self, category: str, document: str) -> bool:
        """Remove a document by its id; False if the category has none with that id."""
        # The id comes from outside: it is compared here, never spliced into a filter.
        if document not in {record.id for record in self.list_documents(category)}:
            return False
        self._commit(lambda: self._table.delete(f"document_id = '{document}'"))
        return True

    def search(
        self,
        category: str,
        query: str,
        vector: NDArray[np.float32] | None,
        k: int = 8,
        similarity_range: tuple[float, float] = (0.1, 0.7),
    ) -> list[Passage]:
        """The best passages of a category, by meaning and by words.

        Args:
            category: only its chunks are searched.
            query: the question.
            vector: of the question, float32 (dimension,); `None` if the model cannot read it: then only words count.
            k: at most this many.
            similarity_range: the model's cosine of unrelated texts, and of question and answer.

        Returns:
            Best first, scores falling; see `pipelines.knowledge.index.ranking` for what they mean.

        Raises:
            Overloaded: the store does not answer.
        """
        where = f"category_key = '{self._key(category)}'"
        # Words that only ask count if the question has no others.
        terms = list(dict.fromkeys(query_terms(query) or document_terms(query)))[:_MAX_TERMS]
        found: dict[tuple[str, int], Candidate] = {}
        if terms:
            for row in self._by_words(terms, where):
                found[row["document_id"], row["position"]] = _candidate(row, row["_score"])
        if vector is not None:
            for row in self._by_meaning(vector, where):
                found.setdefault((row["document_id"], row["position"]), _candidate(row, 0.0))
        ranked = rank(list(found.values()), terms, vector, similarity_range)[:k]
        return [Passage(one.row["document"], one.row["page"], one.row["text"], score) for one, score in ranked]

    def maintain(self) -> None:
        """Merge small files, add new rows to the indexes, drop what deleted documents left.

        Call it now and then in the background: without it, searches become slower with each document. Others may read
        and write meanwhile; if it collides with a writer, it gives up until the next call.

        Raises:
            Overloaded: it gave up.
        """
        try:
            self._table.optimize(cleanup_older_than=_KEPT_VERSIONS)
            self._index_vectors()
        except FAILURES as error:
            raise Overloaded("The knowledge base is busy; its maintenance is postponed.") from error

    def _index_vectors(self) -> None:
        from lancedb.index import IvfFlat

        if "vector" not in indexed_columns(self._table) and self._table.count_rows() >= MIN_INDEXED:
            self._table.create_index("vector", config=IvfFlat(distance_type="cosine"))

    def _by_words(self, terms: list[str], where: str) -> list[dict[str, Any]]:
        from lancedb.query import MatchQuery

        query = self._table.search(MatchQuery(" ".join(terms), "terms"))  # type: ignore[call-arg]
        return _read(query.where(where, prefilter=True))

    def _by_meaning(self, vector: NDArray[np.float32], where: str) -> list[dict[str, Any]]:
        query = self._table.search(vector).distance_type("cosine").where(where, prefilter=True)
        if self._table.count_rows(where) < MIN_INDEXED:
            # The nearest cells of the whole table may hold no chunk of a small category.
            query = query.bypass_vector_index()
        return _read(query)

    @cached_property
    def _owner_key(self) -> str | None:
        return None if self._owner == DEFAULT_OWNER else _hexadecimal(self._owner)

    def _key(self, category: str) -> str:
        """A category of the owner as filters see it: hexadecimal, whatever its name."""
        return _hexadecimal(category) if self._owner == DEFAULT_OWNER else _hexadecimal(self._owner, category)

    def _document_id(self, category: str, sha256: str) -> str:
        """The id of a file in a category: 32 hexadecimal digits."""
        return hashlib.sha256(f"{self._key(category)}:{sha256}".encode()).hexdigest()[:32]

    def _namesakes(self, category: str, name: str) -> list[DocumentRecord]:
        """The documents of that name; it comes from outside, and is compared here, never spliced into a filter."""
        return [one for one in self.list_documents(category) if one.name == name]

    def _records(self, where: str) -> list[DocumentRecord]:
        with answering():
            rows = self._table.search().where(where).select(_RECORD_COLUMNS).to_list()
        for row in rows:
            row["not_read"] = tuple((row["not_read"] or "").splitlines())
        return [DocumentRecord(id=row.pop("document_id"), name=row.pop("document"), **row) for row in rows]

    def _commit(self, action: Callable[[], object]) -> None:
        try:
            insist(action)
        except FAILURES as error:
            if not is_remote(self._url) and shutil.disk_usage(self._url).free < _MIN_FREE_BYTES:
                raise StorageFull("The knowledge base has no space left.") from error
            raise Overloaded("Too many documents are being added at once; try again.") from error


def _any_of(ids: Sequence[str]) -> str:
    """The filter for documents by their ids, which are hexadecimal."""
    listed = ", ".join(f"'{id}'" for id in ids)
    return f"document_id IN ({listed})"


def _hexadecimal(*parts: str) -> str:
    """Texts as filters see them. No other texts give the same: the byte between them is in no UTF-8."""
    return hashlib.sha256(b"\xff".join(part.encode() for part in parts)).hexdigest()


def _rows(
    schema: Any,
    document: DocumentRecord,
    keys: Mapping[str, str | None],
    chunks: Sequence[Chunk],
    vectors: NDArray[np.float32],
) -> Any:
    import pyarrow as pa

    same = {
        **keys,
        "document_id": document.id,
        "category": document.category,
        "document": document.name,
        "pages": document.pages,
        "passages": document.passages,
        "bytes": document.bytes,
        "added_at": document.added_at,
        "not_read": "\n".join(document.not_read),
    }
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1))
    columns = {name: [value] * len(chunks) for name, value in same.items()} | {
        "position": [chunk.position for chunk in chunks],
        "page": [chunk.page for chunk in chunks],
        "text": [chunk.text for chunk in chunks],
        "terms": [indexed_terms(chunk.text) for chunk in chunks],
        "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
    }
    return pa.table(columns, schema=schema)


def _read(query: Any) -> list[dict[str, Any]]:
    with answering():
        table = query.limit(_MAX_CANDIDATES).to_arrow()
    column = table["vector"].combine_chunks()
    vectors = column.flatten().to_numpy().reshape(-1, column.type.list_size)
    rows: list[dict[str, Any]] = table.drop_columns(["vector"]).to_pylist()
    return [row | {"vector": vector} for row, vector in zip(rows, vectors, strict=True)]


def _candidate(row: dict[str, Any], bm25: float) -> Candidate:
    return Candidate(row, frozenset(row["terms"].split(" ")), row["vector"], bm25)
