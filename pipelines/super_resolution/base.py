"""What every super-resolution engine offers."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

RgbFloat = NDArray[np.float32]
"""RGB image, float32 (H, W, 3), 0 to 1, sRGB."""


class SuperResolver(ABC):
    """One loaded model. Not thread-safe. Files, alpha, bit depth and tiles are left to `enhance.py`.

    Attributes:
        scale: how many times larger each side becomes.
        tile_px: side of the square that is enlarged at once, px of the small image.
        overlap_px: how far beyond a tile its result still depends on the image, px of the small image.
    """

    scale: int
    tile_px: int
    overlap_px: int

    @abstractmethod
    def upscale(self, tile: RgbFloat) -> RgbFloat:
        """Enlarge one tile.

        Args:
            tile: float32 (h, w, 3), h and w at most `tile_px + 2 * overlap_px`.

        Returns:
            float32 (h * scale, w * scale, 3), 0 to 1.
        """
