"""IFNet, the network of RIFE 4.x: intermediate flow, coarse to fine, and a mask that blends the two warped frames.

Huang et al., "Real-Time Intermediate Flow Estimation for Video Frame Interpolation" (2022),
https://arxiv.org/abs/2011.06294, as continued in https://github.com/hzwer/Practical-RIFE (MIT). Parameter names and
shapes are those of its `flownet.pkl`. Supported are 4.6 and all from 4.13 on; the differences between them follow from
the shapes:

- blocks: 4, which work at 1/8, 1/4, 1/2 and the full size; since 4.25 a fifth works at 1/16;
- `encode`, features of the frames, warped with them: none in 4.6;
- features that a block passes to the next, beside flow and mask: none before 4.21, and none in 4.24.

Importing this imports torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE: Final = 0.2
FLOW: Final = 4
"""Channels of flow: x and y to the frame before, x and y to the one after, in pixels."""

BLOCK_STRIDE: Final = 4
"""A block works at a quarter of its input's size."""

LITE_WIDTH: Final = 24
"""Channels of the last block of 4.25.lite, its only distinctive shape; its blocks work at other sizes."""


@dataclass(frozen=True)
class Shape:
    """What differs between the versions.

    Attributes:
        widths: channels of each block, coarsest first.
        encoder: channels inside `encode`; 0 without it.
        features: channels that `encode` gives for each frame.
        outputs: channels that a block gives: flow, mask and features for the next block.
    """

    widths: tuple[int, ...]
    encoder: int
    features: int
    outputs: int

    @property
    def passed_on(self) -> int:
        """Features for the next block; 4.6 and its like compute one channel that nothing reads."""
        return self.outputs - FLOW - 1 if self.outputs > 6 else 0

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The shape of a checkpoint, from its tensors.

        Raises:
            LookupError, ValueError: the tensors are not those of this architecture.
        """
        blocks = len({name.split(".")[0] for name in tensors if name.startswith("block")})
        if blocks not in (4, 5):
            raise ValueError("the number of blocks")
        lasts = [tensors[f"block{number}.lastconv.0.weight"].shape for number in range(blocks)]
        if blocks == 5 and lasts[-1][0] == LITE_WIDTH:
            raise ValueError("4.25.lite")
        encoder, features = (
            tensors["encode.cnn3.weight"].shape[:2] if "encode.cnn3.weight" in tensors else torch.Size((0, 0))
        )
        return cls(tuple(last[0] for last in lasts), encoder, features, lasts[0][1] // 4)


def convolution(inputs: int, outputs: int) -> nn.Sequential:
    """3 × 3 with stride 2 and a leaky rectifier."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1), nn.LeakyReLU(SLOPE, inplace=True))


