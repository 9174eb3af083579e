"""Jobs as their clients see them: how far they are, what they gave, an end to them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastapi import Path, Query
from fastapi.responses import StreamingResponse

from deployments.http import families
from deployments.http.answers import job_record
from deployments.http.schemas.jobs import JobRecord, JobRecords
from deployments.http.services import PrincipalDep, Services, ServicesDep
from deployments.jobs.table import Job
from deployments.principals.principal import Principal
from pipelines.contracts.errors import NotFound

KEEPALIVE_S = 15.0

ID = r"^[A-Za-z0-9_-]{1,64}$"
JobId = Annotated[str, Path(pattern=ID)]
EVENTS = {"content": {"text/event-stream": {}}, "description": "The record, each time."}

router = families.OPENAI.router("Jobs", responses=families.OPENAI.errors(400, 401, 403, 429, 500, 503))


@router.get("/jobs", responses=families.OPENAI.errors(404))
async def list_jobs(
    services: ServicesDep,
    principal: PrincipalDep,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(pattern=ID, description="The last id of the previous page.")] = None,
) -> JobRecords:
    """The caller's jobs, newest first."""
    since = _expired_before(services)
    found = await asyncio.to_thread(services.jobs.list_recent, limit + 1, after, since, principal.name)
    data = [await job_record(services, job, listed=True) for job in found[:limit]]
    return JobRecords(object="list", data=data, has_more=len(found) > limit)


@router.get("/jobs/{job_id}", responses=families.OPENAI.errors(404))
async def get_job(services: ServicesDep, principal: PrincipalDep, job_id: JobId) -> JobRecord:
    """One job."""
    return await job_record(services, await _find(services, principal, job_id))


@router.delete("/jobs/{job_id}", responses=families.OPENAI.errors(404))
async def cancel_job(services: ServicesDep, principal: PrincipalDep, job_id: JobId) -> JobRecord:
    """Cancel a job; one that has ended stays as it is."""
    await _find(services, principal, job_id)
    return await job_record(services, await asyncio.to_thread(services.jobs.cancel, job_id, principal.name))


@router.get(
    "/jobs/{job_id}/events",
    response_class=StreamingResponse,
    responses={200: EVENTS, **families.OPENAI.errors(404)},
)
async def job_events(services: ServicesDep, principal: PrincipalDep, job_id: JobId) -> StreamingResponse:
    """The job's record now and at each change, as server-sent events, until it has ended."""
    services.watcher.check_room()
    events = _events(services, await _find(services, principal, job_id))
    return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})


async def _find(services: Services, principal: Principal, job_id: str) -> Job:
    job = await asyncio.to_thread(services.jobs.get, job_id, principal.name)
    if job.ended_at is not None and job.ended_at < _expired_before(services):
        raise NotFound("There is no such job, or it has expired.")
    return job


def _expired_before(services: Services) -> float:
    return time.time() - services.settings.result_ttl_s


async def _events(services: Services, job: Job) -> AsyncIterator[str]:
    async with aclosing(services.watcher.changes(job, keepalive_s=KEEPALIVE_S)) as changes:
        async for latest in changes:
            if latest is None:
                yield ": still here\n\n"
            else:
                yield f"data: {(await job_record(services, latest)).model_dump_json()}\n\n"
