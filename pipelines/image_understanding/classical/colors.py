"""Names for colours as people use them: the nearest of a table in CIE Lab."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.media import Rgb

NAMES: Final[dict[str, tuple[tuple[int, int, int], ...]]] = {
    "black": ((0, 0, 0), (24, 24, 24)),
    "dark gray": ((64, 64, 64),),
    "gray": ((110, 110, 110), (145, 145, 145)),
    "light gray": ((185, 185, 185), (212, 212, 212)),
    "white": ((255, 255, 255), (240, 240, 240)),
    "red": ((225, 30, 30), (200, 40, 50)),
    "dark red": ((140, 15, 15), (95, 15, 20)),
    "pink": ((255, 150, 190), (235, 190, 195), (255, 105, 180)),
    "salmon": ((235, 125, 110),),
    "orange": ((250, 140, 20), (225, 105, 35), (215, 85, 50), (235, 125, 70)),
    "brown": ((125, 70, 30), (90, 60, 40), (150, 95, 60), (60, 35, 20)),
    "tan": ((195, 155, 115), (170, 140, 105)),
    "cream": ((250, 235, 205), (235, 215, 180)),
    "yellow": ((255, 225, 40), (240, 205, 80)),
    "gold": ((205, 160, 45),),
    "olive": ((120, 120, 40), (85, 85, 35), (140, 135, 80)),
    "green": ((40, 150, 60), (90, 170, 70), (60, 130, 60)),
    "light green": ((150, 220, 130), (180, 225, 165)),
    "dark green": ((20, 75, 35), (30, 55, 30)),
    "turquoise": ((60, 200, 195), (0, 235, 235)),
    "teal": ((20, 115, 115), (45, 90, 95)),
    "light blue": ((150, 200, 240), (185, 215, 240)),
    "blue": ((45, 100, 210), (30, 60, 200), (75, 135, 200), (20, 20, 240)),
    "dark blue": ((20, 30, 95), (25, 40, 70), (50, 65, 110)),
    "purple": ((115, 45, 145), (80, 50, 120), (150, 70, 190)),
    "lilac": ((195, 165, 220),),
    "magenta": ((220, 40, 190),),
}
"""Typical sRGB values of each name: one name may reach far in lightness and not in hue."""

LIGHTNESS_WEIGHT: Final = 0.7
"""Light and shade move lightness more than they move the name."""


@dataclass(frozen=True)
class Palette:
    """The colours of an image.

    Attributes:
        shares: names with the part of the image that they cover, the largest first.
        lightness: mean L* of CIE Lab, 0 to 100.
        contrast: standard deviation of L*.
        colorless: no pixel has a hue that one would name.
    """

    shares: tuple[tuple[str, float], ...]
    lightness: float
    contrast: float
    colorless: bool


def palette(image: Rgb) -> Palette:
    """Name what colours an image (H, W, 3) has, and how light it is."""
    import cv2

    side = 64
    if max(image.shape[:2]) > side:
        image = np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    names = names_of(image)
    lab = lab_of(image)
    present, counts = np.unique(names, return_counts=True)
    shares = sorted(zip(present.tolist(), (counts / names.size).tolist(), strict=True), key=lambda share: -share[1])
    return Palette(
        shares=tuple(shares),
        lightness=float(lab[..., 0].mean()),
        contrast=float(lab[..., 0].std()),
        colorless=bool(np.percentile(np.hypot(lab[..., 1], lab[..., 2]), 98) < 4),
    )


def names_of(image: Rgb) -> NDArray[np.str_]:
    """The name of each pixel's colour: str (H, W) for uint8 (H, W, 3)."""
    labels = [name for name, values in NAMES.items() for _ in values]
    values = np.array([value for values in NAMES.values() for value in values], np.uint8)
    weights = np.array([LIGHTNESS_WEIGHT, 1, 1], np.float32)
    table = lab_of(values[None]) * weights
    distances = np.linalg.norm(lab_of(image)[:, :, None] * weights - table[:, None], axis=3)
    return np.asarray(np.array(labels)[distances.argmin(axis=2)], np.str_)


def lab_of(image: Rgb) -> NDArray[np.float32]:
    """CIE Lab of an sRGB image: float32 (H, W, 3), L* 0 to 100."""
    import cv2

    return np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
