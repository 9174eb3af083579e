"""What the diffusers engines share: loading a published pipeline folder, reporting its steps."""

import json
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar

from pipelines.contracts.progress import Progress
from pipelines.loading.checkpoint import TorchCheckpointConfig
from pipelines.loading.device import select_device
from pipelines.loading.errors import reading, unreadable
from pipelines.loading.pretrained import has_tokenizer
from pipelines.loading.weights import locate

StepEnd = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]


class PipelineConfig(TorchCheckpointConfig):
    """A pipeline of diffusers in safetensors: no pickles, no code, no copies of the weights in another format."""

    files: ClassVar = (
        "model_index.json",
        "*/*.json",
        "*/*.txt",
        "*/*.jinja",
        "*/*.model",
        "*/model.safetensors",
        "*/model-?????-of-?????.safetensors",
        "*/diffusion_pytorch_model.safetensors",
        "*/diffusion_pytorch_model-?????-of-?????.safetensors",
    )

    def load_pipeline(self, loader: Any) -> Any:
        """Load the pipeline onto the CPU; nothing is fetched and no code of a repository is run.

        Args:
            loader: a class of diffusers that has `from_pretrained`.

        Raises:
            ModelUnavailable: missing, incomplete, damaged, or not of a kind that `loader` knows.
        """
        self._require_components()
        dtype = select_device(self.device, self.dtype).dtype
        with reading(self.name):
            pipeline = loader.from_pretrained(self._folder(), dtype=dtype, local_files_only=True, use_safetensors=True)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def pipeline_class(self) -> str:
        """The class of diffusers that the folder's `model_index.json` names.

        Raises:
            ModelUnavailable: missing or damaged.
        """
        return str(self._index().get("_class_name"))

    def _folder(self) -> Path:
        return locate(self.weights()[0])

    def _index(self) -> dict[str, Any]:
        folder = self._folder()
        with reading(self.name):
            return dict(json.loads((folder / "model_index.json").read_text("utf-8")))

    def _require_components(self) -> None:
        """Refuse a folder that lacks a component: a tokenizer without its files would silently load empty."""
        for name, component in self._index().items():
            if name.startswith("_") or not (isinstance(component, list) and any(component)):
                continue
            folder = self._folder() / name
            if not any(folder.glob("*")) or ("tokenizer" in name and not has_tokenizer(folder)):
                raise unreadable(self.name)


def takes(pipeline: Any, parameter: str) -> bool:
    """Whether a call of the pipeline takes a parameter."""
    return parameter in signature(pipeline.__call__).parameters


def step_callback(progress: Progress, steps: int, start: float = 0.0, end: float = 1.0) -> StepEnd:
    """A `callback_on_step_end` that reports "denoising" after each step; what `progress` raises ends the call.

    Args:
        progress: called after each step.
        steps: of the call; the decoding that follows counts as one more.
        start: fraction of the whole work done before the call.
        end: fraction done after it.
    """

    def report(_pipeline: Any, step: int, _timestep: Any, _tensors: dict[str, Any]) -> dict[str, Any]:
        done = min(1.0, (step + 1) / (steps + 1))
        progress(start + (end - start) * done, "denoising")
        return {}

    return report
