"""Videos from a still picture."""

from pipelines.video_generation.base import Clip, VideoGenerator, VideoRequest
from pipelines.video_generation.camera_motion import CameraMotionConfig

Config = CameraMotionConfig

__all__ = ["CameraMotionConfig", "Clip", "Config", "VideoGenerator", "VideoRequest"]
