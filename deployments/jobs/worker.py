"""Job worker: claims queued jobs and runs them on the capabilities.

Several replicas may share one table. A job is called like any client's call, by the capability's handle, so that
Serve's queues and autoscaling stay in charge; the worker only watches it and records its outcome.
"""

import asyncio
import json
import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from deployments.capabilities.protocol import ResultEvent, Update
from deployments.client.caller import Call, Caller
from deployments.client.errors import INTERNAL_ERROR, DeadlineExceeded
from deployments.client.handles import Handle, Handles
from deployments.jobs.operations import OPERATIONS, Operation, measured, static_results
from deployments.jobs.table import Job, JobTable
from deployments.principals.table import PrincipalTable
from deployments.principals.usage import Usage
from deployments.private import keep_private
from deployments.settings import Settings
from deployments.storage import ObjectStore
from pipelines.contracts.errors import ModelLoading, Overloaded, SensoriumError

_T = TypeVar("_T")
logger = logging.getLogger("ray.serve")

MAX_ACTIVE = 8
"""Jobs of one operation that a replica holds at once: enough for the capability's autoscaling to see work."""
MAX_ATTEMPTS = 4
FIRST_RETRY_S = 5
POLL_INTERVAL_S = 0.5
TIDY_INTERVAL_S = 5.0
LEASE_S = 12.0


class ActiveJob:
    """A job that this replica is working on."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.progress = job.progress
        self.stage: str | None = None
        self.running = False
        self.reported: tuple[float, str | None, float] = (job.progress, None, 0.0)
        self.task: asyncio.Task[None] | None = None

    def update(self, update: Update) -> None:
        """Take in the call's progress. A second attempt starts at zero, but what clients see never falls."""
        self.progress = max(self.progress, min(update.fraction or 0.0, 1.0))
        self.stage = update.stage


