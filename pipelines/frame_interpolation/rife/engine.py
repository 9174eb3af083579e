"""Frame interpolation by RIFE 4.x: a small network that estimates the flow at any moment between two frames.

Checkpoint: RIFE 4.26 as its author publishes it, a zip with `flownet.pkl` inside (MIT); 4.6 and every `flownet.pkl`
from 4.13 on work too, except the lite ones of 4.14 and 4.25.
Huang et al., "Real-Time Intermediate Flow Estimation for Video Frame Interpolation" (2022),
https://arxiv.org/abs/2011.06294; https://github.com/hzwer/Practical-RIFE.

Knows two frames only: motion between them is assumed to be straight and uniform.
"""

import re
import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, ClassVar, Final, Literal

import numpy as np
from pydantic import Field, field_validator

from pipelines.contracts.engine import ModelCard, Resources
from pipelines.frame_interpolation.base import FrameInterpolator
from pipelines.loading.checkpoint import CheckpointFileConfig
from pipelines.loading.device import DtypeName, Placement, select_image_device
from pipelines.loading.errors import overflowed, reading, unreadable
from pipelines.loading.networks import build_network, find_file, read_tensors
from pipelines.media import Rgb

if TYPE_CHECKING:
    from torch import Tensor

    from pipelines.frame_interpolation.rife.ifnet import IFNet

LARGE_PX: Final = 5_000_000
"""Frames of more pixels (4K has 8.3 million) get their flow at half their size, as RIFE's author advises."""

PARAMETER: Final = re.compile(r"(?:module\.)?((?:block\d|encode)\..+)")
"""The names of the parameters that are used; the file also keeps networks that only the training needed."""


class RifeConfig(CheckpointFileConfig):
    """RIFE 4.x: any number of frames in between, at any moments."""

    licenses: ClassVar = {"hzwer/RIFE": "MIT"}

    engine: Literal["rife"] = "rife"
    model: str = Field("hzwer/RIFE", description="Hub id, local folder or local file.")
    file: str = Field(
        "RIFEv4.26_0921.zip",
        description="The checkpoint in it: `flownet.pkl`, a zip that holds one, or its tensors as `.safetensors`.",
    )
    dtype: DtypeName = Field(
        "auto", description="Of the convolutions; flow is always float32. `auto`: float16 on a GPU, float32 on a CPU."
    )
    scale: float | None = Field(
        None,
        description="Flow is estimated at this share of the frames' size: 0.25, 0.5, 1 or 2. Default: 0.5 for 4K, "
        "otherwise 1.",
    )

    @field_validator("scale")
    @classmethod
    def _known_scale(cls, scale: float | None) -> float | None:
        if scale not in (None, 0.25, 0.5, 1, 2):
            raise ValueError("scale must be 0.25, 0.5, 1 or 2")
        return scale

    def card(self) -> ModelCard:
        """The checkpoint."""
        return ModelCard(
            model=self.name,
            license=self.license,
            description="In-between frames at any moment by a neural network that estimates motion from two frames.",
        )

    def load(self, resources: Resources) -> FrameInterpolator:
        """Read the checkpoint."""
        from pipelines.frame_interpolation.rife.ifnet import IFNet

        placement = select_image_device(self.device, self.dtype)
        (weights,) = self.weights()
        file = find_file(weights, self.file)
        tensors = read_tensors(_flownet_in(file) if file.suffix == ".zip" else file, file.name)
        used = {match[1]: tensor for name, tensor in tensors.items() if (match := PARAMETER.fullmatch(name))}
        network = build_network(IFNet.shaped_like, used, file.name, placement)
        return Rife(network, placement, self.scale, file.name)


class Rife(FrameInterpolator):
    """One loaded checkpoint. Not thread-safe."""

    def __init__(self, network: "IFNet", placement: Placement, scale: float | None, name: str) -> None:
        """`network` is on the device of `placement`; no `scale`: by the frames' size; `name` is for messages."""
        self._network = network
        self._placement = placement
        self._scale = scale
        self._name = name

    def interpolate(self, before: Rgb, after: Rgb, timesteps: Sequence[float], *, outer: tuple[Rgb, Rgb]) -> list[Rgb]:
        """As the base says; `outer` is ignored.

        Raises:
            ModelUnavailable: the network overflows in the chosen number format.
        """
        import torch

        rows, columns = before.shape[:2]
        scale = self._scale or (0.5 if rows * columns > LARGE_PX else 1.0)
        with torch.inference_mode():
            first, second = (self._padded(frame, self._network.multiple(scale)) for frame in (before, after))
            return [self._frame(self._network(first, second, t, scale))[:rows, :columns] for t in timesteps]

    def _padded(self, frame: Rgb, multiple: int) -> "Tensor":
        """Float32 (1, 3, H, W) on the device, its last rows and columns repeated up to a multiple.

        RIFE's own scripts pad with black, which motion then pulls into the frame.
        """
        import torch
        from torch.nn import functional

        rows, columns = frame.shape[:2]
        pixels = torch.from_numpy(np.ascontiguousarray(frame)).to(self._placement.device)
        planes = pixels.permute(2, 0, 1)[None].float() / 255
        return functional.pad(planes, (0, -columns % multiple, 0, -rows % multiple), mode="replicate")

    def _frame(self, planes: "Tensor") -> Rgb:
        import torch

        if not torch.isfinite(planes).all():
            raise overflowed(self._name)
        return (planes[0].permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def _flownet_in(file: Path) -> BytesIO:
    """The `flownet.pkl` of a zip as its author publishes it, alongside code that is not read.

    Raises:
        ModelUnavailable: not a zip, or not exactly one such file in it.
    """
    with reading(file.name), zipfile.ZipFile(file) as folder:
        names = [name for name in folder.namelist() if PurePosixPath(name).name == "flownet.pkl"]
        if len(names) != 1:
            raise unreadable(file.name)
        return BytesIO(folder.read(names[0]))
