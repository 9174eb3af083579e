"""The ASGI application: routes, guards, error handlers, API reference, the sweeping of old results."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.responses import Response

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
        strict_content_type=False,
    )
    app.state.services = services
    app.add_middleware(Guards, services=services)
    for router in ROUTERS:
        app.include_router(router)
    for kind in (SensoriumError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _refuse)
    return app


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
