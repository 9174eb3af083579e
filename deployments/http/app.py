"""The ASGI application: routes, guards, error handlers, API reference, the sweeping of old results."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from deployments.http.bodies import Bodies
from deployments.http.errors import INTERNAL, describe
from deployments.http.families import family_of
from deployments.http.guards import Guards
from deployments.http.routes import (
    console,
    documents,
    files,
    health,
    images,
    jobs,
    principals,
    session,
    shares,
    speech,
    usage,
    videos,
)
from deployments.http.routes.openai import audio, chat, embeddings, models, rerank
from deployments.http.routes.openai import images as generations
from deployments.http.services import Services
from deployments.http.sites import Sites
from deployments.storage import SWEPT
from pipelines.contracts.errors import Overloaded, SensoriumError

SWEEP_INTERVAL_S = 300

logger = logging.getLogger("ray.serve")

DESCRIPTION = "A self-hosted multimodal AI platform: chat, documents, speech, images and video behind one interface."

ROUTERS = (
    chat.router,
    embeddings.router,
    rerank.router,
    audio.transcriptions_router,
    audio.speech_router,
    generations.router,
    generations.edits_router,
    models.router,
    speech.recognition_router,
    speech.synthesis_router,
    images.router,
    videos.router,
    documents.router,
    shares.router,
    jobs.router,
    usage.router,
    session.router,
    principals.router,
    health.liveness_router,
    health.readiness_router,
    files.static_router,
    files.signed_router,
    console.page_router,
    console.files_router,
)


def create_app(services: Services) -> FastAPI:
    """All routes over one process's services."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loops = [asyncio.create_task(loop) for loop in (_sweep(services), services.usage.flush_forever())]
        yield
        for loop in loops:
            loop.cancel()
        with suppress(SensoriumError):
            await services.usage.flush()

    app = FastAPIOffline(
        title="Sensorium",
        description=DESCRIPTION,
        version=version("sensorium"),
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
        strict_content_type=False,
    )
    app.state.services = services
    settings = services.settings
    # The last one comes first.
    app.add_middleware(Bodies, max_json_bytes=settings.max_json_bytes)
    app.add_middleware(Guards, services=services)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=settings.cors_origins, allow_methods=["*"], allow_headers=["*"]
        )
    app.add_middleware(Sites, settings=settings, is_protected=lambda: services.registry.is_protected)
    for router in ROUTERS:
        app.include_router(router)
    app.openapi = partial(_openapi, app.openapi)  # type: ignore[method-assign]  # FastAPI's documented way
    for kind in (SensoriumError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _refuse)
    return app


def _openapi(generate: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """FastAPI's schema, without the 422 that it adds to each route: invalid parameters are a 400 here."""
    schema = generate()
    added = "HTTPValidationError"
    for methods in schema["paths"].values():
        for operation in methods.values():
            if added in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
    for name in (added, "ValidationError"):
        schema["components"]["schemas"].pop(name, None)
    return schema


async def _refuse(request: Request, error: Exception) -> Response:
    """Answer an error in the shape of its path's family."""
    path, failure = request.url.path, describe(error)
    if failure is INTERNAL:
        logger.error("unexpected error on %s", path, exc_info=error)
    response = family_of(path).response(failure)
    if isinstance(error, HTTPException):
        response.headers.update(error.headers or {})
    return response


async def _sweep(services: Services) -> None:
    """Delete old results and abandoned uploads, for as long as the replica lives."""
    while True:
        try:
            in_use = await asyncio.to_thread(services.jobs.inputs_in_use)
            await services.store.sweep(services.settings.result_ttl_s, SWEPT, in_use)
        except Overloaded as error:
            logger.warning("the store could not be swept: %s", error.message)
        await asyncio.sleep(min(SWEEP_INTERVAL_S, services.settings.result_ttl_s))
