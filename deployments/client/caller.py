"""How ingress and jobs reach the capabilities: calls under a deadline that end in our own errors."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Self, cast

from ray.serve.handle import DeploymentResponseGenerator

from deployments.capabilities.protocol import EngineInfo, ResultEvent
from deployments.client.errors import DeadlineExceeded, from_ray
from deployments.client.handles import Handle, Handles
from deployments.client.status import Status
from deployments.settings import Settings
from pipelines.contracts.errors import ModelLoading


class Call:
    """A call under way: iterate it for its events; leaving the `with` cancels what still runs."""

    def __init__(self, stream: DeploymentResponseGenerator[Any], answering: EngineInfo, ends_s: float) -> None:
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
            if isinstance(event, ResultEvent):
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


class Caller:
    """Calls capabilities by their handles, under deadlines, with our own errors."""

    def __init__(self, handles: Handles, settings: Settings) -> None:
        self.handles = handles
        self.status = Status(handles)
        self._settings = settings

    async def call(self, method: Handle, *args: Any, deadline_s: float | None = None) -> Call:
        """Begin a call whose events are streamed: `with await caller.call(handle.method, …) as call`.

        Raises:
            ModelLoading: nobody runs this capability, and none came within `cold_wait_s`.
            SensoriumError: whatever the capability raised before its first event.
        """
        ends_s = asyncio.get_running_loop().time() + (deadline_s or self._settings.deadline_s)
        stream = cast(DeploymentResponseGenerator[Any], method.options(stream=True).remote(*args))
        try:
            return Call(stream, await self._first(method.deployment_name, stream, ends_s), ends_s)
        except BaseException:
            _cancel(stream)
            raise

    async def _first(self, deployment: str, stream: AsyncIterator[Any], ends_s: float) -> EngineInfo:
        """The first event; while it does not come, look whether anybody is there to answer."""
        first = asyncio.ensure_future(_next(stream, ends_s))
        try:
            done, _ = await asyncio.wait({first}, timeout=self._settings.cold_wait_s)
            if not done and await self.status.is_absent(deployment):
                raise ModelLoading(f"{deployment} is starting; try again soon.")
            answering: EngineInfo = await first
            return answering
        finally:
            first.cancel()

    async def ask(self, method: Handle, *args: Any) -> Any:
        """One short call with one answer, without events."""
        try:
            async with asyncio.timeout(self._settings.deadline_s):
                return await method.remote(*args)
        except TimeoutError:
            raise DeadlineExceeded("The call took longer than its deadline.") from None
        except Exception as error:
            raise from_ray(error) from error
