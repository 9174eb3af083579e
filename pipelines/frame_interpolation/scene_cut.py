"""Finds the cuts between scenes, so that nothing is interpolated across them.

Two consecutive frames belong to one scene if small copies of them look alike once the motion between them is undone:
whatever moves, zooms, fades or dissolves does; two scenes do not, even in the same colors. A flash is no cut: the
frame after it looks like the one before it.
"""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from pipelines.media import Rgb

if TYPE_CHECKING:
    import cv2

_SIZE = (128, 72)
_MIN_CORRELATION = 0.5
"""Of the details: above 0.65 within a scene, below 0.45 between scenes, as measured on photographs."""

_MIN_CHANGE, _MIN_PLAIN_CHANGE = 6, 40
"""Mean difference in gray levels at a cut: between any two frames, and to or from a plain one (fades end in those)."""

_MAX_PLAIN_CONTRAST = 3


class Glance:
    """A small gray copy of one frame."""

    def __init__(self, frame: Rgb) -> None:
        """`frame` is RGB uint8 (H, W, 3) of any size."""
        import cv2

        small = cv2.resize(frame, _SIZE, interpolation=cv2.INTER_AREA)
        self.gray = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
        self.contrast = float(self.gray.std())


class SceneCuts:
    """Recognizes cuts. Not thread-safe."""

    def __init__(self, flow: "cv2.DISOpticalFlow") -> None:
        """`flow` is OpenCV's, already set up."""
        self._dis: Any = flow

    @classmethod
    def load(cls) -> Self:
        """Set up OpenCV's flow."""
        import cv2

        return cls(cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST))

    def between(self, previous: Glance, before: Glance, after: Glance, following: Glance) -> bool:
        """Whether there is a cut between the inner two of four frames in a row."""
        if self.alike(before, after):
            return False
        flash_after = after.contrast < before.contrast / 2 and self.alike(before, following)
        flash_before = before.contrast < after.contrast / 2 and self.alike(previous, after)
        return not (flash_after or flash_before)

    def alike(self, one: Glance, two: Glance) -> bool:
        """Whether two frames show the same scene."""
        import cv2

        flow = self._dis.calc(one.gray, two.gray, None)
        rows, columns = np.indices(flow.shape[:2], np.float32)
        moved = cv2.remap(
            two.gray, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        plain = min(one.contrast, two.contrast) < _MAX_PLAIN_CONTRAST
        if np.abs(one.gray - moved.astype(np.float32)).mean() < (_MIN_PLAIN_CHANGE if plain else _MIN_CHANGE):
            return True
        return _correlation(one.gray.astype(np.float32), moved.astype(np.float32)) >= _MIN_CORRELATION


def _correlation(one: NDArray[np.float32], two: NDArray[np.float32]) -> float:
    """Of what differs from its surroundings, -1 to 1."""
    import cv2

    def around(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.GaussianBlur(values, (0, 0), 6), np.float32)

    mean_one, mean_two = around(one), around(two)
    common = around(one * two) - mean_one * mean_two
    variances = np.maximum(around(one * one) - mean_one**2, 0) * np.maximum(around(two * two) - mean_two**2, 0)
    return float(common.sum() / np.sqrt(variances + 1).sum())
