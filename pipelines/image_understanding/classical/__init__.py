"""Image understanding without a model: colors, light, people, kind of image, areas of one look."""

from pipelines.image_understanding.classical.engine import Classical, ClassicalConfig

__all__ = ["Classical", "ClassicalConfig"]
