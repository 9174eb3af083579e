"""Video generation: a short video from a still image."""

from typing import Annotated

from pydantic import Field

from pipelines.video_generation.base import MAX_PROMPT_CHARS, Clip, VideoGenerator, VideoRequest
from pipelines.video_generation.camera_motion import CameraMotionConfig
from pipelines.video_generation.diffusers import DiffusersConfig

Config = Annotated[CameraMotionConfig | DiffusersConfig, Field(discriminator="engine")]

__all__ = [
    "MAX_PROMPT_CHARS",
    "CameraMotionConfig",
    "Clip",
    "Config",
    "DiffusersConfig",
    "VideoGenerator",
    "VideoRequest",
]
