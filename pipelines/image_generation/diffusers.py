"""Image generation by diffusion models: any text-to-image pipeline of diffusers with step callbacks and safetensors.

By default FLUX.2 [klein] 4B (Apache-2.0, https://github.com/black-forest-labs/flux2): four steps, reads English and
Chinese, about 16 GB of weights in bfloat16. On a CPU rather LCM_Dreamshaper_v7 (MIT; it is made from Stable Diffusion
1.5, whose CreativeML OpenRAIL-M terms of use go with it; https://arxiv.org/abs/2310.04378): four steps, about 5 GB
in float32.

The noise of each image is drawn on the CPU from its own seed, so that it depends neither on the device nor on what
else is in the batch. A GPU may still round differently in batches of another size; on a CPU images agree within
1/255. CLIP text encoders read no more than the first 77 tokens of a prompt.
"""

from collections.abc import Iterator, Sequence
from inspect import signature
from typing import Any, Literal, Self

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
_LICENSES = {_KLEIN: "Apache-2.0", _LCM: "MIT"}
_DISTILLED_FOR = {_KLEIN: (4, 1.0), _LCM: (4, 8.0)}  # steps, guidance
_NEEDED = ("prompt", "width", "height", "num_inference_steps", "generator", "callback_on_step_end")


class DiffusersConfig(PipelineConfig):
    """A text-to-image diffusion model."""

    engine: Literal["diffusers"] = "diffusers"
    model: str = Field(_KLEIN, description="Hub id or local folder of a text-to-image pipeline of diffusers.")
    steps: int | None = Field(
        None, ge=1, le=200, description="Denoising steps. Default: what the model is known for, else its pipeline's."
    )
    guidance_scale: float | None = Field(
        None, ge=0, le=50, description="How closely the prompt is followed. Default: as for `steps`."
    )
    negative_prompt: str = Field("", max_length=4000, description="What is not to be seen; not every model takes one.")
    max_batch: int = Field(4, ge=1, le=32, description="Images of equal size that are made at once.")
    largest_px: int | None = Field(
        None,
        ge=64,
        le=2048,
        description="Longer side up to which the model draws; larger images are drawn at this size and enlarged. "
        "Models of the Stable Diffusion 1.5 class repeat things beyond 768. Default: no limit.",
    )

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model=self.name,
            license=_LICENSES.get(self.model, "see the model's page"),
            description="A diffusion model: paints what a prompt says in any style. Counts, small text and hands can "
            "come out wrong, and people and places that it shows are invented.",
        )

    def load(self, resources: Resources) -> "DiffusionPainter":
        """Load the pipeline onto its device. `embed` and `cache` are for engines that look words up; not used here.

        Raises:
            ModelUnavailable: weights are missing, damaged, or not of a text-to-image pipeline that tells its steps and
                takes the configured options.
        """
        return DiffusionPainter.load(self)


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

    @classmethod
    def load(cls, config: DiffusersConfig) -> Self:
        """Read the weights; see `DiffusersConfig.load`."""
        from diffusers import AutoPipelineForText2Image

        placement = select_device(config.device, config.dtype)
        pipeline = config.load_pipeline(AutoPipelineForText2Image)
        if not all(takes(pipeline, parameter) for parameter in _NEEDED):
            raise ModelUnavailable(f"{config.name} is of a kind ({type(pipeline).__name__}) that cannot be stopped.")
        for key, parameter in (("guidance_scale", "guidance_scale"), ("negative_prompt", "negative_prompt")):
            if getattr(config, key) and not takes(pipeline, parameter):
                raise ModelUnavailable(f"{config.name} takes no {key}: leave it out of the configuration.")
        pipeline.to(placement.device)
        if hasattr(pipeline.vae, "enable_slicing"):
            pipeline.vae.enable_slicing()  # decodes image by image: the peak of memory, and it gains nothing in one
        return cls(pipeline, config)

    def generate(self, requests: Sequence[ImageRequest], *, progress: Progress = no_progress) -> list[ImageOrRefusal]:
        """As the base says; requests of equal size are made together, up to `max_batch`."""
        made: list[ImageOrRefusal | None] = [_refusal(request) for request in requests]
        batches = list(self._batches(requests, [index for index, each in enumerate(made) if each is None]))
        progress(0.0, "denoising")
        for number, indices in enumerate(batches):
            told = step_callback(
                progress, self._settings["num_inference_steps"], number / len(batches), (number + 1) / len(batches)
            )
            pictures = self._paint([requests[index] for index in indices], told)
            for index, image in zip(indices, pictures, strict=True):
                made[index] = image
        return [each for each in made if each is not None]

    def _batches(self, requests: Sequence[ImageRequest], indices: Sequence[int]) -> Iterator[list[int]]:
        """Which of the requests are made together."""
        sizes: dict[tuple[int, int], list[int]] = {}
        for index in indices:
            sizes.setdefault((requests[index].width, requests[index].height), []).append(index)
        for alike in sizes.values():
            yield from (alike[start : start + self.max_batch] for start in range(0, len(alike), self.max_batch))

    def _paint(self, requests: Sequence[ImageRequest], told: StepEnd) -> list[ImageOrRefusal]:
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
            callback_on_step_end=told,
            **options,
        )
        flags = getattr(output, "nsfw_content_detected", None) or [False] * len(requests)
        return [
            _flagged() if flagged else _fitted(image, request.width, request.height)
            for request, image, flagged in zip(requests, output.images, flags, strict=True)
        ]

    def _drawn_size(self, width: int, height: int) -> tuple[int, int]:
        """The size that the model draws: what it can, not smaller than asked unless that is too large for it."""
        scale = min(1.0, (self._largest_px or max(width, height)) / max(width, height))
        multiple = self._multiple_px
        across, down = (max(1, -(-round(side * scale) // multiple)) * multiple for side in (width, height))
        return across, down


def _settings(pipeline: Any, config: DiffusersConfig) -> dict[str, Any]:
    """Steps and guidance of every call."""
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
    """Without lone surrogates, which no tokenizer takes."""
    return prompt.encode("utf-8", "replace").decode()


def _flagged() -> InvalidInput:
    return InvalidInput(
        "The model's safety checker took the image for unsafe; it is not shown. Another prompt or seed may pass.",
        "prompt",
    )


def _fitted(image: Any, width: int, height: int) -> Rgb:
    """The image at the size that was asked for; what is too much at two sides is cut off."""
    from PIL import Image, ImageOps

    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
    return np.asarray(image, np.uint8)
