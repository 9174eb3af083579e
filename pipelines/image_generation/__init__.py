"""Image generation: pictures from text."""

from pipelines.image_generation.base import ImageGenerator, ImageRequest
from pipelines.image_generation.icons import IconsConfig

Config = IconsConfig

__all__ = ["Config", "IconsConfig", "ImageGenerator", "ImageRequest"]
