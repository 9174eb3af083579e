"""A language model on another server: a real server on a socket, scripted by each test."""

import asyncio
import json
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from pipelines.chat import ChatModel, ChatRequest, Delta, Message, OpenAIConfig, Usage
from pipelines.chat.tool_calls import join_tool_calls
from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import InvalidInput, ModelUnavailable, Overloaded, SensoriumError
from pipelines.knowledge import Passage
from tests.openai_server import Exchange, Script, server


def engine(url: str, **settings: Any) -> ChatModel:
    return OpenAIConfig(base_url=url, model="some/model", **settings).load(Resources())


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


async def test_any_split_of_the_bytes_and_other_dialects() -> None:
    """Bytes arrive in any pieces; lines end in CR LF; comments, other fields and unknown keys are ignored."""

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


async def test_no_account_of_the_environment_reaches_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "foreign")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    async with server(hello) as (url, got):
        await answer(engine(url), asked())
    assert "foreign" not in got[0].head
    assert "authorization" not in got[0].head


async def test_a_redirect_is_not_followed() -> None:
    async with server(hello) as (elsewhere, got):
        away = refusing(307, b"", f"location: {elsewhere}/chat/completions\r\n")
        async with server(away) as (url, _):
            with pytest.raises(ModelUnavailable, match="status 307"):
                await answer(engine(url), asked())
    assert got == []


