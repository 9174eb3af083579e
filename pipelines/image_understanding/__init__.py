"""Image understanding: what a picture shows, in a sentence, in classes and in masks."""

from pipelines.image_understanding.base import Description, ImageUnderstander
from pipelines.image_understanding.classical import ClassicalConfig
from pipelines.image_understanding.draw import draw_masks

Config = ClassicalConfig

__all__ = ["Config", "Description", "ImageUnderstander", "draw_masks"]
