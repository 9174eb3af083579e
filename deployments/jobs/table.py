"""The job queue: one SQL table, in an SQLite file or a PostgreSQL database, chosen by the URL alone.

A worker holds a job by a lease that it renews, and by a fencing token that counts how often the job was claimed. It
writes only if the token is still its own and the job has not ended: a worker that is late, because its lease ran out or
the job was cancelled, changes nothing. Principals take turns: the next job is of the one whose last was claimed longest
ago. Times are the database's own, in seconds since 1970.

It is our own because no maintained library does this on SQLite and PostgreSQL alike, with fencing: Procrastinate needs
PostgreSQL; Celery, Dramatiq and Ray Serve's task consumers (alpha) need a message broker beside the database.
"""

import hashlib
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from sqlalchemy import (
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from deployments.database import Database
from deployments.principals.principal import DEFAULT
from pipelines.contracts.errors import InvalidInput, NotFound, Overloaded


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
    Column("principal", String(255), nullable=False, server_default=DEFAULT),
    Column("claimed_at", Float),
    UniqueConstraint("operation", "idempotency_key"),
    Index("jobs_by_state", "state", "number"),
    Index("jobs_by_principal", "principal", "claimed_at"),
)


@dataclass(frozen=True)
class Job:
    """One row.

    Attributes:
        number: increases with every job.
        operation: a key of `deployments.jobs.operations.OPERATIONS`.
        arguments: of the operation, as JSON.
        input: keys of its uploads, separated by spaces; None if it has none or they were deleted.
        idempotency_key: as it is stored; unique to its principal.
        fingerprint: hash of the request, which tells a repetition from another request under the same key.
        progress: 0 to 1; never falls.
        attempts: how often an engine began it.
        token: how often it was claimed.
        result: the capability's result, as JSON.
        principal: the name of whom it belongs to.
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
    principal: str


_COLUMNS = [_jobs.c[field.name] for field in fields(Job)]


class JobTable:
    """Safe for any number of threads and processes. Connects at first use and creates the table if it does not exist.

    Every method raises `Overloaded` if the database does not respond.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url, _metadata)
        self._now = self._database.now
        self._transaction = self._database.transaction
        self.close = self._database.close

    def submit(
        self,
        operation: str,
        arguments: str,
        *,
        input: str | None,
        fingerprint: str,
        idempotency_key: str | None,
        max_queued: int,
        principal: str = DEFAULT,
        max_own: int | None = None,
    ) -> tuple[Job, bool]:
        """Add a job, or find the one that its principal submitted under this key.

        Args:
            operation: a key of `deployments.jobs.operations.OPERATIONS`.
            arguments: of the operation, as JSON.
            input: keys of its uploads.
            fingerprint: hash of the request.
            idempotency_key: as the client sent it.
            max_queued: how many may wait in all.
            principal: whom it belongs to.
            max_own: how many of its principal's may wait; None for any number.

        Returns:
            The job, and whether it is new.

        Raises:
            TooManyJobs: `max_queued` jobs are waiting, or `max_own` of the principal's.
            InvalidInput: the key was used for another request.
        """
        idempotency_key = _own_key(principal, idempotency_key)
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
            "principal": principal,
        }
        try:
            return self._insert(values, max_queued, max_own), True
        except IntegrityError:  # the same key was submitted at the same time
            known = self._submitted(operation, idempotency_key, fingerprint)
            if known is None:
                raise
            return known, False

    def _insert(self, values: dict[str, Any], max_queued: int, max_own: int | None) -> Job:
        with self._transaction() as connection:
            _check_room(connection, max_queued)
            if max_own is not None:
                _check_room(connection, max_own, values["principal"])
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

    def get(self, job_id: str, principal: str = DEFAULT) -> Job:
        """One job of a principal.

        Raises:
            NotFound: the principal has no job with this id.
        """
        own = (_jobs.c.id == job_id) & (_jobs.c.principal == principal)
        with self._transaction() as connection:
            row = connection.execute(select(*_COLUMNS).where(own)).one_or_none()
        if row is None:
            raise NotFound("There is no such job, or it has expired.")
        return _job(row)

    def find(self, job_ids: Collection[str]) -> dict[str, Job]:
        """The jobs with these ids, by id; those that do not exist are left out."""
        with self._transaction() as connection:
            rows = connection.execute(select(*_COLUMNS).where(_jobs.c.id.in_(job_ids)))
            return {row.id: _job(row) for row in rows}

    def list_recent(self, limit: int, after: str | None, ended_since: float, principal: str = DEFAULT) -> list[Job]:
        """A principal's jobs, newest first: those older than its job `after`, none that ended before `ended_since`.

        Raises:
            NotFound: the principal has no job `after`.
        """
        query = select(*_COLUMNS).where(
            _jobs.c.principal == principal, or_(_jobs.c.ended_at.is_(None), _jobs.c.ended_at >= ended_since)
        )
        if after is not None:
            query = query.where(_jobs.c.number < self.get(after, principal).number)
        with self._transaction() as connection:
            return [_job(row) for row in connection.execute(query.order_by(_jobs.c.number.desc()).limit(limit))]

    def cancel(self, job_id: str, principal: str = DEFAULT) -> Job:
        """Cancel a job of a principal; one that has ended stays as it is.

        Raises:
            NotFound: the principal has no job with this id.
        """
        own = (_jobs.c.id == job_id) & (_jobs.c.principal == principal)
        with self._transaction() as connection:
            cancelled = update(_jobs).where(own, _jobs.c.state.in_(LIVE))
            connection.execute(cancelled.values(state="cancelled", ended_at=self._now, lease_until=None, stage=None))
        return self.get(job_id, principal)

    def claim(self, operations: Sequence[str], lease_s: float) -> Job | None:
        """Lease a free job of these operations for `lease_s`; None if there is none.

        It is the oldest of the principal whose last claim is the longest ago.
        """
        free = or_(_jobs.c.lease_until.is_(None), _jobs.c.lease_until < self._now)
        turns = (
            select(_jobs.c.principal, func.max(_jobs.c.claimed_at).label("last")).group_by(_jobs.c.principal).subquery()
        )
        next_one = (
            select(_jobs.c.number)
            .join(turns, turns.c.principal == _jobs.c.principal)
            .where(_jobs.c.state.in_(LIVE), _jobs.c.operation.in_(operations), _jobs.c.not_before <= self._now, free)
            .order_by(func.coalesce(turns.c.last, 0.0), _jobs.c.number)
            .limit(1)
            .with_for_update(skip_locked=True, of=_jobs)
            .scalar_subquery()
        )
        claimed = (
            update(_jobs)
            .where(_jobs.c.number == next_one, free)
            .values(token=_jobs.c.token + 1, lease_until=self._now + lease_s, claimed_at=self._now)
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


def _check_room(connection: Connection, limit: int, principal: str | None = None) -> None:
    """See that fewer than `limit` jobs wait, of all or of one principal."""
    waiting = select(func.count()).where(_jobs.c.state == "queued")
    if principal is not None:
        waiting = waiting.where(_jobs.c.principal == principal)
    count = connection.scalar(waiting) or 0
    if count >= limit:
        whose = "" if principal is None else " of yours"
        raise TooManyJobs(f"{count:,} jobs{whose} are already waiting; try again later.", 30)


def _own_key(principal: str, idempotency_key: str | None) -> str | None:
    """The key as it is stored: no principal's meets another's, nor one that an earlier release stored.

    A line break is in no header, and 0xFF in no UTF-8.
    """
    if idempotency_key is None or principal == DEFAULT:
        return idempotency_key
    joined = principal.encode() + b"\xff" + idempotency_key.encode()
    return "\n" + hashlib.sha256(joined).hexdigest()


def _job(row: Any) -> Job:
    return Job(**row._mapping)
