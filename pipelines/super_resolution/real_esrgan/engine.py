"""Super-resolution by Real-ESRGAN: enlarge and restore by a network trained on synthetically degraded images.

Checkpoints: RealESRGAN_x4plus, _x2plus, _x4plus_anime_6B, RealESRNet_x4plus (RRDBNet), realesr-general-x4v3,
-general-wdn-x4v3, -animevideov3 (SRVGGNetCompact), BSD-3-Clause, https://github.com/xinntao/Real-ESRGAN; and any other
of these two architectures: which one, how large, and by how much it enlarges follows from the tensors.
Wang et al., "Real-ESRGAN" (2021), https://arxiv.org/abs/2107.10833.

It restores what looks plausible, which need not be what was there: small text and faces can come out wrong.
"""

from typing import TYPE_CHECKING, ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from pipelines.contracts.engine import ModelCard, Resources
from pipelines.loading.checkpoint import CheckpointFileConfig
from pipelines.loading.device import DtypeName, Placement, select_image_device
from pipelines.loading.errors import overflowed
from pipelines.loading.networks import build_network, find_file, read_tensors
from pipelines.super_resolution.base import RgbFloat, SuperResolver

if TYPE_CHECKING:
    from pipelines.super_resolution.real_esrgan.rrdbnet import RRDBNet
    from pipelines.super_resolution.real_esrgan.srvgg import SRVGGNetCompact

MAX_OVERLAP_PX: Final = 32
"""RRDBNet could look 349 pixels far, but what it finds fades: each block adds a fifth of what it computes."""


class RealEsrganConfig(CheckpointFileConfig):
    """Real-ESRGAN: ×4 or ×2, as the checkpoint says."""

    licenses: ClassVar = {"nateraw/real-esrgan": "BSD-3-Clause", "clavidk/realesr-general-x4v3": "BSD-3-Clause"}

    engine: Literal["real-esrgan"] = "real-esrgan"
    model: str = Field(
        "nateraw/real-esrgan", description="Hub id; or a local folder, or a local file, which needs no `file`."
    )
    file: str = Field(
        "RealESRGAN_x4plus.pth",
        description="The checkpoint in it, `.pth` or `.safetensors`. Small, for a CPU: `realesr-general-x4v3.pth`.",
    )
    dtype: DtypeName = Field(
        "auto",
        description="`auto`: float16 on a GPU, float32 on a CPU. float32 keeps the finest steps of 16-bit images.",
    )
    tile_px: int = Field(
        256,
        ge=32,
        le=2048,
        multiple_of=4,
        description="Side of the square that is enlarged at once: a larger one is faster and takes more memory.",
    )

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model=self.name,
            license=self.license,
            description="Enlarges and restores images by a neural network; what it adds is plausible, not known.",
        )

    def load(self, resources: Resources) -> SuperResolver:
        """Read the checkpoint."""
        from pipelines.super_resolution.real_esrgan.rrdbnet import RRDBNet
        from pipelines.super_resolution.real_esrgan.srvgg import SRVGGNetCompact

        placement = select_image_device(self.device, self.dtype)
        file = find_file(self.weights()[0], self.file)
        tensors = read_tensors(file, file.name)
        network: RRDBNet | SRVGGNetCompact
        if "conv_first.weight" in tensors:
            network = build_network(RRDBNet.shaped_like, tensors, file.name, placement)
        else:
            network = build_network(SRVGGNetCompact.shaped_like, tensors, file.name, placement)
        return RealEsrgan(network, placement, self.tile_px, file.name)


class RealEsrgan(SuperResolver):
    """One loaded checkpoint. Not thread-safe.

    Args:
        network: on the device and in the number format of `placement`.
        placement: device and number format.
        tile_px: side of the square that is enlarged at once.
        name: for messages.
    """

    def __init__(self, network: "RRDBNet | SRVGGNetCompact", placement: Placement, tile_px: int, name: str) -> None:
        self._network = network
        self._placement = placement
        self._name = name
        self.scale = network.scale
        self.tile_px = tile_px
        self.overlap_px = min(network.reach, MAX_OVERLAP_PX * network.multiple)

    def upscale(self, tile: RgbFloat) -> RgbFloat:
        """Enlarge one tile: see the base class.

        Raises:
            ModelUnavailable: the network's numbers overflow in the chosen number format.
        """
        import torch

        rows, columns = tile.shape[:2]
        below, right = -rows % self._network.multiple, -columns % self._network.multiple
        padded = np.pad(tile, ((0, below), (0, right), (0, 0)), mode="edge")
        with torch.inference_mode():
            # Interleaved colors, as images lie in memory, are what PyTorch calls channels last: the network keeps
            # that order, in which GPUs are fastest.
            small = torch.from_numpy(padded).permute(2, 0, 1)[None]
            large = self._network(small.to(self._placement.device, self._placement.dtype))[0].permute(1, 2, 0)
            large = large[: rows * self.scale, : columns * self.scale].float().clamp(0, 1).cpu()
        if not torch.isfinite(large).all():
            raise overflowed(self._name)
        return np.ascontiguousarray(large.numpy())
