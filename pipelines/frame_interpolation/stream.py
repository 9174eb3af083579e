"""Raises the frame rate of a stream of frames with any engine; keeps its duration, its cuts and its still parts."""

import itertools
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pipelines.contracts.errors import InvalidInput
from pipelines.contracts.progress import Progress, no_progress
from pipelines.frame_interpolation.base import FrameInterpolator
from pipelines.frame_interpolation.scene_cut import Glance, SceneCuts
from pipelines.media import Rgb

_MAX_FPS = 240


def target_rate(fps_in: Fraction, fps_out: Fraction | float | None, interpolator: FrameInterpolator) -> Fraction:
    """The frame rate of the result: `fps_out`, or twice `fps_in` if that is `None`.

    Raises:
        InvalidInput: below the source's rate, above 240, not a number; or not a power of two times the source's rate
            although the engine makes only midpoints.
    """
    if fps_out is None:
        return 2 * fps_in
    if not fps_in <= fps_out <= max(Fraction(_MAX_FPS), fps_in):
        raise InvalidInput(f"fps must be from {float(fps_in):g} (the video's own) to {_MAX_FPS}.", "fps")
    rate = Fraction(fps_out).limit_denominator(1001)
    rate = fps_in if rate < fps_in else rate
    if interpolator.midpoint_only and not _is_power_of_two(rate / fps_in):
        doubles = f"{float(2 * fps_in):g} or {float(4 * fps_in):g}"
        raise InvalidInput(f"This engine can only double the video's frame rate: {doubles}, for example.", "fps")
    return rate


def interpolate_stream(
    frames: Iterable[Rgb],
    interpolator: FrameInterpolator,
    *,
    fps_in: Fraction,
    fps_out: Fraction | float | None = None,
    frame_count: int | None = None,
    progress: Progress = no_progress,
) -> Iterator[Rgb]:
    """Frames at a higher rate; at most four of the source's are held at a time.

    Args:
        frames: RGB uint8 (H, W, 3), all of one size, `fps_in` of them a second.
        interpolator: makes the frames in between; called only if there is motion, and never across a cut.
        fps_in: the source's rate.
        fps_out: the requested rate; `None` doubles the source's.
        frame_count: of the source, for the progress.
        progress: called for each pair of frames.

    Yields:
        RGB uint8 (H, W, 3): for `n` frames round(n · fps_out / fps_in); the last frame is repeated for its own time.

    Raises:
        InvalidInput: a rate that `target_rate` refuses; raised at once, not with the first frame.
        Cancelled: raised by `progress`.
    """
    rate = target_rate(fps_in, fps_out, interpolator)
    return _interpolate(frames, interpolator, fps_in / rate, frame_count, progress)


@dataclass(frozen=True)
class _Seen:
    frame: Rgb
    glance: Glance


def _interpolate(
    frames: Iterable[Rgb], interpolator: FrameInterpolator, step: Fraction, frame_count: int | None, progress: Progress
) -> Iterator[Rgb]:
    """`step` is the distance from one output frame to the next, in frames of the source."""
    cuts = SceneCuts.load()
    made = 0
    for index, (previous, before, after, following) in enumerate(_neighbors(frames)):
        progress(None if frame_count is None else min(index / frame_count, 1.0), "interpolating")
        due = round((index + 1) / step) if after is before else math.ceil((index + 1) / step)
        positions = [number * step - index for number in range(made, due)]
        made = due
        inner = [float(position) for position in positions if position > 0]
        if len(inner) < len(positions):
            yield before.frame
        if not inner:
            continue
        if np.array_equal(before.frame, after.frame) or cuts.between(
            previous.glance, before.glance, after.glance, following.glance
        ):
            yield from (before.frame.copy() for _ in inner)
            continue
        outer = (
            previous.frame if cuts.alike(previous.glance, before.glance) else before.frame,
            following.frame if cuts.alike(after.glance, following.glance) else after.frame,
        )
        yield from _between(interpolator, before.frame, after.frame, inner, outer)


def _neighbors(frames: Iterable[Rgb]) -> Iterator[tuple[_Seen, _Seen, _Seen, _Seen]]:
    """For each frame: the one before, itself, the next two; at the ends the outermost frame is repeated."""
    source = iter(frames)
    window: deque[_Seen] = deque(maxlen=4)
    for frame in itertools.islice(source, 1):
        window.extend([_Seen(frame, Glance(frame))] * 2)
    for frame in source:
        window.append(_Seen(frame, Glance(frame)))
        if len(window) == 4:
            yield window[0], window[1], window[2], window[3]
    for _ in range(2):
        if window:
            window.append(window[-1])
        if len(window) == 4:
            yield window[0], window[1], window[2], window[3]


def _between(
    interpolator: FrameInterpolator, before: Rgb, after: Rgb, timesteps: Sequence[float], outer: tuple[Rgb, Rgb]
) -> list[Rgb]:
    """By the engine; if it makes only midpoints, by repeated halving."""
    if not interpolator.midpoint_only:
        return interpolator.interpolate(before, after, timesteps, outer=outer)
    (middle,) = interpolator.interpolate(before, after, [0.5], outer=outer)
    earlier = [2 * t for t in timesteps if t < 0.5]
    later = [2 * t - 1 for t in timesteps if t > 0.5]
    return [
        *(_between(interpolator, before, middle, earlier, (outer[0], after)) if earlier else []),
        middle,
        *(_between(interpolator, middle, after, later, (before, outer[1])) if later else []),
    ]


def _is_power_of_two(ratio: Fraction) -> bool:
    return ratio.denominator == 1 and ratio.numerator & (ratio.numerator - 1) == 0
