"""The record of all documents: passages, their vectors and words in one LanceDB table, a folder or a bucket.

A document is one commit: it is there whole or not at all, whatever dies at whatever instant. Its key is its category
and the hash of its bytes, so the same file again changes nothing, also when two processes bring it at the same time.
Every read looks at the newest version. In a category of less than `INDEXED_PASSAGES` all vectors are compared; in a
larger one an index, which `maintain` builds, finds the nearest cells, and what was added since is compared one by one.

LanceDB: Apache-2.0.
"""

import hashlib
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipelines.contracts.errors import ModelUnavailable, Overloaded, StorageFull
from pipelines.knowledge.index.conditional_put import probe_conditional_put
from pipelines.knowledge.index.ranking import Candidate, rank
from pipelines.knowledge.parsing.passages import Piece
from pipelines.text.terms import VERSION as TERMS_VERSION
from pipelines.text.terms import document_terms, query_terms

_T = TypeVar("_T")
TABLE = "passages"
_CANDIDATES = 50
_MAX_TERMS = 64
_ATTEMPTS = 6
INDEXED_PASSAGES = 20_000
_KEPT_VERSIONS = timedelta(hours=1)
_LITTLE_SPACE_BYTES = 64 << 20
_RECORD_COLUMNS = ["document_id", "document", "pages", "passages", "bytes", "added_at"]
# Without this mark, two inserts of one key at the same instant both succeed. (The key is a document's, not a row's:
# Lance only compares what two commits insert.)
_INSERTED_ONCE = {"lance-schema:unenforced-primary-key": "true"}
# LanceDB raises nothing else, and no type that would tell a lost race from a full disk.
_FAILURES = (OSError, RuntimeError, ValueError)


@dataclass(frozen=True)
class DocumentRecord:
    """One document of a category; `added_at` is in seconds since 1970, `pages` is 1 where the format has none."""

    id: str
    name: str
    category: str
    pages: int
    passages: int
    bytes: int
    added_at: int


@dataclass(frozen=True)
class Hit:
    """A passage that was found; `score` is 0 to 1, `page` None where the format has no pages."""

    document_id: str
    document: str
    page: int | None
    position: int
    text: str
    score: float


