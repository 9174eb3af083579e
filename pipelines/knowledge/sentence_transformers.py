"""Embeddings by any checkpoint that sentence-transformers reads, by default one for a hundred languages.

Checkpoint: BAAI/bge-m3 (MIT, 1024 dimensions, https://arxiv.org/abs/2402.03216); on a CPU rather
sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0, 384 dimensions, English). Questions and passages get the prompts
that the checkpoint's own configuration has for them. A store belongs to one model: see `reembed`.
"""

from collections.abc import Collection, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipelines.contracts.engine import ModelCard, Resources
from pipelines.knowledge.base import Embedder
from pipelines.knowledge.reranker import RerankingConfig
from pipelines.loading.checkpoint import TorchCheckpointConfig
from pipelines.loading.device import Placement, select_device
from pipelines.loading.errors import reading, unreadable
from pipelines.loading.pretrained import has_tokenizer
from pipelines.loading.weights import Weights, locate
from pipelines.text.scripts import is_latin

_FILES = ("*.safetensors", "*.json", "*.txt", "*.model")
_PICKLED = {"BAAI/bge-m3": "pytorch_model.bin"}  # published in torch's format alone; read with `weights_only`
_CHINESE = "服务器每天凌晨两点自动备份，备份文件保留九十天。"
_PAIRS = (
    ("When is the library open?", "The library is open from nine to six, on Saturdays until noon."),
    ("How heavy is the pump?", "The pump weighs 42 kilograms without its base plate."),
    ("Who wrote the report?", "The report on water quality was written by Maria Jensen."),
    ("What does a ticket cost?", "Tickets are 12 euros for adults and 5 euros for children."),
    ("Why was the bridge closed?", "Engineers closed the bridge because of cracks in two of its cables."),
    ("Where are the backups kept?", "Backup copies are stored in a second data center, 80 km away."),
)


class SentenceTransformersConfig(TorchCheckpointConfig, RerankingConfig):
    """An embedding model on this machine's GPU or CPU."""

    licenses: ClassVar = {"BAAI/bge-m3": "MIT", "sentence-transformers/all-MiniLM-L6-v2": "Apache-2.0"}

    engine: Literal["sentence-transformers"] = "sentence-transformers"
    model: str = Field("BAAI/bge-m3", description="Hub id or local folder of a sentence-transformers checkpoint.")
    batch_size: int = Field(32, ge=1, le=1024, description="Texts embedded at once.")

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model=self.name,
            license=self.licensed(self.license),
            description="Sentence embeddings: finds passages by meaning, in the languages that the model knows.",
        )

    def weights(self) -> tuple[Weights, ...]:
        """The checkpoint and its tokenizer, then the reranker's."""
        pickled = [_PICKLED[self.model]] if self.model in _PICKLED else []
        return (Weights(self.model, self.revision, (*_FILES, *pickled)), *self.reranker_weights())

    def placement(self) -> Placement:
        """Where both models run."""
        return select_device(self.device, self.dtype)

    def load(self, resources: Resources) -> "SentenceTransformers":
        """Read the model; no code of its repository is run."""
        from sentence_transformers import SentenceTransformer

        folder = locate(self.weights()[0])
        if not has_tokenizer(folder):
            raise unreadable(self.name)
        where = self.placement()
        with reading(self.name):
            model = SentenceTransformer(
                str(folder),
                device=str(where.device),
                local_files_only=True,
                model_kwargs={"dtype": where.dtype, "use_safetensors": any(folder.glob("*.safetensors"))},
            )
        return SentenceTransformers(model, self.batch_size)


class SentenceTransformers(Embedder):
    """The loaded model. Not thread-safe.

    Args:
        model: a `SentenceTransformer`.
        batch_size: texts embedded at once.
    """

    def __init__(self, model: Any, batch_size: int = 32) -> None:
        self._model = model
        self._batch_size = batch_size
        self.dimension = int(model.get_embedding_dimension())
        self.max_tokens = int(model.max_seq_length)
        self._reads_chinese = _has_words_for(_CHINESE, model.tokenizer)
        self.shorter_dimensions = _matryoshka(model[0].auto_model.config, self.dimension)
        self.similarity_range = self._measured_similarity()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Passages to unit vectors, float32 (N, dimension); what goes beyond the model's length is not read."""
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        return self._vectors(self._model.encode_document, texts, ("document", "passage", "corpus"))

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """A question to a unit vector, float32 (dimension,), with the model's prompt for questions."""
        vector: NDArray[np.float32] = self._vectors(self._model.encode_query, [text], ("query",))[0]
        return vector

    def count_tokens(self, text: str) -> int:
        """How many tokens the model reads of `text`, its marks included."""
        return len(self._model.tokenizer(text, truncation=True, max_length=self.max_tokens)["input_ids"])

    def reads(self, text: str) -> bool:
        """Whether the model has words for the script of `text`: Latin, or all if its vocabulary has Chinese."""
        return self._reads_chinese or is_latin(text)

    def _vectors(self, encode: Any, texts: Sequence[str], prompts: tuple[str, ...]) -> NDArray[np.float32]:
        # The library takes the first that is named; a checkpoint may name one and leave it empty.
        named = next((name for name in prompts if self._model.prompts.get(name)), None)
        vectors = encode(
            list(texts),
            prompt_name=named,
            batch_size=self._batch_size,
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        return np.asarray(vectors, np.float32)

    def _measured_similarity(self) -> tuple[float, float]:
        """Models differ in the similarities that they give: measure them on a few questions and answers."""
        questions = np.stack([self.embed_query(question) for question, _ in _PAIRS])
        cosines = questions @ self.embed([answer for _, answer in _PAIRS]).T
        is_pair = np.eye(len(_PAIRS), dtype=bool)
        unrelated, answering = (float(np.percentile(part, 75)) for part in (cosines[~is_pair], cosines[is_pair]))
        answering = min(answering, 0.95)
        return min(unrelated, answering - 0.05), answering


def _has_words_for(text: str, tokenizer: Any) -> bool:
    """Whether a tokenizer knows all of a text, and better than byte by byte."""
    tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
    return tokenizer.unk_token_id not in tokens and len(tokens) <= len(text)


def _matryoshka(config: Any, dimension: int) -> Collection[int]:
    """The shorter dimensions that a checkpoint declares, by the keys that vLLM reads as well."""
    if listed := getattr(config, "matryoshka_dimensions", None):
        return tuple(listed)
    return range(1, dimension) if getattr(config, "is_matryoshka", False) else ()
