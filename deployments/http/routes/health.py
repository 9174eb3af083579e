"""Is the process alive, are the capabilities ready, and which models answer."""

import time

from fastapi import APIRouter, Response

from deployments.catalog import CATALOG
from deployments.client.status import CapabilityStatus
from deployments.http.schemas.all import Model, Models, OpenAIError, Readiness, Ready, errors_of
from deployments.http.services import Services
from pipelines.contracts.errors import NotFound


def router(services: Services) -> APIRouter:
    """`/healthz`, `/readyz`, `/v1/models`."""
    routes = APIRouter()
    started = int(time.time())

    def model(status: CapabilityStatus) -> Model:
        return Model(
            id=status.card.model,
            object="model",
            created=started,
            owned_by="sensorium",
            capability=status.capability,
            engine=status.engine,
            license=status.card.license,
            description=status.card.description,
            embedded=status.card.embedded,
            state=status.state,
        )

    @routes.get("/healthz", tags=["Health"], responses=errors_of(OpenAIError, 400))
    async def healthz() -> dict[str, str]:
        """The process is alive."""
        return {"status": "ok"}

    @routes.get(
        "/readyz",
        tags=["Health"],
        response_model=Ready,
        responses={**errors_of(OpenAIError, 400), 503: {"model": Ready}},
    )
    async def readyz(response: Response) -> Ready:
        """503 while any capability is first starting, then 200 with each one's state."""
        found = await services.caller.status.capabilities()
        starting = any(status.state in ("starting", "loading") for status in found.values()) and not services.was_ready
        services.was_ready = services.was_ready or not starting
        response.status_code = 503 if starting else 200
        return Ready(
            status="starting" if starting else "ready",
            capabilities={
                CATALOG[name].deployment: Readiness(
                    state=status.state,
                    engine=status.engine,
                    model=status.card.model,
                    reason=status.reason,
                    load_s=status.load_s,
                )
                for name, status in found.items()
            },
        )

    @routes.get("/v1/models", tags=["Models"], responses=errors_of(OpenAIError, 400, 401, 500))
    async def models() -> Models:
        """What answers on each route: engine, model, license and state."""
        found = await services.caller.status.capabilities()
        return Models(object="list", data=[model(status) for status in found.values()])

    @routes.get("/v1/models/{model_id:path}", tags=["Models"], responses=errors_of(OpenAIError, 400, 401, 404, 500))
    async def one_model(model_id: str) -> Model:
        """One model by its id."""
        for status in (await services.caller.status.capabilities()).values():
            if status.card.model == model_id:
                return model(status)
        raise NotFound("There is no such model here; GET /v1/models lists those there are.")

    return routes
