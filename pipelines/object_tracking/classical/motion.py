"""Whatever moves before a still camera: what differs from the background, shared out where objects meet.

Built on OpenCV (Apache-2.0) and supervision (MIT). Knows no kinds of objects; what never moves is not found. Objects
that meet are assumed to keep their course and size until they part.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.media import Rgb
from pipelines.object_tracking.byte_track import NOTHING, Detections
from pipelines.object_tracking.classical.background import Background, Boxes

WORK_SIDE_PX = 640
"""Longest side at which motion is detected."""

LEARNED_FRAMES = 15
SETTLE_S = 0.5
"""How long the camera must stand still again before anything is detected."""

MAX_PART = 0.7
"""What overlaps a larger object and has less than this part of its area belongs to it."""


class MotionDetector:
    """Moving objects of one shot.

    Args:
        frames: the first frames of the shot, at least one; objects in them must move for the background to be seen.
        fps: frames per second.
    """

    stride = 1

    def __init__(self, frames: Sequence[Rgb], *, fps: float) -> None:
        height, width = frames[0].shape[:2]
        shrink = min(1.0, WORK_SIDE_PX / max(height, width))
        self._size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        self._scale = np.tile((width / self._size[0], height / self._size[1]), 2)
        self._fps = fps
        self._settling: list[Rgb] = []
        chosen = np.linspace(0, len(frames) - 1, min(LEARNED_FRAMES, len(frames))).round().astype(int)
        self._background = Background([self._shrunk(frames[i]) for i in chosen], fps=fps)
        self.moving_share = self._background.moving_share
        """Mean part of these frames that moves, 0 to 1: large if the camera moves."""

    def detect(self, frame: Rgb, expected: NDArray[np.float32]) -> Detections:
        """Find the moving objects of the next frame, RGB uint8 (H, W, 3), if known ones are `expected` at (N, 4).

        Their label is `object`, and their scores rise with the contrast to the background.
        """
        image = self._shrunk(frame)
        found = self._background.find(image)
        if found is None:
            self._background, self._settling = Background([image], fps=self._fps), [image]
        elif self._settling:
            self._settling.append(image)
            if len(self._settling) >= max(3, round(SETTLE_S * self._fps)):
                self._background, self._settling = Background(self._settling, fps=self._fps), []
        elif len(found[0]):
            boxes, blobs = _share_out(found[0], expected / self._scale)
            scores = found[1][blobs].astype(np.float32)
            return Detections((boxes * self._scale).astype(np.float32), scores, ("object",) * len(boxes))
        return NOTHING

    def _shrunk(self, frame: Rgb) -> Rgb:
        import cv2

        return np.asarray(cv2.resize(frame, self._size, interpolation=cv2.INTER_AREA), np.uint8)


def _share_out(blobs: Boxes, expected: Boxes) -> tuple[Boxes, list[int]]:
    """Boxes of the objects, and the number of each one's blob; several in one blob are as expected, but within it."""
    import supervision as sv

    if not len(expected):
        return blobs, list(range(len(blobs)))
    inside = sv.box_iou_batch(blobs, expected, sv.OverlapMetric.IOS)
    blob_of = np.where(inside.max(axis=0) > 0.5, inside.argmax(axis=0), -1)
    areas = np.prod(expected[:, 2:] - expected[:, :2], axis=1)
    overlapping = sv.box_iou_batch(expected, expected, sv.OverlapMetric.IOS) > 0.5
    blob_of[(overlapping & (areas[:, None] < MAX_PART * areas)).any(axis=1)] = -1
    boxes, numbers = [], []
    for number, blob in enumerate(blobs):
        met = expected[blob_of == number]
        low, high = np.maximum(blob[:2] - met[:, :2], 0), np.minimum(blob[2:] - met[:, 2:], 0)
        boxes.append(met + np.tile(np.where(low > 0, low, high), 2) if len(met) > 1 else blob[None])
        numbers += [number] * len(boxes[-1])
    return np.concatenate(boxes), numbers
