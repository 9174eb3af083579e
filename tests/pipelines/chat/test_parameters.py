"""What an engine that only writes text refuses, each by the name of its parameter."""

import pytest

from pipelines.chat import ChatRequest, Message
from pipelines.chat.base import NEUTRAL
from pipelines.chat.extractive.engine import Extractive
from pipelines.contracts.errors import InvalidInput

ASKED = {
    "n": 2,
    "tools": [{"type": "function"}],
    "tool_choice": "required",
    "response_format": {"type": "json_object"},
    "logprobs": True,
    "top_logprobs": 3,
    "logit_bias": {"50256": -100},
    "presence_penalty": 0.5,
    "frequency_penalty": -0.5,
    "repetition_penalty": 1.2,
    "top_k": 5,
    "min_p": 0.1,
    "functions": [{"name": "f"}],
    "function_call": {"name": "f"},
    "modalities": ["text", "audio"],
    "audio": {"voice": "alloy", "format": "wav"},
    "web_search_options": {},
}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def asked(**options: object) -> ChatRequest:
    return ChatRequest((Message("user", "Hi"),), options=options)


@pytest.mark.parametrize("name", NEUTRAL)
def test_a_parameter_that_asks_for_another_answer_is_refused(model: Extractive, name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        model.check(asked(**{name: ASKED[name]}))
    assert caught.value.param == name


def test_what_changes_nothing_passes(model: Extractive) -> None:
    for name, neutral in NEUTRAL.items():
        for value in (None, *neutral):
            model.check(asked(**{name: value}))
    model.check(asked(presence_penalty=0.0, user="me", seed=3, store=True))


def test_an_image_is_refused_by_its_place(model: Extractive) -> None:
    turns = (Message("user", "Hi"), Message("user", "Look", parts=({"type": "text", "text": "Look"}, IMAGE)))
    with pytest.raises(InvalidInput) as caught:
        model.check(ChatRequest(turns))
    assert caught.value.param == "messages.1.content.1.type"


def test_no_image_is_fetched(model: Extractive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "reads_images", True)
    elsewhere = {"type": "image_url", "image_url": {"url": "http://127.0.0.1/secret.png"}}
    model.check(ChatRequest((Message("user", "Look", parts=(IMAGE,)),)))
    with pytest.raises(InvalidInput, match="data URL") as caught:
        model.check(ChatRequest((Message("user", "Hi"), Message("user", "", parts=(elsewhere,)))))
    assert caught.value.param == "messages.1.content.0.image_url.url"


def test_what_forces_a_tool_is_named_before_the_tools(model: Extractive) -> None:
    for forced in ({"tools": ASKED["tools"], "tool_choice": "required"}, {"functions": [], "function_call": {}}):
        with pytest.raises(InvalidInput) as caught:
            model.check(asked(**forced))
        assert caught.value.param in ("tool_choice", "function_call")
