"""What a still camera sees where no object is, and the objects that differ from it. All by OpenCV (Apache-2.0).

A background and its noise are learned per pixel from the images in which the pixel does not move (by the optical flow
of Farnebäck, 2003), and follow slow changes of light where no object is; an object that stops does not become
background. Small movements of the camera and changes of its exposure are undone first. If an object leaves that was
there from the start, a hole remains; it is known by its outline, an edge of the background and not of the image.
"""

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.media import Rgb
from pipelines.object_tracking.classical.camera import Affine, Anchor

MIN_CONTRAST, NOISE_FACTOR, HIDDEN_NOISE = 12.0, 4.0, 5.0
"""An object differs by these gray levels and this many times the noise; the last is that of ground not seen yet."""

MIN_AREA_PX, MIN_AREA = 25, 0.0002
"""Of an object: pixels, and part of the image."""

MAX_NEW_SHARE, REACH_PX = 0.2, 31
"""If more of the image differs, away from known objects, it is the camera or the light and not an object."""

FLOW_WINDOW_PX, MIN_FLOW_PX = 41, 1.0
ADAPT_S, STILL_S = 4.0, 0.3
SHADOW_LIGHT, SHADOW_TINT = (0.45, 0.95), 0.06
MAX_SHADED = 0.75
"""If more of a blob looks like a shadow, it is an object of that color."""

Boxes = NDArray[np.float64]
Mask = NDArray[np.uint8]


class Background:
    """The background of one shot.

    Args:
        images: RGB uint8 (H, W, 3), in order, at least one.
        fps: frames per second of the images that come later.

    Attributes:
        moving_share: mean part of the images that moves, 0 to 1: large if the camera moves.
    """

    def __init__(self, images: Sequence[Rgb], *, fps: float) -> None:
        import cv2

        self._adapt_rate = 1 - float(np.exp(-1 / (ADAPT_S * fps)))
        self._recent: deque[Rgb] = deque(maxlen=max(3, round(STILL_S * fps)))
        self._anchor = Anchor(images[0])
        self._color = images[0].astype(np.float32)
        aligned: list[Rgb] = []
        for image in images:
            if (movement := self._anchor.locate(image)) is None:
                break
            aligned.append(self._align(image, movement))
        moving = _moving(aligned)
        hidden = moving.min(axis=0)
        color = _median(np.stack(aligned), moving[..., None])
        self._color = cv2.inpaint(color, hidden, 3, cv2.INPAINT_TELEA).astype(np.float32)
        noise = _median(np.stack([_difference(image, color) for image in aligned]), moving)
        self._noise = np.where(hidden, HIDDEN_NOISE, noise).astype(np.float32)
        self._objects = moving[0]
        self.moving_share = 1 - float((moving == 0).sum() / (hidden.size * len(images)))

    def find(self, image: Rgb) -> tuple[Boxes, NDArray[np.float64]] | None:
        """The boxes (N, 4) of the next image's objects, and their scores, 1 - exp(-contrast / its threshold).

        It is `None` if the camera has moved or the light has changed too much.
        """
        import cv2
        from scipy import ndimage

        movement = self._anchor.locate(image)
        if movement is None:
            return None
        image = self._align(image, movement)
        exposure = np.median((image[::4, ::4] + 1.0) / (self._color[::4, ::4] + 1.0), axis=(0, 1)).astype(np.float32)
        difference = _difference(image, _rounded(self._color * exposure))
        contrast = difference / np.maximum(MIN_CONTRAST, NOISE_FACTOR * self._noise)
        mask = self._without_shadows(image, (contrast > 1).astype(np.uint8))
        mask = _morph(_morph(mask, cv2.MORPH_OPEN, 3), cv2.MORPH_CLOSE, 5)
        if (mask > _morph(self._objects, cv2.MORPH_DILATE, REACH_PX)).mean() > MAX_NEW_SHARE:
            return None
        self._recent.append(image)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
        large = stats[:, cv2.CC_STAT_AREA] >= max(MIN_AREA_PX, MIN_AREA * mask.size)
        found = [label for label in np.flatnonzero(large)[1:] if not self._fill_hole(image, labels == label)]
        self._objects = np.isin(labels, found).astype(np.uint8)
        free = 1 - _morph(self._objects, cv2.MORPH_DILATE, 7)
        cv2.accumulateWeighted(image, self._color, self._adapt_rate, mask=free)
        cv2.accumulateWeighted(difference, self._noise, self._adapt_rate, mask=free)
        corners = np.stack((stats[found, :2], stats[found, :2] + stats[found, 2:4]), axis=1)
        boxes = (corners @ movement[:, :2].T + movement[:, 2]).reshape(-1, 4)
        return boxes, 1 - np.exp(-np.array(ndimage.mean(contrast, labels, found)))

    def _align(self, image: Rgb, movement: Affine) -> Rgb:
        """The image, moved to where the background is, which shows at its borders."""
        import cv2

        flags, size, borders = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, image.shape[1::-1], _rounded(self._color)
        return np.asarray(cv2.warpAffine(image, movement, size, borders, flags, cv2.BORDER_TRANSPARENT), np.uint8)

    def _without_shadows(self, image: Rgb, mask: Mask) -> Mask:
        """The mask without pixels that show the background evenly darkened, unless that is most of a blob."""
        import cv2

        inside = mask > 0
        ratio = (image[inside] + 1.0) / (self._color[inside] + 1.0)
        light, dark = ratio.max(axis=1), ratio.min(axis=1)
        shadow = (dark > SHADOW_LIGHT[0]) & (light < SHADOW_LIGHT[1]) & (light - dark < SHADOW_TINT)
        blob = cv2.connectedComponents(mask)[1][inside]
        shaded = np.bincount(blob, shadow) / np.maximum(np.bincount(blob), 1)
        mask[inside] = ~shadow | (shaded > MAX_SHADED)[blob]
        return mask

    def _fill_hole(self, image: Rgb, blob: NDArray[np.bool_]) -> bool:
        """Take what the image shows for background if the blob is still and its outline an edge of the background."""
        import cv2

        changed = _difference(image, self._recent[0])[blob] > MIN_CONTRAST
        if len(self._recent) < (self._recent.maxlen or 0) or changed.mean() > 0.1:
            return False
        outline = _morph(blob.astype(np.uint8), cv2.MORPH_GRADIENT, 3) > 0
        here, there = (_morph(each, cv2.MORPH_GRADIENT, 3)[outline].sum() for each in (image, _rounded(self._color)))
        if there < 1.3 * here:
            return False
        self._color[blob] = image[blob]
        return True


