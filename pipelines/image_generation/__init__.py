"""Image generation: images from text, and changed images."""

from typing import Annotated

from pydantic import Field

from pipelines.image_generation.base import ImageGenerator, ImageOrRefusal, ImageRequest
from pipelines.image_generation.diffusers import DiffusersConfig
from pipelines.image_generation.editing import EditRequest
from pipelines.image_generation.icons import IconsConfig

Config = Annotated[IconsConfig | DiffusersConfig, Field(discriminator="engine")]

__all__ = [
    "Config",
    "DiffusersConfig",
    "EditRequest",
    "IconsConfig",
    "ImageGenerator",
    "ImageOrRefusal",
    "ImageRequest",
]
