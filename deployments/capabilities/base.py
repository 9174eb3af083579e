"""What every capability's deployment does: load an engine, swap it in place, run calls on it, report its state.

`protocol.py` says what the events of a call are. The same stream serves a caller who waits for the result and one who
watches the progress.
"""

import asyncio
import gc
import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from threading import Event
from typing import Any, Generic, TypeVar

import ray
from pydantic import ValidationError

from deployments.capabilities.protocol import CallEvent, EngineInfo, ReplicaState, ResultEvent, Update
from deployments.catalog import BY_DEPLOYMENT
from deployments.settings import Settings
from deployments.storage import ObjectStore
from pipelines.contracts.engine import EngineConfig, Resources
from pipelines.contracts.errors import Cancelled, ModelLoading, ModelUnavailable, Overloaded, SensoriumError
from pipelines.loading.device import limit_memory

logger = logging.getLogger("ray.serve")

EngineT = TypeVar("EngineT")
ResultT = TypeVar("ResultT")

UPDATE_EVERY_S = 0.25
RETRY_LOAD_S = 30
NEIGHBOUR_S = 2


class CallProgress:
    """The progress of one call: made on the event loop, called from the engine's thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._cancelled = Event()
        self._latest: Update | None = None
        self._changed = asyncio.Event()
        self._last_stage = ""
        self._last_told_s = 0.0

    def cancel(self) -> None:
        """Make the engine's next look at its progress raise `Cancelled`."""
        self._cancelled.set()

    def __call__(self, fraction: float | None, stage: str, /) -> None:
        """Report from the engine's thread; raises `Cancelled` when nobody waits any more."""
        if self._cancelled.is_set():
            raise Cancelled("the caller went away")
        now_s = time.monotonic()
        if stage != self._last_stage or now_s - self._last_told_s >= UPDATE_EVERY_S:
            self._last_stage, self._last_told_s = stage, now_s
            self._loop.call_soon_threadsafe(self._tell, Update(fraction, stage))

    def _tell(self, update: Update) -> None:
        self._latest = update
        self._changed.set()

    async def updates_until(self, finished: asyncio.Future[Any]) -> AsyncIterator[Update]:
        """The latest update whenever there is a new one, until `finished` is done."""
        while not finished.done():
            changed = asyncio.ensure_future(self._changed.wait())
            await asyncio.wait({finished, changed}, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
            if self._changed.is_set() and self._latest is not None:
                self._changed.clear()
                yield self._latest


class Capability(Generic[EngineT]):
    """Base of the capabilities' deployments: one engine in one thread of its own.

    One thread, because engines are not thread-safe and because a cancelled call may still run to its next look at the
    progress: the call that follows waits for that instead of running beside it. A load goes through the same thread:
    it starts when the calls before it have ended, and the calls after it wait for it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = ObjectStore.open(settings.store_url, public_url=settings.public_url)
        self.resources = Resources(data_dir=settings.data_dir)
        assigned = ray.get_runtime_context().get_assigned_resources()  # type: ignore[no-untyped-call]  # Ray's
        if share := assigned.get("GPU"):
            limit_memory(min(share, 1.0))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._state = ReplicaState("loading", "", "")
        self._load_started_s = time.monotonic()
        self._engine: EngineT | None = None
        self._loaded = asyncio.Event()
        self._load: asyncio.Task[None] | None = None
        self._retry: EngineConfig | None = None
        self._failed_s = 0.0

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take in the YAML block's `user_config`: Serve calls this at the start and at each change.

        Returns before the engine is loaded, so that the replica can tell its state meanwhile. An error is kept as that
        state and never raised: Serve would answer it by killing the replica.
        """
        try:
            config = BY_DEPLOYMENT[type(self).__name__].parse(user_config)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            self._fail(str(user_config.get("engine", "")), "", f"user_config is invalid: {where}: {first['msg']}")
            return
        self._begin_load(config)

    def _begin_load(self, config: EngineConfig) -> None:
        if self._load is not None:
            self._load.cancel()
        self._loaded.clear()
        self._state = ReplicaState("loading", config.engine, config.card().model)
        self._load_started_s = time.monotonic()
        self._load = asyncio.create_task(self._swap(config))

    async def _swap(self, config: EngineConfig) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._engine = await loop.run_in_executor(self._thread, self._replace, config)
        except ModelLoading:  # a neighbour that this engine asks while it loads is not ready itself
            await asyncio.sleep(NEIGHBOUR_S)
            self._load = asyncio.create_task(self._swap(config))
        except SensoriumError as error:
            self._fail(config.engine, config.card().model, error.message, config)
        except Exception as error:
            logger.error("loading %s failed", config.engine, exc_info=error)
            self._fail(
                config.engine, config.card().model, f"{type(error).__name__} while loading; see its log.", config
            )
        else:
            taken_s = time.monotonic() - self._load_started_s
            self._state = ReplicaState("ready", config.engine, config.card().model, load_s=round(taken_s, 1))
            self._retry = None
            self._loaded.set()

    def _replace(self, config: EngineConfig) -> EngineT:
        if self._engine is not None:
            self.unload(self._engine)
        self._engine = None  # the old one's memory goes before the new one's comes
        gc.collect()
        if "torch" in sys.modules:
            sys.modules["torch"].cuda.empty_cache()
        return self.load(config)

    def _fail(self, engine: str, model: str, reason: str, retry: EngineConfig | None = None) -> None:
        self._engine = None
        self._state = ReplicaState("failing", engine, model, reason)
        self._retry = retry
        self._failed_s = time.monotonic()
        self._loaded.set()

    def _retry_failed_load(self) -> None:
        """A model that was fetched meanwhile, or a neighbour that came back, is found by the next call."""
        if self._retry is not None and time.monotonic() - self._failed_s > RETRY_LOAD_S:
            self._begin_load(self._retry)

    def load(self, config: EngineConfig) -> EngineT:
        """Load the engine; runs in its thread."""
        engine: EngineT = config.load(self.resources)
        return engine

    def unload(self, engine: EngineT) -> None:
        """End what an engine keeps running, before another takes its place; runs in its thread."""

    async def state(self) -> ReplicaState:
        """What `/readyz` and `/v1/models` tell of this replica."""
        if self._state.state == "loading":
            return ReplicaState(**{**vars(self._state), "load_s": round(time.monotonic() - self._load_started_s, 1)})
        return self._state

    async def answering(self) -> EngineInfo:
        """Wait for the engine to be loaded, and say which it is.

        Raises:
            ModelLoading: it was not loaded within `cold_wait_s`.
            ModelUnavailable: its load failed.
        """
        self._retry_failed_load()
        try:
            async with asyncio.timeout(self.settings.cold_wait_s):
                await self._loaded.wait()
        except TimeoutError:
            spent_s = time.monotonic() - self._load_started_s
            raise ModelLoading(f"{self._state.model} is being loaded, for {spent_s:.0f} s so far.") from None
        if self._state.state == "failing":
            raise ModelUnavailable(f"{type(self).__name__} cannot answer: {self._state.reason}")
        return EngineInfo(self._state.engine, self._state.model)

    async def in_engine(self, work: Callable[[EngineT], ResultT]) -> ResultT:
        """Run one piece of work in the engine's thread."""
        await self.answering()
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._guarded, work)

    def _guarded(self, work: Callable[[EngineT], ResultT]) -> ResultT:
        """Run work in a thread; one call that wants more memory than there is fails alone."""
        try:
            return work(self._loaded_engine())
        except MemoryError:
            raise Overloaded("There is not enough memory for this call.", 30) from None
        except RuntimeError as error:
            torch = sys.modules.get("torch")
            if torch is None or not isinstance(error, torch.cuda.OutOfMemoryError):
                raise
            torch.cuda.empty_cache()
            raise Overloaded("There is not enough GPU memory for this call.", 30) from None

    def _loaded_engine(self) -> EngineT:
        if self._engine is None:
            raise ModelUnavailable(
                f"{type(self).__name__} cannot answer: {self._state.reason or 'no engine is loaded'}"
            )
        return self._engine

    def run(
        self,
        work: Callable[[EngineT, CallProgress], ResultT],
        publish: Callable[[ResultT], Awaitable[Any]] | None = None,
        thread: ThreadPoolExecutor | None = None,
    ) -> AsyncIterator[CallEvent]:
        """Run one call: `work` in the engine's thread (or in `thread`), then `publish` on the event loop.

        The first update tells that the thread has come to it. Closing the stream stops `work` at its next look at its
        progress.
        """

        def start(ticket: CallProgress) -> asyncio.Future[ResultT]:
            def begin(engine: EngineT) -> ResultT:
                ticket(None, "starting")
                return work(engine, ticket)

            return asyncio.get_running_loop().run_in_executor(thread or self._thread, self._guarded, begin)

        return self.follow(start, publish)

    async def follow(
        self,
        start: Callable[[CallProgress], asyncio.Future[ResultT]],
        publish: Callable[[ResultT], Awaitable[Any]] | None = None,
    ) -> AsyncIterator[CallEvent]:
        """The events of one call whose work `start` begins, then `publish` on the event loop.

        Closing the stream cancels the work and makes its next look at its progress raise `Cancelled`.
        """
        yield await self.answering()
        ticket = CallProgress()
        finished = start(ticket)
        finished.add_done_callback(_retrieved)
        try:
            async for update in ticket.updates_until(finished):
                yield update
            result: Any = await finished
            yield ResultEvent(result if publish is None else await publish(result))
        finally:
            ticket.cancel()
            finished.cancel()

    async def run_stream(
        self, pieces: Callable[[EngineT, CallProgress], Iterator[ResultT]]
    ) -> AsyncIterator[EngineInfo | ResultT]:
        """Run one call whose result is made piece by piece, each in the engine's thread when the caller wants it.

        A slow caller holds up nobody: between two pieces the thread is free for other calls.
        """
        yield await self.answering()
        ticket = CallProgress()
        loop = asyncio.get_running_loop()
        made = await loop.run_in_executor(self._thread, lambda: pieces(self._loaded_engine(), ticket))
        try:
            while piece := await loop.run_in_executor(self._thread, lambda: list(islice(made, 1))):
                yield piece[0]
        finally:
            ticket.cancel()


def _retrieved(finished: asyncio.Future[Any]) -> None:
    """Look at the outcome of a call that nobody waits for, so that asyncio does not report it as forgotten."""
    if not finished.cancelled():
        finished.exception()
