"""People by OpenCV's histogram of oriented gradients, for standing and walking people seen whole.

Detector: `HOGDescriptor_getDefaultPeopleDetector` of OpenCV (Apache-2.0), Dalal and Triggs 2005,
https://doi.org/10.1109/CVPR.2005.177. Needs no motion, so it works with a moving camera and at any frame rate.
Misses people who sit, are partly hidden, or are less than about 70 pixels tall at the scale it works at.
"""

import numpy as np

from pipelines.media import Rgb
from pipelines.object_tracking.byte_track import NOTHING, Detections

WORK_SIDE = 1280
"""Longest side, in pixels, that the detector looks at; frames under half of it are doubled."""

LOOKS_PER_S = 6.0
WINDOW = (64, 128)
OVERLAP = 0.4
# The detector's window has a margin on each side that it was trained with: the person is this part of it.
BODY_WIDTH, BODY_HEIGHT = 0.5, 0.75


class PeopleDetector:
    """OpenCV's people detector. Keeps nothing between frames.

    Args:
        fps: frames per second of the video. At more than `LOOKS_PER_S` not every frame is worth its time.
    """

    def __init__(self, *, fps: float) -> None:
        import cv2

        self.every = max(1, round(fps / LOOKS_PER_S))
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(np.asarray(cv2.HOGDescriptor.getDefaultPeopleDetector(), np.float32))

    def detect(self, frame: Rgb) -> Detections:
        """Find the people of one frame.

        Args:
            frame: RGB uint8 (H, W, 3).

        Returns:
            Boxes of whole people, label `person`. Scores are 1 - exp(-margin of the classifier): they rank, they are
            no probabilities.
        """
        import cv2

        height, width = frame.shape[:2]
        scale = min(2.0 if max(height, width) <= WORK_SIDE // 2 else 1.0, WORK_SIDE / max(height, width))
        size = (round(width * scale), round(height * scale))
        if size[0] < WINDOW[0] or size[1] < WINDOW[1]:
            return NOTHING
        small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        boxes, weights = self._hog.detectMultiScale(
            cv2.cvtColor(small, cv2.COLOR_RGB2BGR), winStride=(8, 8), padding=(8, 8), scale=1.06, groupThreshold=0
        )
        if len(boxes) == 0:
            return NOTHING
        # Threads add what they find in any order: sort, so that the same frame gives the same people.
        found, margins = np.asarray(boxes), np.ravel(weights)
        order = np.lexsort((*found.T, -margins))
        found, margins = found[order], margins[order]
        kept = np.ravel(cv2.dnn.NMSBoxes(found.tolist(), margins.tolist(), 0.0, OVERLAP))
        centre = found[kept, :2] + found[kept, 2:] / 2
        half = found[kept, 2:] / 2 * (BODY_WIDTH, BODY_HEIGHT)
        xyxy = np.hstack((centre - half, centre + half)) / scale
        xyxy = np.clip(xyxy, 0, (width, height, width, height)).astype(np.float32)
        return Detections(xyxy, (1 - np.exp(-margins[kept])).astype(np.float32), ("person",) * len(kept))
