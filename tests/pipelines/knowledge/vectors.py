"""Documents for the store without a model: any vectors do."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from pipelines.knowledge.index.store import DocumentRecord, KnowledgeStore
from pipelines.knowledge.parsing.chunks import Chunk

DIMENSION = 8
MODEL = "eight-numbers"


def unit(seed: int) -> NDArray[np.float32]:
    vector = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    return vector / np.linalg.norm(vector)


def sha(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def put(store: KnowledgeStore, category: str, name: str, passages: int = 3, text: str = "passage") -> DocumentRecord:
    """Add a document whose bytes are its name."""
    chunks = [Chunk(index + 1, f"{text} {index} of {name}", index) for index in range(passages)]
    vectors = np.stack([unit(index) for index in range(passages)])
    return store.add(category, f"{name}.txt", sha(name), chunks, vectors, pages=passages, size_bytes=100)
