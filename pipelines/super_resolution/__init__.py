"""Super-resolution: enlarge an image and restore its detail. `Config` chooses the engine."""

from typing import Annotated

from pydantic import Field

from pipelines.super_resolution.base import RgbFloat, SuperResolver
from pipelines.super_resolution.classical import ClassicalConfig
from pipelines.super_resolution.enhance import enhance
from pipelines.super_resolution.real_esrgan import RealEsrganConfig

Config = Annotated[ClassicalConfig | RealEsrganConfig, Field(discriminator="engine")]

__all__ = ["ClassicalConfig", "Config", "RealEsrganConfig", "RgbFloat", "SuperResolver", "enhance"]
