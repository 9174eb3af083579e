"""Names for colors as people use them: the nearest of a table in CIE Lab."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.media import Rgb
from pipelines.media.image import fit

NAMES: Final = {
    "black": "000000 181818", "dark gray": "404040", "gray": "6e6e6e 919191", "light gray": "b9b9b9 d4d4d4",
    "white": "ffffff f0f0f0", "red": "e11e1e c82832", "dark red": "8c0f0f 5f0f14", "pink": "ff96be ebbec3 ff69b4",
    "salmon": "eb7d6e", "orange": "fa8c14 e16923 d75532 eb7d46", "brown": "7d461e 5a3c28 965f3c 3c2314",
    "tan": "c39b73 aa8c69", "cream": "faebcd ebd7b4", "yellow": "ffe128 f0cd50", "gold": "cda02d",
    "olive": "787828 555523 8c8750", "green": "28963c 5aaa46 3c823c", "light green": "96dc82 b4e1a5",
    "dark green": "144b23 1e371e", "turquoise": "3cc8c3 00ebeb", "teal": "147373 2d5a5f",
    "light blue": "96c8f0 b9d7f0", "blue": "2d64d2 1e3cc8 4b87c8 1414f0", "dark blue": "141e5f 192846 32416e",
    "purple": "732d91 503278 9646be", "lilac": "c3a5dc", "magenta": "dc28be",
}  # fmt: skip
"""Typical sRGB values of each name, in hexadecimal: one name may span much lightness but little hue."""
WEIGHTS: Final = np.array([0.7, 1, 1], np.float32)
"""Of L*, a*, b*: light and shade change lightness more than they change the name."""


@dataclass(frozen=True)
class Palette:
    """The colors of an image.

    Attributes:
        shares: part of the image that each named color covers, the largest first.
        lightness: mean L* of CIE Lab, 0 to 100.
        contrast: standard deviation of L*.
        colorless: no pixel has a hue that one would name.
    """

    shares: dict[str, float]
    lightness: float
    contrast: float
    colorless: bool


def palette(image: Rgb) -> Palette:
    """Measure which colors an image (H, W, 3) has, and how light it is."""
    small = fit(image, 64)
    lab = lab_of(small)
    names, counts = np.unique(names_of(small), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return Palette(
        shares=dict(zip(names[order].tolist(), (counts[order] / counts.sum()).tolist(), strict=True)),
        lightness=float(lab[..., 0].mean()),
        contrast=float(lab[..., 0].std()),
        colorless=bool(np.percentile(np.hypot(lab[..., 1], lab[..., 2]), 98) < 4),
    )


def names_of(image: Rgb) -> NDArray[np.str_]:
    """The name of each pixel's color: str (H, W) for uint8 (H, W, 3)."""
    names = np.array([name for name, values in NAMES.items() for _ in values.split()])
    typical = np.frombuffer(bytes.fromhex(" ".join(NAMES.values())), np.uint8).reshape(1, -1, 3)
    differences = (lab_of(image)[:, :, None] - lab_of(typical)) * WEIGHTS
    return np.asarray(names[np.linalg.norm(differences, axis=3).argmin(axis=2)], np.str_)


def lab_of(image: Rgb) -> NDArray[np.float32]:
    """CIE Lab of an sRGB image: float32 (H, W, 3), L* 0 to 100."""
    import cv2

    return np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
