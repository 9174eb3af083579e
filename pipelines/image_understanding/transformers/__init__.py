"""Image understanding by three models of transformers: BLIP captions, CLIP names classes, SAM segments."""

from pipelines.image_understanding.transformers.engine import TransformersConfig, TransformersUnderstander

__all__ = ["TransformersConfig", "TransformersUnderstander"]
