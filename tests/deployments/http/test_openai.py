"""The official OpenAI client works against the running graph."""

import base64
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipelines.media.audio import AudioReader
from tests.media import mp4, wav
from tests.serving import RunningGraph


@pytest.fixture
def ai(graph: RunningGraph) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{graph.url}/v1", api_key="none", max_retries=0, timeout=120) as client:
        yield client


QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


def test_chat(ai: openai.OpenAI) -> None:
    answer = ai.chat.completions.create(model="gpt-4o-mini", messages=QUESTION, temperature=0)
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0


def test_streamed_chat_comes_word_by_word(ai: openai.OpenAI) -> None:
    asked: Any = {"model": "x", "messages": QUESTION, "temperature": 0}
    whole = ai.chat.completions.create(**asked)
    chunks = list(ai.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert len(pieces) >= len((whole.choices[0].message.content or "").split())
    assert "".join(pieces) == whole.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[-1].usage == whole.usage


def test_max_tokens_cuts_the_answer(ai: openai.OpenAI) -> None:
    answer = ai.chat.completions.create(model="x", messages=QUESTION, max_tokens=3)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3


def test_sources_come_with_the_last_chunk(ai: openai.OpenAI, graph: RunningGraph) -> None:
    document = b"The lighthouse of Farsund is 27 metres high."
    httpx.post(
        f"{graph.url}/uploadFile/uploadLearningFile",
        params={"category": "lighthouses"},
        files={"fileToUpload": ("lights.txt", document)},
        timeout=60,
    ).raise_for_status()
    stream = ai.chat.completions.create(
        model="x",
        messages=[{"role": "user", "content": "How high is the lighthouse of Farsund?"}],
        stream=True,
        extra_body={"category": "lighthouses"},
    )
    last = list(stream)[-1]
    assert last.choices[0].finish_reason == "stop"
    [source] = last.model_extra["sources"]
    assert (source["document"], source["page"]) == ("lights.txt", None)


def test_raw_stream_ends_in_done(graph: RunningGraph) -> None:
    body = {"messages": QUESTION, "stream": True}
    with httpx.stream("POST", f"{graph.url}/v1/chat/completions", json=body, timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line]
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"


def test_image(ai: openai.OpenAI) -> None:
    made = ai.images.generate(model="dall-e-3", prompt="a tree", size="512x512", response_format="b64_json", n=1)
    assert made.data
    image = Image.open(io.BytesIO(base64.b64decode(made.data[0].b64_json or "")))
    assert image.size == (512, 512)


def test_image_url(ai: openai.OpenAI) -> None:
    made = ai.images.generate(model="x", prompt="a tree", size="256x256")
    assert made.data
    assert httpx.get(made.data[0].url or "").headers["content-type"].startswith("image/")


def test_embeddings(ai: openai.OpenAI) -> None:
    texts = ["a cat sleeps", "a kitten naps", "quarterly revenue"]
    answer = ai.embeddings.create(model="x", input=texts)
    vectors = np.array([item.embedding for item in answer.data])
    assert vectors.shape == (3, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
    assert answer.usage.prompt_tokens > 6
    plain = ai.embeddings.create(model="x", input=texts[0], encoding_format="float")
    assert np.allclose(plain.data[0].embedding, vectors[0], atol=1e-4)


def test_token_ids_are_refused_as_langchain_sends_them(ai: openai.OpenAI) -> None:
    ids: Any = [[791, 8415, 72490], [64, 68130]]  # cl100k_base's of two texts
    for sent in (ids, ids[0]):
        with pytest.raises(openai.BadRequestError) as error:
            ai.embeddings.create(model="text-embedding-3-small", input=sent)
        assert error.value.param == "input"
        assert "check_embedding_ctx_length=False" in error.value.message


def test_dimensions_are_the_models(ai: openai.OpenAI) -> None:
    own = ai.embeddings.create(model="x", input="a cat", dimensions=384)
    assert own.data[0].embedding == ai.embeddings.create(model="x", input="a cat").data[0].embedding
    with pytest.raises(openai.BadRequestError) as error:
        ai.embeddings.create(model="x", input="a cat", dimensions=256)
    assert (error.value.param, error.value.code) == ("dimensions", "unsupported_by_engine")


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("/v1/embeddings", {"input": "a cat", "dimensions": None, "encoding_format": None, "user": None}),
        ("/v1/audio/speech", {"input": "Hi.", "voice": None, "speed": None, "response_format": None}),
        ("/v1/images/generations", {"prompt": "a tree", "size": None, "n": None, "quality": None, "style": None}),
        (
            "/v1/chat/completions",
            {
                "messages": [{"role": "user", "content": "Hi.", "name": None, "tool_calls": None}],
                **dict.fromkeys(("temperature", "max_tokens", "stream", "stream_options", "stop", "n", "tools")),
                **dict.fromkeys(("logprobs", "logit_bias", "response_format", "seed", "top_p", "tool_choice")),
            },
        ),
    ],
    ids=["embeddings", "speech", "images", "chat"],
)
def test_null_is_not_given(graph: RunningGraph, route: str, body: dict[str, Any]) -> None:
    answer = httpx.post(f"{graph.url}{route}", json=body, timeout=120)
    assert answer.status_code == 200, answer.text


