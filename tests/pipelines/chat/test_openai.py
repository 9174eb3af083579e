"""A language model behind another server: a small real one on a socket, that says what the test wants."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.chat import ChatModel, ChatRequest, Delta, Message, OpenAIConfig, Usage
from pipelines.chat.tool_calls import join_tool_calls
from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import InvalidInput, ModelUnavailable, Overloaded, SensoriumError
from pipelines.knowledge import Passage

Script = Callable[["Exchange"], Awaitable[None]]


class Exchange:
    """One request that the server got, and the means to answer it."""

    def __init__(self, head: str, body: dict[str, Any], reader, writer) -> None:
        self.head, self.body = head, body
        self.reader, self.writer = reader, writer

    async def head_of(self, status: int = 200, kind: str = "text/event-stream", headers: str = "") -> None:
        head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\nconnection: close\r\n{headers}\r\n"
        await self.send(head.encode())

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def event(self, **event: Any) -> None:
        await self.send(b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n")

    async def say(self, text: str | None = None, finish: str | None = None, **delta: Any) -> None:
        said = {**({} if text is None else {"content": text}), **delta}
        await self.event(choices=[{"index": 0, "delta": said, "finish_reason": finish}])

    async def done(self, prompt: int = 7, completion: int = 3) -> None:
        await self.event(choices=[], usage={"prompt_tokens": prompt, "completion_tokens": completion})
        await self.send(b"data: [DONE]\n\n")


@asynccontextmanager
async def server(script: Script) -> AsyncIterator[tuple[str, list[Exchange]]]:
    """Its base URL, and what it was asked."""
    asked: list[Exchange] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length:")[1].split()[0])
        exchange = Exchange(head, json.loads(await reader.readexactly(length)), reader, writer)
        asked.append(exchange)
        try:
            await script(exchange)
        finally:
            writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with running:
        port = running.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/v1", asked


def letters(texts: Sequence[str]) -> NDArray[np.float32]:
    return np.ones((len(texts), 1), np.float32)


def engine(url: str, **settings: Any) -> ChatModel:
    return OpenAIConfig(base_url=url, model="some/model", **settings).load(Resources(embed=letters))


def asked(text: str = "Hi", **settings: Any) -> ChatRequest:
    return ChatRequest((Message("user", text),), **settings)


async def answer(model: ChatModel, request: ChatRequest) -> list[Delta]:
    return [delta async for delta in model.stream(request)]


async def hello(exchange: Exchange) -> None:
    await exchange.head_of()
    await exchange.say("", role="assistant")
    await exchange.say("Hel")
    await exchange.say("lo 世界 🙂 \u2028 \x85 end")
    await exchange.say(finish="stop")
    await exchange.done()


async def test_the_answer_and_its_usage() -> None:
    async with server(hello) as (url, got):
        deltas = await answer(engine(url), asked(temperature=0.3, max_tokens=9, stop=("x", "y")))
    assert [delta.text for delta in deltas] == ["Hel", "lo 世界 🙂 \u2028 \x85 end", ""]
    assert (deltas[-1].finish_reason, deltas[-1].usage, deltas[-1].sources) == ("stop", Usage(7, 3), ())
    assert all(delta.finish_reason is None and delta.usage is None for delta in deltas[:-1])
    assert got[0].head.startswith("post /v1/chat/completions http/1.1")
    assert "authorization" not in got[0].head
    assert got[0].body == {
        "model": "some/model",
        "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 0.3,
        "max_tokens": 9,
        "stop": ["x", "y"],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_pieces_come_as_they_are_made() -> None:
    heard = asyncio.Event()

    async def waiting(exchange: Exchange) -> None:
        await exchange.head_of()
        await exchange.say("one")
        await heard.wait()
        await exchange.say("two", finish="length")
        await exchange.done()

    async with server(waiting) as (url, _), asyncio.timeout(20):
        stream = engine(url).stream(asked())
        assert (await anext(stream)).text == "one"
        heard.set()
        rest = [delta async for delta in stream]
    assert [rest[0].text, rest[-1].finish_reason] == ["two", "length"]


async def test_any_cut_of_the_bytes_and_other_dialects() -> None:
    """Bytes arrive in any pieces; lines end in CR LF; comments, other fields and unknown keys are passed over."""

    async def odd(exchange: Exchange) -> None:
        await exchange.head_of(headers="transfer-encoding: chunked\r\n")
        stream = (
            ": keep-alive\r\n\r\nevent: message\r\n"
            'data:{"choices":[{"delta":{"content":"中","reasoning":"hm"}}]}\r\n\r\n'
            'data: {"choices":[{"delta":{"content":"文"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,'
            '"completion_tokens":2}}\r\n\r\ndata: [DONE]\r\n\r\n'
        ).encode()
        for byte in stream:
            await exchange.send(b"1\r\n" + bytes([byte]) + b"\r\n")
        await exchange.send(b"0\r\n\r\n")

    async with server(odd) as (url, _):
        deltas = await answer(engine(url), asked())
    assert "".join(delta.text for delta in deltas) == "中文"
    assert deltas[-1].usage == Usage(1, 2)


async def test_tools_and_schema_pass_untouched() -> None:
    calls = [
        [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}],
        [{"index": 0, "function": {"arguments": '{"city": "Köln"}'}}],
    ]
    options = {
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}],
        "tool_choice": "auto",
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
        "top_p": 0.5,
        "seed": 3,
        "guided_regex": "[a-z]+",
    }

    async def calling(exchange: Exchange) -> None:
        await exchange.head_of()
        for call in calls:
            await exchange.say(tool_calls=call)
        await exchange.say(finish="tool_calls")
        await exchange.done()

    whole = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Köln"}'}}
    turn = Message("assistant", "", {"tool_calls": [{"id": "call_0"}]})
    request = ChatRequest((turn, Message("tool", "21 °C", {"tool_call_id": "call_0"})), options=options)
    async with server(calling) as (url, got):
        deltas = await answer(engine(url), request)
    assert [list(delta.tool_calls) for delta in deltas] == [*calls, []]
    assert join_tool_calls(call for delta in deltas for call in delta.tool_calls) == [whole]
    assert deltas[-1].finish_reason == "tool_calls"
    assert {key: got[0].body[key] for key in options} == options
    assert got[0].body["messages"] == [
        {"role": "assistant", "content": "", "tool_calls": [{"id": "call_0"}]},
        {"role": "tool", "content": "21 °C", "tool_call_id": "call_0"},
    ]


async def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", "s3cret")
    async with server(hello) as (url, got):
        await answer(engine(url, api_key_env="THE_KEY"), asked())
    assert "authorization: bearer s3cret" in got[0].head
    monkeypatch.delenv("THE_KEY")
    with pytest.raises(ModelUnavailable, match="THE_KEY"):
        engine("http://127.0.0.1:1/v1", api_key_env="THE_KEY")


async def test_leaving_closes_the_connection() -> None:
    gone = asyncio.Event()

    async def endless(exchange: Exchange) -> None:
        await exchange.head_of()
        await exchange.say("on")
        assert await exchange.reader.read() == b""  # the other side has closed
        gone.set()

    async with server(endless) as (url, _), asyncio.timeout(20):
        stream = engine(url).stream(asked())
        assert (await anext(stream)).text == "on"
        assert not gone.is_set()
        await stream.aclose()
        await gone.wait()
        gone.clear()
        task = asyncio.create_task(answer(engine(url), asked()))
        await asyncio.sleep(0.3)
        task.cancel()
        await gone.wait()
        with pytest.raises(asyncio.CancelledError):
            await task


def refusing(status: int, body: bytes, headers: str = "") -> Script:
    async def refuse(exchange: Exchange) -> None:
        await exchange.head_of(status, "application/json", headers)
        await exchange.send(body)

    return refuse


@pytest.mark.parametrize(
    ("status", "body", "kind", "says"),
    [
        (400, b'{"error": {"message": "max_tokens is too large: 9"}}', InvalidInput, "max_tokens is too large: 9"),
        (400, b'{"object": "error", "message": "bad schema"}', InvalidInput, "bad schema"),
        (400, b'{"error": "model wants\\n  File \\"/opt/x.py\\""}', InvalidInput, "model wants"),
        (422, b"<html>no</html>", InvalidInput, "does not say why"),
        (400, b'{"error": {"message": ["no", 3]}}', InvalidInput, "does not say why"),
        (401, b"", ModelUnavailable, "api_key_env"),
        (404, b'{"detail": "Not Found"}', ModelUnavailable, "some/model"),
        (429, b"", Overloaded, "busy"),
        (503, b"", Overloaded, "busy"),
        (500, b"Traceback: /opt/secret.py", ModelUnavailable, "status 500"),
        (302, b"", ModelUnavailable, "status 302"),
    ],
)
async def test_refusals(status: int, body: bytes, kind: type[SensoriumError], says: str) -> None:
    async with server(refusing(status, body, "retry-after: 17\r\n")) as (url, _):
        with pytest.raises(kind) as caught:
            await answer(engine(url), asked())
    assert type(caught.value) is kind
    assert says in caught.value.message
    assert "/opt" not in caught.value.message
    if kind is Overloaded:
        assert caught.value.retry_after_s == 17


async def test_what_a_server_says_is_cut_and_cleaned() -> None:
    reason = "in /home/me/models/x.py and C:\\data\\y\\z at http://10.0.0.1:8001/v1/x \x1b[31m" + "long " * 1000
    async with server(refusing(400, json.dumps({"error": {"message": reason}}).encode())) as (url, _):
        with pytest.raises(InvalidInput) as caught:
            await answer(engine(url), asked())
    print(caught.value.message)
    assert len(caught.value.message) < 400
    assert not any(secret in caught.value.message for secret in ("home", "data", "10.0.0.1", "\x1b"))
    async with server(refusing(400, b"x" * 10_000_000)) as (url, _):
        with pytest.raises(InvalidInput, match="why"):
            await answer(engine(url), asked())


async def broken(exchange: Exchange) -> None:
    await exchange.head_of(headers="content-length: 100000\r\n")
    await exchange.say("half")


async def ended(exchange: Exchange) -> None:
    await exchange.head_of()
    await exchange.say("half")


async def no_json(exchange: Exchange) -> None:
    await exchange.head_of()
    await exchange.send(b"data: {half\n\n")


async def no_object(exchange: Exchange) -> None:
    await exchange.head_of()
    await exchange.send(b"data: [1]\n\n")


async def web_page(exchange: Exchange) -> None:
    await exchange.head_of(kind="text/html")
    await exchange.send(b"<html>Hello</html>")


async def late_error(exchange: Exchange) -> None:
    await exchange.head_of()
    await exchange.say("half")
    await exchange.event(error={"message": "CUDA out of memory at /opt/x/y.py", "code": 503})


async def late_failure(exchange: Exchange) -> None:
    await exchange.head_of()
    await exchange.event(error={"message": "engine died"})


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (broken, Overloaded),
        (ended, Overloaded),
        (no_json, Overloaded),
        (no_object, Overloaded),
        (web_page, Overloaded),
        (late_error, Overloaded),
        (late_failure, ModelUnavailable),
    ],
)
async def test_broken_answers(script: Script, kind: type[SensoriumError]) -> None:
    async with server(script) as (url, _):
        with pytest.raises(kind) as caught:
            await answer(engine(url), asked())
    assert "/opt" not in caught.value.message


async def test_silence_and_absence() -> None:
    async def silent(exchange: Exchange) -> None:
        await exchange.head_of()
        await exchange.say("one")
        await exchange.reader.read()

    async with server(silent) as (url, _):
        with pytest.raises(Overloaded, match="in time"):
            await answer(engine(url, timeout_s=0.3), asked())
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        await answer(engine(url), asked())
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        await answer(engine("http://no-such-host.invalid/v1"), asked())


async def test_grounded_within_the_budget() -> None:
    small, large, last = (Passage("a.txt", 2, text, 0.9) for text in ("Paris is a city.", "词" * 9000, "Dogs sleep."))
    async with server(hello) as (url, got):
        deltas = await answer(engine(url, context_tokens=2048), asked("Where?", passages=(small, large, last)))
        none = await answer(engine(url), asked("Where?", passages=()))
        with pytest.raises(InvalidInput, match="2048 tokens"):
            await answer(engine(url, context_tokens=2048), asked("x" * 9000, passages=(small,)))
    assert deltas[-1].sources == (small, last)
    assert none[-1].sources == ()
    system, user = got[0].body["messages"]
    assert user == {"role": "user", "content": "Where?"}
    assert (system["role"], "> Paris is a city." in system["content"]) == ("system", True)
    assert "词" not in system["content"]
    assert len(got) == 2


async def test_one_answer_at_a_time() -> None:
    with pytest.raises(InvalidInput) as caught:
        await answer(engine("http://127.0.0.1:1/v1"), asked(options={"n": 2}))
    assert caught.value.param == "n"


async def test_a_query_that_stands_alone() -> None:
    turns = [("user", "What was the revenue in 2022?"), ("assistant", "3 million."), ("user", "And in 2023?")]
    query = await engine("http://127.0.0.1:1/v1").rewrite_query(tuple(Message(*turn) for turn in turns))
    assert query == "What was the revenue in 2023?"


@pytest.mark.parametrize("url", ["127.0.0.1:8001", "ftp://x/v1", "file:///etc/passwd", "http://", "http:///v1"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        OpenAIConfig(base_url=url)


def test_importing_it_loads_no_client() -> None:
    program = "import sys, pipelines.chat.openai; print({'httpx', 'openai'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_tool_calls_are_put_together() -> None:
    first, second = ({"name": name, "arguments": "{}"} for name in ("one", "two"))
    interleaved = [
        {"index": 0, "id": "a", "type": "function", "function": {"name": "one", "arguments": "{"}},
        {"index": 1, "id": "b", "type": "function", "function": {"name": "two", "arguments": None}},
        {"index": 0, "function": {"arguments": "}"}},
        {"index": 1, "function": {"arguments": "{}"}},
    ]
    calls = [{"id": "a", "type": "function", "function": first}, {"id": "b", "type": "function", "function": second}]
    assert join_tool_calls(interleaved) == calls
    assert join_tool_calls(calls) == calls
    assert join_tool_calls([]) == []
