"""SRVGGNetCompact, the small network of Real-ESRGAN's general-x4v3 and animevideov3.

A plain stack of convolutions at the size of the input computes what is added to the image enlarged by repeating its
pixels; all enlargement is one pixel shuffle at the end. From https://github.com/xinntao/Real-ESRGAN (BSD-3-Clause);
parameter names and shapes are those of the published checkpoints. Importing this imports torch.
"""

from collections.abc import Mapping
from typing import Self

from torch import Tensor, nn
from torch.nn import functional


class SRVGGNetCompact(nn.Module):
    """Enlarges RGB by `scale`.

    Attributes:
        scale: how many times larger each side becomes.
        multiple: height and width of the input must be multiples of this.
        reach: how many pixels of the input around a pixel its result can depend on at most.
    """

    multiple = 1

    def __init__(self, *, scale: int, features: int, convolutions: int) -> None:
        """The published general-x4v3: scale 4, 64 features, 32 convolutions between the first and the last."""
        super().__init__()
        self.scale = scale
        self.reach = convolutions + 2
        layers: list[nn.Module] = []
        for inputs in (3, *[features] * convolutions):
            layers += [nn.Conv2d(inputs, features, 3, padding=1), nn.PReLU(features)]
        self.body = nn.Sequential(*layers, nn.Conv2d(features, 3 * scale**2, 3, padding=1))

    @classmethod
    def shaped_like(cls, tensors: Mapping[str, Tensor]) -> Self:
        """A network of the size that a checkpoint's shapes imply; its values are not loaded.

        Raises:
            LookupError, ValueError: the tensors are not those of this architecture.
        """
        features = tensors["body.0.weight"].shape[0]
        layers = len({name.split(".")[1] for name in tensors if name.startswith("body.")})
        outputs = tensors[f"body.{layers - 1}.weight"].shape[0]
        scales = {12: 2, 27: 3, 48: 4}
        return cls(scale=scales[outputs], features=features, convolutions=(layers - 3) // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge.

        Args:
            x: float (N, 3, h, w), 0 to 1.

        Returns:
            (N, 3, h · scale, w · scale), about 0 to 1.
        """
        detail = functional.pixel_shuffle(self.body(x), self.scale)
        return detail + functional.interpolate(x, scale_factor=self.scale, mode="nearest")
