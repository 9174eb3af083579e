"""Video from a still image by image-to-video diffusion models; sources and licenses are in the families' modules."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from pipelines.contracts.engine import ModelCard, Resources
from pipelines.contracts.errors import ModelUnavailable
from pipelines.loading.device import select_device
from pipelines.loading.diffusion import PipelineConfig
from pipelines.video_generation.base import MAX_PROMPT_CHARS
from pipelines.video_generation.diffusers.animator import DiffusionAnimator
from pipelines.video_generation.diffusers.stable_video_diffusion import StableVideoAnimator
from pipelines.video_generation.diffusers.wan import WanAnimator

_WAN = "Wan-AI/Wan2.2-TI2V-5B-Diffusers"
_STABLE = "StableVideoDiffusionPipeline"
_CLASSES = {
    _STABLE: _STABLE,
    "WanImageToVideoPipeline": "WanImageToVideoPipeline",
    "WanPipeline": "WanImageToVideoPipeline",
}
"""Classes of diffusers by what `model_index.json` says: some checkpoints of Wan name their text-to-video class."""


class DiffusersConfig(PipelineConfig):
    """An image-to-video diffusion model."""

    licenses: ClassVar = {
        _WAN: "Apache-2.0",
        "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers": "Apache-2.0",
        "stabilityai/stable-video-diffusion-img2vid-xt": "LicenseRef-Stability-AI-Community",
        "stabilityai/stable-video-diffusion-img2vid": "LicenseRef-Stability-AI-Community",
    }

    engine: Literal["diffusers"] = "diffusers"
    model: str = Field(_WAN, description="Hub id or local folder of a Wan or Stable Video Diffusion pipeline.")
    steps: int | None = Field(None, ge=1, le=200, description="Denoising steps. Default: the pipeline's.")
    pixels: int | None = Field(
        None,
        ge=64 * 64,
        le=1280 * 720,
        description="Approximate pixels per frame; the image gives the shape. Default: what the model was trained on.",
    )
    decode_frames: int = Field(
        8,
        ge=1,
        description="Frames that Stable Video Diffusion decodes at once: fewer need less memory and may flicker.",
    )
    prompt: str = Field("", max_length=MAX_PROMPT_CHARS, description="What happens if a request has no prompt (Wan).")
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

    def load(self, resources: Resources) -> DiffusionAnimator:
        """Load the pipeline onto its device, or prepare to offload it."""
        name = self.pipeline_class()
        if name not in _CLASSES:
            raise ModelUnavailable(f"{self.name} is not a Wan or Stable Video Diffusion pipeline.")
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
        return self._animator(pipeline, name)

    def _animator(self, pipeline: Any, name: str) -> DiffusionAnimator:
        if name == _STABLE:
            return StableVideoAnimator(pipeline, decode_frames=self.decode_frames, steps=self.steps, pixels=self.pixels)
        return WanAnimator(pipeline, prompt=self.prompt, steps=self.steps, pixels=self.pixels)
