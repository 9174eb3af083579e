"""Super-resolution ×4 without a model: iterative back-projection, regularized along the edges.

An estimate of the large image is shrunk, compared with the small one, and corrected by the difference
(Irani and Peleg, "Improving resolution by image registration", 1991). Between corrections the estimate is smoothed
*along* its edges, which removes staircases and noise, sharpened *across* them by a shock filter (Weickert,
"Coherence-enhancing shock filters", 2003), and kept piecewise smooth by total variation (Chambolle, "An algorithm for
total variation minimization and applications", 2004). This restores brightness; color, which the eye resolves less
finely, is enlarged by bicubic interpolation.

Libraries: OpenCV (Apache-2.0), scikit-image (BSD-3-Clause). It invents no detail, as a trained model would.
"""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.contracts.engine import EngineConfig, ModelCard, Resources
from pipelines.super_resolution.base import RgbFloat, SuperResolver

Plane = NDArray[np.float32]

SCALE: Final = 4
ITERATIONS: Final = 6
NOISE: Final = 0.004
NOISE_PER_CONTRAST: Final = 0.02
"""Differences from the small image below about one step of 8 bits, and more beside strong edges, where JPEG leaves its
artifacts, count as noise and are not corrected."""
ALONG_PX: Final = 3
"""How far along an edge the estimate is averaged, to each side."""
SHOCK: Final = 0.08
VARIATION: Final = 0.002
DETAIL: Final = 0.5
"""How much of the finest detail is added once more at the end."""
OVERSHOOT: Final = 0.05
"""How far the result may leave the range of the surrounding pixels, as a part of that range: more is a halo."""


class ClassicalConfig(EngineConfig):
    """Back-projection with edge-aware regularization: needs no download, ×4."""

    engine: Literal["classical"] = "classical"

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model="iterative back-projection",
            license="Apache-2.0",
            description="Enlarges four times with sharper, smoother edges than bicubic; invents no texture.",
            embedded=True,
        )

    def load(self, resources: Resources) -> SuperResolver:
        """Nothing to read: the algorithm has no weights."""
        return Classical()


class Classical(SuperResolver):
    """Back-projection in tiles. Not thread-safe."""

    scale = SCALE
    tile_px = 256
    overlap_px = 16

    def upscale(self, tile: RgbFloat) -> RgbFloat:
        """Enlarge one tile: see the base class."""
        import cv2

        small = cv2.cvtColor(tile, cv2.COLOR_RGB2YCrCb)
        luma, red, blue = (np.asarray(plane, np.float32) for plane in cv2.split(small))
        large = cv2.merge([_restore(luma), _enlarge(red), _enlarge(blue)])
        return np.clip(cv2.cvtColor(large, cv2.COLOR_YCrCb2RGB), 0, 1)


def _restore(small: Plane) -> Plane:
    """Enlarge the brightness of an image: correct, smooth along edges, sharpen across them, and again."""
    import cv2
    from skimage.restoration import denoise_tv_chambolle

    around = np.ones((5, 5), np.uint8)
    contrast = cv2.dilate(small, around) - cv2.erode(small, around)
    noise = np.square(np.float32(NOISE) + np.float32(NOISE_PER_CONTRAST) * contrast)
    large = _enlarge(small)
    for _ in range(ITERATIONS):
        large = large + _enlarge(_above(noise, small - _shrink(large)))
        large = _follow_edges(large)
        # As many iterations in each tile, so that tiles fit together.
        large = denoise_tv_chambolle(large, VARIATION, eps=0, max_num_iter=5)  # type: ignore[no-untyped-call]
    noise = cv2.resize(noise, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_LINEAR)
    large = large + np.float32(DETAIL) * _above(noise, large - cv2.GaussianBlur(large, (0, 0), 1.5))
    return _without_halos(large, small)


def _above(noise: Plane, signal: Plane) -> Plane:
    """The signal without what is not above the noise, which is given as its power (Wiener's weights)."""
    power = signal * signal
    return signal * (power / (power + noise))


def _enlarge(small: Plane) -> Plane:
    import cv2

    return np.asarray(cv2.resize(small, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC), np.float32)


def _shrink(large: Plane) -> Plane:
    """Shrink four times with the cubic kernel widened to the new pixel, as photo editors do."""
    from PIL import Image

    rows, columns = large.shape
    small = Image.fromarray(large).resize((columns // SCALE, rows // SCALE), Image.Resampling.BICUBIC)
    return np.asarray(small, np.float32)


def _follow_edges(image: Plane) -> Plane:
    """Average along the local direction of edges and sharpen across it, as far as there is one direction.

    The direction comes from the structure tensor of the smoothed image, wide enough to see through staircases of
    one small pixel, which is four large ones.
    """
    import cv2

    smooth = cv2.GaussianBlur(image, (0, 0), 1.5)
    dx, dy = (cv2.Sobel(smooth, -1, *orders, scale=1 / 8) for orders in ((1, 0), (0, 1)))
    xx, xy, yy = (cv2.GaussianBlur(product, (0, 0), float(SCALE)) for product in (dx * dx, dx * dy, dy * dy))
    coherence = cv2.magnitude(xx - yy, 2 * xy) / (xx + yy + np.float32(2e-5))
    across = cv2.phase(xx - yy, 2 * xy) / 2
    cos, sin = np.cos(across), np.sin(across)
    image = image + coherence * (_average_along(image, -sin, cos) - image)

    smooth = cv2.GaussianBlur(image, (0, 0), 1.0)
    xx, xy, yy = (cv2.Sobel(smooth, -1, *orders, scale=1 / 4) for orders in ((2, 0), (1, 1), (0, 2)))
    curvature = cos * cos * xx + 2 * cos * sin * xy + sin * sin * yy
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    to_light, to_dark = cv2.dilate(image, cross) - image, cv2.erode(image, cross) - image
    strength = np.abs(curvature) / (np.abs(curvature) + np.float32(0.01))
    shock = np.float32(SHOCK) * coherence * strength * np.where(curvature < 0, to_light, to_dark)
    return np.asarray(image + shock, np.float32)


def _average_along(image: Plane, step_x: Plane, step_y: Plane) -> Plane:
    """Weighted mean of each pixel and those up to `ALONG_PX` steps before and after it (line integral convolution)."""
    import cv2

    y, x = np.indices(image.shape, np.float32)
    mean: Plane = np.zeros_like(image)
    for step in range(-ALONG_PX, ALONG_PX + 1):
        weight = np.float32((1 - abs(step) / (ALONG_PX + 1)) / (ALONG_PX + 1))
        at = x + np.float32(step) * step_x, y + np.float32(step) * step_y
        mean += weight * cv2.remap(image, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return mean


def _without_halos(large: Plane, small: Plane) -> Plane:
    """Keep each pixel near the range of the small pixels around it."""
    import cv2

    window = np.ones((3, 3), np.uint8)
    low, high = cv2.erode(small, window), cv2.dilate(small, window)
    room = np.float32(OVERSHOOT) * (high - low)
    low, high = (
        cv2.resize(bound, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_LINEAR)
        for bound in (low - room, high + room)
    )
    return np.clip(large, low, high)
