"""The job queue: one SQL table, in an SQLite file or a PostgreSQL database, chosen by the URL alone.

A worker holds a job by a lease that it renews, and by a fencing token that counts how often the job was claimed. It
writes only if the token is still its own and the job has not ended: a worker that is late, because its lease ran out or
the job was cancelled, changes nothing. Times are the database's own, in seconds since 1970.

It is our own because no maintained library does this on SQLite and PostgreSQL alike, with fencing: Procrastinate needs
PostgreSQL; Celery, Dramatiq and Ray Serve's task consumers (alpha) need a message broker beside the database.

SQLAlchemy: MIT; psycopg (PostgreSQL): LGPL-3.0.
"""

import secrets
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError

from pipelines.contracts.errors import InvalidInput, NotFound, Overloaded, StorageFull


class TooManyJobs(Overloaded):
    """The queue of jobs is full."""

    code = "too_many_jobs"


JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
LIVE = ("queued", "running")

_metadata = MetaData()
_jobs = Table(
    "jobs",
    _metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(40), nullable=False, unique=True),
    Column("operation", String(64), nullable=False),
    Column("arguments", Text, nullable=False),
    Column("input", String(128)),
    Column("idempotency_key", String(255)),
    Column("fingerprint", String(64), nullable=False),
    Column("state", String(16), nullable=False, default="queued"),
    Column("progress", Float, nullable=False, default=0.0),
    Column("stage", String(255)),
    Column("engine", String(64)),
    Column("model", String(255)),
    Column("attempts", Integer, nullable=False, default=0),
    Column("token", Integer, nullable=False, default=0),
    Column("lease_until", Float),
    Column("not_before", Float, nullable=False, default=0.0),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("result", Text),
    Column("error_code", String(64)),
    Column("error_message", Text),
    UniqueConstraint("operation", "idempotency_key"),
    Index("jobs_by_state", "state", "number"),
)
_NOW = {
    "sqlite": literal_column("((julianday('now') - 2440587.5) * 86400.0)", Float),
    "postgresql": literal_column("extract(epoch from clock_timestamp())::float8", Float),
}


@dataclass(frozen=True)
class Job:
    """One row.

    Attributes:
        number: increases with every job.
        operation: a key of `deployments.jobs.operations.OPERATIONS`.
        arguments: of the operation, as JSON.
        input: keys of its uploads, separated by spaces; None if it has none or they were deleted.
        fingerprint: hash of the request, which tells a repetition from another request under the same key.
        progress: 0 to 1; never falls.
        attempts: how often an engine began it.
        token: how often it was claimed.
        result: the capability's result, as JSON.
    """

    number: int
    id: str
    operation: str
    arguments: str
    input: str | None
    idempotency_key: str | None
    fingerprint: str
    state: JobState
    progress: float
    stage: str | None
    engine: str | None
    model: str | None
    attempts: int
    token: int
    lease_until: float | None
    not_before: float
    created_at: float
    started_at: float | None
    ended_at: float | None
    result: str | None
    error_code: str | None
    error_message: str | None


_COLUMNS = [_jobs.c[field.name] for field in fields(Job)]


