"""Wan (https://arxiv.org/abs/2503.20314): an image and, in words, what happens in it.

Checkpoint: Wan-AI/Wan2.2-TI2V-5B-Diffusers (Apache-2.0), up to 121 frames at 24 fps and 1280 x 704; of the older ones
Wan-AI/Wan2.1-I2V-14B-480P-Diffusers (Apache-2.0), up to 81 frames at 16 fps. Without a prompt it animates what it
likes. It has no setting for the strength of motion: the prompt says how much moves.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from pipelines.contracts.errors import UnsupportedByEngine
from pipelines.contracts.progress import Progress
from pipelines.media import Rgb
from pipelines.video_generation.base import VideoRequest
from pipelines.video_generation.diffusers.animator import DiffusionAnimator, Traits, to_uint8


class WanAnimator(DiffusionAnimator):
    """One loaded `WanImageToVideoPipeline`. Not thread-safe.

    Args:
        pipeline: on its device.
        prompt: of requests that have none.
        options: as in the base class.
    """

    def __init__(self, pipeline: Any, *, prompt: str, **options: Any) -> None:
        super().__init__(pipeline, _traits(pipeline), **options)
        self._prompt = prompt

    def _check(self, request: VideoRequest) -> None:
        if request.motion is not None:
            raise UnsupportedByEngine(
                "The configured model has no setting for the strength of motion. Say it in the prompt.", "motion"
            )

    def _frames(self, options: dict[str, Any], request: VideoRequest, fps: float, progress: Progress) -> Iterator[Rgb]:
        prompt = self._prompt if request.prompt is None else request.prompt
        parts = (options["num_frames"] - 1) // self._traits.frame_step + 1
        with self._decoding(parts, progress):
            (images,) = self._call(**options, prompt=prompt, output_type="np")
        return (to_uint8(frame) for frame in images)

    @contextmanager
    def _decoding(self, parts: int, progress: Progress) -> Iterator[None]:
        """Report before each part of the video that the autoencoder decodes: it goes through them one by one."""
        done = count()
        hook = self._pipeline.vae.decoder.register_forward_pre_hook(lambda *_: progress(next(done) / parts, "decoding"))
        try:
            yield
        finally:
            hook.remove()


def _traits(pipeline: Any) -> Traits:
    patch = pipeline.transformer.config.patch_size
    newer = pipeline.config.expand_timesteps
    return Traits(
        fps=24 if newer else 16,
        pixels=1280 * 704 if newer else 832 * 480,
        max_frames=121 if newer else 81,
        frame_step=pipeline.vae_scale_factor_temporal,
        multiple_px=math.lcm(16, pipeline.vae_scale_factor_spatial * max(patch[1:])),
    )
