"""Chat by a language model, run here by transformers with continuous batching and paged attention."""

from pipelines.chat.transformers.engine import TransformersChat, TransformersConfig

__all__ = ["TransformersChat", "TransformersConfig"]
