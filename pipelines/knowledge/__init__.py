"""The knowledge base: documents to passages, embeddings, and a store that finds them again."""

from pipelines.knowledge.base import Embedder
from pipelines.knowledge.minilm import MiniLmConfig

Config = MiniLmConfig

__all__ = ["Config", "Embedder", "MiniLmConfig"]
