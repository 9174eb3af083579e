"""Embed and index all documents of a knowledge base again: for another embedding model, or another release's index.

    python -m pipelines.knowledge.reembed serve_config.yaml .data/knowledge

The documents' text is in the table, so none has to be uploaded again; vectors of the configured model are kept. Stop
the service first: a document that is added meanwhile makes this give up. Everything is replaced by one commit; whatever
happens before it, the knowledge base is as it was.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import NotFound, Overloaded, SensoriumError
from pipelines.contracts.progress import Progress, no_progress
from pipelines.knowledge.base import Embedder
from pipelines.knowledge.index.store import KnowledgeStore
from pipelines.knowledge.index.table import TABLE, answering, complete, connect, indexed_terms, made_with, table_schema
from pipelines.loading.lock import LOCK_NAME, use_lock

_BATCH_SIZE = 128


def reembed(url: str, embedder: Embedder, model: str, *, progress: Progress = no_progress) -> int:
    """Replace the vectors and terms of all chunks.

    Args:
        url: of the knowledge base, a folder or "s3://bucket/prefix".
        embedder, model: what makes the vectors, and its name, which is kept with them.
        progress: called between batches.

    Returns:
        How many chunks there are.

    Raises:
        NotFound: no knowledge base is there.
        Overloaded: it was changed meanwhile, and is as whoever changed it left it; or its place does not answer.
        Cancelled: `progress` said so; nothing has changed.
    """
    import pyarrow as pa

    with answering():
        database = connect(url)
        if TABLE not in database.table_names():
            raise NotFound("There is no knowledge base at that place.")
        table = complete(database.open_table(TABLE))
        version, total = table.version, int(table.count_rows())
    schema = table_schema(model, embedder.dimension)
    keep_vectors = made_with(table)[:2] == (model, embedder.dimension)
    with tempfile.NamedTemporaryFile() as rows:
        with pa.ipc.new_stream(rows, schema) as writer:
            for done, batch in _batches(table, schema, keep_vectors=keep_vectors):
                progress(done / total, "embedding")
                writer.write_batch(_indexed(batch, schema, embedder))
        rows.flush()
        progress(1.0, "storing")
        with answering(), pa.memory_map(rows.name) as file:
            if table.version != version:
                raise Overloaded("Documents were added or removed meanwhile: stop the service and run this again.")
            database.create_table(TABLE, data=pa.ipc.open_stream(file), schema=schema, mode="overwrite")
    # Opening it builds the indexes of terms and keys.
    KnowledgeStore.open(url, model=model, dimension=embedder.dimension)
    return total


def _batches(table: Any, schema: Any, *, keep_vectors: bool) -> Iterator[tuple[int, Any]]:
    """The rows without what is replaced, each batch with the number of rows before it."""
    done = 0
    replaced = {"terms"} if keep_vectors else {"terms", "vector"}
    with answering():
        reader = table.search().select([name for name in schema.names if name not in replaced]).to_batches(_BATCH_SIZE)
    while True:
        with answering():
            batch = next(reader, None)
        if batch is None:
            return
        yield done, batch
        done += batch.num_rows


def _indexed(batch: Any, schema: Any, embedder: Embedder) -> Any:
    """The batch with terms, and with vectors unless it has some."""
    import pyarrow as pa

    texts = batch["text"].to_pylist()
    columns = {name: batch[name] for name in batch.schema.names} | {"terms": pa.array(map(indexed_terms, texts))}
    if "vector" not in columns:
        vectors = np.ascontiguousarray(embedder.embed(texts), np.float32)
        columns["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), embedder.dimension)
    return pa.record_batch([columns[name] for name in schema.names], schema=schema)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 0 once the knowledge base is of the configured model."""
    import yaml
    from pydantic import TypeAdapter

    from pipelines.knowledge import Config

    parser = argparse.ArgumentParser(prog="python -m pipelines.knowledge.reembed", description=__doc__.split("\n")[0])
    parser.add_argument("config", type=Path, help="serve configuration whose Knowledge block names the model")
    parser.add_argument("place", help="the knowledge base: a folder, or s3://bucket/prefix")
    arguments = parser.parse_args(argv)
    try:
        deployments = yaml.safe_load(arguments.config.read_text())["applications"][0]["deployments"]
        block = next(block for block in deployments if block["name"] == "Knowledge")
        config = TypeAdapter(Config).validate_python(block["user_config"])
    except (OSError, yaml.YAMLError, LookupError, TypeError, StopIteration, ValueError) as error:
        parser.error(f"{arguments.config} has no readable Knowledge block ({type(error).__name__})")
    use_lock(arguments.config.with_name(LOCK_NAME))
    try:
        count = reembed(arguments.place, config.load(Resources()), config.card().model, progress=_report)
    except SensoriumError as error:
        sys.stderr.write(f"\n{error.message}\n")
        return 1
    sys.stderr.write(f"\n{count} chunks are embedded by {config.card().model} and indexed.\n")
    return 0


def _report(fraction: float | None, stage: str, /) -> None:
    sys.stderr.write(f"\r{stage} {fraction or 0:.0%} ")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
