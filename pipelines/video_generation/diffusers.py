"""Video from a still image by image-to-video diffusion models: Stable Video Diffusion and Wan.

Stable Video Diffusion XT (https://arxiv.org/abs/2311.15127): 25 frames at 7 fps, no prompt. Its license, the
Stability AI Community License, requires registration and is free only below a yearly revenue; the hub asks to accept
it before the weights can be fetched. For unrestricted commercial use choose Wan 2.2 TI2V 5B
(`Wan-AI/Wan2.2-TI2V-5B-Diffusers`, Apache-2.0, https://arxiv.org/abs/2503.20314): up to 121 frames at 24 fps,
guided by the `prompt` of the configuration, without a setting for the strength of motion.

The image is cropped slightly at two sides to the model's grid; the video has the image's shape at the model's number
of pixels. The first frame is the model's rendering of the image, not its pixels. The noise is drawn on the CPU from
the seed. What moves, and how, is the model's guess.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import signature
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from pipelines.contracts.engine import ModelCard, Resources
from pipelines.contracts.errors import InvalidInput, ModelUnavailable
from pipelines.contracts.progress import Progress, no_progress
from pipelines.loading.device import select_device
from pipelines.loading.diffusion import PipelineConfig, step_callback
from pipelines.media import Rgb
from pipelines.video_generation.base import Clip, VideoGenerator, VideoRequest

_SVD = "stabilityai/stable-video-diffusion-img2vid-xt"
_STABLE, _WAN = "StableVideoDiffusionPipeline", "WanImageToVideoPipeline"
_CLASSES = {_STABLE: _STABLE, _WAN: _WAN, "WanPipeline": _WAN}  # by what `model_index.json` says
_MAX_ASPECT = 1024 / 576  # width over height, or height over width, that the models were trained on
_MAX_FPS = 30


class DiffusersConfig(PipelineConfig):
    """An image-to-video diffusion model."""

    licenses: ClassVar = {
        _SVD: "LicenseRef-Stability-AI-Community",
        "stabilityai/stable-video-diffusion-img2vid": "LicenseRef-Stability-AI-Community",
        "Wan-AI/Wan2.2-TI2V-5B-Diffusers": "Apache-2.0",
        "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers": "Apache-2.0",
    }

    engine: Literal["diffusers"] = "diffusers"
    model: str = Field(_SVD, description="Hub id or local folder of a Stable Video Diffusion or Wan pipeline.")
    steps: int | None = Field(None, ge=1, le=200, description="Denoising steps. Default: the pipeline's.")
    pixels: int = Field(
        1024 * 576, ge=64 * 64, le=1280 * 720, description="Approximate pixels per frame; the image gives the shape."
    )
    decode_frames: int = Field(
        8,
        ge=1,
        description="Frames that Stable Video Diffusion decodes at once: fewer need less memory and may flicker.",
    )
    prompt: str = Field("", max_length=2000, description="What happens, for models that read it (Wan).")
    offload: Literal["none", "model", "sequential"] = Field(
        "none", description="Keep everything on the GPU, the active component, or only the active layer (slow)."
    )

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        restricted = self.license.startswith("LicenseRef-Stability")
        return ModelCard(
            model=self.name,
            license=self.license,
            description="A diffusion model: what the image shows moves as the model guesses, for a few seconds."
            + (" Commercial use needs a license from Stability AI." if restricted else ""),
        )

    def load(self, resources: Resources) -> "DiffusionAnimator":
        """Load the pipeline onto its device, or prepare to offload it."""
        name = self.pipeline_class()
        if name not in _CLASSES:
            raise ModelUnavailable(f"{self.name} is not a Stable Video Diffusion or Wan pipeline.")
        device = select_device(self.device, self.dtype).device
        if self.offload != "none" and device.type == "cpu":
            raise ModelUnavailable("The configuration requests offloading, but this machine has no GPU.")
        import diffusers

        pipeline = self.load_pipeline(getattr(diffusers, _CLASSES[name]))
        if self.offload == "model":
            pipeline.enable_model_cpu_offload(device=device)
        elif self.offload == "sequential":
            pipeline.enable_sequential_cpu_offload(device=device)
        else:
            pipeline.to(device)
        return DiffusionAnimator(pipeline, self)


@dataclass(frozen=True)
class _Traits:
    """What a family of models takes.

    Attributes:
        fps: default frame rate.
        max_frames: as many as the model was trained on.
        frame_step: the number of frames is a multiple of this, plus one.
        multiple_px: both sides are multiples of this.
    """

    fps: float
    max_frames: int
    frame_step: int
    multiple_px: int


class DiffusionAnimator(VideoGenerator):
    """One loaded pipeline. Not thread-safe: the frames of a clip are decoded while they are read.

    Args:
        pipeline: Stable Video Diffusion or Wan of diffusers, on its device.
        config: whose options the pipeline takes.
    """

    def __init__(self, pipeline: Any, config: DiffusersConfig) -> None:
        self._pipeline = pipeline
        self._config = config
        self._is_stable = type(pipeline).__name__ == _STABLE
        self._traits = _stable_traits(pipeline) if self._is_stable else _wan_traits(pipeline)
        default = signature(pipeline.__call__).parameters["num_inference_steps"].default
        self._steps: int = config.steps or default

    def generate(self, image: Rgb, request: VideoRequest, *, progress: Progress = no_progress) -> Clip:
        """As the base says; the first frame is the model's rendering of the image.

        Takes 1 to 30 frames a second and 2 frames to as many as the model was trained on (Wan: 5, 9, 13 and so on; in
        between, the next lower).
        """
        fps = self._fps(request)
        count = self._count(request)
        if request.motion is not None and not self._is_stable:
            raise InvalidInput("This model has no setting for the strength of motion.", "motion")
        motion = 0.5 if request.motion is None else request.motion
        if not 0 <= motion <= 1:
            raise InvalidInput("motion must be from 0 to 1.", "motion")
        progress(0.0, "denoising")
        fitted = self._fitted(image)
        width, height = fitted.size
        options: dict[str, Any] = {
            "image": fitted,
            "width": width,
            "height": height,
            "num_frames": count,
            "num_inference_steps": self._steps,
            "callback_on_step_end": step_callback(progress, self._steps),
        }
        frames = (
            self._stable_frames(options, request.seed, round(fps), 1 + round(252 * motion), progress)
            if self._is_stable
            else self._wan_frames(options, request.seed)
        )
        return Clip(frames, count, fps, width, height)

    def _stable_frames(
        self, options: dict[str, Any], seed: int, fps: int, motion_bucket: int, progress: Progress
    ) -> Iterator[Rgb]:
        """Denoise now; decode a few frames at a time as they are read."""
        latents = self._call(
            **options, fps=fps, motion_bucket_id=motion_bucket, generator=_generator(seed), output_type="latent"
        )
        return self._decoded(latents, progress)

    def _decoded(self, latents: Any, progress: Progress) -> Iterator[Rgb]:
        import torch

        count, at_once = latents.shape[1], self._config.decode_frames
        try:
            for start in range(0, count, at_once):
                progress(start / count, "decoding")
                part = latents[:, start : start + at_once]
                with torch.no_grad():
                    decoded = self._pipeline.decode_latents(part, part.shape[1], at_once)
                (images,) = self._pipeline.video_processor.postprocess_video(decoded, output_type="np")
                yield from (_uint8(frame) for frame in images)
        finally:
            self._pipeline.maybe_free_model_hooks()

    def _wan_frames(self, options: dict[str, Any], seed: int) -> Iterator[Rgb]:
        (images,) = self._call(**options, prompt=self._config.prompt, generator=_generator(seed), output_type="np")
        return (_uint8(frame) for frame in images)

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
        cells = max(1, round(self._config.pixels / multiple**2))
        grids = [(across, max(1, round(cells / across))) for across in range(1, cells + 1)]
        across, down = min(grids, key=lambda grid: abs(math.log(grid[0] / grid[1] / shape)))
        return ImageOps.fit(Image.fromarray(image), (across * multiple, down * multiple), Image.Resampling.LANCZOS)


def _stable_traits(pipeline: Any) -> _Traits:
    # Each level of the UNet but the last halves the latents, and their parts are joined again without a remainder.
    halvings = len(pipeline.unet.config.block_out_channels) - 1
    return _Traits(
        fps=7,
        max_frames=pipeline.unet.config.num_frames,
        frame_step=1,
        multiple_px=pipeline.vae_scale_factor * 2**halvings,
    )


def _wan_traits(pipeline: Any) -> _Traits:
    patch = pipeline.transformer.config.patch_size
    newer = pipeline.config.expand_timesteps
    return _Traits(
        fps=24 if newer else 16,
        max_frames=121 if newer else 81,
        frame_step=pipeline.vae_scale_factor_temporal,
        multiple_px=math.lcm(16, pipeline.vae_scale_factor_spatial * max(patch[1:])),
    )


def _generator(seed: int) -> Any:
    import torch

    return torch.Generator("cpu").manual_seed(seed)


def _uint8(frame: Any) -> Rgb:
    """From floats, 0 to 1."""
    return np.asarray((np.asarray(frame) * 255).round(), np.uint8)
