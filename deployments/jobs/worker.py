"""Jobs: claims what clients left to be done, and has the capabilities do it.

Several replicas may share one table. A job is called like any client's call, by the capability's handle, so that
Serve's queues and autoscaling stay in charge; here it is only watched, and its outcome written down.
"""

import asyncio
import json
import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from deployments.capabilities.protocol import ResultEvent, Update
from deployments.client.caller import Call, Caller
from deployments.client.errors import DeadlineExceeded
from deployments.client.handles import Handle, Handles
from deployments.http.operations import OPERATIONS, Operation
from deployments.jobs.table import Job, JobTable
from deployments.settings import Settings
from deployments.storage import ObjectStore
from pipelines.contracts.errors import ModelLoading, Overloaded, SensoriumError

_T = TypeVar("_T")
logger = logging.getLogger("ray.serve")

IN_FLIGHT = 8
"""Jobs of one operation that a replica holds at once: enough for the capability's autoscaling to see work."""
MAX_ATTEMPTS = 4
FIRST_RETRY_S = 5
LOOK_EVERY_S = 0.5
TIDY_EVERY_S = 5.0
LEASE_S = 12.0
INTERNAL = ("internal_error", "Something went wrong on the server; its log has the details.")


class ActiveJob:
    """A job that this replica works at."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.progress = job.progress
        self.stage: str | None = None
        self.begun = False
        self.told: tuple[float, str | None, float] = (job.progress, None, 0.0)
        self.work: asyncio.Task[None] | None = None

    def report(self, update: Update) -> None:
        """Take in how far the call is; a second attempt starts anew, and what is told never falls."""
        self.progress = max(self.progress, min(update.fraction or 0.0, 1.0))
        self.stage = update.stage


class Jobs:
    """Works off the table of jobs."""

    def __init__(self, settings: Settings, **handles: Handle) -> None:
        self._settings = settings
        self._table = JobTable(settings.jobs_url)
        self._store = ObjectStore.open(settings.store_url, public_url=settings.public_url)
        self._caller = Caller(Handles(**handles), settings)
        self._held: dict[int, ActiveJob] = {}
        self._woken = asyncio.Event()
        loops = (self._claim, LOOK_EVERY_S), (self._renew, LOOK_EVERY_S), (self._tidy, TIDY_EVERY_S)
        self._loops = [asyncio.create_task(self._again(look, every_s)) for look, every_s in loops]

    async def wake(self) -> None:
        """There is a new job: do not wait for the next look."""
        self._woken.set()

    def check_health(self) -> None:
        """Serve asks this now and then, and replaces a replica that raises."""
        if any(loop.done() for loop in self._loops):
            raise RuntimeError("a loop of Jobs has ended")

    async def _again(self, look: Callable[[], Awaitable[None]], every_s: float) -> None:
        while True:
            try:
                await look()
            except SensoriumError as error:  # the table or the store does not answer at present
                logger.warning("jobs: %s", error.message)
            await asyncio.sleep(every_s)

    async def _claim(self) -> None:
        """Claim what there is room for, until there is none; then wait to be woken, for a while."""
        while room := self._with_room():
            job = await asyncio.to_thread(self._table.claim, room, LEASE_S)
            if job is None:
                break
            held = self._held[job.number] = ActiveJob(job)
            held.work = asyncio.create_task(self._work(held))
        self._woken.clear()
        try:
            await asyncio.wait_for(self._woken.wait(), LOOK_EVERY_S)
        except TimeoutError:
            return

    def _with_room(self) -> list[str]:
        busy = Counter(held.job.operation for held in self._held.values())
        return [name for name in OPERATIONS if busy[name] < IN_FLIGHT]

    async def _renew(self) -> None:
        """Renew the leases, tell the progress, and stop what was cancelled or taken away."""
        tokens = {number: held.job.token for number, held in self._held.items()}
        for number in await asyncio.to_thread(self._table.lost_leases, tokens):
            if (held := self._held.get(number)) is not None and held.work is not None:
                held.work.cancel()
        now_s = asyncio.get_running_loop().time()
        for held in list(self._held.values()):
            told_progress, told_stage, told_s = held.told
            if (held.progress, held.stage) == (told_progress, told_stage) and now_s - told_s < LEASE_S / 4:
                continue
            held.told = (held.progress, held.stage, now_s)
            await asyncio.to_thread(self._table.renew, held.job, LEASE_S, held.progress, held.stage)

    async def _tidy(self) -> None:
        """Delete the uploads of jobs that have ended, then the records that have expired."""
        for number, key in await asyncio.to_thread(self._table.leftovers):
            await self._store.delete(key)
            await asyncio.to_thread(self._table.forget_input, number)
        await asyncio.to_thread(self._table.expire, self._settings.result_ttl_s)

    async def _work(self, held: ActiveJob) -> None:
        """One job from claim to outcome, or until it is taken away."""
        job, table = held.job, self._table
        try:
            if job.attempts >= MAX_ATTEMPTS:
                message = f"The worker of this job was lost {job.attempts} times; it is not tried again."
                await _insist(lambda: table.fail(job, "worker_lost", message))
                return
            await self._attempt(held)
        finally:
            del self._held[job.number]
            self._woken.set()

    async def _attempt(self, held: ActiveJob) -> None:
        job, table = held.job, self._table
        try:
            result = await self._call(held, OPERATIONS[job.operation])
        except (Overloaded, ModelLoading) as error:
            attempts = job.attempts + held.begun
            delay_s = FIRST_RETRY_S * 2**attempts if held.begun else getattr(error, "retry_after_s", FIRST_RETRY_S)
            if held.begun and attempts >= MAX_ATTEMPTS:
                await _insist(partial(table.fail, job, error.code, error.message))
            else:
                logger.warning("job %s goes back into the queue: %s", job.id, error.message)
                await _insist(lambda: table.requeue(job, delay_s))
        except SensoriumError as error:
            await _insist(partial(table.fail, job, error.code, error.message))
        except Exception as error:
            logger.error("job %s failed unexpectedly", job.id, exc_info=error)
            await _insist(lambda: table.fail(job, *INTERNAL))
        else:
            await _insist(lambda: table.succeed(job, json.dumps(result)))

    async def _call(self, held: ActiveJob, operation: Operation) -> Any:
        """Have the capability do it; the deadline and the attempt count from when its engine has begun."""
        arguments = operation.arguments.validate_json(held.job.arguments)
        method = operation.method(self._caller.handles)
        try:
            async with asyncio.timeout(None) as limit:
                with await self._caller.call(method, *arguments, deadline_s=math.inf) as call:
                    async for event in call:
                        if not held.begun:  # until now it waited in the capability's queue
                            held.begun = await asyncio.to_thread(self._table.begin, held.job, *_engine_of(call))
                            limit.reschedule(asyncio.get_running_loop().time() + operation.deadline_s(self._settings))
                        if isinstance(event, ResultEvent):
                            return event.result
                        held.report(event)
        except TimeoutError:
            raise DeadlineExceeded("The job took longer than its deadline.") from None
        raise RuntimeError("the stream of events ended without a result")


def _engine_of(call: Call) -> tuple[str, str]:
    return call.answering.engine, call.answering.model


async def _insist(write: Callable[[], _T]) -> _T:
    """Write an outcome down, however long the table does not answer: work that is done must not be lost."""
    while True:
        try:
            return await asyncio.to_thread(write)
        except Overloaded as error:
            logger.warning("jobs: %s", error.message)
            await asyncio.sleep(LOOK_EVERY_S)
