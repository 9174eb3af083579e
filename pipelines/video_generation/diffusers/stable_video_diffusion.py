"""Stable Video Diffusion (https://arxiv.org/abs/2311.15127): 25 frames at 7 fps, guided by the image alone.

Checkpoint: stabilityai/stable-video-diffusion-img2vid-xt. Its license, the Stability AI Community License, requires
registration and is free only below a yearly revenue; the hub asks to accept it before the weights can be fetched.
Follows no prompt.
"""

from collections.abc import Iterator
from typing import Any

from pipelines.contracts.errors import InvalidInput
from pipelines.contracts.progress import Progress
from pipelines.media import Rgb
from pipelines.video_generation.base import VideoRequest
from pipelines.video_generation.diffusers.animator import DiffusionAnimator, Traits, to_uint8


class StableVideoAnimator(DiffusionAnimator):
    """One loaded `StableVideoDiffusionPipeline`. Not thread-safe.

    Args:
        pipeline: on its device.
        decode_frames: frames decoded at once.
        options: as in the base class.
    """

    def __init__(self, pipeline: Any, *, decode_frames: int, **options: Any) -> None:
        super().__init__(pipeline, _traits(pipeline), **options)
        self._decode_frames = decode_frames

    def _check(self, request: VideoRequest) -> None:
        request.require_no_prompt()
        if request.motion is not None and not 0 <= request.motion <= 1:
            raise InvalidInput("motion must be from 0 to 1.", "motion")

    def _frames(self, options: dict[str, Any], request: VideoRequest, fps: float, progress: Progress) -> Iterator[Rgb]:
        motion = 0.5 if request.motion is None else request.motion
        latents = self._call(**options, fps=round(fps), motion_bucket_id=1 + round(252 * motion), output_type="latent")
        return self._decoded(latents, progress)

    def _decoded(self, latents: Any, progress: Progress) -> Iterator[Rgb]:
        """Decode a few frames at a time as they are read."""
        import torch

        count, at_once = latents.shape[1], self._decode_frames
        try:
            for start in range(0, count, at_once):
                progress(start / count, "decoding")
                part = latents[:, start : start + at_once]
                with torch.no_grad():
                    decoded = self._pipeline.decode_latents(part, part.shape[1], at_once)
                (images,) = self._pipeline.video_processor.postprocess_video(decoded, output_type="np")
                yield from (to_uint8(frame) for frame in images)
        finally:
            self._pipeline.maybe_free_model_hooks()


def _traits(pipeline: Any) -> Traits:
    # Each level of the UNet but the last halves the latents, and their parts are joined again without a remainder.
    halvings = len(pipeline.unet.config.block_out_channels) - 1
    return Traits(
        fps=7,
        pixels=1024 * 576,
        max_frames=pipeline.unet.config.num_frames,
        frame_step=1,
        multiple_px=pipeline.vae_scale_factor * 2**halvings,
    )
