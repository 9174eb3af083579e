"""Image generation: images from text."""

from typing import Annotated

from pydantic import Field

from pipelines.image_generation.base import ImageGenerator, ImageOrRefusal, ImageRequest
from pipelines.image_generation.diffusers import DiffusersConfig
from pipelines.image_generation.icons import IconsConfig

Config = Annotated[IconsConfig | DiffusersConfig, Field(discriminator="engine")]

__all__ = ["Config", "DiffusersConfig", "IconsConfig", "ImageGenerator", "ImageOrRefusal", "ImageRequest"]
