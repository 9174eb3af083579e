"""Super-resolution: enlarge a picture and restore its detail."""

from pipelines.super_resolution.base import RgbFloat, SuperResolver
from pipelines.super_resolution.classical import ClassicalConfig
from pipelines.super_resolution.enhance import enhance

Config = ClassicalConfig

__all__ = ["Config", "RgbFloat", "SuperResolver", "enhance"]
