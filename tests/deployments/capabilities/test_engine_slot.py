"""An engine is loaded, swapped, retried and guarded; its failures are a state, never an exception of the replica."""

import asyncio
import threading
import time
from typing import Any, Literal

import pytest

from deployments.capabilities import engine_slot
from deployments.capabilities.engine_slot import EngineSlot
from pipelines.contracts.engine import EngineConfig, ModelCard, Resources
from pipelines.contracts.errors import ModelLoading, ModelUnavailable, Overloaded


class Config(EngineConfig):
    engine: Literal["letters"] = "letters"
    letter: str = "a"

    def card(self) -> ModelCard:
        return ModelCard(model=f"model-{self.letter}", license="MIT", description="One letter.")

    def load(self, resources: Resources) -> str:
        return self.letter


class Loader:
    """Loads letters in the slot's thread; raises `errors` first, one at a time, and waits while `held`."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.held = threading.Event()
        self.held.set()
        self.events: list[str] = []
        self.slot: EngineSlot[str] = EngineSlot("Letters", self.load, self.unload)

    def load(self, config: EngineConfig) -> str:
        self.events.append(f"load {config.card().model}")
        assert self.held.wait(20)
        if self.errors:
            raise self.errors.pop(0)
        return str(config.load(Resources()))

    def unload(self, engine: str) -> None:
        self.events.append(f"unload {engine}")


@pytest.fixture
async def loader() -> Loader:
    return Loader()


async def test_loaded_and_swapped_in_place(loader: Loader) -> None:
    slot = loader.slot
    assert slot.state.state == "loading"
    slot.begin_load(Config())
    await slot.loaded(20)
    assert (slot.get(), slot.state.state, slot.state.model) == ("a", "ready", "model-a")
    slot.begin_load(Config(letter="b"))
    await slot.loaded(20)
    assert (slot.get(), slot.state.model) == ("b", "model-b")
    assert loader.events == ["load model-a", "unload a", "load model-b"]


async def test_a_load_under_way_is_waited_for_and_reported(loader: Loader) -> None:
    loader.held.clear()
    loader.slot.begin_load(Config())
    with pytest.raises(ModelLoading, match="model-a is loading"):
        await loader.slot.loaded(0.2)
    state = loader.slot.state
    assert (state.state, state.load_s >= 0.2) == ("loading", True)
    loader.held.set()
    await loader.slot.loaded(20)


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ModelUnavailable("weights are missing"), "weights are missing"), (ValueError("secret"), "ValueError while")],
)
async def test_a_failure_is_a_state(loader: Loader, error: Exception, reason: str) -> None:
    loader.errors.append(error)
    loader.slot.begin_load(Config())
    with pytest.raises(ModelUnavailable, match=f"Letters is unavailable: {reason}") as caught:
        await loader.slot.loaded(20)
    assert "secret" not in caught.value.message
    assert loader.slot.state.state == "failing"
    with pytest.raises(ModelUnavailable):
        loader.slot.get()


async def test_a_failed_load_is_tried_again_once_by_the_calls_that_come_later(
    loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader.errors.append(ModelUnavailable("not fetched yet"))
    loader.slot.begin_load(Config())
    for _ in range(2):
        with pytest.raises(ModelUnavailable):
            await loader.slot.loaded(20)
    monkeypatch.setattr(engine_slot, "RETRY_LOAD_S", 0)
    loader.held.clear()
    calls = []
    for _ in range(5):
        calls.append(asyncio.create_task(loader.slot.loaded(20)))
        await asyncio.sleep(0.05)
    loader.held.set()
    await asyncio.gather(*calls)
    assert loader.events == ["load model-a"] * 2
    assert loader.slot.get() == "a"


async def test_what_it_needs_may_come_up_later(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_slot, "NEIGHBOR_RETRY_S", 0.05)
    loader.errors += [ModelLoading("Knowledge is starting"), ModelLoading("Knowledge is starting")]
    loader.slot.begin_load(Config())
    await loader.slot.loaded(20)
    assert loader.events == ["load model-a"] * 3


async def test_a_call_that_needs_too_much_memory_fails_alone(loader: Loader) -> None:
    loader.slot.begin_load(Config())
    await loader.slot.loaded(20)

    def greedy(_: str) -> Any:
        raise MemoryError

    with pytest.raises(Overloaded, match="memory"):
        loader.slot.guarded(greedy)
    assert loader.slot.guarded(str.upper) == "A"


async def test_a_load_waits_for_the_call_under_way(loader: Loader) -> None:
    loader.slot.begin_load(Config())
    await loader.slot.loaded(20)

    def slow(engine: str) -> str:
        time.sleep(0.2)
        loader.events.append("call ended")
        return engine

    call = asyncio.get_running_loop().run_in_executor(loader.slot.thread, loader.slot.guarded, slow)
    loader.slot.begin_load(Config(letter="b"))
    await loader.slot.loaded(20)
    assert await call == "a"
    assert loader.events == ["load model-a", "call ended", "unload a", "load model-b"]
