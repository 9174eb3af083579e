"""RRDBNet, the generator of ESRGAN and Real-ESRGAN, written from the papers.

Wang et al., "ESRGAN" (2018), https://arxiv.org/abs/1809.00219: residual-in-residual dense blocks without batch
normalization. Wang et al., "Real-ESRGAN" (2021), https://arxiv.org/abs/2107.10833: pixel-unshuffle ahead of the same
network for ×2. Parameter names and shapes are those of the published checkpoints. Importing this imports torch.
"""

from collections.abc import Mapping
from typing import Final, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

RESIDUAL: Final = 0.2
"""Share of a block's correction that is added to its input."""

UPSAMPLING: Final = 4
"""How much the network itself enlarges; a ×2 checkpoint works on an image unshuffled to half its size."""


def convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """3 × 3, keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def leaky(x: Tensor) -> Tensor:
    """Leaky rectifier with slope 0.2, in place."""
    return functional.leaky_relu(x, 0.2, inplace=True)


class DenseBlock(nn.Module):
    """Five convolutions; each sees the block's input and all that was computed before it."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.conv1 = convolution(features, growth)
        self.conv2 = convolution(features + growth, growth)
        self.conv3 = convolution(features + 2 * growth, growth)
        self.conv4 = convolution(features + 3 * growth, growth)
        self.conv5 = convolution(features + 4 * growth, features)

    def forward(self, x: Tensor) -> Tensor:
        """Float (N, features, h, w) to the same shape."""
        known = x
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            known = torch.cat((known, leaky(conv(known))), 1)
        return torch.add(x, self.conv5(known), alpha=RESIDUAL)


class ResidualBlock(nn.Module):
    """Three dense blocks with a residual path around them (RRDB)."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(features, growth)
        self.rdb2 = DenseBlock(features, growth)
        self.rdb3 = DenseBlock(features, growth)

    def forward(self, x: Tensor) -> Tensor:
        """Float (N, features, h, w) to the same shape."""
        return torch.add(x, self.rdb3(self.rdb2(self.rdb1(x))), alpha=RESIDUAL)


class RRDBNet(nn.Module):
    """Enlarges RGB by `scale`.

    Attributes:
        scale: 4 or 2.
        multiple: height and width of the input must be multiples of this.
        reach: how many pixels of the input around a pixel its result can depend on at most.
    """

    def __init__(self, *, scale: int, features: int, blocks: int, growth: int) -> None:
        """`scale` 4 or 2. The published x4plus and x2plus: 64 features, 23 blocks, growth 32."""
        super().__init__()
        self.scale = scale
        self.multiple = UPSAMPLING // scale
        # One pixel for each convolution of the trunk; the four after the enlargement reach 1/2, 1/4, 1/4, 1/4.
        self.reach = self.multiple * (15 * blocks + 2 + 2)
        self.conv_first = convolution(3 * self.multiple**2, features)
        self.body = nn.Sequential(*(ResidualBlock(features, growth) for _ in range(blocks)))
        self.conv_body = convolution(features, features)
        self.conv_up1 = convolution(features, features)
        self.conv_up2 = convolution(features, features)
        self.conv_hr = convolution(features, features)
        self.conv_last = convolution(features, 3)

    @classmethod
    def shaped_like(cls, tensors: Mapping[str, Tensor]) -> Self:
        """A network of the size that a checkpoint's shapes imply; its values are not loaded.

        Raises:
            LookupError, ValueError: the tensors are not those of this architecture.
        """
        features, inputs, _, _ = tensors["conv_first.weight"].shape
        growth = tensors["body.0.rdb1.conv1.weight"].shape[0]
        blocks = len({name.split(".")[1] for name in tensors if name.startswith("body.")})
        scales = {3: 4, 12: 2}
        return cls(scale=scales[inputs], features=features, blocks=blocks, growth=growth)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge.

        Args:
            x: float (N, 3, h, w), 0 to 1, h and w multiples of `multiple`.

        Returns:
            (N, 3, h · scale, w · scale), about 0 to 1.
        """
        x = self.conv_first(functional.pixel_unshuffle(x, self.multiple))
        x = x + self.conv_body(self.body(x))
        for conv in (self.conv_up1, self.conv_up2):
            x = leaky(conv(functional.interpolate(x, scale_factor=2, mode="nearest")))
        large: Tensor = self.conv_last(leaky(self.conv_hr(x)))
        return large