class KnowledgeStore:
    """An open table. Any number of threads and processes may use it."""

    def __init__(self, table: Any, url: str) -> None:
        self._table = table
        self._url = url

    @classmethod
    def open(cls, url: str, *, model: str, dimension: int, storage_options: Mapping[str, str] | None = None) -> Self:
        """Open the store, or make it where there is none.

        Args:
            url: a folder, or "s3://bucket/prefix".
            model: what makes the vectors; kept with them.
            dimension: of the vectors.
            storage_options: for a bucket, as LanceDB takes them; what is missing comes from the environment (`AWS_…`)
                or from a role, by AWS's default chain.

        Raises:
            ModelUnavailable: made for another model, unreachable, or on a server on which documents could be lost.
        """
        try:
            database = connect(url, storage_options)
            table = _insist(lambda: _open_table(database, model, dimension))
        except _FAILURES as error:
            raise ModelUnavailable(
                "The knowledge base cannot be opened: its folder or bucket does not answer."
            ) from error
        _check_made_for(table, model, dimension)
        return cls(table, url)

    def add(
        self,
        category: str,
        name: str,
        sha256: str,
        pieces: Sequence[Piece],
        vectors: NDArray[np.float32],
        *,
        pages: int,
        size_bytes: int,
    ) -> DocumentRecord:
        """Add a document, durably; one that is there already stays as it is.

        Args:
            category: any text.
            name: what its owner calls it.
            sha256: of its bytes, in hexadecimal.
            pieces: its passages, at least one.
            vectors: float32 (passages, dimension).
            pages: how many it has.
            size_bytes: how large it is.

        Raises:
            Overloaded: too many writers at once, or the store does not answer.
            StorageFull: no space is left.
        """
        record = DocumentRecord(
            id=document_id(category, sha256),
            name=name,
            category=category,
            pages=pages,
            passages=len(pieces),
            bytes=size_bytes,
            added_at=int(time.time()),
        )
        rows = _rows(self._table.schema, record, pieces, vectors)

        def insert() -> None:
            # All rows of a document have one key: either none of them is there, or all are. Without the index: a join
            # through it does not note which keys it inserts, and two inserts of one key would both be committed.
            insertion = self._table.merge_insert("document_id").use_index(False)
            insertion.when_not_matched_insert_all().execute(rows)

        self._commit(insert)
        return self.find(category, sha256) or record

    def find(self, category: str, sha256: str) -> DocumentRecord | None:
        """The record of a file in a category, None where it is not there."""
        found = self._records(f"document_id = '{document_id(category, sha256)}' AND position = 0")
        return found[0] if found else None

    def list_documents(self, category: str) -> list[DocumentRecord]:
        """A category's documents, oldest first."""
        found = self._records(f"category_key = '{_key(category)}' AND position = 0")
        return sorted(found, key=lambda record: (record.added_at, record.name, record.id))

    def delete_document(self, category: str, document: str) -> bool:
        """Remove a document by its id; False where the category has none by it."""
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
    ) -> list[Hit]:
        """The best passages of a category, by meaning and by words.

        Args:
            category: only its passages are looked at.
            query: the question.
            vector: of the question, float32 (dimension,); None where the model cannot read it: then words alone count.
            k: at most this many.
            similarity_range: the model's cosine of what is unrelated, and of question and answer.

        Returns:
            Best first, scores falling; see `pipelines.knowledge.index.ranking` for what they mean.

        Raises:
            Overloaded: the store does not answer.
        """
        where = f"category_key = '{_key(category)}'"
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
        return [
            Hit(row["document_id"], row["document"], row["page"], row["position"], row["text"], score)
            for row, score in ((candidate.row, score) for candidate, score in ranked)
        ]

    def maintain(self) -> None:
        """Merge small files, bring new rows into the indexes, drop what deleted documents held.

        To be called now and then in the background: without it, searches become slower with each document. Others may
        read and write meanwhile; where it collides with a writer, it gives way until the next time.

        Raises:
            Overloaded: it gave way.
        """
        try:
            self._table.optimize(cleanup_older_than=_KEPT_VERSIONS)
            self._index_vectors()
        except _FAILURES as error:
            raise Overloaded("The knowledge base is busy; it is tidied up later.") from error

    def _index_vectors(self) -> None:
        from lancedb.index import IvfFlat

        if "vector" not in _indexed(self._table) and self._table.count_rows() >= INDEXED_PASSAGES:
            self._table.create_index("vector", config=IvfFlat(distance_type="cosine"))

    def _by_words(self, terms: list[str], where: str) -> list[dict[str, Any]]:
        from lancedb.query import MatchQuery

        query = self._table.search(MatchQuery(" ".join(terms), "terms"))  # type: ignore[call-arg]
        return _read(query.where(where, prefilter=True))

    def _by_meaning(self, vector: NDArray[np.float32], where: str) -> list[dict[str, Any]]:
        query = self._table.search(vector).distance_type("cosine").where(where, prefilter=True)
        if self._table.count_rows(where) < INDEXED_PASSAGES:
            # The nearest cells of the whole table may hold none of a small category's passages.
            query = query.bypass_vector_index()
        return _read(query)

    def _records(self, where: str) -> list[DocumentRecord]:
        columns = [*_RECORD_COLUMNS, "category"]
        with answering():
            rows = self._table.search().where(where).select(columns).to_list()
        return [DocumentRecord(id=row.pop("document_id"), name=row.pop("document"), **row) for row in rows]

    def _commit(self, action: Callable[[], object]) -> None:
        try:
            _insist(action)
        except _FAILURES as error:
            if not _is_remote(self._url) and shutil.disk_usage(self._url).free < _LITTLE_SPACE_BYTES:
                raise StorageFull("The knowledge base has no space left.") from error
            raise Overloaded("Too many documents are being added at once; try again.") from error


def connect(url: str, storage_options: Mapping[str, str] | None = None) -> Any:
    """The LanceDB database at a place whose server keeps what it acknowledges.

    Raises:
        ModelUnavailable: it does not, or does not answer.
        OSError, RuntimeError, ValueError: LanceDB's, where a folder cannot be used.
    """
    import lancedb

    options = _with_http(storage_options or {}) if _is_remote(url) else {}
    if _is_remote(url):
        probe_conditional_put(url, options)
    return lancedb.connect(url, storage_options=options or None, read_consistency_interval=timedelta(0))


def _insist(action: Callable[[], _T]) -> _T:
    """Do it until nobody else is faster; doing it again after it was done must change nothing."""
    for attempt in range(_ATTEMPTS - 1):
        try:
            return action()
        except _FAILURES:
            time.sleep(random.uniform(0.05, 0.2) * 2**attempt)  # noqa: S311  (two writers must not wait alike)
    return action()


def document_id(category: str, sha256: str) -> str:
    """The id of a file in a category: 32 hexadecimal digits."""
    return hashlib.sha256(f"{_key(category)}:{sha256}".encode()).hexdigest()[:32]


def _key(category: str) -> str:
    """A category as filters see it: whatever it is called, it is hexadecimal there."""
    return hashlib.sha256(category.encode()).hexdigest()


