"""Chat by vLLM in the running graph, asked by OpenAI's own client; and the error without its environment."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import jsonschema
import openai
import psutil
import pytest

from tests.pipelines.chat.inside_vllm import CONVERSATIONS, PERSON, WEATHER
from tests.serving import RunningGraph
from tests.vllm import built, smollm2

ELSEWHERE = {"num_cpus": 0, "runtime_env": {"py_executable": "vllm/python"}}
FRANCE = [{"role": "user", "content": CONVERSATIONS[0][0]}]


@pytest.fixture(scope="module")
def before(graph: RunningGraph) -> Iterator[list[str]]:
    """The answers of the local default to conversations of one turn; whatever a test does to Chat is undone."""
    block = graph.block("Chat")
    with openai.OpenAI(base_url=f"{graph.url}/v1", api_key="none", timeout=120) as ai:
        yield [said(ai, turns[0]) for turns in CONVERSATIONS if len(turns) == 1]
    graph.edit("Chat", **block)
    graph.wait_for("Chat", engine=block["user_config"]["engine"], state="ready", within_s=240)


@pytest.fixture(scope="module")
def folder() -> Path:
    return smollm2()


@pytest.fixture(scope="module")
def ai(graph: RunningGraph, before: list[str], folder: Path) -> Iterator[openai.OpenAI]:
    """A client of the graph with vLLM in it."""
    keys = {"engine": "vllm", "model": str(folder), "dtype": "float32", "context_tokens": 2048, "cache_gb": 0.5}
    graph.edit("Chat", ray_actor_options=ELSEWHERE, user_config=keys)
    graph.wait_for("Chat", engine="vllm", state="ready", within_s=300)
    with openai.OpenAI(base_url=f"{graph.url}/v1", api_key="none", timeout=120) as client:
        yield client


def said(ai: openai.OpenAI, question: str) -> str:
    messages = [{"role": "user", "content": question}]
    answer = ai.chat.completions.create(model="x", messages=messages, temperature=0, max_tokens=40)  # type: ignore[list-item,misc]
    return answer.choices[0].message.content or ""


def processes(graph: RunningGraph) -> list[psutil.Process]:
    """Those of vLLM's that run the model."""
    found = [psutil.Process(pid) for pid in graph.pids()]
    return [process for process in found if "VLLM" in process.name() or "VLLM" in " ".join(process.cmdline())]


@built
@pytest.mark.timeout(600)
def test_the_same_text_as_the_engine_transformers(ai: openai.OpenAI, before: list[str]) -> None:
    after = [said(ai, turns[0]) for turns in CONVERSATIONS if len(turns) == 1]
    print(*after, sep="\n")
    assert after == before
    raw = ai.chat.completions.with_raw_response.create(model="x", messages=FRANCE, max_tokens=3)  # type: ignore[arg-type]
    assert raw.headers["x-sensorium-engine"] == "vllm"


@built
def test_tools_a_schema_probabilities_and_several_answers(ai: openai.OpenAI) -> None:
    ask = ai.chat.completions.create
    weather = [{"role": "user", "content": "What is the weather in Oslo?"}]
    called = ask(model="x", messages=weather, tools=[WEATHER], tool_choice="required", temperature=0)  # type: ignore[call-overload]
    [choice] = called.choices
    assert (choice.finish_reason, choice.message.tool_calls[0].function.name) == ("tool_calls", "weather")
    arguments = json.loads(choice.message.tool_calls[0].function.arguments)
    jsonschema.validate(arguments, WEATHER["function"]["parameters"])
    schema = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}
    person = ask(model="x", messages=FRANCE, response_format=schema, temperature=0)  # type: ignore[call-overload]
    jsonschema.validate(json.loads(person.choices[0].message.content), PERSON)
    several = ask(model="x", messages=FRANCE, n=2, logprobs=True, top_logprobs=1, max_tokens=4)  # type: ignore[call-overload]
    assert [choice.index for choice in several.choices] == [0, 1]
    assert all(len(choice.logprobs.content) == 4 for choice in several.choices)
    print(called.choices[0].message.tool_calls, person.choices[0].message.content)


@built
def test_it_streams(ai: openai.OpenAI) -> None:
    stream = ai.chat.completions.create(
        model="x", messages=FRANCE, stream=True, temperature=0, stream_options={"include_usage": True}
    )
    *chunks, last = stream
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "The capital of France is Paris."
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert last.usage.completion_tokens == 8


@built
def test_an_image_for_a_model_without_eyes(ai: openai.OpenAI) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    content = [{"type": "text", "text": "What is this?"}, image]
    with pytest.raises(openai.BadRequestError) as caught:
        ai.chat.completions.create(model="x", messages=[{"role": "user", "content": content}])  # type: ignore[list-item,misc]
    assert caught.value.body["param"] == "messages.0.content.1.type"  # type: ignore[call-overload,index]


@built
@pytest.mark.timeout(600)
def test_a_model_that_dies_is_replaced(ai: openai.OpenAI, graph: RunningGraph) -> None:
    victims = processes(graph)
    assert victims
    for victim in victims:
        victim.kill()
    body = {"messages": FRANCE, "temperature": 0}
    statuses: list[int] = []
    while not statuses or statuses[-1] == 503:
        assert len(statuses) < 300
        time.sleep(1)
        answer = httpx.post(f"{graph.url}/v1/chat/completions", json=body, timeout=120)
        statuses.append(answer.status_code)
    print(f"answered again after {len(statuses)} tries")
    assert statuses[-1] == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == "The capital of France is Paris."


def test_without_the_environment_it_says_what_to_do(graph: RunningGraph, before: list[str]) -> None:
    graph.edit("Chat", ray_actor_options={"num_cpus": 0}, user_config={"engine": "vllm"})
    state = graph.wait_for("Chat", engine="vllm", state="failing", within_s=120)
    assert "make vllm" in state["reason"]
