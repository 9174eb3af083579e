"""Items of concurrent calls share batches, in one thread; no call suffers from another."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from deployments.capabilities.batching import Batcher
from deployments.capabilities.progress import CallProgress
from pipelines.contracts.errors import Cancelled, InvalidInput, Overloaded
from pipelines.contracts.progress import Progress

STEP_S = 0.02
STEPS = 4


class Engine:
    """Upper-cases words in one thread, in steps as a model does; remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.stopped: list[list[str]] = []
        self.steps = 0
        self._thread = ThreadPoolExecutor(1)
        self._at_work = threading.Lock()

    async def work(self, words: Sequence[str], progress: Progress) -> list[str]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._make, list(words), progress)

    def _make(self, words: list[str], progress: Progress) -> list[str]:
        assert self._at_work.acquire(blocking=False), "two batches at once"
        try:
            self.batches.append(words)
            for step in range(STEPS):
                time.sleep(STEP_S)
                self.steps += 1
                try:
                    progress((step + 1) / STEPS, "denoising")
                except Cancelled:
                    self.stopped.append(words)
                    raise
            if "poison" in words:
                raise ZeroDivisionError("poison")
            if len(words) > 3 and "heavy" in words:
                raise Overloaded("too much at once")
            return [word.upper() for word in words]
        finally:
            self._at_work.release()


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def batcher(engine: Engine) -> Batcher[str, str]:
    """Batches of up to four words of equal length."""
    return Batcher(engine.work, batch_key=len, max_batch_size=lambda: 4)


class Caller:
    """One call, as the deployment makes it: with a `CallProgress`, which it cancels when it leaves."""

    def __init__(self, batcher: Batcher[str, str], *words: str) -> None:
        self.call = CallProgress()
        self.reported: list[float] = []
        self.finished = batcher.submit(words, self._report)

    def _report(self, fraction: float | None, stage: str, /) -> None:
        assert stage == "denoising"
        self.reported.append(fraction)
        self.call(fraction, stage)

    def leave(self) -> None:
        self.call.cancel()
        self.finished.cancel()


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110  what it waits for happens in the engine's thread
            await asyncio.sleep(0.002)


async def test_calls_at_once_are_one_batch_and_each_gets_its_own(engine: Engine, batcher: Batcher) -> None:
    callers = [Caller(batcher, "red"), Caller(batcher, "sky", "pig"), Caller(batcher, "cow")]
    assert [await each.finished for each in callers] == [["RED"], ["SKY", "PIG"], ["COW"]]
    assert engine.batches == [["red", "sky", "pig", "cow"]]


async def test_eight_calls_take_the_time_of_two_batches(engine: Engine, batcher: Batcher) -> None:
    callers = [Caller(batcher, f"w{index}") for index in range(8)]
    await asyncio.gather(*(each.finished for each in callers))
    print("batches:", [len(each) for each in engine.batches], "ideal gain 4, achieved", 8 * STEPS / engine.steps)
    assert [len(each) for each in engine.batches] == [4, 4]


async def test_what_arrives_during_a_batch_waits_for_the_next(engine: Engine, batcher: Batcher) -> None:
    first = Caller(batcher, "one")
    await until(lambda: engine.batches)
    later = [Caller(batcher, word) for word in ("two", "six", "ten")]
    assert await first.finished == ["ONE"]
    assert [await each.finished for each in later] == [["TWO"], ["SIX"], ["TEN"]]
    assert engine.batches == [["one"], ["two", "six", "ten"]]


async def test_only_equal_keys_share_a_batch_and_the_oldest_goes_first(engine: Engine, batcher: Batcher) -> None:
    callers = [Caller(batcher, word) for word in ("aa", "bbb", "cc", "ddd", "e")]
    assert [(await each.finished)[0] for each in callers] == ["AA", "BBB", "CC", "DDD", "E"]
    assert engine.batches == [["aa", "cc"], ["bbb", "ddd"], ["e"]]


async def test_a_large_call_is_made_in_several_batches_with_progress_of_the_whole(
    engine: Engine, batcher: Batcher
) -> None:
    large, small = Caller(batcher, *(f"{index:02}" for index in range(10))), Caller(batcher, "xx")
    assert await large.finished == [f"{index:02}" for index in range(10)]
    assert await small.finished == ["XX"]
    assert [len(each) for each in engine.batches] == [4, 4, 3]
    assert large.reported == pytest.approx([n / 10 for n in (1, 2, 3, 4, 5, 6, 7, 8, 8.5, 9, 9.5, 10)])
    assert small.reported == [0.25, 0.5, 0.75, 1]