async def request_head(reader: asyncio.StreamReader) -> bytes:
    """b"" at the end of the connection."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


async def test_answers_share_a_connection_that_closes_with_the_engine() -> None:
    connections = 0
    is_closed = asyncio.Event()
    stream = b'data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with closing(writer):
            while head := await request_head(reader):
                await reader.readexactly(int(head.lower().split(b"content-length:")[1].split()[0]))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
                writer.write(b"content-length: %d\r\n\r\n" % len(stream) + stream)
        is_closed.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as running, asyncio.timeout(20):
        model = engine(f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}/v1")
        assert [(await answer(model, asked()))[0].text for _ in range(3)] == ["Hi"] * 3
        assert connections == 1
        await asyncio.to_thread(model.close)
        await is_closed.wait()
        with pytest.raises(Overloaded, match="being replaced"):
            await answer(model, asked())


async def test_closing_waits_for_the_answers_under_way() -> None:
    closing = asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        await exchange.head_of()
        await exchange.say("one")
        await closing.wait()
        await asyncio.sleep(0.2)
        await exchange.say("two", "stop")
        await exchange.done()

    async with server(slow) as (url, _), asyncio.timeout(20):
        model = engine(url)
        stream = model.stream(asked())
        assert (await anext(stream)).text == "one"
        closed = asyncio.create_task(asyncio.to_thread(model.close))
        closing.set()
        assert [delta.text async for delta in stream] == ["two", ""]
        await closed


async def test_leaving_closes_the_connection() -> None:
    gone = asyncio.Event()

    async def endless(exchange: Exchange) -> None:
        await exchange.head_of()
        await exchange.say("on")
        assert await exchange.reader.read() == b""  # the engine has closed it
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


async def test_a_reason_of_the_server_is_shortened_and_cleaned() -> None:
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


async def test_a_refusal_that_breaks_off_or_never_ends() -> None:
    async def broken_off(exchange: Exchange) -> None:
        await exchange.head_of(400, "application/json", "content-length: 100\r\n")
        await exchange.send(b'{"error": ')

    async def silent(exchange: Exchange) -> None:
        await broken_off(exchange)
        await exchange.reader.read()

    async with server(broken_off) as (url, _):
        with pytest.raises(Overloaded, match="broke off"):
            await answer(engine(url), asked())
    async with server(silent) as (url, _):
        with pytest.raises(Overloaded, match="in time"):
            await answer(engine(url, timeout_s=0.3), asked())


async def test_a_silent_and_an_absent_server() -> None:
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
        with pytest.raises(InvalidInput, match=r"and [0-9]+ fit beside the answer"):
            await answer(engine(url, context_tokens=2048), asked("x" * 9000, passages=(small,)))
    assert deltas[-1].sources == (small, last)
    assert none[-1].sources == ()
    (user,) = got[0].body["messages"]
    assert user["role"] == "user"
    assert "> Paris is a city." in user["content"]
    assert user["content"].endswith("Where?")
    assert "词" not in user["content"]
    assert len(got) == 2


async def test_several_answers_with_probabilities_and_an_image() -> None:
    token = {"token": "A", "logprob": -0.5, "bytes": [65], "top_logprobs": []}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}

    async def two(exchange: Exchange) -> None:
        await exchange.head_of()
        for index, text in ((1, "B"), (0, "A")):
            logprobs = {"content": [token]} if index == 0 else None
            await exchange.event(choices=[{"index": index, "delta": {"content": text}, "logprobs": logprobs}])
        await exchange.event(choices=[{"index": 1, "delta": {}, "finish_reason": "length"}])
        if exchange.body["n"] == 2:
            await exchange.event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
        await exchange.done()

    message = Message("user", "Hi", parts=({"type": "text", "text": "Hi"}, image))
    request = ChatRequest((message,), options={"n": 2, "logprobs": True})
    async with server(two) as (url, got):
        model = engine(url)
        model.check(request)
        b, a, end_of_b, end_of_a = await answer(model, request)
        with pytest.raises(Overloaded, match="broke off"):  # one of three answers has no end
            await answer(model, replace(request, options={"n": 3}))
    assert (b, a) == (Delta("B", index=1), Delta("A", logprobs=(token,)))
    assert (end_of_b.index, end_of_b.finish_reason, end_of_b.usage) == (1, "length", None)
    assert (end_of_a.index, end_of_a.finish_reason, end_of_a.usage) == (0, "stop", Usage(7, 3))
    assert got[0].body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Hi"}, image]}]
    assert (got[0].body["n"], got[0].body["logprobs"]) == (2, True)


def conversation(*turns: str) -> tuple[Message, ...]:
    return tuple(Message("assistant" if index % 2 else "user", turn) for index, turn in enumerate(turns))


async def test_a_follow_up_is_rewritten_by_one_request() -> None:
    turns = conversation("What was the revenue in 2022?", "3 million. " + "x" * 600, "And in 2023?")
    async with server(lambda exchange: exchange.answer(" What was the revenue in 2023?\n")) as (url, got):
        query = await engine(url).rewrite_query((Message("system", "Be brief."), *turns))
    assert query == "What was the revenue in 2023?"
    [request] = got
    [message] = request.body["messages"]
    assert message["role"] == "user"
    rules, conversation_, question = message["content"].split("\n\n")
    assert "standalone question" in rules
    assert conversation_ == "User: What was the revenue in 2022?\nAssistant: 3 million. " + "x" * 489
    assert question == "Last question: And in 2023?"
    assert (request.body["temperature"], request.body["max_tokens"]) == (0, 100)


async def test_a_first_question_is_its_own_query() -> None:
    async with server(hello) as (url, got):
        model = engine(url)
        greeted = (Message("system", "Be brief."), Message("assistant", "Hi!"), Message("user", "Where is Oslo?"))
        assert await model.rewrite_query(greeted) == "Where is Oslo?"
        assert await model.rewrite_query(()) == ""
    assert got == []


async def test_a_long_conversation_is_rewritten_from_its_last_turns() -> None:
    turns = conversation(*(f"turn {number}" for number in range(41)))
    async with server(hello) as (url, got):
        await engine(url).rewrite_query(turns)
    prompt = got[0].body["messages"][0]["content"]
    assert [number for number in range(10, 41) if f"turn {number}" in prompt] == list(range(34, 41))


async def test_a_rewrite_that_fails_fails_the_call() -> None:
    turns = conversation("What was the revenue in 2022?", "3 million.", "And in 2023?")
    async with server(refusing(503, b"")) as (url, _):
        with pytest.raises(Overloaded, match="busy"):
            await engine(url).rewrite_query(turns)


async def test_an_empty_rewrite_leaves_the_question_as_it_is() -> None:
    turns = conversation("What was the revenue in 2022?", "3 million.", "And in 2023?")
    async with server(lambda exchange: exchange.answer("")) as (url, _):
        assert await engine(url).rewrite_query(turns) == "And in 2023?"


@pytest.mark.parametrize("url", ["127.0.0.1:8001", "ftp://x/v1", "file:///etc/passwd", "http://", "http:///v1"])
def test_invalid_base_urls(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        OpenAIConfig(base_url=url)


def test_importing_it_loads_no_client() -> None:
    program = "import sys, pipelines.chat.openai; print({'httpx', 'httpx2', 'openai'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_tool_calls_are_joined() -> None:
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
