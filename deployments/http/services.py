"""What the routes work with, and how a route asks for it."""

from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request

from deployments.client.caller import Caller
from deployments.client.handles import Handle
from deployments.jobs.table import JobTable
from deployments.jobs.watcher import JobWatcher
from deployments.principals.limits import Limiter, SignIns
from deployments.principals.principal import Principal
from deployments.principals.registry import Registry
from deployments.principals.table import PrincipalTable
from deployments.principals.usage import Usage
from deployments.settings import Settings
from deployments.storage import ObjectStore


@dataclass(frozen=True)
class Services:
    """Settings, the object store, the capabilities, the jobs and the principals; one for each process.

    Attributes:
        registry: of the principals in `principals`.
        usage: of the principals.
        limiter: of their calls in this process.
        sign_ins: as this process has seen them.
        worker: runs the jobs; `None` if nothing does.
        watcher: of the jobs in `jobs`.
    """

    settings: Settings
    store: ObjectStore
    caller: Caller
    jobs: JobTable
    watcher: JobWatcher
    principals: PrincipalTable
    registry: Registry
    usage: Usage
    worker: Handle | None = None
    limiter: Limiter = field(default_factory=Limiter)
    sign_ins: SignIns = field(default_factory=SignIns)

    async def sign(self, key: str) -> str:
        """An absolute URL of a result, valid for as long as the settings say."""
        return await self.store.sign(key, expires_s=self.settings.signed_url_s)

    def wake_worker(self) -> None:
        """Announce a new job; without this, the worker would find it a little later."""
        if self.worker is not None:
            self.worker.wake.remote()


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services)]
"""Type of a handler's parameter that takes the services."""


async def _principal(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


PrincipalDep = Annotated[Principal, Depends(_principal)]
"""Type of a handler's parameter that takes who calls, as the guards have found."""


def needs(scope: str) -> Any:
    """Dependency of a route or router whose callers need a scope."""

    async def check(principal: PrincipalDep) -> None:
        principal.require(scope)

    return Depends(check)
