"""Jobs as their clients see them: how far they are, what they gave, an end to them."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse

from deployments.http.schemas.all import JobRecord, JobRecords, OpenAIError, errors_of
from deployments.http.services import Services
from deployments.http.work import record
from deployments.jobs.table import LIVE, Job
from pipelines.contracts.errors import NotFound

LOOK_EVERY_S = 0.3
STILL_HERE_EVERY_S = 15.0

ID = r"^[A-Za-z0-9_-]{1,64}$"
JobId = Annotated[str, Path(pattern=ID)]


def router(services: Services) -> APIRouter:
    """`/v1/jobs`."""
    routes = APIRouter(tags=["Jobs"], responses=errors_of(OpenAIError, 400, 401, 500, 503))

    async def find(job_id: str) -> Job:
        job = await services.in_jobs(lambda jobs: jobs.get(job_id))
        if job.ended_at is not None and job.ended_at < _oldest(services):
            raise NotFound("There is no such job, or it has expired.")
        return job

    @routes.get("/v1/jobs")
    async def list_jobs(
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        after: Annotated[str | None, Query(pattern=ID, description="The last id of the page before.")] = None,
    ) -> JobRecords:
        """All jobs, newest first."""
        found = await services.in_jobs(lambda jobs: jobs.list_recent(limit + 1, after, _oldest(services)))
        data = [await record(services, job, listed=True) for job in found[:limit]]
        return JobRecords(object="list", data=data, has_more=len(found) > limit)

    @routes.get("/v1/jobs/{job_id}", responses=errors_of(OpenAIError, 404))
    async def get_job(job_id: JobId) -> JobRecord:
        """One job."""
        return await record(services, await find(job_id))

    @routes.delete("/v1/jobs/{job_id}", responses=errors_of(OpenAIError, 404))
    async def cancel_job(job_id: JobId) -> JobRecord:
        """Cancel a job; one that has ended stays as it is."""
        await find(job_id)
        return await record(services, await services.in_jobs(lambda jobs: jobs.cancel(job_id)))

    events = {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "The record, each time."}

    @routes.get(
        "/v1/jobs/{job_id}/events",
        response_class=StreamingResponse,
        responses={200: events, **errors_of(OpenAIError, 404)},
    )
    async def job_events(job_id: JobId) -> StreamingResponse:
        """The job's record now and at each change, as server-sent events, until it has ended."""
        first = await find(job_id)

        async def changes() -> AsyncIterator[str]:
            job, told_s = first, time.monotonic()
            yield await _event(services, job)
            while job.state in LIVE:
                await asyncio.sleep(LOOK_EVERY_S)
                latest = await find(job_id)
                if _visible(latest) != _visible(job):
                    yield await _event(services, latest)
                    told_s = time.monotonic()
                elif time.monotonic() - told_s > STILL_HERE_EVERY_S:
                    yield ": still here\n\n"
                    told_s = time.monotonic()
                job = latest

        return StreamingResponse(changes(), media_type="text/event-stream", headers={"Cache-Control": "no-cache"})

    return routes


def _oldest(services: Services) -> float:
    return time.time() - services.settings.result_ttl_s


def _visible(job: Job) -> tuple[object, ...]:
    return job.state, job.progress, job.stage, job.attempts, job.engine


async def _event(services: Services, job: Job) -> str:
    return f"data: {(await record(services, job)).model_dump_json()}\n\n"
