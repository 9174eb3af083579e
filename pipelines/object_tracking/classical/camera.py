"""How a camera that should stand still has moved: corners of one image are found again in later ones.

Method: corners by Shi and Tomasi, followed by Lucas and Kanade's optical flow, agreed on by RANSAC; all OpenCV
(Apache-2.0). Knows small shifts, turns and scales; an image without corners passes as still.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.media import Rgb

MIN_CORNERS, MAX_CORNERS = 12, 100
MIN_SPREAD = 0.4
"""Corners that agree must cover this part of the width and of the height, or it is an object that moves."""

MAX_SHIFT = 0.05
"""An image that is off by more than this part of its longer side cannot be aligned: the camera moves."""

Affine = NDArray[np.float64]


class Anchor:
    """Remembers one image, RGB uint8 (H, W, 3), and finds how later ones lie to it."""

    def __init__(self, image: Rgb) -> None:
        import cv2

        self._gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        self._corners: Any = cv2.goodFeaturesToTrack(self._gray, MAX_CORNERS, 0.02, 12)

    def locate(self, image: Rgb) -> Affine | None:
        """The movement (2, 3) that takes points of the remembered image to this one, RGB uint8 of the same size.

        It is the identity if no movement is visible, and `None` if the camera has moved too far.
        """
        import cv2

        still, size = np.eye(2, 3), np.array(self._gray.shape[::-1])
        if self._corners is None:
            return still
        gray, guess = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), self._corners.copy()
        found, status, _ = cv2.calcOpticalFlowPyrLK(
            self._gray, gray, self._corners, guess, winSize=(15, 15), maxLevel=4
        )
        known, found = self._corners[status > 0], found[status > 0]
        if len(known) < MIN_CORNERS:
            return still
        movement, agreeing = cv2.estimateAffinePartial2D(known, found, method=cv2.RANSAC, ransacReprojThreshold=1.5)
        if movement is None or agreeing.sum() < max(MIN_CORNERS, 0.5 * len(known)):
            return still
        if (np.ptp(known[agreeing.ravel() > 0], axis=0) < MIN_SPREAD * size).any():
            return still
        ends = np.array([(0, 0), (1, 0), (0, 1), (1, 1)]) * size
        shift_px = np.abs(ends @ (movement[:, :2] - np.eye(2)).T + movement[:, 2]).max()
        return np.asarray(movement, np.float64) if shift_px <= max(2.0, MAX_SHIFT * max(size)) else None
