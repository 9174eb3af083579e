"""The ingress: the only deployment that speaks HTTP. It imports no capability and no model library."""

from fastapi import FastAPI
from ray import serve

from deployments.client.caller import Caller
from deployments.client.controller import http_address
from deployments.client.handles import Handle, Handles
from deployments.http.app import create_app
from deployments.http.network import HOW_TO_PROTECT, is_loopback
from deployments.http.services import Services
from deployments.jobs.table import JobTable
from deployments.jobs.watcher import JobWatcher
from deployments.principals.registry import Registry
from deployments.principals.table import PrincipalTable
from deployments.principals.usage import Usage
from deployments.private import keep_private
from deployments.settings import Settings
from deployments.storage import ObjectStore


@serve.ingress()
class Ingress:
    """All routes, composed of the capabilities."""

    def __init__(self, settings: Settings, jobs: Handle, **handles: Handle) -> None:
        keep_private(settings.data_dir)
        host, port = http_address()
        principals = PrincipalTable(settings.jobs_url)
        registry = Registry(principals, settings)
        if not is_loopback(host) and not registry.requires_keys():
            raise RuntimeError(f"Refusing to serve {host} without API keys: {HOW_TO_PROTECT}.")
        public_url = settings.public_url or f"http://127.0.0.1:{port}"
        settings = settings.model_copy(update={"public_url": public_url.rstrip("/")})
        store = ObjectStore.open(settings.store_url, public_url=settings.public_url)
        caller = Caller(Handles(**handles), settings)
        table = JobTable(settings.jobs_url)
        usage = Usage(principals)
        self._services = Services(settings, store, caller, table, JobWatcher(table), principals, registry, usage, jobs)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """The application, as Serve asks for it once the replica is constructed."""
        return create_app(self._services)