class JobTable:
    """Safe for any number of threads and processes. Connects at first use and creates the table if it does not exist.

    Every method raises `Overloaded` if the database does not respond.
    """

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._now = _NOW[self._url.get_backend_name()]

    @cached_property
    def _engine(self) -> Engine:
        if self._url.get_backend_name() == "sqlite":
            Path(self._url.database or "").parent.mkdir(parents=True, exist_ok=True)
            engine = create_engine(self._url)
            event.listen(engine, "connect", _configure_sqlite)
        else:
            engine = create_engine(self._url, pool_pre_ping=True)
        try:
            _metadata.create_all(engine)
        except DBAPIError:  # another process created it at the same instant
            _metadata.create_all(engine)
        return engine

    def close(self) -> None:
        """Close the idle connections; a later use opens new ones."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except (DBAPIError, OSError) as error:
            if isinstance(error, DBAPIError) and getattr(error.orig, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
                raise StorageFull("The job database is full.") from error
            raise Overloaded("The job database does not respond; try again.") from error

    def submit(
        self,
        operation: str,
        arguments: str,
        *,
        input: str | None,
        fingerprint: str,
        idempotency_key: str | None,
        max_queued: int,
    ) -> tuple[Job, bool]:
        """Add a job, or find the one that was submitted under this key.

        Returns:
            The job, and whether it is new.

        Raises:
            TooManyJobs: `max_queued` jobs are waiting.
            InvalidInput: the key was used for another request.
        """
        if (known := self._submitted(operation, idempotency_key, fingerprint)) is not None:
            return known, False
        values = {
            "id": f"job_{secrets.token_hex(12)}",
            "operation": operation,
            "arguments": arguments,
            "input": input,
            "idempotency_key": idempotency_key,
            "fingerprint": fingerprint,
            "created_at": self._now,
        }
        try:
            return self._insert(values, max_queued), True
        except IntegrityError:  # the same key was submitted at the same time
            known = self._submitted(operation, idempotency_key, fingerprint)
            if known is None:
                raise
            return known, False

    def _insert(self, values: dict[str, Any], max_queued: int) -> Job:
        with self._transaction() as connection:
            waiting = connection.scalar(select(func.count()).where(_jobs.c.state == "queued")) or 0
            if waiting >= max_queued:
                raise TooManyJobs(f"{waiting:,} jobs are already waiting; try again later.", 30)
            return _job(connection.execute(insert(_jobs).values(values).returning(*_COLUMNS)).one())

    def _submitted(self, operation: str, idempotency_key: str | None, fingerprint: str) -> Job | None:
        if idempotency_key is None:
            return None
        same = (_jobs.c.operation == operation) & (_jobs.c.idempotency_key == idempotency_key)
        with self._transaction() as connection:
            row = connection.execute(select(*_COLUMNS).where(same)).one_or_none()
        if row is None:
            return None
        if row.fingerprint != fingerprint:
            raise InvalidInput("This Idempotency-Key was used for another request.", "Idempotency-Key")
        return _job(row)

    def get(self, job_id: str) -> Job:
        """One job.

        Raises:
            NotFound: no job has this id.
        """
        with self._transaction() as connection:
            row = connection.execute(select(*_COLUMNS).where(_jobs.c.id == job_id)).one_or_none()
        if row is None:
            raise NotFound("There is no such job, or it has expired.")
        return _job(row)

    def find(self, job_ids: Collection[str]) -> dict[str, Job]:
        """The jobs with these ids, by id; those that do not exist are left out."""
        with self._transaction() as connection:
            rows = connection.execute(select(*_COLUMNS).where(_jobs.c.id.in_(job_ids)))
            return {row.id: _job(row) for row in rows}

    def list_recent(self, limit: int, after: str | None, ended_since: float) -> list[Job]:
        """Jobs, newest first: those older than the job `after`, without those that ended before `ended_since`."""
        query = select(*_COLUMNS).where(or_(_jobs.c.ended_at.is_(None), _jobs.c.ended_at >= ended_since))
        if after is not None:
            query = query.where(_jobs.c.number < self.get(after).number)
        with self._transaction() as connection:
            return [_job(row) for row in connection.execute(query.order_by(_jobs.c.number.desc()).limit(limit))]

    def cancel(self, job_id: str) -> Job:
        """Cancel a job; one that has ended stays as it is."""
        with self._transaction() as connection:
            cancelled = update(_jobs).where(_jobs.c.id == job_id, _jobs.c.state.in_(LIVE))
            connection.execute(cancelled.values(state="cancelled", ended_at=self._now, lease_until=None, stage=None))
        return self.get(job_id)

    def claim(self, operations: Sequence[str], lease_s: float) -> Job | None:
        """Lease the oldest free job of these operations for `lease_s`; None if there is none."""
        free = or_(_jobs.c.lease_until.is_(None), _jobs.c.lease_until < self._now)
        oldest = (
            select(_jobs.c.number)
            .where(_jobs.c.state.in_(LIVE), _jobs.c.operation.in_(operations), _jobs.c.not_before <= self._now, free)
            .order_by(_jobs.c.number)
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        claimed = (
            update(_jobs)
            .where(_jobs.c.number == oldest, free)
            .values(token=_jobs.c.token + 1, lease_until=self._now + lease_s)
        )
        with self._transaction() as connection:
            row = connection.execute(claimed.returning(*_COLUMNS)).one_or_none()
        return None if row is None else _job(row)

    def mark_running(self, job: Job, engine: str, model: str) -> bool:
        """Record that an engine has begun the job. False if this worker has lost the lease."""
        return self._write(
            job,
            state="running",
            attempts=_jobs.c.attempts + 1,
            engine=engine,
            model=model,
            started_at=func.coalesce(_jobs.c.started_at, self._now),
        )

    def renew(self, job: Job, lease_s: float, progress: float, stage: str | None) -> bool:
        """Extend the lease by `lease_s` from now and record the progress. False if this worker has lost the lease."""
        return self._write(job, lease_until=self._now + lease_s, progress=progress, stage=stage)

    def requeue(self, job: Job, delay_s: float) -> bool:
        """Free the job, to be claimed in `delay_s` at the earliest. False if this worker has lost the lease."""
        return self._write(job, state="queued", lease_until=None, not_before=self._now + delay_s, stage=None)

    def succeed(self, job: Job, result: str) -> bool:
        """Record the result. False, and no change, if this worker has lost the lease."""
        return self._end(job, state="succeeded", progress=1.0, result=result)

    def fail(self, job: Job, code: str, message: str) -> bool:
        """Record the error. False, and no change, if this worker has lost the lease."""
        return self._end(job, state="failed", error_code=code, error_message=message)

    def _end(self, job: Job, **values: Any) -> bool:
        return self._write(job, ended_at=self._now, lease_until=None, stage=None, **values)

    def _write(self, job: Job, **values: Any) -> bool:
        own = (_jobs.c.number == job.number) & (_jobs.c.token == job.token) & _jobs.c.state.in_(LIVE)
        with self._transaction() as connection:
            return connection.execute(update(_jobs).where(own).values(**values)).rowcount == 1

    def lost_leases(self, tokens: Mapping[int, int]) -> set[int]:
        """Which of a worker's jobs, number to token, it no longer holds."""
        if not tokens:
            return set()
        query = select(_jobs.c.number, _jobs.c.token).where(_jobs.c.number.in_(tokens), _jobs.c.state.in_(LIVE))
        with self._transaction() as connection:
            own = {row.number for row in connection.execute(query) if row.token == tokens[row.number]}
        return set(tokens) - own

    def inputs_in_use(self) -> set[str]:
        """Keys of the uploads that unfinished jobs need."""
        query = select(_jobs.c.input).where(_jobs.c.state.in_(LIVE), _jobs.c.input.is_not(None))
        with self._transaction() as connection:
            return {key for row in connection.execute(query) for key in str(row.input).split()}

    def leftovers(self) -> list[tuple[int, list[str]]]:
        """Number and uploads of ended jobs whose uploads still exist."""
        query = select(_jobs.c.number, _jobs.c.input).where(_jobs.c.state.not_in(LIVE), _jobs.c.input.is_not(None))
        with self._transaction() as connection:
            return [(row.number, row.input.split()) for row in connection.execute(query.limit(100))]

    def forget_input(self, number: int) -> None:
        """Record that the uploads of an ended job were deleted."""
        with self._transaction() as connection:
            connection.execute(update(_jobs).where(_jobs.c.number == number).values(input=None))

    def expire(self, kept_s: float) -> int:
        """Remove jobs that ended more than `kept_s` ago and whose uploads are deleted; returns how many."""
        old = (_jobs.c.ended_at < self._now - kept_s) & _jobs.c.input.is_(None)
        with self._transaction() as connection:
            return connection.execute(_jobs.delete().where(old)).rowcount


def _job(row: Any) -> Job:
    return Job(**row._mapping)


def _configure_sqlite(connection: Any, _: Any) -> None:
    """Readers do not block the writer, every commit is on disk, and a lock of another process is waited for."""
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=15000"):
        connection.execute(f"PRAGMA {pragma}")
