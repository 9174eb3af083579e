"""How the frames of a video lie: turned, mirrored, with pixels that are not square."""

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.media import Rgb

if TYPE_CHECKING:
    import av


class Orientation:
    """How a frame is turned and mirrored to be upright, from its display matrix (quarter turns only)."""

    def __init__(self, frame: "av.VideoFrame") -> None:
        """As the frame's own side data say; upright if they do not."""
        from av.sidedata.sidedata import Type

        self._transpose = self._flip_rows = self._flip_columns = False
        side_data: Any = frame.side_data
        matrix = next((data for data in side_data if data.type == Type.DISPLAYMATRIX), None)
        if matrix is None:
            return
        a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
        self._transpose = abs(b) > abs(a)
        self._flip_columns = (c if self._transpose else a) < 0
        self._flip_rows = (b if self._transpose else d) < 0

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the upright frame."""
        return (height, width) if self._transpose else (width, height)

    def upright(self, rgb: Rgb) -> Rgb:
        """The frame, turned and mirrored."""
        if self._transpose:
            rgb = rgb.transpose(1, 0, 2)
        rgb = rgb[:: -1 if self._flip_rows else 1, :: -1 if self._flip_columns else 1]
        return np.ascontiguousarray(rgb)


def square_pixels(width: int, height: int, aspect: Fraction | None, max_pixels: int) -> tuple[int, int]:
    """Size with square pixels; an absurd aspect ratio is ignored."""
    if not aspect or not Fraction(1, 4) <= aspect <= 4:
        return width, height
    wide, high = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
    return (wide, high) if wide * high <= max_pixels else (width, height)
