"""What a still camera sees where no object is, so that objects can be told from it.

A background and its noise are learned per pixel from some images (median), and follow slow changes of light where no
object is. Small movements of the camera and changes of its exposure are undone first.
Where an object that was thought to be background leaves, the hole is told from an object by its outline: a hole's
outline is seen in the background, an object's in the image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.media import Rgb
from pipelines.object_tracking.classical.camera import Affine, Anchor

LEAST_CONTRAST = 12.0
NOISE_FACTOR = 4.0
LEAST_GAIN = 0.005

LOST_SHARE = 0.2
"""More of the image than this in motion, away from known objects, is the camera or the light and not an object."""

REACH_PX = 31
"""An object moves by less than half of this from one image to the next."""

SHADOW_LIGHT = (0.45, 0.95)
SHADOW_TINT = 0.06

Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """One image beside the background.

    Attributes:
        image: RGB uint8 (H, W, 3), moved to where the background is.
        movement: float64 (2, 3), takes points of the background to where they were in the image before that.
        mask: uint8 (H, W), 255 where the image differs from the background, else 0.
        contrast: uint8 (H, W), by how much.
    """

    image: Rgb
    movement: Affine
    mask: Mask
    contrast: Mask


class Background:
    """The background of one shot.

    Args:
        images: RGB uint8 (H, W, 3), in order, at least one; objects in them must move for the background to be seen.

    Attributes:
        moving_share: mean part of the images that differs from the background, 0 to 1: large where the camera moves.
    """

    def __init__(self, images: Sequence[Rgb]) -> None:
        self._anchor = Anchor(images[0])
        self._taken: Mask = np.zeros(images[0].shape[:2], np.uint8)
        self._colour = images[0].astype(np.float32)
        located = [(image, self._anchor.locate(image)) for image in images]
        self.images = [self._undo(image, movement) for image, movement in located if movement is not None]
        """Those that it has learned from, moved to where the background is."""
        middle = _median(np.stack(self.images))
        self._colour = middle.astype(np.float32)
        self._noise = _median(np.stack([_difference(p, middle) for p in self.images])).astype(np.float32)
        self._uncover(self.images[0], self.images[-1])
        self.expect(self.images[0])
        moving = sum(float(self.foreground(p)[0].mean()) / 255 for p in self.images)
        self.moving_share = (moving + len(images) - len(self.images)) / len(images)

    def view(self, image: Rgb) -> View | None:
        """Compare the next image; `None` where the camera has moved or the light has changed too much for that."""
        import cv2

        movement = self._anchor.locate(image)
        if movement is None:
            return None
        image = self._undo(image, movement)
        mask, contrast = self.foreground(image)
        known = cv2.dilate(self._taken, np.ones((REACH_PX, REACH_PX), np.uint8))
        if cv2.bitwise_and(mask, cv2.bitwise_not(known)).mean() > LOST_SHARE * 255:
            return None
        return View(image, movement, mask, contrast)

    def expect(self, image: Rgb) -> None:
        """Take what differs in this image, which lies on the background, for objects that are known already."""
        self._taken = self.foreground(image)[0]

    def follow(self, view: View, taken: Mask, rate: float) -> None:
        """Take over the light of a view.

        Args:
            view: of the newest image.
            taken: uint8 (H, W), not 0 where objects are; nothing changes there.
            rate: how much, 0 to 1.
        """
        import cv2

        self._taken = taken
        free = cv2.bitwise_not(cv2.dilate(taken, np.ones((7, 7), np.uint8)))
        cv2.accumulateWeighted(view.image, self._colour, rate, mask=free)
        cv2.accumulateWeighted(view.contrast, self._noise, rate, mask=free)

    def fill_hole(self, image: Rgb, part: tuple[slice, slice], blob: Mask) -> bool:
        """Take what the image shows for background, if the blob (not 0 within `part`) is a hole."""
        if not _is_hole(blob, image[part], _whole(self._colour[part])):
            return False
        self._colour[part][blob > 0] = image[part][blob > 0]
        return True

    def limit(self) -> NDArray[np.float32]:
        """How much each pixel must differ from the background to count, float32 (H, W)."""
        return np.asarray(np.maximum(LEAST_CONTRAST, NOISE_FACTOR * self._noise), np.float32)

    def shadows(self, image: Rgb, where: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """For each pixel of the (H, W) mask that is set: whether the image is the background, evenly darkened."""
        ratio = (image[where] + 1.0) / (self._colour[where] + 1.0)
        light, dark = ratio.max(axis=1), ratio.min(axis=1)
        return np.asarray((dark > SHADOW_LIGHT[0]) & (light < SHADOW_LIGHT[1]) & (light - dark < SHADOW_TINT))

    def foreground(self, image: Rgb) -> tuple[Mask, Mask]:
        """Where an image that lies on the background differs from it: mask and contrast as in `View`."""
        import cv2

        # A camera that adjusts its exposure brightens everything alike: that is not motion.
        free = self._taken[::4, ::4] == 0
        colour = self._colour
        if free.any():
            gain = np.median((image[::4, ::4][free] + 1.0) / (colour[::4, ::4][free] + 1.0), axis=0)
            if np.abs(gain - 1).max() > LEAST_GAIN:
                colour = colour * gain.astype(np.float32)
        contrast = _difference(image, _whole(colour))
        mask = (contrast > self.limit()).astype(np.uint8) * 255
        return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8), contrast

    def _undo(self, image: Rgb, movement: Affine) -> Rgb:
        import cv2

        if np.array_equal(movement, np.eye(2, 3)):
            return image
        return np.asarray(
            cv2.warpAffine(
                image,
                movement,
                image.shape[1::-1],
                dst=_whole(self._colour),  # shows at the borders
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_TRANSPARENT,
            ),
            np.uint8,
        )

    def _uncover(self, first: Rgb, last: Rgb) -> None:
        """Mend the background where a slow object hid it for most of the time: it shows in the first or last frame."""
        import cv2

        limit = float(np.median(self.limit()))  # of the image: where objects passed, a pixel's own is too high
        far_first, far_last = (_difference(f, _whole(self._colour)) > limit for f in (first, last))
        changed = tidy((_difference(first, last) > limit).astype(np.uint8) * 255)
        mend_first, mend_last = np.zeros_like(far_first), far_first & far_last & (changed == 0)
        count, labels = cv2.connectedComponents(changed)
        for label in range(1, count):
            blob = (labels == label).astype(np.uint8)
            if _is_hole(blob, last, first):
                mend_last |= far_last & (blob > 0)
            elif _is_hole(blob, first, last):
                mend_first |= far_first & (blob > 0)
        for shown, mend in ((first, mend_first), (last, mend_last)):
            self._colour[mend] = shown[mend]
            self._noise[mend] = np.median(self._noise)


def _is_hole(blob: Mask, frame: Rgb, background: Rgb) -> bool:
    """Whether the blob's outline is an edge of the background rather than of the frame."""
    import cv2

    outline = cv2.morphologyEx(blob, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    strength = []
    for image in (frame, background):
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        edges = cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
        strength.append(float(edges[outline].sum()))
    return strength[1] > 1.3 * strength[0]


def _whole(colour: NDArray[np.float32]) -> Rgb:
    """Rounded and limited to uint8."""
    import cv2

    return np.asarray(cv2.convertScaleAbs(colour), np.uint8)


def _difference(frame: Rgb, background: Rgb) -> Mask:
    """Largest difference of the three channels, uint8 (H, W)."""
    import cv2

    red, green, blue = cv2.split(cv2.absdiff(frame, background))
    return np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)


def tidy(mask: Mask) -> Mask:
    """Without specks, and with narrow gaps closed."""
    import cv2

    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return np.asarray(cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)), np.uint8)


def _median(stack: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Median over the first axis, without the floats that `np.median` makes of it."""
    middle = len(stack) // 2
    return np.asarray(np.partition(stack, middle, axis=0)[middle])
