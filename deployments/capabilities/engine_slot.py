"""The engine of one replica: loaded and swapped in place, its failures kept as a state, its work run in one thread."""

import asyncio
import gc
import logging
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Generic, TypeVar

from deployments.capabilities.protocol import ReplicaState
from pipelines.contracts.engine import EngineConfig
from pipelines.contracts.errors import ModelLoading, ModelUnavailable, Overloaded, SensoriumError

logger = logging.getLogger("ray.serve")

EngineT = TypeVar("EngineT")
ResultT = TypeVar("ResultT")

RETRY_LOAD_S = 30
NEIGHBOR_RETRY_S = 2


class EngineSlot(Generic[EngineT]):
    """Room for one engine and the thread it runs in. Lives on one event loop.

    One thread, because engines are not thread-safe and because a cancelled call runs on to its next report of progress:
    the call that follows waits for that instead of running beside it. A load goes through the same thread: it starts
    when the calls before it have ended, and the calls after it wait for it.

    Args:
        name: of the capability, for messages.
        load: makes the engine of a configuration; runs in the thread.
        unload: ends what an engine keeps running; runs in the thread.
    """

    def __init__(self, name: str, load: Callable[[EngineConfig], EngineT], unload: Callable[[EngineT], None]) -> None:
        self._state = ReplicaState("loading", "", "")
        self.engine: EngineT | None = None
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._name = name
        self._load = load
        self._unload = unload
        self._settled = asyncio.Event()
        self._loading: asyncio.Task[None] | None = None
        self._loading_since_s = self._failed_s = time.monotonic()
        self._retry: EngineConfig | None = None

    @property
    def state(self) -> ReplicaState:
        """The state at this moment."""
        if self._state.state != "loading":
            return self._state
        return replace(self._state, load_s=round(self._loading_s(), 1))

    def begin_load(self, config: EngineConfig) -> None:
        """Load another engine in place of the one that is there; returns at once."""
        if self._loading is not None:
            self._loading.cancel()
        self._settled.clear()
        self._retry = None
        self._state = ReplicaState("loading", config.engine, config.card().model)
        self._loading_since_s = time.monotonic()
        self._loading = asyncio.create_task(self._swap(config))

    def fail(self, engine: str, model: str, reason: str, retry: EngineConfig | None = None) -> None:
        """Keep a failure as the state; a later call tries to load `retry`."""
        self.engine = None
        self._state = ReplicaState("failing", engine, model, reason)
        self._retry = retry
        self._failed_s = time.monotonic()
        self._settled.set()

    async def loaded(self, timeout_s: float) -> None:
        """Wait for the engine.

        Raises:
            ModelLoading: it was not loaded within `timeout_s`.
            ModelUnavailable: its load failed.
        """
        if self._retry is not None and time.monotonic() - self._failed_s > RETRY_LOAD_S:
            self.begin_load(self._retry)  # the model may have been fetched meanwhile
        try:
            async with asyncio.timeout(timeout_s):
                await self._settled.wait()
        except TimeoutError:
            raise ModelLoading(f"{self._state.model} is loading, for {self._loading_s():.0f} s so far.") from None
        if self._state.state == "failing":
            raise self._unavailable()

    def get(self) -> EngineT:
        """The engine.

        Raises:
            ModelUnavailable: none is loaded.
        """
        if self.engine is None:
            raise self._unavailable()
        return self.engine

    def guarded(self, work: Callable[[EngineT], ResultT]) -> ResultT:
        """Run work with the engine, in its thread or another; a call that needs too much memory fails alone."""
        try:
            return work(self.get())
        except MemoryError:
            raise Overloaded("There is not enough memory for this call.", 30) from None
        except RuntimeError as error:
            torch = sys.modules.get("torch")
            if torch is None or not isinstance(error, torch.cuda.OutOfMemoryError):
                raise
            torch.cuda.empty_cache()
            raise Overloaded("There is not enough GPU memory for this call.", 30) from None

    def _loading_s(self) -> float:
        return time.monotonic() - self._loading_since_s

    def _unavailable(self) -> ModelUnavailable:
        return ModelUnavailable(f"{self._name} is unavailable: {self._state.reason or 'no engine is loaded'}")

    async def _swap(self, config: EngineConfig) -> None:
        model = config.card().model
        try:
            self.engine = await asyncio.get_running_loop().run_in_executor(self.thread, self._replace, config)
        except ModelLoading:  # a capability that this engine calls while it loads is not ready itself
            await asyncio.sleep(NEIGHBOR_RETRY_S)
            self._loading = asyncio.create_task(self._swap(config))
        except SensoriumError as error:
            self.fail(config.engine, model, error.message, config)
        except Exception as error:
            logger.error("loading %s failed", config.engine, exc_info=error)
            self.fail(config.engine, model, f"{type(error).__name__} while loading; see its log.", config)
        else:
            self._state = ReplicaState("ready", config.engine, model, load_s=round(self._loading_s(), 1))
            self._settled.set()

    def _replace(self, config: EngineConfig) -> EngineT:
        """Free the old engine's memory, then load the new one."""
        if self.engine is not None:
            self._unload(self.engine)
        self.engine = None
        gc.collect()
        if "torch" in sys.modules:
            sys.modules["torch"].cuda.empty_cache()
        return self._load(config)
