"""The keys that every engine with a published checkpoint has in common."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from pipelines.contracts.engine import EngineConfig
from pipelines.loading.device import DeviceName, DtypeName
from pipelines.loading.packaged import is_packaged, package_of
from pipelines.loading.weights import Weights, is_path


class CheckpointConfig(EngineConfig):
    """One checkpoint from a hub or a local folder, and the device that it runs on.

    A subclass gives `model` its default and says which `files` it reads.
    """

    licenses: ClassVar[Mapping[str, str]] = {}
    """SPDX names by hub id, of the models that the documentation names."""
    files: ClassVar[tuple[str, ...]] = ()
    """Glob patterns of the files that the engine reads; empty means all."""

    model: str = Field(description="Hub id, local folder, or `package:` and a place in a Python package.")
    revision: str = Field("main", description="Commit, tag or branch on the hub.")
    device: DeviceName = Field("auto", description="Where it runs: `auto` takes a GPU if there is one.")

    @property
    def name(self) -> str:
        """What the model is called: its hub id, or its folder's name."""
        return Weights(self.model).name

    @property
    def license(self) -> str:
        """The model's license, as far as it is known here."""
        if is_packaged(self.model):
            return package_of(self.model).license
        return self.licenses.get(self.model, "see the model's page")

    def weights(self) -> tuple[Weights, ...]:
        """The checkpoint's files."""
        return (Weights(self.model, self.revision, self.files),)


class TorchCheckpointConfig(CheckpointConfig):
    """A checkpoint that runs on PyTorch."""

    dtype: DtypeName = Field("auto", description="Number format of weights and activations.")


class CheckpointFileConfig(TorchCheckpointConfig):
    """A checkpoint that is one file: `file` in `model`, or `model` itself if that is a local file."""

    file: str = Field(description="The checkpoint's file in `model`.")

    @property
    def name(self) -> str:
        """What the model is called: hub id and file, or the local folder's or file's name."""
        return super().name if is_path(self.model) else f"{self.model}/{self.file}"

    def weights(self) -> tuple[Weights, ...]:
        """The one file."""
        return (Weights(self.model, self.revision, (self.file,)),)
