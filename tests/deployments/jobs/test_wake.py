"""An idle worker claims a submitted job at once: the real worker and table, with fakes in place of the capabilities."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from deployments.capabilities.protocol import CallEvent, EngineInfo, ResultEvent
from deployments.catalog import CATALOG
from deployments.jobs.table import Job, JobTable
from deployments.jobs.worker import Jobs
from deployments.settings import Settings

ARGUMENTS = json.dumps([{"key": "uploads/a"}])


class Stream:
    """The events of one call, as a handle gives them."""

    def __init__(self) -> None:
        self._events = iter((EngineInfo("fake", "none"), ResultEvent({"image": "sam/a.png"})))

    def __aiter__(self) -> AsyncIterator[CallEvent]:
        return self

    async def __anext__(self) -> CallEvent:
        event = next(self._events, None)
        if event is None:
            raise StopAsyncIteration
        return event

    def cancel(self) -> None:
        """Nothing runs."""


class Capability:
    """A handle whose calls end at once; remembers when each came."""

    deployment_name = "Fake"

    def __init__(self) -> None:
        self.called_s: list[float] = []

    def __getattr__(self, method: str) -> "Capability":
        return self

    def options(self, **_: Any) -> "Capability":
        return self

    def remote(self, *_: Any) -> Stream:
        self.called_s.append(time.monotonic())
        return Stream()


class Worker:
    """A worker of its own table, and the table as the ingress writes it."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(data_dir=folder)
        self.capability = Capability()
        self.table = JobTable(settings.jobs_url)
        self.jobs = Jobs(settings, **dict.fromkeys(CATALOG, self.capability))

    def submit(self) -> Job:
        options: dict[str, Any] = {"input": None, "fingerprint": "x", "idempotency_key": None, "max_queued": 100}
        return self.table.submit("enhance", ARGUMENTS, **options)[0]

    async def until_ended(self, *jobs: Job) -> None:
        async with asyncio.timeout(20):
            for job in jobs:
                while (ended := await asyncio.to_thread(self.table.get, job.id)).state != "succeeded":
                    assert ended.state in ("queued", "running"), ended
                    await asyncio.sleep(0.005)

    def stop(self) -> None:
        for loop in self.jobs._loops:
            loop.cancel()


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    worker = Worker(tmp_path)
    yield worker
    worker.stop()


async def test_an_idle_worker_claims_a_job_at_once(worker: Worker) -> None:
    waits_s = []
    for index in range(20):
        await asyncio.sleep(0.03 * (index % 5))  # at any moment between two polls
        submitted_s = time.monotonic()
        job = await asyncio.to_thread(worker.submit)
        await worker.jobs.wake()
        await worker.until_ended(job)
        waits_s.append(worker.capability.called_s[-1] - submitted_s)
    print(f"from submit to call: median {median(waits_s):.3f} s, longest {max(waits_s):.3f} s")
    assert len(worker.capability.called_s) == 20
    assert median(waits_s) < 0.2


async def test_a_wake_while_the_table_is_read_is_not_lost(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.jobs.worker.POLL_INTERVAL_S", 60)
    loop, claim = asyncio.get_running_loop(), worker.jobs._table.claim
    late: list[Job] = []
    read = asyncio.Event()

    def claim_and_be_woken(operations: list[str], lease_s: float) -> Job | None:
        """The table was empty when it was read; the job comes just before the worker learns so."""
        found = claim(operations, lease_s)
        if found is None and not late:
            late.append(worker.submit())
            loop.call_soon_threadsafe(read.set)
            asyncio.run_coroutine_threadsafe(worker.jobs.wake(), loop).result()
        return found

    monkeypatch.setattr(worker.jobs._table, "claim", claim_and_be_woken)
    await worker.jobs.wake()
    await asyncio.wait_for(read.wait(), 20)
    await worker.until_ended(*late)


async def test_a_job_is_found_without_a_wake(worker: Worker) -> None:
    await worker.until_ended(worker.submit())
