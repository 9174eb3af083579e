"""The knowledge base: documents cut into chunks, embedded, and stored so that questions find them."""

from typing import Annotated

from pydantic import Field

from pipelines.knowledge.base import Embedder, Passage
from pipelines.knowledge.minilm import MiniLmConfig
from pipelines.knowledge.sentence_transformers import SentenceTransformersConfig

Config = Annotated[MiniLmConfig | SentenceTransformersConfig, Field(discriminator="engine")]

__all__ = ["Config", "Embedder", "MiniLmConfig", "Passage", "SentenceTransformersConfig"]
