"""Reranking by a cross-encoder, which reads a question and a passage together: more exact than embeddings, and slower.

Checkpoint: any sequence classifier of transformers with one output, for instance BAAI/bge-reranker-v2-m3 (Apache-2.0,
568 M parameters, a hundred languages, https://arxiv.org/abs/2402.03216); on a CPU rather
cross-encoder/ms-marco-MiniLM-L6-v2 (Apache-2.0, 23 M, English). Its score says how well a passage answers a question,
not whether what it says is true. Rerankers that are language models (Qwen3-Reranker) are not supported.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipelines.contracts.engine import EngineConfig
from pipelines.contracts.errors import ModelUnavailable
from pipelines.knowledge.base import cut
from pipelines.loading.device import Placement
from pipelines.loading.errors import overflowed
from pipelines.loading.pretrained import read_model, read_tokenizer
from pipelines.loading.weights import Weights

_FILES = ("*.safetensors", "*.json", "*.txt", "*.model")
_LICENSES = {"BAAI/bge-reranker-v2-m3": "Apache-2.0", "cross-encoder/ms-marco-MiniLM-L6-v2": "Apache-2.0"}
_MAX_TOKENS = 1024  # of a question and a passage together: what bge-reranker-v2-m3 is meant to be used with
_BATCH_SIZE = 16


class RerankingConfig(EngineConfig):
    """The keys of a reranker, which every embedding engine can have beside it."""

    reranker: str | None = Field(
        None, description="Hub id or local folder of a cross-encoder that reorders what retrieval finds. Default: none."
    )
    reranker_revision: str = Field("main", description="Commit, tag or branch of it on the hub.")

    def reranker_weights(self) -> tuple[Weights, ...]:
        """The cross-encoder and its tokenizer, if one is configured."""
        return (Weights(self.reranker, self.reranker_revision, _FILES),) if self.reranker else ()

    def licensed(self, license_: str) -> str:
        """The license of the embedding model, with that of the reranker if one is configured."""
        if not self.reranker:
            return license_
        return " AND ".join(dict.fromkeys((license_, _LICENSES.get(self.reranker, "see the reranker's page"))))

    @abstractmethod
    def placement(self) -> Placement:
        """Where the models of this configuration run."""

    def load_reranker(self) -> "Reranker | None":
        """Read the cross-encoder, if one is configured.

        Raises:
            ModelUnavailable: missing, damaged, or of another kind.
        """
        weights = self.reranker_weights()
        return Reranker.load(weights[0], self.placement()) if weights else None


class Reranker:
    """One loaded cross-encoder. Not thread-safe.

    Args:
        model: a sequence classifier of transformers with one output.
        tokenizer: of the model.
        name: what the model is called.
    """

    def __init__(self, model: Any, tokenizer: Any, name: str) -> None:
        self.name = name
        self._model = model
        self._tokenizer = tokenizer
        self._max_tokens = min(_MAX_TOKENS, tokenizer.model_max_length, model.config.max_position_embeddings)

    @classmethod
    def load(cls, weights: Weights, placement: Placement) -> Self:
        """Read a checkpoint; no code of its repository is run.

        Raises:
            ModelUnavailable: missing, damaged, or of another kind.
        """
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        model = read_model(AutoModelForSequenceClassification, weights, placement)
        if model.config.num_labels != 1:
            raise ModelUnavailable(
                f"{weights.name} is not a reranker: it gives {model.config.num_labels} scores, not one."
            )
        return cls(model, read_tokenizer(AutoTokenizer, weights), weights.name)

    def score(self, query: str, passages: Sequence[str]) -> tuple[NDArray[np.float32], int]:
        """How well each passage answers a question.

        Args:
            query: the question.
            passages: what goes beyond 1,024 tokens, or the model's own limit, is not read; the longer of the two texts
                is cut first.

        Returns:
            Scores 0 to 1, float32 (N,), in the order of `passages`; and how many tokens the model has read.

        Raises:
            ModelUnavailable: the model's numbers overflow in its number format.
        """
        import torch

        query, *passages = cut([query, *passages], self._max_tokens)
        scores, tokens = np.empty(len(passages), np.float32), 0
        longest_first = sorted(range(len(passages)), key=lambda index: -len(passages[index]))  # little padding
        for start in range(0, len(passages), _BATCH_SIZE):
            batch = longest_first[start : start + _BATCH_SIZE]
            read = self._tokenizer(
                [query] * len(batch),
                [passages[index] for index in batch],
                padding=True,
                truncation=True,
                max_length=self._max_tokens,
                return_tensors="pt",
            )
            with torch.inference_mode():
                logits = self._model(**read.to(self._model.device)).logits[:, 0]
            scores[batch] = torch.sigmoid(logits.float()).cpu().numpy()
            tokens += int(read["attention_mask"].sum())
        if not np.isfinite(scores).all():
            raise overflowed(self.name)
        return scores, tokens
