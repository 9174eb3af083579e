"""The chat capability: what retrieval is asked, and how the deltas of an answer cross the handle."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from deployments.capabilities.chat import Chat, coalesced
from deployments.capabilities.protocol import ChatCall, EngineInfo
from deployments.settings import Settings
from pipelines.chat import Delta, Message
from pipelines.contracts.errors import InvalidInput, Overloaded
from pipelines.knowledge import Passage
from tests.openai_server import Exchange, server

PASSAGE = Passage("report.pdf", 3, "Revenue was 5 million in 2023.", 0.9)
TURNS = ("What was the revenue in 2022?", "3 million.", "And in 2023?")


def conversation(*turns: str) -> tuple[Message, ...]:
    return tuple(Message("assistant" if index % 2 else "user", turn) for index, turn in enumerate(turns))


class Knowledge:
    """The knowledge base's handle; it finds `PASSAGE`."""

    def __init__(self) -> None:
        self.searches: list[tuple[str, str, str]] = []
        self.search = SimpleNamespace(remote=self._search)

    async def _search(self, owner: str, category: str, query: str, count: int) -> tuple[Passage, ...]:
        self.searches.append((owner, category, query))
        return (PASSAGE,)


@asynccontextmanager
async def chat(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Chat, Knowledge]]:
    """The capability outside Ray, with the model behind `url`."""
    monkeypatch.setattr(ray, "get_runtime_context", lambda: SimpleNamespace(get_assigned_resources=dict))
    knowledge = Knowledge()
    capability: Any = Chat(Settings(data_dir=tmp_path), knowledge)  # type: ignore[arg-type]
    await capability.reconfigure({"engine": "openai", "base_url": url, "model": "some/model"})
    await capability.engine_info()
    yield capability, knowledge
    await asyncio.to_thread(capability.unload, capability.slot.get())


async def answered(capability: Chat, call: ChatCall) -> tuple[str, Delta]:
    """The text and the last delta."""
    info, *batches = [event async for event in capability.stream(call)]
    assert info == EngineInfo("openai", "some/model")
    deltas = [delta for batch in batches for delta in batch]
    return "".join(delta.text for delta in deltas), deltas[-1]


async def rewriting(exchange: Exchange) -> None:
    is_rewrite = "standalone question" in exchange.body["messages"][0]["content"]
    await exchange.answer("What was the revenue in 2023?" if is_rewrite else "5 million [1].")


async def test_retrieval_gets_the_question_that_the_model_rewrote(tmp_path, monkeypatch) -> None:
    async with server(rewriting) as (url, got), chat(url, tmp_path, monkeypatch) as (capability, knowledge):
        text, last = await answered(capability, ChatCall(conversation(*TURNS), category="reports"))
    assert knowledge.searches == [("default", "reports", "What was the revenue in 2023?")]
    assert (text, last.sources) == ("5 million [1].", (PASSAGE,))
    rewrite, answer = got
    assert "Last question: And in 2023?" in rewrite.body["messages"][0]["content"]
    *turns, question = [turn["content"] for turn in answer.body["messages"]]
    assert "> Revenue was 5 million in 2023." in question
    assert question.endswith(TURNS[-1])  # the model answers the question as it was asked
    assert turns == list(TURNS[:-1])


@pytest.mark.parametrize(
    ("call", "searches"),
    [
        (
            ChatCall(conversation("What was the revenue?"), category="reports", owner="alice"),
            [("alice", "reports", "What was the revenue?")],
        ),
        (ChatCall(conversation(*TURNS)), []),
    ],
    ids=["first question", "no category"],
)
async def test_no_request_but_the_answer(call, searches, tmp_path, monkeypatch) -> None:
    async with server(rewriting) as (url, got), chat(url, tmp_path, monkeypatch) as (capability, knowledge):
        assert (await answered(capability, call))[0] == "5 million [1]."
    assert knowledge.searches == searches
    assert len(got) == 1


async def test_a_rewrite_that_fails_fails_the_call(tmp_path, monkeypatch) -> None:
    async def busy(exchange: Exchange) -> None:
        await exchange.head_of(503)

    async with server(busy) as (url, got), chat(url, tmp_path, monkeypatch) as (capability, knowledge):
        with pytest.raises(Overloaded):
            await answered(capability, ChatCall(conversation(*TURNS), category="reports"))
    assert (len(got), knowledge.searches) == (1, [])


