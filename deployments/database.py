"""The SQL database that an installation shares: an SQLite file or a PostgreSQL server, chosen by the URL alone.

Tables, and columns that a later release added, are created at first use; nothing is ever changed or dropped, so that
two releases may use one database at the same time. Times are the database's own, in seconds since 1970.

SQLAlchemy: MIT; psycopg (PostgreSQL): LGPL-3.0.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Float, MetaData, create_engine, event, inspect, literal_column
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.schema import CreateColumn

from pipelines.contracts.errors import Overloaded, StorageFull

_NOW = {
    "sqlite": literal_column("((julianday('now') - 2440587.5) * 86400.0)", Float),
    "postgresql": literal_column("extract(epoch from clock_timestamp())::float8", Float),
}
_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class Database:
    """Safe for any number of threads and processes. Connects at first use.

    Attributes:
        now: the database's clock, as an SQL expression.
        insert: SQLAlchemy's `insert` of this dialect, which has `on_conflict_do_…`.
    """

    def __init__(self, url: str, metadata: MetaData) -> None:
        self._url = make_url(url)
        self._metadata = metadata
        self.now = _NOW[self._url.get_backend_name()]
        self.insert = _INSERT[self._url.get_backend_name()]

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection whose work is committed at the end, or undone by an exception.

        Raises:
            Overloaded: the database does not respond.
            StorageFull: it has no space left.
        """
        try:
            with self._engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except (DBAPIError, OSError) as error:
            if isinstance(error, DBAPIError) and getattr(error.orig, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
                raise StorageFull("The job database is full.") from error
            raise Overloaded("The job database does not respond; try again.") from error

    def close(self) -> None:
        """Close the idle connections; a later use opens new ones."""
        self._engine.dispose()

    @cached_property
    def _engine(self) -> Engine:
        if self._url.get_backend_name() == "sqlite":
            Path(self._url.database or "").parent.mkdir(parents=True, exist_ok=True)
            engine = create_engine(self._url)
            event.listen(engine, "connect", _configure_sqlite)
        else:
            engine = create_engine(self._url, pool_pre_ping=True)
        try:
            _complete(engine, self._metadata)
        except DBAPIError:  # another process did so at the same instant
            _complete(engine, self._metadata)
        return engine


def _complete(engine: Engine, metadata: MetaData) -> None:
    """Create the tables, columns and indexes that are missing."""
    metadata.create_all(engine)
    with engine.begin() as connection:
        existing = inspect(connection)
        for table in metadata.sorted_tables:
            present = {column["name"] for column in existing.get_columns(table.name)}
            for column in table.columns:
                if column.name not in present:
                    added = CreateColumn(column).compile(dialect=engine.dialect)
                    connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {added}")
            for index in table.indexes:
                index.create(connection, checkfirst=True)


def _configure_sqlite(connection: Any, _: Any) -> None:
    """Readers do not block the writer, every commit is on disk, and a lock of another process is waited for."""
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=15000"):
        connection.execute(f"PRAGMA {pragma}")
