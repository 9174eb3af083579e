"""The LanceDB table of all chunks (Apache-2.0): its schema, the models that it belongs to, and opening it.

The table and its column of chunk counts are called `passages` on disk, as in the first release.
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from pipelines.contracts.errors import ModelUnavailable, Overloaded
from pipelines.knowledge.index.conditional_put import probe_conditional_put
from pipelines.text.terms import VERSION as TERMS_VERSION
from pipelines.text.terms import document_terms

_T = TypeVar("_T")
TABLE = "passages"
_MAX_ATTEMPTS = 6
# Without this mark, two inserts of one key at the same instant both succeed. (The key is a document's, not a row's:
# Lance only compares what two commits insert.)
_INSERTED_ONCE = {"lance-schema:unenforced-primary-key": "true"}
FAILURES = (OSError, RuntimeError, ValueError)
"""What LanceDB raises; no type of its own distinguishes a lost race from a full disk."""


def connect(url: str) -> Any:
    """Connect to the LanceDB database in a folder, or in a bucket whose server keeps what it acknowledges.

    Raises:
        ModelUnavailable: the server does not keep it, or does not answer.
        OSError, RuntimeError, ValueError: LanceDB's, if a folder cannot be used.
    """
    import lancedb

    options: dict[str, str] = {}
    if is_remote(url):
        names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
        endpoint = next(filter(None, map(os.environ.get, names)), None)
        probe_conditional_put(url, endpoint)
        if endpoint:
            options = {"aws_endpoint": endpoint, "allow_http": str(endpoint.startswith("http://")).lower()}
    return lancedb.connect(url, storage_options=options or None, read_consistency_interval=timedelta(0))


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
            pa.field("not_read", pa.string()),
            pa.field("owner_key", pa.string()),
            pa.field("position", pa.int32(), nullable=False),
            pa.field("page", pa.int32()),
            pa.field("text", pa.string(), nullable=False),
            pa.field("terms", pa.string(), nullable=False),
            pa.field("vector", pa.list_(pa.float32(), dimension), nullable=False),
        ],
        metadata={"embedding_model": model, "terms_version": str(TERMS_VERSION)},
    )


def open_table(database: Any, model: str, dimension: int) -> Any:
    """Open the table, or create it if there is none; its indexes of terms and keys exist afterward."""
    from lancedb.index import FTS, BTree

    if TABLE in database.table_names():
        table = complete(database.open_table(TABLE))
    else:
        schema = table_schema(model, dimension)
        table = database.create_table(TABLE, schema=schema, exist_ok=True)  # another process may be faster
    words = FTS(base_tokenizer="whitespace", lower_case=False, stem=False, remove_stop_words=False, ascii_folding=False)
    for column, index in (("terms", words), ("category_key", BTree()), ("document_id", BTree())):
        if column not in indexed_columns(table):
            table.create_index(column, config=index)
    return table


def complete(table: Any) -> Any:
    """The table with the columns that earlier releases did not have."""
    for column in ("not_read", "owner_key"):
        if column not in table.schema.names:
            table.add_columns({column: "cast(null as string)"})
    return table


def indexed_columns(table: Any) -> set[str]:
    """The columns that have an index."""
    return {column for index in table.list_indices() for column in index.columns}


def indexed_terms(text: str) -> str:
    """The terms of a chunk as the table keeps them."""
    return " ".join(document_terms(text))


def made_with(table: Any) -> tuple[str, int, int]:
    """The embedding model of a table's vectors, their dimension, and the version of its terms."""
    metadata = table.schema.metadata or {}
    model = metadata.get(b"embedding_model", b"an unknown model").decode()
    return model, table.schema.field("vector").type.list_size, int(metadata.get(b"terms_version", b"1"))


def require_made_with(table: Any, model: str, dimension: int) -> None:
    """See that a table's vectors and terms can be compared with those of questions.

    Raises:
        ModelUnavailable: they are of another model or release; the message says how to replace them.
    """
    made_for, made_dimension, terms_version = made_with(table)
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


def insist(action: Callable[[], _T]) -> _T:
    """Repeat an action until no other process is faster; repeating it after it succeeded must change nothing."""
    for attempt in range(_MAX_ATTEMPTS - 1):
        try:
            return action()
        except FAILURES:
            time.sleep(random.uniform(0.05, 0.2) * 2**attempt)  # noqa: S311  (two writers must not wait alike)
    return action()


@contextmanager
def answering() -> Iterator[None]:
    """Report LanceDB's failures within as `Overloaded`."""
    try:
        yield
    except FAILURES as error:
        raise Overloaded("The knowledge base does not answer; try again.") from error


def is_remote(url: str) -> bool:
    """Whether the knowledge base is in a bucket."""
    return "://" in url
