"""Bodies in OpenAI's shapes: null is not given, unions say what they take, errors name the field."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from deployments.http.schemas import openai
from deployments.http.schemas.openai import Body
from tests.asgi import app, client

LEAST: dict[type[Body], dict[str, Any]] = {
    openai.TextPart: {"type": "text", "text": "hi"},
    openai.ImageUrl: {"url": "data:image/png;base64,"},
    openai.ImagePart: {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}},
    openai.ChatMessage: {},
    openai.StreamOptions: {},
    openai.ChatCompletionBody: {"messages": [{"content": "hi"}]},
    openai.ImageBody: {"prompt": "a pig"},
    openai.ImageEditForm: {"prompt": "a pig"},
    openai.EmbeddingBody: {"input": "hi"},
    openai.RerankDocument: {"text": "hi"},
    openai.RerankBody: {"query": "hi", "documents": ["hi"]},
    openai.SpeechBody: {"input": "hi"},
    openai.TranscriptionForm: {},
}
"""Every body, with what must be in it."""
OPTIONAL = [(body, name) for body in LEAST for name, field in body.model_fields.items() if not field.is_required()]


def bodies(base: type[BaseModel] = Body) -> set[type[BaseModel]]:
    return {each for body in base.__subclasses__() for each in (body, *bodies(body))}


def test_every_body_is_listed() -> None:
    assert bodies() == set(LEAST)


@pytest.mark.parametrize(("body", "name"), OPTIONAL, ids=lambda it: getattr(it, "__name__", it))
def test_null_on_an_optional_field_is_not_given(body: type[Body], name: str) -> None:
    assert body.model_validate({**LEAST[body], name: None}) == body.model_validate(LEAST[body])
    assert {"type": "null"} in body.model_json_schema()["properties"][name]["anyOf"]


@pytest.mark.parametrize("body", LEAST, ids=lambda it: it.__name__)
def test_null_on_a_field_that_is_not_known_is_not_given_either(body: type[Body]) -> None:
    assert body.model_validate({**LEAST[body], "logprobs": None}).model_extra == {}


@pytest.mark.parametrize("body", LEAST, ids=lambda it: it.__name__)
def test_null_on_a_required_field_is_missing(body: type[Body]) -> None:
    for name in LEAST[body]:
        with pytest.raises(ValidationError, match="Field required"):
            body.model_validate({**LEAST[body], name: None})


CHAT, EMBEDDINGS, RERANK = "/v1/chat/completions", "/v1/embeddings", "/v1/rerank"
SPEECH, IMAGES = "/v1/audio/speech", "/v1/images/generations"
TEXTS = "a string, a list of strings or of token ids"
IDS = "check_embedding_ctx_length=False"


@pytest.mark.parametrize(
    ("route", "body", "param", "says"),
    [
        *((EMBEDDINGS, {"input": sent}, "input", TEXTS) for sent in (5, True, {}, {"a": 1}, ["a", 5], [1.5], [None])),
        *((EMBEDDINGS, {"input": ids}, "input", IDS) for ids in ([1, 2], [[9906, 1917]], [[1], [2, 3]])),
        (EMBEDDINGS, {"input": ["a", ""]}, "input.1", "at least 1"),
        (EMBEDDINGS, {"input": []}, "input", "at least 1"),
        (EMBEDDINGS, {"input": None}, "input", "required"),
        (EMBEDDINGS, {"input": "a", "dimensions": 0}, "dimensions", "greater"),
        (CHAT, {"messages": [{"content": [{"type": "sound"}]}]}, "messages.0.content.0.type", "'text'"),
        (CHAT, {"messages": [{"content": [{"text": "hi"}]}]}, "messages.0.content.0.type", "required"),
        (CHAT, {"messages": [{"content": [{"type": "text"}]}]}, "messages.0.content.0.text", "required"),
        (CHAT, {"messages": [{"content": "a"}, {"content": 7}]}, "messages.1.content", "a string or a list of parts"),
        (CHAT, {"messages": [{"content": ["a"]}]}, "messages.0.content.0", "an object"),
        (CHAT, {"messages": ["a"]}, "messages.0", "an object"),
        (CHAT, {"messages": [{"content": "a"}], "stop": 5}, "stop", "a string or a list of strings"),
        (CHAT, {"messages": [{"content": "a"}], "stop": ["a", 5]}, "stop.1", "a valid string"),
        (RERANK, {"query": "a", "documents": ["a", 5]}, "documents.1", "a string or an object"),
        (RERANK, {"query": "a", "documents": [{"text": 5}]}, "documents.0.text", "a valid string"),
        (RERANK, {"query": "a", "documents": [{}]}, "documents.0.text", "required"),
        (SPEECH, {"input": "a", "stream_format": "sse"}, "stream_format", "'audio'"),
        (IMAGES, {"prompt": "a", "stream": True}, "stream", "does not stream"),
        (IMAGES, {"prompt": "a", "output_format": "webp"}, "output_format", "'png'"),
        (IMAGES, {"prompt": "a", "background": "transparent"}, "background", "'opaque'"),
    ],
    ids=str,
)
async def test_an_error_names_the_field_and_what_it_takes(
    tmp_path: Path, route: str, body: dict[str, Any], param: str, says: str
) -> None:
    application, _ = app(tmp_path)
    async with client(application) as http:
        answer = await http.post(route, json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == param
    assert error["message"].startswith(f"{param}: ")
    assert says in error["message"]
    assert not [word for word in ("Tag", "Part", "Text", "list[") if word in error["message"].replace("OpenAIEmb", "")]


@pytest.mark.parametrize("body", ["[]", "null", "7", '"text"', "{"])
async def test_what_is_no_object_has_no_param(tmp_path: Path, body: str) -> None:
    application, _ = app(tmp_path)
    async with client(application) as http:
        answer = await http.post(EMBEDDINGS, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, None)
