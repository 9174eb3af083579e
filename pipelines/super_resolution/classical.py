"""Super-resolution ×4 without a model: iterative back-projection, regularised along the edges.

An estimate of the large image is shrunk, compared with the small one, and corrected by the difference
(Irani and Peleg, "Improving resolution by image registration", 1991). Between corrections the estimate is smoothed
*along* its edges, which removes staircases and noise, sharpened *across* them by a shock filter (Weickert,
"Coherence-enhancing shock filters", 2003), and held piecewise smooth by bilateral total variation (Farsiu et al.,
"Fast and robust multiframe super resolution", 2004). Brightness is restored so; colour, which the eye resolves
less finely, is only back-projected.

Library: OpenCV (Apache-2.0). Knows nothing of what images show: it invents no detail, as a trained model would.
"""

from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from pipelines.contracts.engine import EngineConfig, ModelCard, Resources
from pipelines.super_resolution.base import RgbFloat, SuperResolver

Plane = NDArray[np.float32]

SCALE: Final = 4
ITERATIONS: Final = 6
CHROMA_ITERATIONS: Final = 2
NOISE: Final = 0.004
NOISE_PER_CONTRAST: Final = 0.02
"""Differences to the small image below about one step of eight bits, and more beside strong edges, where JPEG
leaves its traces, are taken for noise and not chased."""
ALONG_PX: Final = 3
"""How far along an edge the estimate is averaged, to each side."""
SHOCK: Final = 0.08
VARIATION: Final = 0.0005
DETAIL: Final = 0.5
"""How much of the finest detail is added once more at the end."""
OVERSHOOT: Final = 0.05
"""How far the result may leave the range of the surrounding pixels, as a part of that range: more is a halo."""


class ClassicalConfig(EngineConfig):
    """Back-projection with edge-aware regularisation: needs no download, ×4."""

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
        """An engine ready to work; there is nothing to fetch."""
        return Classical.load(self)


class Classical(SuperResolver):
    """Back-projection in tiles. Not thread-safe."""

    scale = SCALE
    tile_px = 256
    overlap_px = 16

    @classmethod
    def load(cls, config: ClassicalConfig) -> Self:
        """Nothing to read: the algorithm has no weights."""
        del config
        return cls()

    def upscale(self, tile: RgbFloat) -> RgbFloat:
        """Enlarge one tile.

        Args:
            tile: float32 (h, w, 3), 0 to 1, sRGB, h and w at least 1.

        Returns:
            float32 (4h, 4w, 3), 0 to 1.
        """
        import cv2

        small = cv2.cvtColor(tile, cv2.COLOR_RGB2YCrCb)
        luma, red, blue = (np.asarray(plane, np.float32) for plane in cv2.split(small))
        large = cv2.merge([_restore(luma), _back_project(red), _back_project(blue)])
        return np.clip(cv2.cvtColor(large, cv2.COLOR_YCrCb2RGB), 0, 1)


def _restore(small: Plane) -> Plane:
    """Enlarge the brightness of an image: correct, smooth along edges, sharpen across them, and again."""
    import cv2

    around = np.ones((5, 5), np.uint8)
    contrast = cv2.dilate(small, around) - cv2.erode(small, around)
    noise = np.square(np.float32(NOISE) + np.float32(NOISE_PER_CONTRAST) * contrast)
    large = _enlarge(small)
    for _ in range(ITERATIONS):
        large = large + _enlarge(_above(noise, small - _shrink(large)))
        large = _follow_edges(large)
        large = _less_variation(large)
    noise = cv2.resize(noise, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_LINEAR)
    large = large + np.float32(DETAIL) * _above(noise, large - cv2.GaussianBlur(large, (0, 0), 1.5))
    return _without_halos(large, small)


def _above(noise: Plane, signal: Plane) -> Plane:
    """The signal, less what is not above the noise, which is given as its power (Wiener's weights)."""
    power = signal * signal
    return signal * (power / (power + noise))


def _back_project(small: Plane) -> Plane:
    """Enlarge so that shrinking gives the small image back, nearly."""
    large = _enlarge(small)
    for _ in range(CHROMA_ITERATIONS):
        large = large + _enlarge(small - _shrink(large))
    return large


def _enlarge(small: Plane) -> Plane:
    import cv2

    return np.asarray(cv2.resize(small, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC), np.float32)