def test_a_transcription_that_is_asked_for_otherwise(ai: openai.OpenAI) -> None:
    asked: Any = {"model": "x", "file": ("a.wav", wav(silence(1), 16_000))}
    for param, value in {"stream": True, "include": ["logprobs"], "response_format": "diarized_json"}.items():
        with pytest.raises(openai.BadRequestError) as error:
            ai.audio.transcriptions.create(**asked, **{param: value})
        assert error.value.param == param
    assert ai.audio.transcriptions.create(**asked, stream=False, temperature=0, prompt="x", extra_body={"language": ""})


TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


@pytest.mark.parametrize("category", [None, "lighthouses"])
def test_another_kind_of_answer_is_refused_by_its_parameter(ai: openai.OpenAI, category: str | None) -> None:
    def ask(**asked: Any) -> Any:
        body = {"category": category} if category else {}
        return ai.chat.completions.create(model="x", messages=QUESTION, max_tokens=3, extra_body=body, **asked)

    for param, asked in {
        "n": {"n": 2},
        "logprobs": {"logprobs": True, "top_logprobs": 2},
        "tool_choice": {"tools": [TOOL], "tool_choice": "required"},
        "tools": {"tools": [TOOL]},
        "response_format": {"response_format": {"type": "json_object"}},
        "presence_penalty": {"presence_penalty": 0.1},
        "frequency_penalty": {"frequency_penalty": -2},
        "logit_bias": {"logit_bias": {"50256": -100}},
        "modalities": {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "mp3"}},
    }.items():
        with pytest.raises(openai.BadRequestError) as error:
            ask(**asked)
        assert (error.value.param, error.value.code) == (param, "unsupported_by_engine")
    defaults: Any = {"n": 1, "logprobs": False, "presence_penalty": 0, "frequency_penalty": 0, "logit_bias": {}}
    defaults |= {"response_format": {"type": "text"}, "tool_choice": "none", "temperature": 1, "top_p": 1, "stop": "9"}
    assert ask(**defaults, seed=3, user="me", metadata={"a": "b"}, store=False, service_tier="auto").choices


def test_a_picture_for_a_model_without_eyes(ai: openai.OpenAI) -> None:
    for url in ("data:image/png;base64,AAAA", "https://example.com/a.png"):
        content: Any = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
        with pytest.raises(openai.BadRequestError) as error:
            ai.chat.completions.create(model="x", messages=[{"role": "user", "content": content}])
        assert error.value.param == "messages.0.content.1.type"


def test_models(ai: openai.OpenAI) -> None:
    ids = [model.id for model in ai.models.list()]
    assert "HuggingFaceTB/SmolLM2-135M-Instruct" in ids
    assert ai.models.retrieve(ids[0]).id == ids[0]


