"""What every capability's deployment does: take in its configuration, load its engine, run calls on it.

`protocol.py` says what the events of a call are. The same stream serves a caller who waits for the result and one who
watches the progress.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

import ray
from pydantic import ValidationError

from deployments.capabilities.engine_slot import EngineSlot
from deployments.capabilities.progress import CallProgress
from deployments.capabilities.protocol import CallEvent, EngineInfo, ReplicaState, ResultEvent, Source
from deployments.catalog import BY_DEPLOYMENT
from deployments.private import keep_private
from deployments.settings import Settings
from deployments.storage import ObjectStore
from deployments.storage.space import require_space
from pipelines.contracts.engine import EngineConfig, Resources
from pipelines.contracts.progress import Progress
from pipelines.loading.device import limit_memory
from pipelines.loading.lock import use_lock
from pipelines.media.video import VideoReader

EngineT = TypeVar("EngineT")
ResultT = TypeVar("ResultT")


class Capability(Generic[EngineT]):
    """Base of the capabilities' deployments.

    Attributes:
        settings: of the installation.
        store: of uploads and results.
        resources: what engines are loaded with.
        slot: holds the engine.
    """

    def __init__(self, settings: Settings) -> None:
        keep_private(settings.data_dir)
        self.settings = settings
        self.store = ObjectStore.open(settings.store_url, public_url=settings.public_url)
        self.resources = Resources(data_dir=settings.data_dir)
        use_lock(settings.models_lock)
        assigned = ray.get_runtime_context().get_assigned_resources()  # type: ignore[no-untyped-call]  # Ray's
        if share := assigned.get("GPU"):
            limit_memory(min(share, 1.0))
        self.slot = EngineSlot(type(self).__name__, self.load, self.unload)

    def load(self, config: EngineConfig) -> EngineT:
        """Load the engine; runs in its thread."""
        engine: EngineT = config.load(self.resources)
        return engine

    def unload(self, engine: EngineT) -> None:
        """End what an engine keeps running, before another takes its place; runs in its thread."""

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take in the YAML block's `user_config`: Serve calls this at the start and at each change.

        Returns before the engine is loaded, so that the replica can report its state meanwhile. An error is kept as
        that state and never raised: Serve would answer it by killing the replica.
        """
        try:
            config = BY_DEPLOYMENT[type(self).__name__].parse(user_config)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            self.slot.fail(str(user_config.get("engine", "")), "", f"user_config is invalid: {where}: {first['msg']}")
        else:
            self.slot.begin_load(config)

    async def state(self) -> ReplicaState:
        """What `/readyz` and `/v1/models` report of this replica."""
        return self.slot.state

    async def engine_info(self) -> EngineInfo:
        """Wait for the engine to be loaded, and say which it is.

        Raises:
            ModelLoading: it was not loaded within `cold_wait_s`.
            ModelUnavailable: its load failed.
        """
        await self.slot.loaded(self.settings.cold_wait_s)
        state = self.slot.state
        return EngineInfo(state.engine, state.model)

    @contextmanager
    def open_video(self, source: Source) -> Iterator[VideoReader]:
        """An uploaded video, under the installation's limits."""
        limits = self.settings
        with (
            self.store.open_reader(source.key) as file,
            VideoReader(
                file,
                source.container,
                max_pixels=limits.max_video_pixels,
                max_s=limits.max_video_s,
                max_frames=limits.max_frames,
            ) as video,
        ):
            yield video

    def writing(self, progress: Progress) -> Progress:
        """The progress of work that writes a temporary file, which must not grow into the disk's reserve."""
        folder = Path(tempfile.gettempdir())

        def report(fraction: float | None, stage: str, /) -> None:
            require_space(folder)
            progress(fraction, stage)

        return report

    async def in_engine(self, work: Callable[[EngineT], ResultT], thread: ThreadPoolExecutor | None = None) -> ResultT:
        """Run one piece of work in the engine's thread, or in `thread`."""
        await self.engine_info()
        return await asyncio.get_running_loop().run_in_executor(thread or self.slot.thread, self.slot.guarded, work)

    def run(
        self,
        work: Callable[[EngineT, CallProgress], ResultT],
        publish: Callable[[ResultT], Awaitable[Any]] | None = None,
    ) -> AsyncIterator[CallEvent]:
        """Run one call: `work` in the engine's thread, then `publish` on the event loop.

        The first update reports that the thread has come to it. Closing the stream makes the next report of progress
        in `work` raise `Cancelled`.
        """

        def start(progress: CallProgress) -> asyncio.Future[ResultT]:
            def begin(engine: EngineT) -> ResultT:
                progress(None, "starting")
                return work(engine, progress)

            return asyncio.get_running_loop().run_in_executor(self.slot.thread, self.slot.guarded, begin)

        return self.follow(start, publish)

    async def follow(
        self,
        start: Callable[[CallProgress], asyncio.Future[ResultT]],
        publish: Callable[[ResultT], Awaitable[Any]] | None = None,
    ) -> AsyncIterator[CallEvent]:
        """The events of one call whose work `start` begins, then `publish` on the event loop.

        Closing the stream cancels the work: its next report of progress raises `Cancelled`.
        """
        yield await self.engine_info()
        progress = CallProgress()
        finished = start(progress)
        finished.add_done_callback(_retrieved)
        try:
            async for update in progress.updates_until(finished):
                yield update
            result: Any = await finished
            yield ResultEvent(result if publish is None else await publish(result))
        finally:
            progress.cancel()
            finished.cancel()

    async def run_stream(
        self, pieces: Callable[[EngineT, CallProgress], Iterator[ResultT]]
    ) -> AsyncIterator[EngineInfo | ResultT]:
        """Run one call whose result is made piece by piece, each in the engine's thread when the caller wants it.

        A slow caller holds up nobody: between two pieces the thread is free for other calls.
        """
        yield await self.engine_info()
        progress = CallProgress()
        loop = asyncio.get_running_loop()
        made = await loop.run_in_executor(self.slot.thread, lambda: pieces(self.slot.get(), progress))
        try:
            while piece := await loop.run_in_executor(self.slot.thread, lambda: list(islice(made, 1))):
                yield piece[0]
        finally:
            progress.cancel()


def _retrieved(finished: asyncio.Future[Any]) -> None:
    """Look at the outcome of a call that nobody waits for, so that asyncio does not report it as forgotten."""
    if not finished.cancelled():
        finished.exception()
