"""Chat without a language model: picks the sentences of the retrieved passages that answer, and quotes them."""

from pipelines.chat.extractive.engine import Extractive, ExtractiveConfig

__all__ = ["Extractive", "ExtractiveConfig"]
