"""Image understanding: what an image shows, in a sentence, in classes and in masks."""

from typing import Annotated

from pydantic import Field

from pipelines.image_understanding.base import Description, ImageUnderstander
from pipelines.image_understanding.classical import ClassicalConfig
from pipelines.image_understanding.draw import draw_masks
from pipelines.image_understanding.transformers import TransformersConfig

Config = Annotated[ClassicalConfig | TransformersConfig, Field(discriminator="engine")]

__all__ = ["ClassicalConfig", "Config", "Description", "ImageUnderstander", "TransformersConfig", "draw_masks"]