async def test_a_caller_who_leaves_ends_the_request(tmp_path, monkeypatch) -> None:
    gone = asyncio.Event()

    async def endless(exchange: Exchange) -> None:
        await exchange.head_of()
        await exchange.say("on")
        assert await exchange.reader.read() == b""  # the other side has closed
        gone.set()

    async with (
        server(endless) as (url, _),
        chat(url, tmp_path, monkeypatch) as (capability, _),
        asyncio.timeout(20),
    ):
        stream = capability.stream(ChatCall(conversation("Go on.")))
        assert [await anext(stream), await anext(stream)][1] == (Delta("on"),)
        await stream.aclose()
        await gone.wait()


async def test_tokens_that_are_ready_together_cross_the_handle_together(tmp_path, monkeypatch) -> None:
    """What `stream` yields is what crosses: a message each."""

    async def quick(exchange: Exchange) -> None:
        await exchange.head_of()
        for _ in range(200):
            await exchange.say("a ")
            await asyncio.sleep(0.002)
        await exchange.say(finish="stop")
        await exchange.done()

    loop = asyncio.get_running_loop()
    async with server(quick) as (url, _), chat(url, tmp_path, monkeypatch) as (capability, _):
        stream = capability.stream(ChatCall(conversation("Go on.")))
        messages, times = [await anext(stream)], []
        async for deltas in stream:
            messages.append(deltas)
            times.append(loop.time())
    took_s = times[-1] - times[0]
    print(f"201 deltas in {took_s:.2f} s crossed in {len(times)} messages")
    assert isinstance(messages[0], EngineInfo)
    assert messages[1] == (Delta("a "),)
    assert "".join(delta.text for deltas in messages[1:] for delta in deltas) == "a " * 200
    assert len(times) <= took_s / 0.03 + 2


async def test_what_an_engine_cannot_do_is_refused_before_retrieval(tmp_path, monkeypatch) -> None:
    async with chat("http://127.0.0.1:1/v1", tmp_path, monkeypatch) as (capability, knowledge):
        monkeypatch.setattr(type(capability.slot.get()), "follows", frozenset({"n"}))
        call = ChatCall(conversation("What?"), category="reports", options={"n": 2, "tools": [{"type": "function"}]})
        with pytest.raises(InvalidInput) as caught:
            await answered(capability, call)
    assert (caught.value.param, knowledge.searches) == ("tools", [])


async def test_a_model_that_has_ended_is_unhealthy(tmp_path, monkeypatch) -> None:
    async with chat("http://127.0.0.1:1/v1", tmp_path, monkeypatch) as (capability, _):
        await capability.check_health()
        capability.slot.get().is_alive = False
        with pytest.raises(RuntimeError):
            await capability.check_health()


async def every(seconds: float, count: int) -> AsyncGenerator[int, None]:
    for number in range(count):
        yield number
        await asyncio.sleep(seconds)


async def test_what_is_ready_together_comes_together() -> None:
    loop = asyncio.get_running_loop()
    batches, times = [], []
    async for batch in coalesced(every(0.002, 100), 0.05):
        batches.append(batch)
        times.append(loop.time())
    assert [number for batch in batches for number in batch] == list(range(100))
    assert batches[0] == (0,)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    print(f"{len(batches)} batches of {[len(batch) for batch in batches]}, {min(gaps[:-1]):.3f} s apart at least")
    assert 3 <= len(batches) < 50
    assert min(gaps[:-1]) > 0.045  # only the end is not waited for


async def test_the_first_item_and_the_end_wait_for_nothing() -> None:
    async with asyncio.timeout(20):
        assert [batch async for batch in coalesced(every(0, 5), 3600)] == [(0,), (1, 2, 3, 4)]
        assert [batch async for batch in coalesced(every(0, 0), 3600)] == []


async def test_slow_items_come_one_by_one() -> None:
    assert [batch async for batch in coalesced(every(0.05, 4), 0.001)] == [(0,), (1,), (2,), (3,)]


async def test_an_error_follows_the_items_before_it() -> None:
    async def failing() -> AsyncGenerator[int, None]:
        yield 1
        yield 2
        raise Overloaded("busy")

    batches = coalesced(failing(), 0.01)
    assert await anext(batches) == (1, 2)
    with pytest.raises(Overloaded, match="busy"):
        await anext(batches)


@pytest.mark.parametrize("how", ["closed", "cancelled"])
async def test_leaving_ends_the_items_at_once(how: str) -> None:
    ended = asyncio.Event()
    begun = asyncio.Event()

    async def endless() -> AsyncGenerator[int, None]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def consume() -> None:
        async with aclosing(coalesced(endless(), 3600)) as batches:
            async for _ in batches:
                begun.set()
                if how == "closed":
                    break

    async with asyncio.timeout(20):
        task = asyncio.create_task(consume())
        await begun.wait()
        if how == "cancelled":
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert ended.is_set()
