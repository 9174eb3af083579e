"""Super-resolution by Real-ESRGAN: enlarge and restore by a network trained on synthetically degraded images.

Checkpoints: RealESRGAN_x4plus, _x2plus, _x4plus_anime_6B, RealESRNet_x4plus (RRDBNet), realesr-general-x4v3,
-general-wdn-x4v3, -animevideov3 (SRVGGNetCompact), BSD-3-Clause, https://github.com/xinntao/Real-ESRGAN; and any other
of these two architectures: which one, how large, and by how much it enlarges is told by the tensors.
Wang et al., "Real-ESRGAN" (2021), https://arxiv.org/abs/2107.10833.

It restores what looks plausible, which need not be what was there: small text and faces can come out wrong.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

import numpy as np
from pydantic import Field

from pipelines.contracts.engine import EngineConfig, ModelCard, Resources
from pipelines.loading.device import DeviceName, DtypeName, Placement, select_image_device
from pipelines.loading.errors import overflowed
from pipelines.loading.networks import build_network, find_file, read_tensors
from pipelines.loading.weights import Weights
from pipelines.super_resolution.base import RgbFloat, SuperResolver

if TYPE_CHECKING:
    from pipelines.super_resolution.real_esrgan.rrdbnet import RRDBNet
    from pipelines.super_resolution.real_esrgan.srvgg import SRVGGNetCompact

LICENSES: Final = {"nateraw/real-esrgan": "BSD-3-Clause", "clavidk/realesr-general-x4v3": "BSD-3-Clause"}

WIDEST_OVERLAP_PX: Final = 32
"""RRDBNet could look 349 pixels far, but what it finds fades: each block adds a fifth of what it computes."""


class RealEsrganConfig(EngineConfig):
    """Real-ESRGAN: ×4 or ×2, as the checkpoint says."""

    engine: Literal["real-esrgan"] = "real-esrgan"
    """Chooses this engine."""
    model: str = "nateraw/real-esrgan"
    """Hub id; or a local folder, or a local file, which needs no `file`."""
    file: str = "RealESRGAN_x4plus.pth"
    """The checkpoint in it, `.pth` or `.safetensors`. Small, for a CPU: `realesr-general-x4v3.pth`."""
    revision: str = "main"
    """Commit, tag or branch on the hub."""
    device: DeviceName = "auto"
    """`auto` takes a GPU where there is one."""
    dtype: DtypeName = "auto"
    """`auto`: float16 on a GPU, float32 on a CPU. float32 keeps the finest steps of sixteen-bit images."""
    tile_px: Annotated[int, Field(ge=32, le=2048, multiple_of=4)] = 256
    """Side of the square that is worked on at once: larger is faster, its square is the memory."""

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        weights = self.weights()[0]
        return ModelCard(
            model=Path(self.model).name if weights.is_local else f"{self.model}/{self.file}",
            license=LICENSES.get(self.model, "see the model's page"),
            description="Enlarges and restores images by a neural network; what it adds is plausible, not known.",
        )

    def weights(self) -> tuple[Weights, ...]:
        """The one checkpoint file."""
        return (Weights(self.model, self.revision, (self.file,)),)

    def load(self, resources: Resources) -> SuperResolver:
        """Read the checkpoint.

        Raises:
            ModelUnavailable: not there, damaged, of another architecture, or no such device.
        """
        return RealEsrgan.load(self)


class RealEsrgan(SuperResolver):
    """One loaded checkpoint. Not thread-safe."""

    def __init__(self, network: "RRDBNet | SRVGGNetCompact", placement: Placement, tile_px: int, name: str) -> None:
        """`network` is on the device and in the number format of `placement`; `name` is for messages."""
        self._network = network
        self._placement = placement
        self._name = name
        self.scale = network.scale
        self.tile_px = tile_px
        self.overlap_px = min(network.reach, WIDEST_OVERLAP_PX * network.multiple)

    @classmethod
    def load(cls, config: RealEsrganConfig) -> Self:
        """Read the checkpoint.

        Raises:
            ModelUnavailable: not there, damaged, of another architecture, or no such device.
        """
        from pipelines.super_resolution.real_esrgan.rrdbnet import RRDBNet
        from pipelines.super_resolution.real_esrgan.srvgg import SRVGGNetCompact

        placement = select_image_device(config.device, config.dtype)
        file = find_file(config.weights()[0], config.file)
        tensors = read_tensors(file, file.name)
        network: RRDBNet | SRVGGNetCompact
        if "conv_first.weight" in tensors:
            network = build_network(RRDBNet.shaped_like, tensors, file.name, placement)
        else:
            network = build_network(SRVGGNetCompact.shaped_like, tensors, file.name, placement)
        return cls(network, placement, config.tile_px, file.name)

    def upscale(self, tile: RgbFloat) -> RgbFloat:
        """Enlarge one tile.

        Args:
            tile: float32 (h, w, 3), 0 to 1, sRGB, h and w at least 1.

        Returns:
            float32 (h · scale, w · scale, 3), 0 to 1.

        Raises:
            ModelUnavailable: the network's numbers overflow in the chosen number format.
        """
        import torch

        rows, columns = tile.shape[:2]
        below, right = -rows % self._network.multiple, -columns % self._network.multiple
        padded = np.pad(tile, ((0, below), (0, right), (0, 0)), mode="edge")
        with torch.inference_mode():
            # Rows of interleaved colours, as images lie in memory, are what PyTorch calls channels last: the
            # network keeps that order, and GPUs are quickest in it.
            small = torch.from_numpy(padded).permute(2, 0, 1)[None]
            large = self._network(small.to(self._placement.device, self._placement.dtype))[0].permute(1, 2, 0)
            large = large[: rows * self.scale, : columns * self.scale].float().clamp(0, 1).cpu()
        if not torch.isfinite(large).all():
            raise overflowed(self._name)
        return np.ascontiguousarray(large.numpy())
