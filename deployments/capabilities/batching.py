"""Makes one piece of work out of what several callers want at the same time.

A model that makes four images at once needs little longer than for one. Calls that arrive while the engine is at
work, or within a moment of the first, wait together; what is alike goes to the engine as one batch, the oldest first.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Generic, TypeVar

from pipelines.contracts.errors import Cancelled
from pipelines.contracts.progress import Progress

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

WAIT_S = 0.02


@dataclass(eq=False)
class _Call(Generic[ResultT]):
    """What one caller wants, and how far it is."""

    size: int
    progress: Progress
    finished: "asyncio.Future[list[ResultT]]"
    results: dict[int, ResultT] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Item(Generic[ItemT, ResultT]):
    """One thing to make: the `index`-th of its call."""

    what: ItemT
    index: int
    call: _Call[ResultT]


class Batcher(Generic[ItemT, ResultT]):
    """Collects items of many calls into batches, and gives each call its own results. Lives on one event loop.

    Args:
        work: makes one result per item, in order; told the progress of the whole batch by its second argument, which
            raises `Cancelled`, in whichever thread it is called, when all callers of the batch have left.
        alike: items with the same key may share a batch.
        most: the largest batch, asked anew for each.
        wait_s: how long the first call waits for others when nothing is at work.
    """

    def __init__(
        self,
        work: Callable[[Sequence[ItemT], Progress], Awaitable[Sequence[ResultT]]],
        *,
        alike: Callable[[ItemT], Hashable],
        most: Callable[[], int],
        wait_s: float = WAIT_S,
    ) -> None:
        self._work = work
        self._alike = alike
        self._most = most
        self._wait_s = wait_s
        self._waiting: list[_Item[ItemT, ResultT]] = []
        self._runner: asyncio.Task[None] | None = None

    def submit(self, items: Sequence[ItemT], progress: Progress) -> "asyncio.Future[list[ResultT]]":
        """Ask for items; they may be made in several batches, with or without those of others.

        Args:
            items: what is wanted, together one call.
            progress: is told how far this call is, from the thread that works; it raises `Cancelled` where the caller
                has left, which ends the work only if all others of the batch have left too.

        Returns:
            One result per item, in order, or what `work` raised. A caller that leaves cancels it: what was not begun
            for it is dropped.
        """
        finished: asyncio.Future[list[ResultT]] = asyncio.get_running_loop().create_future()
        call = _Call(len(items), progress, finished)
        if not items:
            finished.set_result([])
            return finished
        self._waiting += [_Item(what, index, call) for index, what in enumerate(items)]
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        return finished

    async def _run(self) -> None:
        """Work batch by batch until nobody waits."""
        try:
            if self._most() > 1:
                await asyncio.sleep(self._wait_s)
            while batch := self._take():
                await self._make(batch)
        finally:
            self._runner = None

    def _take(self) -> list[_Item[ItemT, ResultT]]:
        """The oldest item that is still wanted, and what is like it."""
        self._waiting = [item for item in self._waiting if not item.call.finished.done()]
        if not self._waiting:
            return []
        key, most = self._alike(self._waiting[0].what), self._most()
        batch = [item for item in self._waiting if self._alike(item.what) == key][:most]
        self._waiting = [item for item in self._waiting if item not in batch]
        return batch

    async def _make(self, batch: list[_Item[ItemT, ResultT]]) -> None:
        """Make a batch. Where it fails, its calls are tried one by one, so that none suffers from another."""
        calls = [list(items) for _, items in groupby(batch, key=lambda item: id(item.call))]
        try:
            results = await self._work([item.what for item in batch], _together(batch))
        except Cancelled as error:
            _fail(batch, error)
        except Exception as error:  # noqa: BLE001  whatever it is, it is for the callers
            if len(calls) == 1:
                _fail(batch, error)
                return
            for items in calls:
                if not items[0].call.finished.done():
                    await self._make(items)
        else:
            for item, result in zip(batch, results, strict=True):
                _deliver(item, result)


def _together(batch: Sequence[_Item[ItemT, ResultT]]) -> Progress:
    """The progress of a batch: told to each of its calls as the progress of that call."""
    calls = {id(item.call): item.call for item in batch}
    here = {key: sum(item.call is call for item in batch) for key, call in calls.items()}
    before = {key: len(call.results) for key, call in calls.items()}
    left: set[int] = set()

    def tell(fraction: float | None, stage: str, /) -> None:
        for key, call in calls.items():
            part = None if fraction is None else (before[key] + here[key] * fraction) / call.size
            try:
                call.progress(part, stage)
            except Cancelled:
                left.add(key)
        if len(left) == len(calls):
            raise Cancelled("all callers went away")

    return tell


def _deliver(item: _Item[ItemT, ResultT], result: ResultT) -> None:
    call = item.call
    call.results[item.index] = result
    if len(call.results) == call.size and not call.finished.done():
        call.finished.set_result([call.results[index] for index in range(call.size)])


def _fail(batch: Sequence[_Item[ItemT, ResultT]], error: Exception) -> None:
    for item in batch:
        if not item.call.finished.done():
            item.call.finished.set_exception(error)
