"""How the frames of a video lie: turned, mirrored, with pixels that are not square, in another size than the first."""

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


class PixelAspect:
    """Width of the pixels by their height, frame by frame.

    The container states one for the whole track. If it changes on the way, only the codec knows; it says so ahead of
    the frames that it still holds.
    """

    def __init__(self, stream: "av.VideoStream") -> None:
        self._codec = stream.codec_context
        self._now = self._before = stream.sample_aspect_ratio
        self._coded: Fraction | None = None
        self._key_pts: int | None = None
        self._changed_pts: int | None = None

    def follow(self, packet: "av.Packet[Any]") -> None:
        """Note what the codec says once this packet is decoded and gave a frame."""
        if packet.is_keyframe:
            self._key_pts = packet.pts
        coded = self._codec.sample_aspect_ratio or Fraction(1)
        if coded != (self._coded or coded):
            self._before, self._now, self._changed_pts = self._now, coded, self._key_pts
        self._coded = coded

    def of(self, frame: "av.VideoFrame") -> Fraction | None:
        """That of one frame; `None` if it is not stated."""
        is_earlier = frame.pts is not None and self._changed_pts is not None and frame.pts < self._changed_pts
        return self._before if is_earlier else self._now


def square_pixels(width: int, height: int, aspect: Fraction | None, max_pixels: int) -> tuple[int, int]:
    """Size with square pixels; an absurd aspect ratio is ignored."""
    if not aspect or not Fraction(1, 4) <= aspect <= 4:
        return width, height
    wide, high = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
    return (wide, high) if wide * high <= max_pixels else (width, height)


def fit_within(width: int, height: int, box: tuple[int, int]) -> tuple[int, int]:
    """The largest size of this shape in a box of width and height; all of the box if it is less than a pixel off."""
    box_width, box_height = box
    scale = min(Fraction(box_width, width), Fraction(box_height, height))
    wide, high = width * scale, height * scale
    if box_width - wide < 1 and box_height - high < 1:
        return box
    return max(1, round(wide)), max(1, round(high))


def centered(rgb: Rgb, width: int, height: int) -> Rgb:
    """The frame in the middle of a black one of this size."""
    rows, columns = rgb.shape[:2]
    if (columns, rows) == (width, height):
        return rgb
    canvas = np.zeros((height, width, 3), np.uint8)
    top, left = (height - rows) // 2, (width - columns) // 2
    canvas[top : top + rows, left : left + columns] = rgb
    return canvas
