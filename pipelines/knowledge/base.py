"""What every embedding engine offers, and what retrieval finds."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DEFAULT_OWNER = "default"
"""Whose documents are those that were added before documents had owners."""

_CHARACTERS_PER_TOKEN = 32  # more than any text has on average


@dataclass(frozen=True)
class Passage:
    """A chunk of a document that retrieval found; `page` is `None` if the format has none; `score` is 0 to 1."""

    document: str
    page: int | None
    text: str
    score: float


class Embedder(ABC):
    """One loaded embedding model. Not thread-safe."""

    dimension: int
    max_tokens: int
    """Of a text; what goes beyond is not read."""
    similarity_range: tuple[float, float] = (0.1, 0.7)
    """Cosine of a question with an unrelated passage, and with one that answers it."""
    shorter_dimensions: Collection[int] = ()
    """How long vectors may be cut, if the model was trained so that their first numbers stand for the whole."""

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts to unit vectors, float32 (N, dimension), batched inside."""

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """A question to a unit vector, float32 (dimension,); models may embed questions differently."""
        return self.embed([text])[0]  # type: ignore[no-any-return]

    @abstractmethod
    def count_tokens(self, text: str) -> int:
        """How many tokens the model reads of `text`: at most `max_tokens`."""

    def reads(self, text: str) -> bool:
        """Whether the model understands the language of `text`; if not, only words can find it."""
        return True


def cut(texts: Sequence[str], max_tokens: int) -> list[str]:
    """Texts without what a model of `max_tokens` surely does not read, so that it is not tokenized either."""
    return [text[: max_tokens * _CHARACTERS_PER_TOKEN] for text in texts]
