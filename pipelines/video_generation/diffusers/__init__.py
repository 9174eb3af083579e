"""Video from a still image by image-to-video diffusion models of diffusers: Wan and Stable Video Diffusion."""

from pipelines.video_generation.diffusers.engine import DiffusersConfig

__all__ = ["DiffusersConfig"]
