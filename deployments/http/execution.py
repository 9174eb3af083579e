"""Running an operation as its client prefers: done while the client waits, or submitted as a job (RFC 7240)."""

import asyncio
import hashlib
import time
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from fastapi.responses import JSONResponse

from deployments.http.answers import Answer, BodyT, job_record
from deployments.http.families import Family, Responses
from deployments.http.schemas.jobs import JobRecord
from deployments.http.services import PrincipalDep, Services, ServicesDep
from deployments.http.uploads import FileSpec, Upload, form_file
from deployments.jobs.operations import measured, static_results
from deployments.jobs.table import Job
from deployments.principals.principal import Principal
from deployments.storage.space import require_space


@dataclass(frozen=True)
class Execution:
    """Runs the operation of one request.

    Attributes:
        services: run it.
        principal: whom the result belongs to.
        response: gets the headers that name the engine.
        as_job: the client prefers a job.
        idempotency_key: a repeated submission under the same key is the same job.
    """

    services: Services
    principal: Principal
    response: Response
    as_job: bool
    idempotency_key: str | None

    async def run_on_file(
        self, request: Request, spec: FileSpec, answer: Answer[BodyT], *options: Any
    ) -> BodyT | JSONResponse:
        """Run an operation that takes the request's file, then `options`."""
        async with form_file(self.services, request, spec) as upload:
            asked = f"{upload.received.sha256}?{request.url.query}"
            return await self.run(answer, upload.source, *options, asked=asked, upload=upload)

    async def run(
        self, answer: Answer[BodyT], *arguments: Any, asked: str, upload: Upload | None = None
    ) -> BodyT | JSONResponse:
        """Run an operation.

        Args:
            answer: to what, and how.
            arguments: of the operation.
            asked: all that distinguishes this request from another.
            upload: what it works on; a job keeps it.

        Returns:
            The body, or a 202 with the job.
        """
        if not self.as_job:
            return await self._wait(answer, *arguments)
        job = await self._submit(answer, *arguments, asked=asked, upload=upload)
        headers = {"Location": f"/v1/jobs/{job.id}", "Preference-Applied": "respond-async"}
        return JSONResponse((await job_record(self.services, job)).model_dump(), 202, headers)

    async def _wait(self, answer: Answer[BodyT], *arguments: Any) -> BodyT:
        services, operation = self.services, answer.operation
        deadline_s = operation.deadline_s(services.settings)
        method = operation.method(services.caller.handles)
        with await services.caller.call(method, *arguments, deadline_s=deadline_s) as call:
            self.response.headers.update(call.headers())
            result = await call.result()
        await asyncio.to_thread(services.principals.keep_results, self.principal.name, static_results(result))
        services.usage.add(self.principal.name, **measured(result))
        body = await answer.render(services, result, time.time())
        if answer.inline:
            for key in result["images"]:
                await services.store.delete(key)
        return body

    async def _submit(self, answer: Answer[BodyT], *arguments: Any, asked: str, upload: Upload | None) -> Job:
        submit = partial(
            self.services.jobs.submit,
            answer.operation.name,
            answer.operation.arguments.dump_json(arguments).decode(),
            input=" ".join(upload.keys) if upload else None,
            fingerprint=hashlib.sha256(asked.encode()).hexdigest(),
            idempotency_key=self.idempotency_key,
            max_queued=self.services.settings.max_queued_jobs,
            principal=self.principal.name,
            max_own=self.principal.limits.queued_jobs,
        )
        await asyncio.to_thread(require_space, self.services.settings.data_dir)
        if upload:
            upload.kept = True  # from here on the job may exist, even if this request is cancelled
        try:
            job, is_new = await asyncio.to_thread(submit)
        except Exception:
            if upload:
                upload.kept = False
            raise
        if upload:
            upload.kept = is_new
        self.services.wake_worker()
        return job


async def _execution(
    services: ServicesDep,
    principal: PrincipalDep,
    response: Response,
    prefer: Annotated[str, Header(description="`respond-async`: answer 202 with a job at once.")] = "",
    idempotency_key: Annotated[
        str | None,
        Header(min_length=1, max_length=255, description="A repeated submission with this key is the same job."),
    ] = None,
) -> Execution:
    preferences = {preference.split(";")[0].strip().lower() for preference in prefer.split(",")}
    return Execution(services, principal, response, "respond-async" in preferences, idempotency_key)


ExecutionDep = Annotated[Execution, Depends(_execution)]
"""Type of a handler's parameter that takes the execution of its request."""


def job_responses(family: Family) -> Responses:
    """OpenAPI's responses that a route adds if it may answer with a job."""
    described = {
        "model": JobRecord,
        "description": "Accepted as a job, if `Prefer: respond-async` was sent.",
        "headers": {"Location": {"description": "URL of the job.", "schema": {"type": "string"}}},
    }
    return {202: described, **family.errors(429)}