def _moving(images: Sequence[Rgb]) -> Mask:
    """1 where an image differs by motion from the next one (the last from the one before), else 0: (N, H, W)."""
    import cv2

    size, half = images[0].shape[1::-1], [max(1, side // 2) for side in images[0].shape[1::-1]]
    gray = [cv2.resize(cv2.cvtColor(i, cv2.COLOR_RGB2GRAY), half, interpolation=cv2.INTER_AREA) for i in images]
    moving = []
    for one, two in zip(gray, [*gray[1:], gray[-2:][0]], strict=True):
        flow = np.zeros((*one.shape, 2), np.float32)
        cv2.calcOpticalFlowFarneback(one, two, flow, 0.5, 4, FLOW_WINDOW_PX // 2 + 1, 2, 7, 1.5, 0)
        far = (cv2.magnitude(flow[..., 0], flow[..., 1]) > MIN_FLOW_PX / 2).astype(np.uint8)
        far = np.asarray(cv2.resize(far, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        moving.append(_morph(far, cv2.MORPH_ERODE, FLOW_WINDOW_PX // 3))  # the window spreads motion over its edges
    return np.stack(moving)


def _median(values: Mask, without: Mask) -> Mask:
    """Median over the first axis, `without` those that are not 0 there."""
    kept = np.sort(np.where(without > 0, 256, values.astype(np.int16)), axis=0)
    middle = (len(values) - without.sum(axis=0, dtype=int)) // 2
    return np.asarray(np.take_along_axis(kept, middle[None], axis=0)[0].clip(0, 255), np.uint8)


def _difference(image: Rgb, other: Rgb) -> Mask:
    """Largest difference of the three channels, uint8 (H, W)."""
    import cv2

    red, green, blue = cv2.split(cv2.absdiff(image, other))
    return np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)


def _morph(mask: Mask, operation: int, size: int) -> Mask:
    import cv2

    return np.asarray(cv2.morphologyEx(mask, operation, np.ones((size, size), np.uint8)), np.uint8)


def _rounded(color: NDArray[np.float32]) -> Rgb:
    import cv2

    return np.asarray(cv2.convertScaleAbs(color), np.uint8)
