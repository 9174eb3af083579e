"""What the routes work with, and how a route asks for it."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from deployments.client.caller import Caller
from deployments.client.handles import Handle
from deployments.jobs.table import JobTable
from deployments.jobs.watcher import JobWatcher
from deployments.settings import Settings
from deployments.storage import ObjectStore


@dataclass(frozen=True)
class Services:
    """Settings, the object store, the capabilities and the jobs; one for each process.

    Attributes:
        worker: runs the jobs; `None` if nothing does.
        watcher: of the jobs in `jobs`.
    """

    settings: Settings
    store: ObjectStore
    caller: Caller
    jobs: JobTable
    watcher: JobWatcher
    worker: Handle | None = None

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
