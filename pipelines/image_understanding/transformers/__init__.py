"""Image understanding by three models of transformers: one writes captions, one names classes, one segments."""

from pipelines.image_understanding.transformers.engine import TransformersConfig, TransformersUnderstander

__all__ = ["TransformersConfig", "TransformersUnderstander"]
