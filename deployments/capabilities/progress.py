"""The progress of one call: reported by the engine's thread, followed on the event loop; and its cancellation."""

import asyncio
import time
from collections.abc import AsyncIterator
from threading import Event
from typing import Any

from deployments.capabilities.protocol import Update
from pipelines.contracts.errors import Cancelled

UPDATE_INTERVAL_S = 0.25


class CallProgress:
    """A `Progress` for an engine. Created on the event loop, called from the engine's thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._cancelled = Event()
        self._latest: Update | None = None
        self._changed = asyncio.Event()
        self._last_stage = ""
        self._reported_s = 0.0

    def cancel(self) -> None:
        """Make the engine's next report raise `Cancelled`."""
        self._cancelled.set()

    def __call__(self, fraction: float | None, stage: str, /) -> None:
        """Report from the engine's thread; raises `Cancelled` once nobody waits for the call."""
        if self._cancelled.is_set():
            raise Cancelled("the caller went away")
        now_s = time.monotonic()
        if stage != self._last_stage or now_s - self._reported_s >= UPDATE_INTERVAL_S:
            self._last_stage, self._reported_s = stage, now_s
            self._loop.call_soon_threadsafe(self._show, Update(fraction, stage))

    def _show(self, update: Update) -> None:
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
