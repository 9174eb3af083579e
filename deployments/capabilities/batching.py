"""Dynamic batching: items of concurrent calls that have the same key go to the engine as one batch, the oldest first.

Calls that arrive while the engine works, or within `batch_wait_timeout_s` of the first, wait together. Unlike
`ray.serve.batch`, which it takes its words from, it reports each call's progress, drops a call whose caller has left,
and batches by key. How much a batch gains depends on the model, the image size and the GPU.
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

BATCH_WAIT_TIMEOUT_S = 0.02


@dataclass(eq=False)
class _Call(Generic[ResultT]):
    """One caller's items, and the results so far."""

    size: int
    progress: Progress
    finished: "asyncio.Future[list[ResultT]]"
    results: dict[int, ResultT] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Item(Generic[ItemT, ResultT]):
    """The `index`-th item of a call."""

    value: ItemT
    index: int
    call: _Call[ResultT]


class Batcher(Generic[ItemT, ResultT]):
    """Collects items of many calls into batches, and gives each call its own results. Lives on one event loop.

    Args:
        work: makes one result per item, in order. It reports the batch's progress by its second argument, which raises
            `Cancelled`, in whichever thread it is called, once all callers of the batch have left.
        batch_key: items with the same key may share a batch.
        max_batch_size: called before each batch.
        batch_wait_timeout_s: how long the first call waits for others if nothing is at work.
    """

    def __init__(
        self,
        work: Callable[[Sequence[ItemT], Progress], Awaitable[Sequence[ResultT]]],
        *,
        batch_key: Callable[[ItemT], Hashable],
        max_batch_size: Callable[[], int],
        batch_wait_timeout_s: float = BATCH_WAIT_TIMEOUT_S,
    ) -> None:
        self._work = work
        self._batch_key = batch_key
        self._max_batch_size = max_batch_size
        self._batch_wait_timeout_s = batch_wait_timeout_s
        self._waiting: list[_Item[ItemT, ResultT]] = []
        self._runner: asyncio.Task[None] | None = None

    def submit(self, items: Sequence[ItemT], progress: Progress) -> "asyncio.Future[list[ResultT]]":
        """Submit one call's items; they may run in several batches, with or without those of other calls.

        Args:
            items: of the call.
            progress: takes the call's progress, in the thread that works. It raises `Cancelled` once the caller has
                left, which ends the work only if all other callers of the batch have left too.

        Returns:
            One result per item, in order, or what `work` raised. Cancelling the future drops items that have not
            started.
        """
        finished: asyncio.Future[list[ResultT]] = asyncio.get_running_loop().create_future()
        call = _Call(len(items), progress, finished)
        if not items:
            finished.set_result([])
            return finished
        self._waiting += [_Item(value, index, call) for index, value in enumerate(items)]
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        return finished

    async def _run(self) -> None:
        """Run batch after batch until nothing waits."""
        try:
            if self._max_batch_size() > 1:
                await asyncio.sleep(self._batch_wait_timeout_s)
            while batch := self._take():
                await self._run_batch(batch)
        finally:
            self._runner = None

    def _take(self) -> list[_Item[ItemT, ResultT]]:
        """The oldest waiting item, and those with its key."""
        self._waiting = [item for item in self._waiting if not item.call.finished.done()]
        if not self._waiting:
            return []
        key, size = self._batch_key(self._waiting[0].value), self._max_batch_size()
        batch = [item for item in self._waiting if self._batch_key(item.value) == key][:size]
        self._waiting = [item for item in self._waiting if item not in batch]
        return batch

    async def _run_batch(self, batch: list[_Item[ItemT, ResultT]]) -> None:
        """Run a batch. If it fails, its calls are tried one by one, so that none suffers from another."""
        calls = [list(items) for _, items in groupby(batch, key=lambda item: id(item.call))]
        try:
            results = await self._work([item.value for item in batch], _shared_progress(batch))
        except Cancelled as error:
            _fail(batch, error)
        except Exception as error:  # noqa: BLE001  its callers get it
            if len(calls) == 1:
                _fail(batch, error)
                return
            for items in calls:
                if not items[0].call.finished.done():
                    await self._run_batch(items)
        else:
            for item, result in zip(batch, results, strict=True):
                _deliver(item, result)


def _shared_progress(batch: Sequence[_Item[ItemT, ResultT]]) -> Progress:
    """The progress of a batch, reported to each of its calls as the progress of that call."""
    calls = {id(item.call): item.call for item in batch}
    here = {key: sum(item.call is call for item in batch) for key, call in calls.items()}
    before = {key: len(call.results) for key, call in calls.items()}
    left: set[int] = set()

    def report(fraction: float | None, stage: str, /) -> None:
        for key, call in calls.items():
            part = None if fraction is None else (before[key] + here[key] * fraction) / call.size
            try:
                call.progress(part, stage)
            except Cancelled:
                left.add(key)
        if len(left) == len(calls):
            raise Cancelled("all callers went away")

    return report


def _deliver(item: _Item[ItemT, ResultT], result: ResultT) -> None:
    call = item.call
    call.results[item.index] = result
    if len(call.results) == call.size and not call.finished.done():
        call.finished.set_result([call.results[index] for index in range(call.size)])


def _fail(batch: Sequence[_Item[ItemT, ResultT]], error: Exception) -> None:
    for item in batch:
        if not item.call.finished.done():
            item.call.finished.set_exception(error)