class Encoder(nn.Module):
    """Features of one frame at its full size."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.cnn0 = nn.Conv2d(3, width, 3, 2, 1)
        self.cnn1 = nn.Conv2d(width, width, 3, 1, 1)
        self.cnn2 = nn.Conv2d(width, width, 3, 1, 1)
        self.cnn3 = nn.ConvTranspose2d(width, outputs, 4, 2, 1)

    def forward(self, frame: Tensor) -> Tensor:
        """Float (N, 3, H, W), H and W even, to (N, outputs, H, W)."""
        x = frame
        for layer in (self.cnn0, self.cnn1, self.cnn2):
            x = functional.leaky_relu(layer(x), SLOPE, inplace=True)
        features: Tensor = self.cnn3(x)
        return features


class ResidualConvolution(nn.Module):
    """A convolution whose result is weighted by a learned `beta` per channel and added to its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, 1, 1)
        self.beta = nn.Parameter(torch.ones(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Float (N, width, h, w) to the same shape."""
        return functional.leaky_relu(torch.addcmul(x, self.conv(x), self.beta), SLOPE, inplace=True)


class Block(nn.Module):
    """Improves flow and mask at one size. Its convolutions run in the weights' number format, all else in float32."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.conv0 = nn.Sequential(convolution(inputs, width // 2), convolution(width // 2, width))
        self.convblock = nn.Sequential(*(ResidualConvolution(width) for _ in range(8)))
        self.lastconv = nn.Sequential(nn.ConvTranspose2d(width, 4 * outputs, 4, 2, 1), nn.PixelShuffle(2))

    def forward(self, seen: Tensor, flow: Tensor | None, divisor: float) -> Tensor:
        """Estimate at 1/`divisor` of the frames' size.

        Args:
            seen: float32 (N, channels, H, W).
            flow: the estimate so far, (N, 4, H, W), in pixels; `None` in the coarsest block.
            divisor: H and W are multiples of 4 times this.

        Returns:
            (N, outputs, H, W): an addition to the flow (4 channels), the mask (1), features for the next block.
        """
        x = _resized(seen, 1 / divisor)
        if flow is not None:
            x = torch.cat((x, _resized(flow, 1 / divisor) / divisor), 1)
        found = _resized(self.lastconv(self.convblock(self.conv0(x.to(_format_of(self))))).float(), divisor)
        found[:, :FLOW] *= divisor
        return found


class IFNet(nn.Module):
    """Makes the frame between two."""

    def __init__(self, shape: Shape) -> None:
        """4.26 is `Shape((192, 128, 96, 64, 32), 16, 4, 13)`."""
        super().__init__()
        self.shape = shape
        shared = 2 * 3 + 2 * shape.features + 1
        for number, width in enumerate(shape.widths):
            inputs = shared + (FLOW + 1 + shape.passed_on if number else 0)
            self.add_module(f"block{number}", Block(inputs, width, shape.outputs))
        self.encode = Encoder(shape.encoder, shape.features) if shape.encoder else None

    @classmethod
    def shaped_like(cls, tensors: Mapping[str, Tensor]) -> Self:
        """A network of the size that a checkpoint's shapes imply; its values are not loaded.

        Raises:
            LookupError, ValueError: the tensors are not those of this architecture.
        """
        return cls(Shape.of(tensors))

    @property
    def coarsest(self) -> int:
        """The first block works at 1/this of the size."""
        return int(2 ** (len(self.shape.widths) - 1))

    def multiple(self, scale: float) -> int:
        """Height and width of the frames must be multiples of this."""
        return round(BLOCK_STRIDE * self.coarsest / min(scale, 1))

    def forward(self, before: Tensor, after: Tensor, timestep: float, scale: float = 1.0) -> Tensor:
        """Make one frame.

        Args:
            before: float32 (N, 3, H, W), 0 to 1.
            after: the same of the next frame.
            timestep: where between them, 0 to 1.
            scale: below 1 all flow is estimated at a smaller size, for large frames whose motion is large too.

        Returns:
            float32 (N, 3, H, W), 0 to 1.
        """
        grid = _grid(before)
        time = torch.full_like(before[:, :1], timestep)
        sources = [self._with_features(frame) for frame in (before, after)]
        warped = sources
        flow, mask = before.new_zeros(1), before.new_zeros(1)
        passed_on: list[Tensor] = []
        for number in range(len(self.shape.widths)):
            known = [source[:, :3] for source in warped] + [source[:, 3:] for source in warped] + [time, *passed_on]
            block = self.get_submodule(f"block{number}")
            found = block(torch.cat(known, 1), flow if number else None, self.coarsest / 2**number / scale)
            flow = flow + found[:, :FLOW]
            # Only the networks without an encoder were trained to improve the mask; the others replace it.
            mask = found[:, FLOW : FLOW + 1] + (mask if self.encode is None else 0)
            passed_on = [mask, found[:, FLOW + 1 : FLOW + 1 + self.shape.passed_on]]
            warped = [_warp(source, flow[:, 2 * i : 2 * i + 2], grid) for i, source in enumerate(sources)]
        share = torch.sigmoid(mask)
        return warped[0][:, :3] * share + warped[1][:, :3] * (1 - share)

    def _with_features(self, frame: Tensor) -> Tensor:
        """A frame and its features by `encode`, as channels of one float32 tensor."""
        if self.encode is None:
            return frame
        return torch.cat((frame, self.encode(frame.to(_format_of(self.encode))).float()), 1)


def _format_of(module: nn.Module) -> torch.dtype:
    """The number format of a module's weights."""
    return next(module.parameters()).dtype


def _resized(x: Tensor, factor: float) -> Tensor:
    return x if factor == 1 else functional.interpolate(x, scale_factor=factor, mode="bilinear")


def _grid(frame: Tensor) -> tuple[Tensor, Tensor]:
    """Position of each pixel for `grid_sample`, -1 to 1: x (1, 1, W) and y (1, H, 1)."""
    height, width = frame.shape[2:]
    across, down = (torch.linspace(-1, 1, side, device=frame.device) for side in (width, height))
    return across[None, None], down[None, :, None]


def _warp(source: Tensor, flow: Tensor, grid: tuple[Tensor, Tensor]) -> Tensor:
    """Sample `source` at each pixel plus `flow` (N, 2, H, W), in pixels; outside, the border is repeated."""
    height, width = source.shape[2:]
    across = grid[0] + flow[:, 0] * (2 / (width - 1))
    down = grid[1] + flow[:, 1] * (2 / (height - 1))
    where = torch.stack((across, down), -1)
    return functional.grid_sample(source, where, mode="bilinear", padding_mode="border", align_corners=True)
