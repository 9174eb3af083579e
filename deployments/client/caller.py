"""How the ingress reaches the capabilities: handles, and calls under a deadline that end in our own errors."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, Self, TypeVar, cast

from ray.serve.handle import DeploymentResponseGenerator

from deployments.capabilities.base import Answering, Done
from deployments.client.handles import Handle, Handles
from deployments.client.status import Status
from deployments.http.errors import DeadlineExceeded, from_ray
from deployments.jobs.table import JobTable
from deployments.settings import Settings
from deployments.storage import ObjectStore
from pipelines.contracts.errors import ModelLoading

_T = TypeVar("_T")


class Call:
    """A call under way: iterate it for its events; leaving the `with` cancels what still runs."""

    def __init__(self, stream: DeploymentResponseGenerator[Any], answering: Answering, ends_s: float) -> None:
        self.answering = answering
        self._stream = stream
        self._ends_s = ends_s

    def __enter__(self) -> Self:
        """The call itself."""
        return self

    def __exit__(self, *_: object) -> None:
        _cancel(self._stream)

    def headers(self) -> dict[str, str]:
        """Response headers that say what answered."""
        return {"x-sensorium-engine": self.answering.engine, "x-sensorium-model": self.answering.model}

    def __aiter__(self) -> AsyncIterator[Any]:
        """The events that follow `answering`."""
        return self

    async def __anext__(self) -> Any:
        """The next event; raises the pipelines' errors, `DeadlineExceeded` and `Overloaded`."""
        return await _next(self._stream, self._ends_s)

    async def result(self) -> Any:
        """Pass over the updates and give what the call was made for."""
        async for event in self:
            if isinstance(event, Done):
                return event.result
        raise RuntimeError("the stream of events ended without a result")


def _cancel(stream: DeploymentResponseGenerator[Any]) -> None:
    with suppress(Exception):  # for a call that has failed, Ray raises that failure here once more
        stream.cancel()  # type: ignore[no-untyped-call]  # Ray's


async def _next(stream: AsyncIterator[Any], ends_s: float) -> Any:
    try:
        async with asyncio.timeout_at(ends_s):
            return await anext(stream)
    except TimeoutError:
        raise DeadlineExceeded("The call took longer than its deadline.") from None
    except StopAsyncIteration:
        raise
    except Exception as error:
        raise from_ray(error) from error


class Graph:
    """What the routes work with: settings, the object store, the record of jobs, the capabilities and their status."""

    def __init__(
        self, settings: Settings, store: ObjectStore, handles: Handles, jobs: JobTable, worker: Handle | None = None
    ) -> None:
        self.settings = settings
        self.store = store
        self.handles = handles
        self.status = Status(handles)
        self.was_ready = False
        self._jobs = jobs
        self._worker = worker

    async def sign(self, key: str) -> str:
        """An absolute address of a result, for as long as the settings say."""
        return await self.store.sign(key, expires_s=self.settings.signed_url_s)

    async def read(self, key: str) -> bytes:
        """A small result, whole."""
        _, chunks = await self.store.stream(key)
        return b"".join([chunk async for chunk in chunks])

    async def in_jobs(self, work: Callable[[JobTable], _T]) -> _T:
        """Read or write the record of jobs."""
        return await asyncio.to_thread(work, self._jobs)

    def wake_jobs(self) -> None:
        """Tell the worker of a new job; it would find it by itself a little later."""
        if self._worker is not None:
            self._worker.wake.remote()

    async def call(self, method: Handle, *args: Any, deadline_s: float | None = None) -> Call:
        """Begin a call whose events are streamed: `with await graph.call(handle.method, …) as call`.

        Raises:
            ModelLoading: nobody runs this capability, and none came within `cold_wait_s`.
            SensoriumError: whatever the capability raised before its first event.
        """
        ends_s = asyncio.get_running_loop().time() + (deadline_s or self.settings.deadline_s)
        stream = cast(DeploymentResponseGenerator[Any], method.options(stream=True).remote(*args))
        try:
            return Call(stream, await self._first(method.deployment_name, stream, ends_s), ends_s)
        except BaseException:
            _cancel(stream)
            raise

    async def _first(self, deployment: str, stream: AsyncIterator[Any], ends_s: float) -> Answering:
        """The first event; while it does not come, look whether anybody is there to answer."""
        first = asyncio.ensure_future(_next(stream, ends_s))
        try:
            done, _ = await asyncio.wait({first}, timeout=self.settings.cold_wait_s)
            if not done and await self.status.is_absent(deployment):
                raise ModelLoading(f"{deployment} is starting; try again soon.")
            answering: Answering = await first
            return answering
        finally:
            first.cancel()

    async def ask(self, method: Handle, *args: Any) -> Any:
        """One short call with one answer, without events."""
        try:
            async with asyncio.timeout(self.settings.deadline_s):
                return await method.remote(*args)
        except TimeoutError:
            raise DeadlineExceeded("The call took longer than its deadline.") from None
        except Exception as error:
            raise from_ray(error) from error