def table_schema(model: str, dimension: int) -> Any:
    """The Arrow schema of the table."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("document_id", pa.string(), nullable=False, metadata=_INSERTED_ONCE),
            pa.field("category_key", pa.string(), nullable=False),
            pa.field("category", pa.string(), nullable=False),
            pa.field("document", pa.string(), nullable=False),
            pa.field("pages", pa.int32(), nullable=False),
            pa.field("passages", pa.int32(), nullable=False),
            pa.field("bytes", pa.int64(), nullable=False),
            pa.field("added_at", pa.int64(), nullable=False),
            pa.field("position", pa.int32(), nullable=False),
            pa.field("page", pa.int32()),
            pa.field("text", pa.string(), nullable=False),
            pa.field("terms", pa.string(), nullable=False),
            pa.field("vector", pa.list_(pa.float32(), dimension), nullable=False),
        ],
        metadata={"embedding_model": model, "terms_version": str(TERMS_VERSION)},
    )


def _open_table(database: Any, model: str, dimension: int) -> Any:
    from lancedb.index import FTS, BTree

    if TABLE in database.table_names():
        table = database.open_table(TABLE)
    else:
        schema = table_schema(model, dimension)
        table = database.create_table(TABLE, schema=schema, exist_ok=True)  # another process may be faster
    words = FTS(base_tokenizer="whitespace", lower_case=False, stem=False, remove_stop_words=False, ascii_folding=False)
    for column, index in (("terms", words), ("category_key", BTree()), ("document_id", BTree())):
        if column not in _indexed(table):
            table.create_index(column, config=index)
    return table


def _indexed(table: Any) -> set[str]:
    return {column for index in table.list_indices() for column in index.columns}


def _check_made_for(table: Any, model: str, dimension: int) -> None:
    made_for, terms_version = made_with(table)
    made_dimension = table.schema.field("vector").type.list_size
    command = "`python -m pipelines.knowledge.reembed CONFIG PLACE` (this configuration, the knowledge base's place)"
    if (made_for, made_dimension) != (model, dimension):
        raise ModelUnavailable(
            f"The knowledge base was made with {made_for} ({made_dimension} dimensions), but {model} ({dimension}) is "
            f"configured. Configure {made_for} again, or stop the service and embed all documents again: {command}."
        )
    if terms_version != TERMS_VERSION:
        raise ModelUnavailable(
            "The knowledge base's full-text index is of another release. Stop the service and index all documents "
            f"again: {command}."
        )


def indexed_terms(text: str) -> str:
    """The terms of a chunk as the table keeps them."""
    return " ".join(document_terms(text))


def made_with(table: Any) -> tuple[str, int]:
    """The embedding model of a table's vectors, and the version of its terms."""
    metadata = table.schema.metadata or {}
    return metadata.get(b"embedding_model", b"an unknown model").decode(), int(metadata.get(b"terms_version", b"1"))


def _rows(schema: Any, record: DocumentRecord, pieces: Sequence[Piece], vectors: NDArray[np.float32]) -> Any:
    import pyarrow as pa

    count = len(pieces)
    same = {
        "document_id": record.id,
        "category_key": _key(record.category),
        "category": record.category,
        "document": record.name,
        "pages": record.pages,
        "passages": count,
        "bytes": record.bytes,
        "added_at": record.added_at,
    }
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1))
    columns = {name: [value] * count for name, value in same.items()} | {
        "position": [piece.position for piece in pieces],
        "page": [piece.page for piece in pieces],
        "text": [piece.text for piece in pieces],
        "terms": [indexed_terms(piece.text) for piece in pieces],
        "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
    }
    return pa.table(columns, schema=schema)


def _read(query: Any) -> list[dict[str, Any]]:
    with answering():
        table = query.limit(_CANDIDATES).to_arrow()
    column = table["vector"].combine_chunks()
    vectors = column.flatten().to_numpy().reshape(-1, column.type.list_size)
    rows: list[dict[str, Any]] = table.drop_columns(["vector"]).to_pylist()
    return [row | {"vector": vector} for row, vector in zip(rows, vectors, strict=True)]


def _candidate(row: dict[str, Any], bm25: float) -> Candidate:
    return Candidate(row, frozenset(row["terms"].split(" ")), row["vector"], bm25)


def _is_remote(url: str) -> bool:
    return "://" in url


def _with_http(options: Mapping[str, str]) -> dict[str, str]:
    """The options, plain HTTP allowed where the endpoint says so."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    endpoint = options.get("aws_endpoint") or next(filter(None, map(os.environ.get, names)), "")
    found = {"aws_endpoint": endpoint} if endpoint else {}
    if endpoint.startswith("http://"):
        found["allow_http"] = "true"
    return found | dict(options)


@contextmanager
def answering() -> Iterator[None]:
    """LanceDB's failures within are told as `Overloaded`."""
    try:
        yield
    except _FAILURES as error:
        raise Overloaded("The knowledge base does not answer; try again.") from error
