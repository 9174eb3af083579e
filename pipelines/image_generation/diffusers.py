"""Image generation by diffusion models: any text-to-image pipeline of diffusers with step callbacks and safetensors.

Default: FLUX.2 [klein] 4B (Apache-2.0, https://github.com/black-forest-labs/flux2), four steps, reads English and
Chinese, about 16 GB of weights in bfloat16. For a CPU: LCM_Dreamshaper_v7 (MIT; derived from Stable Diffusion 1.5,
whose CreativeML OpenRAIL-M terms apply; https://arxiv.org/abs/2310.04378), four steps, about 5 GB in float32.

The noise of each image is drawn on the CPU from its own seed, so it depends neither on the device nor on the rest of
the batch. A GPU may still round differently at another batch size; on a CPU images agree within 1/255. CLIP text
encoders read only the first 77 tokens of a prompt.
"""

from collections.abc import Iterator, Sequence
from inspect import signature
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from pipelines.contracts.engine import ModelCard, Resources
from pipelines.contracts.errors import InvalidInput, ModelUnavailable
from pipelines.contracts.progress import Progress, no_progress
from pipelines.image_generation.base import ImageGenerator, ImageOrRefusal, ImageRequest, check
from pipelines.loading.device import select_device
from pipelines.loading.diffusion import PipelineConfig, StepEnd, step_callback, takes
from pipelines.media import Rgb

_KLEIN = "black-forest-labs/FLUX.2-klein-4B"
_LCM = "SimianLuo/LCM_Dreamshaper_v7"
_DISTILLED_FOR = {_KLEIN: (4, 1.0), _LCM: (4, 8.0)}  # steps, guidance
_REQUIRED = ("prompt", "width", "height", "num_inference_steps", "generator", "callback_on_step_end")


class DiffusersConfig(PipelineConfig):
    """A text-to-image diffusion model."""

    licenses: ClassVar = {_KLEIN: "Apache-2.0", _LCM: "MIT"}

    engine: Literal["diffusers"] = "diffusers"
    model: str = Field(_KLEIN, description="Hub id or local folder of a text-to-image pipeline of diffusers.")
    steps: int | None = Field(
        None, ge=1, le=200, description="Denoising steps. Default: what the model was distilled for, or its pipeline's."
    )
    guidance_scale: float | None = Field(
        None, ge=0, le=50, description="How closely the prompt is followed. Default: as for `steps`."
    )
    negative_prompt: str = Field("", max_length=4000, description="What to avoid; not every model takes one.")
    max_batch: int = Field(4, ge=1, le=32, description="Images of equal size generated at once.")
    largest_px: int | None = Field(
        None,
        ge=64,
        le=2048,
        description="Longer side at which the model draws at most; larger images are enlarged from this size. "
        "Models of the Stable Diffusion 1.5 class repeat objects beyond 768. Default: no limit.",
    )

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model=self.name,
            license=self.license,
            description="A diffusion model: paints what a prompt says in any style. Counts, small text and hands can "
            "come out wrong, and the people and places it shows are invented.",
        )

    def load(self, resources: Resources) -> "DiffusionPainter":
        """Load the pipeline onto its device; it must report its steps and take the configured options."""
        from diffusers import AutoPipelineForText2Image

        pipeline = self.load_pipeline(AutoPipelineForText2Image)
        if not all(takes(pipeline, parameter) for parameter in _REQUIRED):
            raise ModelUnavailable(f"{self.name} is a {type(pipeline).__name__}, which cannot be stopped.")
        for option in ("guidance_scale", "negative_prompt"):
            if getattr(self, option) and not takes(pipeline, option):
                raise ModelUnavailable(f"{self.name} takes no {option}: remove it from the configuration.")
        pipeline.to(select_device(self.device, self.dtype).device)
        if hasattr(pipeline.vae, "enable_slicing"):
            pipeline.vae.enable_slicing()  # image by image: decoding is the peak of memory and gains nothing in a batch
        return DiffusionPainter(pipeline, self)


