"""People by OpenCV's histogram of oriented gradients, for standing and walking people seen whole.

Detector: `HOGDescriptor_getDefaultPeopleDetector` of OpenCV (Apache-2.0), Dalal and Triggs 2005,
https://doi.org/10.1109/CVPR.2005.177. Needs no motion, so it works with a moving camera and at any frame rate.
Misses people who sit, are partly hidden, or are less than about 70 pixels tall at the scale it works at.
"""

import numpy as np
from numpy.typing import NDArray

from pipelines.media import Rgb
from pipelines.object_tracking.byte_track import NOTHING, Detections

WORK_SIDE_PX = 1280
"""Longest side at which people are detected; frames under half of it are doubled."""

DETECTIONS_PER_S = 6.0
WINDOW_PX = (64, 128)
BODY = (0.5, 0.75)
"""The person's part of the detector's window, which has a margin on each side."""

MAX_OVERLAP = 0.4


class PeopleDetector:
    """OpenCV's people detector, for about `DETECTIONS_PER_S` of a video's `fps`. Keeps nothing between frames."""

    def __init__(self, *, fps: float) -> None:
        import cv2

        self.stride = max(1, round(fps / DETECTIONS_PER_S))
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(np.asarray(cv2.HOGDescriptor.getDefaultPeopleDetector(), np.float32))

    def detect(self, frame: Rgb, expected: NDArray[np.float32]) -> Detections:
        """Find the people of one frame, RGB uint8 (H, W, 3); `expected` is ignored.

        Their label is `person`, and their scores are 1 - exp(-margin of the classifier), no probabilities.
        """
        import cv2

        height, width = frame.shape[:2]
        scale = min(2.0 if max(height, width) <= WORK_SIDE_PX // 2 else 1.0, WORK_SIDE_PX / max(height, width))
        size = (round(width * scale), round(height * scale))
        if size[0] < WINDOW_PX[0] or size[1] < WINDOW_PX[1]:
            return NOTHING
        small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
        boxes, weights = self._hog.detectMultiScale(bgr, winStride=(8, 8), padding=(8, 8), scale=1.06, groupThreshold=0)
        if len(boxes) == 0:
            return NOTHING
        # Threads add what they find in any order: sort, so that the same frame gives the same people.
        found, margins = np.asarray(boxes), np.ravel(weights)
        order = np.lexsort((*found.T, -margins))
        found, margins = found[order], margins[order]
        kept = np.ravel(cv2.dnn.NMSBoxes(found.tolist(), margins.tolist(), 0.0, MAX_OVERLAP))
        center, half = found[kept, :2] + found[kept, 2:] / 2, found[kept, 2:] / 2 * BODY
        xyxy = np.clip(np.hstack((center - half, center + half)) / scale, 0, (width, height, width, height))
        scores = 1 - np.exp(-margins[kept])
        return Detections(xyxy.astype(np.float32), scores.astype(np.float32), ("person",) * len(kept))
