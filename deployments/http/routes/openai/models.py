"""The served models, in OpenAI's shape."""

import time

from deployments.client.status import CapabilityStatus
from deployments.http import families
from deployments.http.schemas.openai import Model, Models
from deployments.http.services import ServicesDep
from pipelines.contracts.errors import NotFound

STARTED_S = int(time.time())

router = families.OPENAI.router("Models")


@router.get("/models", responses=families.OPENAI.errors(400, 401, 403, 429, 500, 503))
async def models(services: ServicesDep) -> Models:
    """What answers on each route: engine, model, license and state."""
    capabilities = await services.caller.status.capabilities()
    return Models(object="list", data=[_model(status) for status in capabilities.values()])


@router.get("/models/{model_id:path}", responses=families.OPENAI.errors(400, 401, 403, 404, 429, 500, 503))
async def one_model(services: ServicesDep, model_id: str) -> Model:
    """One model by its id."""
    for status in (await services.caller.status.capabilities()).values():
        if status.card.model == model_id:
            return _model(status)
    raise NotFound("There is no such model; GET /v1/models lists those that are served.")


def _model(status: CapabilityStatus) -> Model:
    return Model(
        id=status.card.model,
        object="model",
        created=STARTED_S,
        owned_by="sensorium",
        capability=status.capability,
        engine=status.engine,
        license=status.card.license,
        licence=status.card.license,
        description=status.card.description,
        embedded=status.card.embedded,
        state=status.state,
    )
