"""Chat by a language model, run here by transformers with continuous batching."""

from pipelines.chat.transformers.engine import TransformersChat, TransformersConfig

__all__ = ["TransformersChat", "TransformersConfig"]
