"""Cuts: where one shot of a video ends and the next begins."""

import numpy as np

from pipelines.media import Rgb

CUT_CHANGE = 20.0
"""Mean difference of thumbnails in gray levels."""


class ShotNumber:
    """Counts shots: at a cut a frame differs much from the one before, and much more than is usual in this video.

    A key for `itertools.groupby` over the frames of one video.
    """

    def __init__(self) -> None:
        self._number = 0
        self._thumbnail: Rgb | None = None
        self._usual_change = 0.0

    def __call__(self, frame: Rgb) -> int:
        """The number of the shot that the next frame, RGB uint8 (H, W, 3), belongs to, from 0."""
        import cv2

        thumbnail = np.asarray(cv2.resize(frame, (32, 32), interpolation=cv2.INTER_AREA), np.uint8)
        if self._thumbnail is not None:
            change = float(np.mean(cv2.absdiff(thumbnail, self._thumbnail)))
            if change > max(CUT_CHANGE, 3 * self._usual_change):
                self._number += 1
            else:
                self._usual_change += 0.2 * (change - self._usual_change)
        self._thumbnail = thumbnail
        return self._number
