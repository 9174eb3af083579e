"""Long work as its caller wants it: done while they wait, or written down as a job."""

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from deployments.http.operations import OPERATIONS
from deployments.http.schemas.all import ErrorDetail, JobRecord, errors_of
from deployments.http.services import Services
from deployments.http.uploads import Upload
from deployments.jobs.table import Job


@dataclass(frozen=True)
class Preference:
    """What a request's headers say of how it wants to be answered."""

    as_job: bool
    idempotency_key: str | None


def _preference(
    prefer: Annotated[str, Header(description="`respond-async`: answer 202 with a job at once.")] = "",
    idempotency_key: Annotated[
        str | None,
        Header(min_length=1, max_length=255, description="A repeated submission with this key is the same job."),
    ] = None,
) -> Preference:
    asked = {preference.split(";")[0].strip().lower() for preference in prefer.split(",")}
    return Preference("respond-async" in asked, idempotency_key)


Preferred = Annotated[Preference, Depends(_preference)]


def accepted(error: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses of a route that may answer with a job."""
    described = {
        "model": JobRecord,
        "description": "Accepted as a job, where `Prefer: respond-async` was sent.",
        "headers": {"Location": {"description": "Where the job is.", "schema": {"type": "string"}}},
    }
    return {202: described, **errors_of(error, 429)}


async def perform(
    services: Services,
    response: Response,
    preference: Preference,
    name: str,
    *arguments: Any,
    request: str,
    upload: Upload | None = None,
) -> Any:
    """Do an operation, or write it down as a job.

    Args:
        name: of the operation.
        arguments: what it takes.
        request: all that tells this request from another one.
        upload: what it works on; a job keeps it.
    """
    operation = OPERATIONS[name]
    if preference.as_job:
        written = operation.arguments.dump_json(arguments).decode()
        job = await _submit(services, preference, name, written, request=request, upload=upload)
        headers = {"Location": f"/v1/jobs/{job.id}", "Preference-Applied": "respond-async"}
        return JSONResponse((await record(services, job)).model_dump(), 202, headers)
    method, deadline_s = operation.method(services.caller.handles), operation.deadline_s(services.settings)
    with await services.caller.call(method, *arguments, deadline_s=deadline_s) as call:
        response.headers.update(call.headers())
        result = await call.result()
    answer = await operation.render(services, result, time.time())
    if operation.inline:
        for key in result["images"]:
            await services.store.delete(key)
    return answer


async def _submit(
    services: Services, preference: Preference, name: str, arguments: str, *, request: str, upload: Upload | None
) -> Job:
    key = upload.source.key if upload else None
    if upload:
        upload.kept = True  # from here on the job may exist, whatever becomes of this request
    try:
        job, is_new = await services.in_jobs(
            lambda jobs: jobs.submit(
                name,
                arguments,
                input=key,
                fingerprint=hashlib.sha256(request.encode()).hexdigest(),
                idempotency_key=preference.idempotency_key,
                max_queued=services.settings.max_queued_jobs,
            )
        )
    except Exception:
        if upload:
            upload.kept = False
        raise
    if upload:
        upload.kept = is_new
    services.wake_jobs()
    return job


async def record(services: Services, job: Job, *, listed: bool = False) -> JobRecord:
    """A job as its client sees it; addresses in its result are signed anew.

    Args:
        listed: among many: a result that carries whole files is left out.
    """
    operation = OPERATIONS[job.operation]
    result = None
    if job.result is not None and job.ended_at is not None and not (listed and operation.inline):
        body = await operation.render(services, json.loads(job.result), job.ended_at)
        result = body.model_dump(exclude_none=True)
    return JobRecord(
        id=job.id,
        object="job",
        route=operation.path,
        state=job.state,
        progress=job.progress,
        stage=job.stage,
        engine=job.engine,
        model=job.model,
        attempts=job.attempts,
        created_at=job.created_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        expires_at=None if job.ended_at is None else job.ended_at + services.settings.result_ttl_s,
        result=result,
        error=ErrorDetail(code=job.error_code, message=job.error_message or "") if job.error_code else None,
    )
