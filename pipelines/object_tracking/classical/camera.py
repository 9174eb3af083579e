"""How a camera that should stand still has moved: corners of one image are found again in the next ones.

Method: corners by Shi and Tomasi, followed by Lucas and Kanade's optical flow, agreed on by RANSAC; all OpenCV
(Apache-2.0). Knows small shifts, turns and scales; an image without corners tells nothing and passes as still.
"""

import numpy as np
from numpy.typing import NDArray

from pipelines.media import Rgb

CORNERS = 100
LEAST_AGREEING = 12
SPREAD = 0.4
"""Corners that agree must cover this part of the width and of the height."""

STILL_PX = 0.4
"""An image that is off by less, at its worst corner, is left as it is."""

FAR = 0.05
"""An image that is off by more than this part of its longer side is not undone: the camera moves."""

Affine = NDArray[np.float64]


class Anchor:
    """Remembers one image, RGB uint8 (H, W, 3), and says where later ones of the same size lie on it.

    Attributes:
        left: the camera has moved too far away at some time; it is not looked for any more.
    """

    def __init__(self, image: Rgb) -> None:
        import cv2

        height, width = image.shape[:2]
        self._far = max(2.0, FAR * max(height, width))
        self._ends = np.array([(0, 0), (width, 0), (0, height), (width, height)], np.float64)
        self.left = False
        self._grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        self._corners = cv2.goodFeaturesToTrack(self._grey, CORNERS, 0.02, 12)

    def locate(self, image: Rgb) -> Affine | None:
        """Find the movement from the remembered image to this one.

        Returns:
            float64 (2, 3), takes points of the remembered image to this one, the identity where there is no movement
            to be seen; `None` where the camera has moved too far.
        """
        if self.left:
            return None
        movement = self._agreed(image)
        if movement is None:
            return np.eye(2, 3)
        off = np.abs(self._ends @ (movement[:, :2] - np.eye(2)).T + movement[:, 2]).max()
        self.left = bool(off > self._far)
        if self.left:
            return None
        return np.eye(2, 3) if off < STILL_PX else movement

    def _agreed(self, image: Rgb) -> Affine | None:
        """The movement that most corners agree on, if they are enough and all over the image."""
        import cv2

        if self._corners is None or len(self._corners) < LEAST_AGREEING:
            return None
        grey, guess = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), self._corners.copy()
        found, status, _ = cv2.calcOpticalFlowPyrLK(
            self._grey, grey, self._corners, guess, winSize=(15, 15), maxLevel=4
        )
        seen = status.ravel() == 1
        if seen.sum() < LEAST_AGREEING:
            return None
        movement, agreeing = cv2.estimateAffinePartial2D(
            self._corners[seen], found[seen], method=cv2.RANSAC, ransacReprojThreshold=1.5
        )
        if movement is None or agreeing.sum() < max(LEAST_AGREEING, 0.5 * seen.sum()):
            return None
        spread = np.ptp(self._corners[seen][agreeing.ravel() == 1].reshape(-1, 2), axis=0)
        if (spread < SPREAD * self._ends[3]).any():  # an object moves, not the camera
            return None
        return np.asarray(movement, np.float64)
