"""What the diffusers engines share: their common keys, loading a published pipeline folder, telling its steps."""

import json
import struct
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

from pydantic import Field

from pipelines.contracts.engine import EngineConfig
from pipelines.contracts.errors import ModelUnavailable
from pipelines.contracts.progress import Progress
from pipelines.loading.device import DeviceName, DtypeName, select_device
from pipelines.loading.weights import Weights, is_path, locate

_FILES = (
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
"""What a pipeline is loaded from: no pickles, no code, and none of the same weights again in another format."""

_VOCABULARIES = {"tokenizer.json", "vocab.json", "vocab.txt"}

StepEnd = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]


class PipelineConfig(EngineConfig):
    """The keys of every engine that runs a pipeline of diffusers."""

    model: str
    revision: str = Field("main", description="Commit, tag or branch on the hub.")
    device: DeviceName = Field("auto", description="Where it runs.")
    dtype: DtypeName = Field("auto", description="Number format of weights and activations.")

    @property
    def name(self) -> str:
        """What the model is called: its hub id, or its folder's name."""
        return Path(self.model).name if is_path(self.model) else self.model

    def weights(self) -> tuple[Weights, ...]:
        """The pipeline's folder, in safetensors."""
        return (Weights(self.model, self.revision, _FILES),)

    def load_pipeline(self, loader: Any) -> Any:
        """Load the pipeline, onto the CPU; nothing is fetched and no code of a repository is run.

        Args:
            loader: a class of diffusers that has `from_pretrained`.

        Raises:
            ModelUnavailable: missing, incomplete, damaged, or not of a kind that `loader` knows.
        """
        from safetensors import SafetensorError

        self._require_components()
        folder = self._folder()
        dtype = select_device(self.device, self.dtype).dtype
        try:
            pipeline = loader.from_pretrained(folder, dtype=dtype, local_files_only=True, use_safetensors=True)
        except (
            # What diffusers, transformers and tokenizers raise on folders that are incomplete or not what they say.
            *(SafetensorError, struct.error, OSError, ImportError, NotImplementedError),
            *(RuntimeError, ValueError, TypeError, AttributeError, LookupError),
        ) as error:
            raise self.unloadable() from error
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
        try:
            index = json.loads((self._folder() / "model_index.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise self.unloadable() from error
        if not isinstance(index, dict):
            raise self.unloadable()
        return index

    def _require_components(self) -> None:
        """See that no folder is missing: a tokenizer without its files would be loaded empty, without a complaint."""
        for name, component in self._index().items():
            if name.startswith("_") or not (isinstance(component, list) and any(component)):
                continue
            files = {path.name for path in (self._folder() / name).glob("*")}
            words = any(file in _VOCABULARIES or file.endswith(".model") for file in files)
            if not files or ("tokenizer" in name and not words):
                raise self.unloadable()

    def unloadable(self) -> ModelUnavailable:
        """The error that says that what is there cannot be used."""
        return ModelUnavailable(
            f"The weights of {self.name} cannot be read: files are missing or damaged, or it is no pipeline of "
            "diffusers in safetensors. Fetch them again with `make pull`, or choose another model."
        )


def takes(pipeline: Any, parameter: str) -> bool:
    """Whether a call of the pipeline takes a parameter."""
    return parameter in signature(pipeline.__call__).parameters


def step_callback(progress: Progress, steps: int, start: float = 0.0, end: float = 1.0) -> StepEnd:
    """A `callback_on_step_end` that reports "denoising" after each step; what `progress` raises ends the call.

    Args:
        progress: is told.
        steps: of the call; what follows them, the decoding, counts as one more.
        start: the part of all the work that is done when the call begins.
        end: the same when it ends.
    """

    def tell(_pipeline: Any, step: int, _timestep: Any, _tensors: dict[str, Any]) -> dict[str, Any]:
        done = min(1.0, (step + 1) / (steps + 1))
        progress(start + (end - start) * done, "denoising")
        return {}

    return tell
