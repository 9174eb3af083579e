"""What the routes work with."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from deployments.client.caller import Caller
from deployments.client.handles import Handle
from deployments.jobs.table import JobTable
from deployments.settings import Settings
from deployments.storage import ObjectStore

_T = TypeVar("_T")


@dataclass
class Services:
    """Settings, the object store, the capabilities and the table of jobs.

    Attributes:
        worker: what runs the jobs; `None` if nothing does.
        was_ready: `/readyz` has answered 200 once.
    """

    settings: Settings
    store: ObjectStore
    caller: Caller
    jobs: JobTable
    worker: Handle | None = None
    was_ready: bool = False

    async def sign(self, key: str) -> str:
        """An absolute address of a result, valid for as long as the settings say."""
        return await self.store.sign(key, expires_s=self.settings.signed_url_s)

    async def read(self, key: str) -> bytes:
        """A small result, whole."""
        _, chunks = await self.store.stream(key)
        return b"".join([chunk async for chunk in chunks])

    async def in_jobs(self, work: Callable[[JobTable], _T]) -> _T:
        """Read or write the table of jobs, in a thread."""
        return await asyncio.to_thread(work, self.jobs)

    def wake_jobs(self) -> None:
        """Wake the worker for a new job; it would find it by itself a little later."""
        if self.worker is not None:
            self.worker.wake.remote()
