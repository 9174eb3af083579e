"""Tracks drawn into frames: boxes, tags and trails, by `supervision` (MIT)."""

from typing import TYPE_CHECKING

import numpy as np

from pipelines.media import Rgb
from pipelines.object_tracking.base import Tracks

if TYPE_CHECKING:
    import supervision as sv

TRAIL_S = 1.5
"""How far back in time a trail goes."""

PALETTE = ("#ff5a5f", "#2ec4b6", "#ffb627", "#5b8def", "#b967ff", "#7bd389", "#ff8fab", "#00b4d8", "#f4845f", "#c0ca33")
"""Bright enough for dark video, each readable under dark text; the id selects one."""

MIN_TEXT_SCALE = 0.4
"""OpenCV's font is unreadable at a smaller one."""

MIN_SIDE_PX = 32
"""Frames with a shorter side are too small for any text."""


class Annotator:
    """Draws the tracks of one video. Remembers the last `TRAIL_S` of each object for its trail.

    Args:
        width: of the frames, in pixels.
        height: of the frames, in pixels.
        fps: frames per second.
    """

    def __init__(self, width: int, height: int, fps: float) -> None:
        import supervision as sv

        size = (width, height)
        thickness = sv.calculate_optimal_line_thickness(size)
        # supervision passes colors to OpenCV as BGR, but frames here are RGB: swap red and blue beforehand.
        palette = sv.ColorPalette([_swapped(sv.Color.from_hex(color)) for color in PALETTE])
        by_track = sv.ColorLookup.TRACK
        self._trails = sv.TraceAnnotator(
            palette,
            position=sv.Position.BOTTOM_CENTER,
            trace_length=max(2, round(TRAIL_S * fps)),
            thickness=thickness,
            color_lookup=by_track,
        )
        self._boxes = sv.BoxAnnotator(palette, thickness=thickness, color_lookup=by_track)
        self._tags = sv.LabelAnnotator(
            palette,
            text_color=sv.Color(20, 20, 20),
            text_scale=max(MIN_TEXT_SCALE, 0.7 * sv.calculate_optimal_text_scale(size)),
            text_thickness=max(1, thickness // 2),
            text_padding=max(3, thickness + 2),
            smart_position=True,
            color_lookup=by_track,
        )
        self._has_tags = min(size) >= MIN_SIDE_PX

    def draw(self, frame: Rgb, tracks: Tracks) -> Rgb:
        """Draw one frame's tracks. Frames must come in order.

        Args:
            frame: RGB uint8 (H, W, 3); not changed.
            tracks: what was tracked in it.

        Returns:
            RGB uint8 (H, W, 3).
        """
        import supervision as sv

        found = sv.Detections(
            xyxy=tracks.xyxy.astype(np.float64), confidence=tracks.scores, tracker_id=tracks.ids.astype(int)
        )
        image = self._trails.annotate(frame.copy(), found)
        image = self._boxes.annotate(image, found)
        if self._has_tags:
            tags = [f"#{identity} {label}" for identity, label in zip(tracks.ids, tracks.labels, strict=True)]
            image = self._tags.annotate(image, found, labels=tags)
        return np.asarray(image, np.uint8)


def _swapped(color: "sv.Color") -> "sv.Color":
    import supervision as sv

    return sv.Color(color.b, color.g, color.r)