def test_errors_are_openais(ai: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as error:
        ai.chat.completions.create(model="x", messages=QUESTION, temperature=7)
    assert error.value.param == "temperature"
    assert error.value.type == "invalid_request_error"


def test_transcriptions_in_every_format(ai: openai.OpenAI, sample) -> None:
    audio = sample("jfk.flac").read_bytes()

    def transcribe(wanted: str):
        return ai.audio.transcriptions.create(model="whisper-1", file=("jfk.flac", audio), response_format=wanted)

    verbose = transcribe("verbose_json")
    assert "country" in verbose.text
    assert verbose.segments
    assert 0 <= verbose.segments[0].start < verbose.segments[-1].end <= 11.5
    assert transcribe("json").text == verbose.text
    assert transcribe("text").strip() == verbose.text
    assert transcribe("srt").startswith("1\n00:00:0")
    assert transcribe("vtt").startswith("WEBVTT\n\n00:00:0")
    with pytest.raises(openai.BadRequestError):
        transcribe("docx")


def verbose(ai: openai.OpenAI, audio: bytes, **asked: Any) -> Any:
    return ai.audio.transcriptions.create(
        model="whisper-1", file=("audio", audio), response_format="verbose_json", **asked
    )


def jfk(sample: Callable[[str], Path], seconds: float) -> NDArray[np.float32]:
    with sample("jfk.flac").open("rb") as file, AudioReader(file, "flac") as audio:
        return np.concatenate(list(audio.blocks()))[: round(seconds * 16_000)]


def silence(seconds: float) -> NDArray[np.float32]:
    return np.zeros(round(seconds * 16_000), np.float32)


def test_the_duration_is_the_recordings(ai: openai.OpenAI, sample: Callable[[str], Path]) -> None:
    padded = verbose(ai, wav(np.concatenate([silence(2), jfk(sample, 2.2), silence(7)]), 16_000))
    assert padded.duration == pytest.approx(11.2, abs=0.01)
    assert padded.segments[0].start >= 1.9
    assert padded.segments[-1].end < 4.5
    assert padded.language == "en"
    silent = verbose(ai, wav(silence(6), 16_000), language="en")
    assert (silent.duration, silent.language, silent.text) == (6.0, "en", "")
    assert verbose(ai, wav(silence(6), 16_000)).language == ""
    film = verbose(ai, mp4(frames=48, fps=12))
    assert film.duration == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize("format", ["wav", "mp3", "aac"])
def test_the_duration_of_a_stream_that_does_not_state_it(ai: openai.OpenAI, format: str) -> None:
    def spoken(format: str) -> bytes:
        made = ai.audio.speech.create(
            model="x", voice="alloy", input="Good morning. It is nine.", response_format=format
        )
        return made.content

    assert verbose(ai, spoken(format)).duration == pytest.approx(len(spoken("pcm")) / 2 / 24_000, abs=0.1)


@pytest.mark.parametrize("seconds", [5.55, 9.4])
def test_no_time_is_after_the_end(ai: openai.OpenAI, sample: Callable[[str], Path], seconds: float) -> None:
    cut_off = wav(jfk(sample, seconds), 16_000)
    told = verbose(ai, cut_off)
    assert told.duration == seconds
    assert max(told.segments[-1].end, told.words[-1].end) <= seconds
    srt = ai.audio.transcriptions.create(model="x", file=("a", cut_off), response_format="srt")
    assert srt.strip().splitlines()[-2].split(" --> ")[1] <= f"00:00:{seconds:06.3f}".replace(".", ",")


@pytest.mark.parametrize(
    ("wanted", "begins"), [("mp3", b"\xff"), ("wav", b"RIFF"), ("flac", b"fLaC"), ("opus", b"OggS")]
)
def test_speech(ai: openai.OpenAI, wanted: str, begins: bytes) -> None:
    spoken = ai.audio.speech.create(model="tts-1", voice="alloy", input="Good morning.", response_format=wanted)
    assert spoken.content.startswith(begins)
    assert len(spoken.content) > 3000


def test_speech_as_pcm(ai: openai.OpenAI) -> None:
    spoken = ai.audio.speech.create(model="tts-1", voice="alloy", input="Good morning.", response_format="pcm")
    samples = np.frombuffer(spoken.content, "<i2")
    assert 0.5 < len(samples) / 24_000 < 3
    with pytest.raises(openai.BadRequestError):
        ai.audio.speech.create(model="tts-1", voice="nobody", input="Good morning.")
