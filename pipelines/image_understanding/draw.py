"""Draws segments over their image, by `supervision` (MIT)."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.media import Rgb

OPACITY: Final = 0.45
PALETTE: Final = (
    "#ff6b6b", "#4dabf7", "#ffd43b", "#51cf66", "#cc5de8", "#ff922b", "#22b8cf", "#f06595",
    "#94d82d", "#845ef7", "#fcc419", "#20c997",
)  # fmt: skip
"""Clear, light colors, ordered so that segments of similar size differ."""


def draw_masks(image: Rgb, masks: NDArray[np.bool_]) -> Rgb:
    """Tint each segment and outline it thinly in white.

    Args:
        image: RGB uint8 (H, W, 3).
        masks: bool (N, H, W); later ones are drawn over earlier ones.

    Returns:
        RGB uint8 (H, W, 3), a new image.
    """
    import supervision as sv

    used = masks[masks.any(axis=(1, 2))]
    if not len(used):
        return image.copy()
    found = sv.Detections(sv.mask_to_xyxy(used), mask=used, class_id=np.arange(len(used)))
    scene = np.ascontiguousarray(image[..., ::-1])  # the library draws in BGR
    palette = sv.ColorPalette.from_hex(list(PALETTE))
    scene = sv.MaskAnnotator(palette, opacity=OPACITY).annotate(scene, found)
    thickness = max(1, round(max(image.shape[:2]) / 600))
    scene = sv.PolygonAnnotator(sv.Color.WHITE, thickness=thickness).annotate(scene, found)
    return np.ascontiguousarray(scene[..., ::-1])
