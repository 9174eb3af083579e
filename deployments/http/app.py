"""The ASGI application: routes, guards, error handlers, docs, and the sweeping of old results."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.responses import Response

from deployments.http import errors
from deployments.http.guards import Guards
from deployments.http.routes import console, documents, files, health, jobs, speech, vision
from deployments.http.routes.openai import audio, chat, images
from deployments.http.services import Services
from deployments.jobs.table import JobTable
from pipelines.contracts.errors import Overloaded, SensoriumError

SWEEP_EVERY_S = 300
SWEPT = ("uploads", "static", *files.BUCKETS)

logger = logging.getLogger("ray.serve")

DESCRIPTION = "A self-hosted multimodal AI platform: chat, documents, speech, images and video behind one interface."


def create_app(services: Services) -> FastAPI:
    """All routes over one services."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(_sweep(services))
        yield
        sweeping.cancel()

    app = FastAPIOffline(
        title="Sensorium",
        description=DESCRIPTION,
        version="0.1.0",
        lifespan=lifespan,
        redoc_url=None,
        strict_content_type=False,
    )
    app.add_middleware(Guards, settings=services.settings)
    for module in (chat, speech, audio, images, documents, vision, jobs, health, files, console):
        app.include_router(module.router(services))
    app.add_exception_handler(SensoriumError, _told)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)
    return app


async def _sweep(services: Services) -> None:
    """Delete old results and abandoned uploads, for as long as the replica lives."""
    while True:
        try:
            in_use = await services.in_jobs(JobTable.inputs_in_use)
            await services.store.sweep(services.settings.result_ttl_s, SWEPT, in_use)
        except Overloaded as error:
            logger.warning("the store could not be swept: %s", error.message)
        await asyncio.sleep(min(SWEEP_EVERY_S, services.settings.result_ttl_s))


async def _told(request: Request, error: Exception) -> Response:
    if not isinstance(error, SensoriumError):
        return await _unexpected(request, error)
    return errors.response(request.url.path, errors.describe(error))


async def _invalid(request: Request, error: Exception) -> Response:
    """FastAPI's validation errors: the first one, without what was sent."""
    first = error.errors()[0] if isinstance(error, RequestValidationError) else {"loc": (), "msg": "invalid"}
    where = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    param = ".".join(where) or None
    message = f"{param}: {first['msg']}" if param else str(first["msg"])
    return errors.response(request.url.path, errors.Failure(400, "invalid_parameter", message, param))


async def _http(request: Request, error: Exception) -> Response:
    """Starlette's own: no such route, wrong method, a body that is no JSON."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    codes = {404: "not_found", 405: "method_not_allowed"}
    messages = {404: "There is no such route.", 405: "This route does not take that method."}
    failure = errors.Failure(
        status, codes.get(status, "invalid_body"), messages.get(status, "The body is not valid JSON.")
    )
    response = errors.response(request.url.path, failure)
    response.headers.update((error.headers or {}) if isinstance(error, HTTPException) else {})
    return response


async def _unexpected(request: Request, error: Exception) -> Response:
    logger.error("unexpected error on %s", request.url.path, exc_info=error)
    return errors.response(request.url.path, errors.INTERNAL)
