"""Reranking: the scores of sentence-transformers' `CrossEncoder`, and what retrieval makes of them."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import ModelUnavailable, UnsupportedByEngine
from pipelines.knowledge import MiniLmConfig, SentenceTransformersConfig
from pipelines.knowledge.index.store import KnowledgeStore
from pipelines.knowledge.library import Library
from pipelines.knowledge.reranker import Reranker
from tests.checkpoints.knowledge import CHINESE, make_tiny_bge_m3, make_tiny_bge_reranker

QUERY = "how many kilograms is the pump"
TEXTS = ["the pump weighs 0 kilograms.", "the library is open.", CHINESE, "a", "open " * 300, "", "\0 \ufffd x"] * 4


@pytest.fixture(scope="module")
def folder(checkpoint: Callable[..., Path]) -> Path:
    return checkpoint(make_tiny_bge_reranker)


@pytest.fixture(scope="module")
def reranker(folder: Path) -> Reranker:
    loaded = MiniLmConfig(reranker=str(folder)).load_reranker()
    assert loaded is not None
    return loaded


def test_the_scores_of_the_library(folder: Path, reranker: Reranker) -> None:
    from sentence_transformers import CrossEncoder

    reference = CrossEncoder(str(folder), device="cpu", local_files_only=True)
    expected = reference.predict([(QUERY, text) for text in TEXTS], show_progress_bar=False)
    scores, tokens = reranker.score(QUERY, TEXTS)
    print("largest difference", np.abs(scores - expected).max(), "spread", expected.min(), expected.max())
    assert np.abs(scores - expected).max() < 2e-6
    assert expected.max() - expected.min() > 0.05
    assert (scores.dtype, scores.shape) == (np.float32, (len(TEXTS),))
    read = reference.tokenizer([QUERY] * len(TEXTS), TEXTS, truncation=True)["input_ids"]
    assert tokens == sum(map(len, read)) < 128 * len(TEXTS)
    assert reranker.name == folder.name
    assert reranker.score(QUERY, [])[0].shape == (0,)


class ByLength(Reranker):
    """Prefers long passages."""

    def __init__(self) -> None:
        self.name = "by length"
        self.seen: list[str] = []

    def score(self, query: str, passages: Sequence[str]) -> tuple[np.ndarray, int]:
        self.seen = list(passages)
        return np.array([len(passage) / 1000 for passage in passages], np.float32), 0


def test_retrieval_is_reranked_and_then_cut(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    import io

    config = SentenceTransformersConfig(model=str(checkpoint(make_tiny_bge_m3)))
    embedder = config.load(Resources())
    by_length = ByLength()
    store = KnowledgeStore.open(str(tmp_path / "store"), model="x", dimension=embedder.dimension)
    plain, reranked = Library(embedder, store), Library(embedder, store, by_length)
    for number in range(12):
        text = "The pump weighs 42 kilograms. " + "It is blue. " * (number * 5 % 12)
        plain.ingest(io.BytesIO(text.encode()), f"{number}.txt", "txt", "pumps", f"{number:064}")
    found = reranked.search("pumps", "How heavy is the pump?", 3)
    assert len(by_length.seen) == 12, "more are retrieved than are wanted"
    assert [len(passage.text) for passage in found] == sorted(map(len, by_length.seen), reverse=True)[:3]
    assert [passage.score for passage in found] == [round(len(passage.text) / 1000, 4) for passage in found]
    without = plain.search("pumps", "How heavy is the pump?", 3)
    assert [passage.text for passage in without] != [passage.text for passage in found]
    assert reranked.search("nothing here", "How heavy is the pump?", 3) is None


def test_without_a_reranker_it_says_how_to_configure_one(tmp_path: Path) -> None:
    library = Library.open(MiniLmConfig(), str(tmp_path / "store"))
    with pytest.raises(UnsupportedByEngine, match=r"`reranker: BAAI/bge-reranker-v2-m3`.*`make pull`"):
        library.require_reranker()


def test_a_configured_reranker_is_opened_fetched_and_licensed(folder: Path, tmp_path: Path) -> None:
    library = Library.open(MiniLmConfig(reranker=str(folder)), str(tmp_path / "store"))
    assert library.require_reranker().name == folder.name
    config = SentenceTransformersConfig(reranker="BAAI/bge-reranker-v2-m3", reranker_revision="v1")
    assert [(each.model, each.revision) for each in config.weights()] == [
        ("BAAI/bge-m3", "main"),
        ("BAAI/bge-reranker-v2-m3", "v1"),
    ]
    assert config.card().license == "MIT AND Apache-2.0"
    assert (MiniLmConfig().weights(), MiniLmConfig().card().license) == ((), "Apache-2.0")


def test_what_is_no_reranker_is_refused(checkpoint: Callable[..., Path], folder: Path, tmp_path: Path) -> None:
    def refused(model: Path, message: str) -> None:
        with pytest.raises(ModelUnavailable, match=message) as caught:
            MiniLmConfig(reranker=str(model)).load_reranker()
        assert str(tmp_path) not in caught.value.message

    refused(checkpoint(make_tiny_bge_reranker, scores=3), "3 scores, not one")
    refused(checkpoint(make_tiny_bge_m3), "incomplete, damaged, or of a model")  # no classifier
    refused(tmp_path / "nowhere", "does not exist")
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    (broken / "model.safetensors").write_bytes(b"\0" * 100)
    refused(broken, "damaged")