class DiffusionPainter(ImageGenerator):
    """One loaded pipeline. Not thread-safe.

    Args:
        pipeline: a text-to-image pipeline of diffusers, on its device.
        config: whose options the pipeline takes.
    """

    def __init__(self, pipeline: Any, config: DiffusersConfig) -> None:
        self.max_batch = config.max_batch
        self._pipeline = pipeline
        self._largest_px = config.largest_px
        self._negative_prompt = config.negative_prompt
        self._settings = _settings(pipeline, config)
        # The autoencoder halves the size three times or more, and most models read its result in squares of two.
        self._multiple_px = max(16, 2 * getattr(pipeline, "vae_scale_factor", 8))

    def generate(self, requests: Sequence[ImageRequest], *, progress: Progress = no_progress) -> list[ImageOrRefusal]:
        """As the base says; requests of equal size are generated together, up to `max_batch`."""
        results = [_refusal(request) for request in requests]
        batches = list(self._batches(requests, [index for index, refusal in enumerate(results) if refusal is None]))
        images: dict[int, ImageOrRefusal] = {}
        progress(0.0, "denoising")
        for number, indices in enumerate(batches):
            step_end = step_callback(
                progress, self._settings["num_inference_steps"], number / len(batches), (number + 1) / len(batches)
            )
            images |= zip(indices, self._paint([requests[index] for index in indices], step_end), strict=True)
        return [refusal or images[index] for index, refusal in enumerate(results)]

    def _batches(self, requests: Sequence[ImageRequest], indices: Sequence[int]) -> Iterator[list[int]]:
        """The indices of the requests that are generated together."""
        sizes: dict[tuple[int, int], list[int]] = {}
        for index in indices:
            sizes.setdefault((requests[index].width, requests[index].height), []).append(index)
        for same_size in sizes.values():
            yield from (same_size[start : start + self.max_batch] for start in range(0, len(same_size), self.max_batch))

    def _paint(self, requests: Sequence[ImageRequest], step_end: StepEnd) -> list[ImageOrRefusal]:
        """One batch of equal size."""
        import torch

        width, height = self._drawn_size(requests[0].width, requests[0].height)
        options = dict(self._settings)
        if self._negative_prompt:
            options["negative_prompt"] = [self._negative_prompt] * len(requests)
        output = self._pipeline(
            prompt=[_encodable(request.prompt) for request in requests],
            width=width,
            height=height,
            generator=[torch.Generator("cpu").manual_seed(request.seed) for request in requests],
            output_type="pil",
            callback_on_step_end=step_end,
            **options,
        )
        flags = getattr(output, "nsfw_content_detected", None) or [False] * len(requests)
        return [
            _flagged() if flagged else _fitted(image, request.width, request.height)
            for request, image, flagged in zip(requests, output.images, flags, strict=True)
        ]

    def _drawn_size(self, width: int, height: int) -> tuple[int, int]:
        """The size at which the model draws: as requested, rounded up to its multiple, within its limit."""
        scale = min(1.0, (self._largest_px or max(width, height)) / max(width, height))
        multiple = self._multiple_px
        across, down = (max(1, -(-round(side * scale) // multiple)) * multiple for side in (width, height))
        return across, down


def _settings(pipeline: Any, config: DiffusersConfig) -> dict[str, Any]:
    """Steps and guidance of each call."""
    steps, guidance = _DISTILLED_FOR.get(config.model, (None, None))
    steps = config.steps or steps or signature(pipeline.__call__).parameters["num_inference_steps"].default
    guidance = guidance if config.guidance_scale is None else config.guidance_scale
    return {"num_inference_steps": steps} | ({} if guidance is None else {"guidance_scale": guidance})


def _refusal(request: ImageRequest) -> InvalidInput | None:
    try:
        check(request)
    except InvalidInput as error:
        return error
    return None


def _encodable(prompt: str) -> str:
    """Without lone surrogates, which no tokenizer accepts."""
    return prompt.encode("utf-8", "replace").decode()


def _flagged() -> InvalidInput:
    return InvalidInput(
        "The model's safety checker rejected the image. Another prompt or seed may pass.",
        "prompt",
    )


def _fitted(image: Any, width: int, height: int) -> Rgb:
    """The image at the requested size, cropped at two sides if its shape differs."""
    from PIL import Image, ImageOps

    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
    return np.asarray(image, np.uint8)
