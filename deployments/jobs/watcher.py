"""Watching jobs: one poll of the table per interval feeds every watcher in this process, however many there are."""

import asyncio
import logging
from collections.abc import AsyncGenerator

from deployments.jobs.table import LIVE, Job, JobTable
from pipelines.contracts.errors import Overloaded

POLL_INTERVAL_S = 0.3
MAX_WATCHERS = 1024

logger = logging.getLogger("ray.serve")


class _Watch:
    """One watcher's view of its job."""

    def __init__(self, job: Job) -> None:
        self.job_id = job.id
        self.latest: Job | None = job
        self.changed = asyncio.Event()

    def show(self, job: Job | None) -> None:
        """Take in the job as the table has it now; `None` if it is gone."""
        if _visible(job) != _visible(self.latest):
            self.latest = job
            self.changed.set()


class JobWatcher:
    """Polls the table while somebody watches a job, and only then."""

    def __init__(self, table: JobTable) -> None:
        self._table = table
        self._watches: set[_Watch] = set()
        self._polling: asyncio.Task[None] | None = None

    def check_room(self) -> None:
        """Refuse one more watcher beyond `MAX_WATCHERS`.

        Raises:
            Overloaded: there are as many already.
        """
        if len(self._watches) >= MAX_WATCHERS:
            raise Overloaded("Too many clients follow events of jobs. Ask for the job's record instead.")

    async def changes(self, job: Job, *, keepalive_s: float) -> AsyncGenerator[Job | None, None]:
        """The job now and at each change, until it has ended or is gone; `None` after `keepalive_s` without a change.

        A slow consumer misses states in between, never the last one. Close the iterator to stop watching.
        """
        yield job
        watch = _Watch(job)
        self._watches.add(watch)
        if self._polling is None:
            self._polling = asyncio.create_task(self._poll())
        try:
            while job.state in LIVE:
                try:
                    async with asyncio.timeout(keepalive_s):
                        await watch.changed.wait()
                except TimeoutError:
                    yield None
                    continue
                watch.changed.clear()
                if watch.latest is None:
                    return
                job = watch.latest
                yield job
        finally:
            self._watches.remove(watch)
            if not self._watches:
                self._polling.cancel()
                self._polling = None

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_INTERVAL_S)
            watches = list(self._watches)
            try:
                jobs = await asyncio.to_thread(self._table.find, {watch.job_id for watch in watches})
            except Overloaded as error:  # its watchers see no change until the table answers again
                logger.warning("jobs: %s", error.message)
                continue
            for watch in watches:
                watch.show(jobs.get(watch.job_id))


def _visible(job: Job | None) -> tuple[object, ...] | None:
    return None if job is None else (job.state, job.progress, job.stage, job.attempts, job.engine)