def _shrink(large: Plane) -> Plane:
    """Shrink four times with Keys' cubic kernel widened to the new pixel, as photo editors do."""
    import cv2

    reach = 3 * SCALE // 2
    padded = cv2.copyMakeBorder(large, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    filtered = cv2.sepFilter2D(padded, -1, _CUBIC, _CUBIC, anchor=(0, 0))
    rows, columns = (side // SCALE for side in large.shape)
    return np.ascontiguousarray(filtered[::SCALE, ::SCALE][:rows, :columns])


def _cubic_kernel() -> Plane:
    distance = np.abs((np.arange(4 * SCALE) - (4 * SCALE - 1) / 2) / SCALE)
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    kernel = np.where(distance < 1, near, far)
    return np.asarray(kernel / kernel.sum(), np.float32)


_CUBIC: Final = _cubic_kernel()


def _follow_edges(image: Plane) -> Plane:
    """Average along the local direction of edges and sharpen across it, as far as there is one direction.

    The direction comes from the structure tensor of the smoothed image, wide enough to see through staircases of
    one small pixel, which is four large ones.
    """
    import cv2

    smooth = cv2.GaussianBlur(image, (0, 0), 1.5)
    dx = cv2.Sobel(smooth, -1, 1, 0, scale=1 / 8)
    dy = cv2.Sobel(smooth, -1, 0, 1, scale=1 / 8)
    xx, xy, yy = (cv2.GaussianBlur(product, (0, 0), float(SCALE)) for product in (dx * dx, dx * dy, dy * dy))
    spread = cv2.magnitude(xx - yy, 2 * xy)
    coherence = spread / (xx + yy + np.float32(2e-5))
    across = cv2.phase(xx - yy, 2 * xy) / 2
    cos, sin = np.cos(across), np.sin(across)
    along = _average_along(image, -sin, cos)
    image = image + coherence * (along - image)

    smooth = cv2.GaussianBlur(image, (0, 0), 1.0)
    curvature = (
        cos * cos * cv2.Sobel(smooth, -1, 2, 0, scale=1 / 4)
        + sin * sin * cv2.Sobel(smooth, -1, 0, 2, scale=1 / 4)
        + 2 * cos * sin * cv2.Sobel(smooth, -1, 1, 1, scale=1 / 4)
    )
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    to_light, to_dark = cv2.dilate(image, cross) - image, cv2.erode(image, cross) - image
    strength = curvature / (np.abs(curvature) + np.float32(0.01))
    return image + np.float32(SHOCK) * coherence * np.abs(strength) * np.where(strength < 0, to_light, to_dark)


def _average_along(image: Plane, step_x: Plane, step_y: Plane) -> Plane:
    """Weighted mean of each pixel and those up to `ALONG_PX` steps before and after it (line integral convolution)."""
    import cv2

    rows, columns = image.shape
    x = np.arange(columns, dtype=np.float32)[None, :]
    y = np.arange(rows, dtype=np.float32)[:, None]
    total, weights = image.copy(), 1.0
    for step in range(1, ALONG_PX + 1):
        weight = 1 - step / (ALONG_PX + 1)
        for signed in (-step, step):
            at_x, at_y = x + np.float32(signed) * step_x, y + np.float32(signed) * step_y
            moved = cv2.remap(image, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            total += np.float32(weight) * moved
            weights += weight
    return total / np.float32(weights)


def _less_variation(image: Plane) -> Plane:
    """One step down the gradient of bilateral total variation."""
    gradient = np.zeros_like(image)
    for rows, columns, weight in ((0, 1, 1.0), (1, 0, 1.0), (1, 1, 0.7), (1, -1, 0.7), (0, 2, 0.6), (2, 0, 0.6)):
        if rows >= image.shape[0] or abs(columns) >= image.shape[1]:
            continue
        one, other = _shifted_pair(rows, columns)
        step = image[one] - image[other]
        step *= np.float32(weight) / np.sqrt(step * step + np.float32(1e-4))
        gradient[one] += step
        gradient[other] -= step
    return image - np.float32(VARIATION) * gradient


def _shifted_pair(rows: int, columns: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Two windows of one size, the second `rows` down and `columns` to the right (left if negative)."""
    up, down = slice(0, -rows or None), slice(rows, None)
    if columns >= 0:
        return (up, slice(0, -columns or None)), (down, slice(columns, None))
    return (up, slice(-columns, None)), (down, slice(0, columns))


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
