"""What the families of image-to-video diffusion models share: sizes, counts of frames, and a call of the pipeline.

The image is cropped slightly at two sides to the model's grid; the video has the image's shape at the model's number
of pixels. The first frame is the model's rendering of the image, not its pixels. The noise is drawn on the CPU from
the seed. What moves, and how, is the model's guess.
"""

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np

from pipelines.contracts.errors import InvalidInput
from pipelines.contracts.progress import Progress, no_progress
from pipelines.loading.diffusion import step_callback
from pipelines.media import Rgb
from pipelines.video_generation.base import Clip, VideoGenerator, VideoRequest

_MAX_ASPECT = 16 / 9  # width over height, or height over width, that the models were trained on
_MAX_FPS = 30


@dataclass(frozen=True)
class Traits:
    """What a model was trained on.

    Attributes:
        fps: frame rate.
        pixels: per frame.
        max_frames: as many as it was trained on.
        frame_step: the number of frames is a multiple of this, plus one.
        multiple_px: both sides are multiples of this.
    """

    fps: float
    pixels: int
    max_frames: int
    frame_step: int
    multiple_px: int


class DiffusionAnimator(VideoGenerator):
    """One loaded pipeline. Not thread-safe: the frames of a clip may be decoded while they are read.

    Args:
        pipeline: of diffusers, on its device.
        traits: of its model.
        steps: denoising steps; `None` is the pipeline's default.
        pixels: per frame, approximately; `None` is what the model was trained on.
    """

    def __init__(self, pipeline: Any, traits: Traits, *, steps: int | None, pixels: int | None) -> None:
        self._pipeline = pipeline
        self._traits = traits
        self._steps: int = steps or signature(pipeline.__call__).parameters["num_inference_steps"].default
        self._pixels = pixels or traits.pixels

    def generate(self, image: Rgb, request: VideoRequest, *, progress: Progress = no_progress) -> Clip:
        """As the base says; the first frame is the model's rendering of the image.

        Takes 1 to 30 frames a second and 2 frames to as many as the model was trained on (Wan: 5, 9, 13 and so on; in
        between, the next lower).
        """
        self._check(request)
        fps = self._fps(request)
        count = self._count(request)
        progress(0.0, "denoising")
        fitted = self._fitted(image)
        width, height = fitted.size
        options = {
            "image": fitted,
            "width": width,
            "height": height,
            "num_frames": count,
            "num_inference_steps": self._steps,
            "generator": _generator(request.seed),
            "callback_on_step_end": step_callback(progress, self._steps),
        }
        return Clip(self._frames(options, request, fps, progress), count, fps, width, height)

    @abstractmethod
    def _check(self, request: VideoRequest) -> None:
        """Refuse what the family does not know."""

    @abstractmethod
    def _frames(self, options: dict[str, Any], request: VideoRequest, fps: float, progress: Progress) -> Iterator[Rgb]:
        """Denoise at once; the frames may be decoded while they are read.

        Args:
            options: of the pipeline's call that all families have in common.
            request: for those that they do not.
            fps: frames per second.
            progress: called with "decoding" between the parts of the decoding.
        """

    def _call(self, **options: Any) -> Any:
        """Run the pipeline; what was moved to the GPU for it leaves again, even if the call was stopped."""
        try:
            return self._pipeline(**options).frames
        finally:
            self._pipeline.maybe_free_model_hooks()

    def _fps(self, request: VideoRequest) -> float:
        fps = self._traits.fps if request.fps is None else request.fps
        if not 1 <= fps <= _MAX_FPS:
            raise InvalidInput(f"fps must be from 1 to {_MAX_FPS}.", "fps")
        return fps

    def _count(self, request: VideoRequest) -> int:
        step, maximum = self._traits.frame_step, self._traits.max_frames
        minimum = max(2, step + 1)
        requested = maximum if request.frames is None else request.frames
        if not minimum <= requested <= maximum:
            raise InvalidInput(f"frames must be from {minimum} to {maximum} with this model.", "frames")
        return (requested - 1) // step * step + 1

    def _fitted(self, image: Rgb) -> Any:
        """The image at the model's number of pixels, in its own shape as far as the model was trained on it."""
        from PIL import Image, ImageOps

        height, width = image.shape[:2]
        shape = min(max(width / height, 1 / _MAX_ASPECT), _MAX_ASPECT)
        multiple = self._traits.multiple_px
        cells = max(1, round(self._pixels / multiple**2))
        grids = [(across, max(1, round(cells / across))) for across in range(1, cells + 1)]
        across, down = min(grids, key=lambda grid: abs(math.log(grid[0] / grid[1] / shape)))
        return ImageOps.fit(Image.fromarray(image), (across * multiple, down * multiple), Image.Resampling.LANCZOS)


def to_uint8(frame: Any) -> Rgb:
    """A frame as RGB uint8, from floats 0 to 1."""
    return np.asarray((np.asarray(frame) * 255).round(), np.uint8)


def _generator(seed: int) -> Any:
    import torch

    return torch.Generator("cpu").manual_seed(seed)