class Jobs:
    """Works off the table of jobs."""

    def __init__(self, settings: Settings, **handles: Handle) -> None:
        keep_private(settings.data_dir)
        self._settings = settings
        self._table = JobTable(settings.jobs_url)
        self._principals = PrincipalTable(settings.jobs_url)
        self._usage = Usage(self._principals)
        self._store = ObjectStore.open(settings.store_url, public_url=settings.public_url)
        self._caller = Caller(Handles(**handles), settings)
        self._active: dict[int, ActiveJob] = {}
        self._woken = asyncio.Event()
        loops = (
            self._claim_loop(),
            _every(POLL_INTERVAL_S, self._renew),
            _every(TIDY_INTERVAL_S, self._tidy),
            self._usage.flush_forever(),
        )
        self._loops = [asyncio.create_task(loop) for loop in loops]

    async def wake(self) -> None:
        """A job was submitted: claim it now, not at the next poll."""
        self._woken.set()

    def check_health(self) -> None:
        """Serve calls this periodically, and replaces a replica that raises."""
        if any(loop.done() for loop in self._loops):
            raise RuntimeError("a loop of the job worker has ended")

    async def _claim_loop(self) -> None:
        """Claim at every wake, and at every poll: for retries that are due and jobs whose worker died.

        The wake is cleared before the table is read, so that one which comes during the read is seen after it.
        """
        while True:
            self._woken.clear()
            await _logged(self._claim)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), POLL_INTERVAL_S)

    async def _claim(self) -> None:
        """Claim jobs until none is queued or there is no room for more."""
        while operations := self._with_room():
            job = await asyncio.to_thread(self._table.claim, operations, LEASE_S)
            if job is None:
                return
            active = self._active[job.number] = ActiveJob(job)
            active.task = asyncio.create_task(self._work(active))

    def _with_room(self) -> list[str]:
        counts = Counter(active.job.operation for active in self._active.values())
        return [name for name in OPERATIONS if counts[name] < MAX_ACTIVE]

    async def _renew(self) -> None:
        """Renew the leases, record progress, and stop jobs that were cancelled or whose lease was lost."""
        tokens = {number: active.job.token for number, active in self._active.items()}
        for number in await asyncio.to_thread(self._table.lost_leases, tokens):
            if (lost := self._active.get(number)) is not None and lost.task is not None:
                lost.task.cancel()
        now_s = asyncio.get_running_loop().time()
        for active in list(self._active.values()):
            *reported, reported_s = active.reported
            if [active.progress, active.stage] == reported and now_s - reported_s < LEASE_S / 4:
                continue
            active.reported = (active.progress, active.stage, now_s)
            await asyncio.to_thread(self._table.renew, active.job, LEASE_S, active.progress, active.stage)

    async def _tidy(self) -> None:
        """Delete the uploads of ended jobs, then the expired records."""
        for number, keys in await asyncio.to_thread(self._table.leftovers):
            for key in keys:
                await self._store.delete(key)
            await asyncio.to_thread(self._table.forget_input, number)
        await asyncio.to_thread(self._table.expire, self._settings.result_ttl_s)
        await asyncio.to_thread(self._principals.expire, self._settings.result_ttl_s)

    async def _work(self, active: ActiveJob) -> None:
        """One job from claim to outcome, or until its lease is lost."""
        job = active.job
        try:
            if job.attempts >= MAX_ATTEMPTS:
                message = f"The worker of this job was lost {job.attempts} times; it is not retried."
                await _insist(partial(self._table.fail, job, "worker_lost", message))
            else:
                await self._attempt(active)
        finally:
            del self._active[job.number]
            self._woken.set()

    async def _attempt(self, active: ActiveJob) -> None:
        job, table = active.job, self._table
        try:
            result = await self._call(active, OPERATIONS[job.operation])
        except (Overloaded, ModelLoading) as error:
            await self._retry(active, error)
        except SensoriumError as error:
            await _insist(partial(table.fail, job, error.code, error.message))
        except Exception as error:
            logger.error("job %s failed unexpectedly", job.id, exc_info=error)
            await _insist(partial(table.fail, job, *INTERNAL_ERROR))
        else:
            await _insist(partial(self._principals.keep_results, job.principal, static_results(result)))
            if await _insist(partial(table.succeed, job, json.dumps(result))):
                self._usage.add(job.principal, **measured(result))

    async def _retry(self, active: ActiveJob, error: Overloaded | ModelLoading) -> None:
        """Requeue the job; after `MAX_ATTEMPTS` that an engine began, fail it."""
        job = active.job
        attempts = job.attempts + active.running
        if active.running and attempts >= MAX_ATTEMPTS:
            await _insist(partial(self._table.fail, job, error.code, error.message))
            return
        delay_s = FIRST_RETRY_S * 2**attempts if active.running else getattr(error, "retry_after_s", FIRST_RETRY_S)
        logger.warning("job %s is requeued: %s", job.id, error.message)
        await _insist(partial(self._table.requeue, job, delay_s))

    async def _call(self, active: ActiveJob, operation: Operation) -> Any:
        """Call the capability; the deadline and the attempt count from when its engine has begun."""
        arguments = operation.arguments.validate_json(active.job.arguments)
        method = operation.method(self._caller.handles)
        try:
            async with asyncio.timeout(None) as limit:
                with await self._caller.call(method, *arguments, deadline_s=math.inf) as call:
                    async for event in call:
                        if not active.running:  # until now it waited in the capability's queue
                            active.running = await self._mark_running(active.job, call)
                            limit.reschedule(asyncio.get_running_loop().time() + operation.deadline_s(self._settings))
                        if isinstance(event, ResultEvent):
                            return event.result
                        active.update(event)
        except TimeoutError:
            raise DeadlineExceeded("The job took longer than its deadline.") from None
        raise RuntimeError("the stream of events ended without a result")

    async def _mark_running(self, job: Job, call: Call) -> bool:
        return await asyncio.to_thread(self._table.mark_running, job, call.engine_info.engine, call.engine_info.model)


async def _every(interval_s: float, step: Callable[[], Awaitable[None]]) -> None:
    while True:
        await _logged(step)
        await asyncio.sleep(interval_s)


async def _logged(step: Callable[[], Awaitable[None]]) -> None:
    """Run one step of a loop; that the table or the store does not answer must not end the loop."""
    try:
        await step()
    except SensoriumError as error:
        logger.warning("jobs: %s", error.message)


async def _insist(write: Callable[[], _T]) -> _T:
    """Record an outcome, however long the table does not answer: finished work must not be lost."""
    while True:
        try:
            return await asyncio.to_thread(write)
        except Overloaded as error:
            logger.warning("jobs: %s", error.message)
            await asyncio.sleep(POLL_INTERVAL_S)