async def test_one_that_leaves_before_the_start_is_dropped(engine: Engine, batcher: Batcher) -> None:
    busy = Caller(batcher, "one")
    await until(lambda: engine.batches)
    gone, stays = Caller(batcher, "two", "ten"), Caller(batcher, "six")
    gone.leave()
    assert await busy.finished == ["ONE"]
    assert await stays.finished == ["SIX"]
    assert engine.batches == [["one"], ["six"]]
    assert gone.reported == []


async def test_one_that_leaves_in_the_middle_harms_nobody(engine: Engine, batcher: Batcher) -> None:
    gone, stays = Caller(batcher, "one"), Caller(batcher, "two")
    await until(lambda: gone.reported)
    gone.leave()
    assert await stays.finished == ["TWO"]
    assert stays.reported == [0.25, 0.5, 0.75, 1]
    assert engine.batches == [["one", "two"]]
    assert engine.stopped == []
    assert gone.finished.cancelled()


async def test_the_work_stops_when_all_have_left_and_the_next_call_is_served(engine: Engine, batcher: Batcher) -> None:
    callers = [Caller(batcher, "one"), Caller(batcher, "two")]
    await until(lambda: engine.steps == 1)
    for each in callers:
        each.leave()
    await until(lambda: engine.stopped)
    assert engine.steps < STEPS
    assert await Caller(batcher, "six").finished == ["SIX"]


async def test_what_is_left_of_a_call_that_went_away_is_never_begun(engine: Engine, batcher: Batcher) -> None:
    large = Caller(batcher, *(f"{index:02}" for index in range(10)))
    await until(lambda: engine.batches)
    large.leave()
    assert await Caller(batcher, "xx").finished == ["XX"]
    assert engine.batches == [["00", "01", "02", "03"], ["xx"]]


async def test_a_call_that_breaks_its_batch_fails_alone(engine: Engine, batcher: Batcher) -> None:
    callers = [Caller(batcher, word) for word in ("violin", "poison", "guitar")]
    results = await asyncio.gather(*(each.finished for each in callers), return_exceptions=True)
    assert results[0] == ["VIOLIN"]
    assert isinstance(results[1], ZeroDivisionError)
    assert results[2] == ["GUITAR"]
    assert engine.batches[1:] == [["violin"], ["poison"], ["guitar"]]


async def test_a_batch_that_is_too_large_for_the_memory_is_made_in_parts(engine: Engine, batcher: Batcher) -> None:
    callers = [Caller(batcher, word, "other") for word in ("heavy", "light")]
    assert [await each.finished for each in callers] == [["HEAVY", "OTHER"], ["LIGHT", "OTHER"]]
    assert [len(each) for each in engine.batches] == [4, 2, 2]


async def test_a_call_that_fails_is_not_continued(engine: Engine, batcher: Batcher) -> None:
    caller = Caller(batcher, "poison", *("guitar",) * 7)
    with pytest.raises(ZeroDivisionError):
        await caller.finished
    assert await Caller(batcher, "violin").finished == ["VIOLIN"]
    assert [len(each) for each in engine.batches] == [4, 1]


async def test_a_result_may_be_a_refusal(batcher: Batcher) -> None:
    async def work(words: Sequence[str], _progress: Progress) -> list[str | InvalidInput]:
        return [InvalidInput("no") if word == "bad" else word for word in words]

    refusing = Batcher(work, batch_key=lambda _: None, max_batch_size=lambda: 4)
    bad, good = refusing.submit(["bad"], CallProgress()), refusing.submit(["good"], CallProgress())
    assert isinstance((await bad)[0], InvalidInput)
    assert await good == ["good"]


async def test_one_at_a_time_waits_for_nobody(engine: Engine) -> None:
    batcher = Batcher(engine.work, batch_key=len, max_batch_size=lambda: 1, batch_wait_timeout_s=60)
    assert await asyncio.gather(*(Caller(batcher, word).finished for word in ("one", "two"))) == [["ONE"], ["TWO"]]
    assert engine.batches == [["one"], ["two"]]


async def test_no_items_make_no_batch(engine: Engine, batcher: Batcher) -> None:
    assert await Caller(batcher).finished == []
    assert engine.batches == []


async def test_a_hundred_callers_of_whom_half_leave_at_any_time(engine: Engine, batcher: Batcher) -> None:
    callers = [Caller(batcher, f"{index:03}") for index in range(100)]
    for number, each in enumerate(callers[::2]):
        await asyncio.sleep(0.005 if number % 5 == 0 else 0)
        each.leave()
    results = await asyncio.gather(*(each.finished for each in callers), return_exceptions=True)
    assert results[1::2] == [[f"{index:03}"] for index in range(1, 100, 2)]
    assert all(
        result == [f"{index * 2:03}"] or isinstance(result, asyncio.CancelledError)
        for index, result in enumerate(results[::2])
    )
    made = [word for batch in engine.batches for word in batch]
    assert len(made) == len(set(made)) < 75
