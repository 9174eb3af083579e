"""Image generation by diffusion models: any text-to-image pipeline of diffusers with step callbacks and safetensors.

Default: FLUX.2 [klein] 4B (Apache-2.0, https://github.com/black-forest-labs/flux2), four steps, reads English and
Chinese, about 16 GB of weights in bfloat16. For a CPU: LCM_Dreamshaper_v7 (MIT; derived from Stable Diffusion 1.5,
whose CreativeML OpenRAIL-M terms apply; https://arxiv.org/abs/2310.04378), four steps, about 5 GB in float32.

The noise of each image is drawn on the CPU from its own seed, so it depends neither on the device nor on the rest of
the batch. A GPU may still round differently at another batch size; on a CPU images agree within 1/255. CLIP text
encoders read only the first 77 tokens of a prompt.

Edits go through the image-to-image or inpainting variant of the same pipeline, on the same weights. FLUX.2 and Stable
Diffusion have both; latent consistency models have none for a mask.
"""

from collections.abc import Callable, Iterator, Sequence
from inspect import signature
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from pipelines.contracts.engine import ModelCard, Resources
from pipelines.contracts.errors import InvalidInput, ModelUnavailable, UnsupportedByEngine
from pipelines.contracts.progress import Progress, no_progress
from pipelines.image_generation.base import Area, ImageGenerator, ImageOrRefusal, ImageRequest, check
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
        self._name = config.name
        self._image_to_image = _image_to_image(pipeline)
        self._inpainting = _inpainting(pipeline)
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

    def edit(
        self, image: Rgb, area: Area | None, requests: Sequence[ImageRequest], *, progress: Progress = no_progress
    ) -> list[ImageOrRefusal]:
        """As the base says; one request after another."""
        editor = self._image_to_image if area is None else self._inpainting
        if editor is None:
            what, param = ("images", "image") if area is None else ("images within a mask", "mask")
            raise UnsupportedByEngine(f"{self._name} cannot edit {what}. Configure another model.", param)
        results: list[ImageOrRefusal] = []
        progress(0.0, "denoising")
        for number, request in enumerate(requests):
            step_end = step_callback(
                progress, self._settings["num_inference_steps"], number / len(requests), (number + 1) / len(requests)
            )
            results.append(_refusal(request) or self._repaint(editor, image, area, request, step_end))
        return results

    def _repaint(
        self, editor: Any, image: Rgb, area: Area | None, request: ImageRequest, step_end: StepEnd
    ) -> ImageOrRefusal:
        """One edited image."""
        import torch
        from PIL import Image

        size = (request.width, request.height)
        width, height = drawn = self._drawn_size(*size)
        source = Image.fromarray(image)
        options = {**self._settings, "negative_prompt": self._negative_prompt or None, "width": width, "height": height}
        options["strength"] = _strength(editor, self._settings["num_inference_steps"])
        if area is not None:
            options["mask_image"] = _cropped(Image.fromarray(area), drawn, Image.Resampling.NEAREST).convert("L")
        output = editor(
            prompt=_encodable(request.prompt),
            image=_cropped(source, drawn),
            generator=torch.Generator("cpu").manual_seed(request.seed),
            output_type="pil",
            callback_on_step_end=step_end,
            **{name: value for name, value in options.items() if takes(editor, name)},
        )
        if any(getattr(output, "nsfw_content_detected", None) or []):
            return _flagged()
        made = _fitted(output.images[0], *size)
        if area is None:
            return made
        changed = np.asarray(_cropped(Image.fromarray(area), size, Image.Resampling.NEAREST))
        return np.where(changed[..., None], made, np.asarray(_cropped(source, size)))

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


def _image_to_image(pipeline: Any) -> Any | None:
    """The variant of a pipeline that starts from an image, if there is one."""
    from diffusers import AutoPipelineForImage2Image

    return _variant(pipeline, AutoPipelineForImage2Image.from_pipe)


def _inpainting(pipeline: Any) -> Any | None:
    """The variant of a pipeline that changes the area of a mask, if there is one."""
    import diffusers

    library: Any = diffusers
    if isinstance(pipeline, library.Flux2KleinPipeline):  # `AutoPipelineForInpainting` does not know its variant yet
        return _variant(
            pipeline,
            lambda klein: library.Flux2KleinInpaintPipeline(**klein.components, is_distilled=klein.config.is_distilled),
        )
    return _variant(pipeline, library.AutoPipelineForInpainting.from_pipe)


def _variant(pipeline: Any, make: Callable[[Any], Any]) -> Any | None:
    """Another pipeline on the same weights, if diffusers has one that can be stopped."""
    try:
        variant = make(pipeline)
    except ValueError:
        return None
    variant.set_progress_bar_config(disable=True)
    return variant if takes(variant, "callback_on_step_end") else None


def _strength(editor: Any, steps: int) -> float | None:
    """How far an image is changed: as its pipeline does by default, but by one step at least."""
    parameter = signature(editor.__call__).parameters.get("strength")
    return max(parameter.default, 1 / steps) if parameter else None


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
    return np.asarray(_cropped(image, (width, height)), np.uint8)


def _cropped(image: Any, size: tuple[int, int], resampling: Any = None) -> Any:
    """A Pillow image at another size, cropped at two sides if its shape differs; smoothly resampled by default."""
    from PIL import Image, ImageOps

    if image.size == size:
        return image
    return ImageOps.fit(image, size, Image.Resampling.LANCZOS if resampling is None else resampling)
