"""The ASGI application by itself, without Ray: no capability is behind it."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
from pydantic import SecretStr

from deployments.catalog import CATALOG
from deployments.client.caller import Caller
from deployments.client.handles import Handles
from deployments.http.app import create_app
from deployments.http.services import Services
from deployments.jobs.table import JobTable
from deployments.jobs.watcher import JobWatcher
from deployments.principals.registry import Registry
from deployments.principals.table import PrincipalTable
from deployments.principals.usage import Usage
from deployments.settings import Settings
from deployments.storage import ObjectStore


def app(tmp_path: Path, **settings: Any) -> tuple[Any, Services]:
    """The application over its own store, without capabilities."""
    made = Settings(data_dir=tmp_path, public_url="http://127.0.0.1:8000", **settings)
    handles = Handles(**{name: SimpleNamespace(**dict.fromkeys(METHODS)) for name in CATALOG})
    store = ObjectStore.open(made.store_url, public_url=made.public_url)
    table = JobTable(made.jobs_url)
    principals = PrincipalTable(made.jobs_url)
    registry = Registry(principals, made)
    services = Services(
        made, store, Caller(handles, made), table, JobWatcher(table), principals, registry, Usage(principals)
    )
    services.caller.status.capabilities = nobody  # type: ignore[method-assign]  # there is no controller to ask
    return create_app(services), services


async def nobody() -> dict[str, Any]:
    return {}


METHODS = (
    "stream", "embed_counted", "rerank", "ingest", "documents", "delete", "transcribe", "speak", "generate", "edit",
    "describe", "enhance", "animate", "track", "interpolate",
)  # fmt: skip


def client(application: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=application, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")


KEYED = {"api_keys": (SecretStr("first"), SecretStr("second"))}


class EventReader:
    """A client of a job's events; httpx's transport would wait for the end of the body before it gives any of it.

    Attributes:
        records: the events so far.
        comments: how many comments came between them.
        began: the first has come.
    """

    def __init__(self, application: Any, job_id: str, key: str = "") -> None:
        self.records: list[dict[str, Any]] = []
        self.comments = 0
        self.began = asyncio.Event()
        self._left = asyncio.Event()
        self._incoming = iter([{"type": "http.request", "body": b"", "more_body": False}])
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": f"/v1/jobs/{job_id}/events",
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1"), (b"authorization", f"Bearer {key}".encode())],
        }
        self.task = asyncio.create_task(application(scope, self._receive, self._send))

    async def leave(self) -> None:
        """Go away, as a client that closes its connection."""
        self._left.set()
        await self.task

    async def _receive(self) -> dict[str, Any]:
        for message in self._incoming:
            return message
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        for event in message.get("body", b"").decode().split("\n\n"):
            if event.startswith("data: "):
                self.records.append(json.loads(event.removeprefix("data: ")))
                self.began.set()
            elif event:
                self.comments += 1
