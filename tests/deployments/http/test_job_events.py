"""Watching jobs by server-sent events: one poll for all, and nothing stays once they have left."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from deployments.http.routes import jobs as routes
from deployments.http.services import Services
from deployments.jobs import watcher
from deployments.jobs.table import Job
from tests.asgi import EventReader, app

JOBS, WATCHERS_EACH = 5, 8


@pytest.fixture
def queries() -> Iterator[list[str]]:
    """SQL that was executed."""
    executed: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        executed.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield executed
    event.remove(Engine, "before_cursor_execute", note)


def submit(services: Services) -> Job:
    job, _ = services.jobs.submit("enhance", "[]", input=None, fingerprint="", idempotency_key=None, max_queued=1000)
    return job


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  of whatever the application does
            await asyncio.sleep(0.02)


async def test_many_watchers_of_several_jobs_share_one_poll(tmp_path: Path, queries: list[str]) -> None:
    application, services = app(tmp_path)
    jobs = [submit(services) for _ in range(JOBS)]
    readers = {job.id: [EventReader(application, job.id) for _ in range(WATCHERS_EACH)] for job in jobs}
    everybody = [reader for some in readers.values() for reader in some]
    await until(lambda: all(reader.records for reader in everybody))
    queries.clear()
    await asyncio.sleep(10 * watcher.POLL_INTERVAL_S)
    assert 5 <= len(queries) <= 11
    assert all(len(reader.records) == 1 for reader in everybody)

    running = services.jobs.claim(["enhance"], 30)
    assert running
    assert services.jobs.mark_running(running, "classical", "lanczos")
    assert services.jobs.renew(running, 30, 0.5, "enlarging")
    await until(lambda: all(len(reader.records) == 2 for reader in readers[running.id]))
    assert services.jobs.fail(running, "some_code", "Some words.")
    await asyncio.gather(*(reader.task for reader in readers[running.id]))
    for reader in readers[running.id]:
        states = [record["state"] for record in reader.records]
        assert states == ["queued", "running", "failed"]
        assert reader.records[1]["progress"] == 0.5
    for job in jobs:
        if job.id != running.id:
            services.jobs.cancel(job.id)
    await asyncio.gather(*(reader.task for reader in everybody))
    assert all(reader.records[-1]["state"] in ("failed", "cancelled") for reader in everybody)


async def test_who_leaves_leaves_nothing(tmp_path: Path, queries: list[str]) -> None:
    application, services = app(tmp_path)
    job = submit(services)
    tasks = asyncio.all_tasks()
    first, second = EventReader(application, job.id), EventReader(application, job.id)
    await until(lambda: bool(first.records and second.records))
    await first.leave()
    services.jobs.cancel(job.id)
    await second.task
    assert [record["state"] for record in second.records] == ["queued", "cancelled"]
    third = EventReader(application, submit(services).id)
    await until(lambda: bool(third.records))
    await third.leave()
    await until(lambda: asyncio.all_tasks() == tasks)
    queries.clear()
    await asyncio.sleep(3 * watcher.POLL_INTERVAL_S)
    assert queries == []


async def test_a_silent_job_is_kept_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "KEEPALIVE_S", 0.5)
    application, services = app(tmp_path)
    reader = EventReader(application, submit(services).id)
    await until(lambda: reader.comments == 2)
    assert len(reader.records) == 1
    await reader.leave()


async def test_a_job_that_has_ended_is_reported_once(tmp_path: Path) -> None:
    application, services = app(tmp_path)
    job = services.jobs.cancel(submit(services).id)
    reader = EventReader(application, job.id)
    await reader.task
    assert [record["state"] for record in reader.records] == ["cancelled"]


async def test_watchers_outlive_a_table_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.contracts.errors import Overloaded

    application, services = app(tmp_path)
    job = submit(services)
    reader = EventReader(application, job.id)
    await until(lambda: bool(reader.records))
    refused = asyncio.Event()

    def refuse(*_: object) -> None:
        refused.set()
        raise Overloaded("The job database does not respond; try again.")

    with monkeypatch.context() as patch:
        patch.setattr(services.jobs, "find", refuse)
        await until(refused.is_set)
    services.jobs.cancel(job.id)
    await reader.task
    assert reader.records[-1]["state"] == "cancelled"
