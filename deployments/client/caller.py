"""Calls of capabilities through their handles: under deadlines, and ending in our own errors."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Self, cast

from ray.serve.handle import DeploymentResponse, DeploymentResponseGenerator

from deployments.capabilities.protocol import EngineInfo, ResultEvent
from deployments.client.errors import DeadlineExceeded, from_ray
from deployments.client.handles import Handle, Handles
from deployments.client.status import Status
from deployments.settings import Settings
from pipelines.contracts.errors import ModelLoading


class Call:
    """A running call: iterate it for its events; leaving the `with` cancels what still runs."""

    def __init__(self, stream: DeploymentResponseGenerator[Any], engine_info: EngineInfo, ends_s: float) -> None:
        self.engine_info = engine_info
        self._stream = stream
        self._ends_s = ends_s

    def __enter__(self) -> Self:
        """The call itself."""
        return self

    def __exit__(self, *_: object) -> None:
        _cancel(self._stream)

    def headers(self) -> dict[str, str]:
        """Response headers that name the engine and model."""
        return {"x-sensorium-engine": self.engine_info.engine, "x-sensorium-model": self.engine_info.model}

    def __aiter__(self) -> AsyncIterator[Any]:
        """The events that follow `engine_info`."""
        return self

    async def __anext__(self) -> Any:
        """The next event; raises the pipelines' errors, `DeadlineExceeded` and `Overloaded`."""
        return await _next(self._stream, self._ends_s)

    async def result(self) -> Any:
        """The result; updates are skipped."""
        async for event in self:
            if isinstance(event, ResultEvent):
                return event.result
        raise RuntimeError("the stream of events ended without a result")


def _cancel(stream: DeploymentResponse[Any] | DeploymentResponseGenerator[Any]) -> None:
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
    """Calls capabilities.

    Attributes:
        handles: of the capabilities.
        status: of the capabilities.
    """

    def __init__(self, handles: Handles, settings: Settings) -> None:
        self.handles = handles
        self.status = Status(handles)
        self._settings = settings

    async def call(self, method: Handle, *args: Any, deadline_s: float | None = None) -> Call:
        """Begin a call whose events are streamed: `with await caller.call(handle.method, …) as call`.

        Raises:
            ModelLoading: no replica of this capability came up within `cold_wait_s`.
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
        """Wait for the first event; after `cold_wait_s`, fail if no replica is running."""
        first = asyncio.ensure_future(_next(stream, ends_s))
        try:
            done, _ = await asyncio.wait({first}, timeout=self._settings.cold_wait_s)
            if not done and await self.status.is_absent(deployment):
                raise ModelLoading(f"{deployment} is starting; try again soon.")
            engine_info: EngineInfo = await first
            return engine_info
        finally:
            first.cancel()

    async def ask(self, method: Handle, *args: Any) -> Any:
        """Call a method that returns one value, without events."""
        response = method.remote(*args)
        try:
            async with asyncio.timeout(self._settings.deadline_s):
                return await response
        except asyncio.CancelledError:  # the client has left
            _cancel(response)
            raise
        except TimeoutError:
            _cancel(response)
            raise DeadlineExceeded("The call took longer than its deadline.") from None
        except Exception as error:
            raise from_ray(error) from error
