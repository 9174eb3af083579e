"""Is the process alive, and are the capabilities ready."""

from fastapi import Response

from deployments.catalog import CATALOG
from deployments.http import families
from deployments.http.schemas.health import Readiness, Ready
from deployments.http.services import ServicesDep

liveness_router = families.HEALTH.router("Health")
readiness_router = families.READINESS.router("Health")


@liveness_router.get("", responses=families.HEALTH.errors(400, 403))
async def healthz() -> dict[str, str]:
    """The process is alive."""
    return {"status": "ok"}


@readiness_router.get("", responses={**families.READINESS.errors(400, 403), 503: {"model": Ready}})
async def readyz(services: ServicesDep, response: Response) -> Ready:
    """503 until every capability has started once, then 200 with each one's state."""
    capabilities = await services.caller.status.capabilities()
    is_starting = await services.caller.status.is_starting()
    response.status_code = 503 if is_starting else 200
    return Ready(
        status="starting" if is_starting else "ready",
        capabilities={
            CATALOG[name].deployment: Readiness(
                state=status.state,
                engine=status.engine,
                model=status.card.model,
                reason=status.reason,
                load_s=status.load_s,
            )
            for name, status in capabilities.items()
        },
    )
