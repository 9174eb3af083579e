"""Frame interpolation by dense optical flow: needs no weights, runs on a CPU.

Both frames' flows (DIS, Kroeger et al. 2016, https://arxiv.org/abs/1603.03590, in OpenCV, Apache-2.0) are carried to
the wanted moment, which gives each of its pixels a few motions to choose from; the one is taken along which the two
frames agree, and what one frame hides comes from the other. In the manner of Niklaus & Liu 2018
(https://arxiv.org/abs/1803.10967), without their network.

What it does not know: small things that move further than their own size between frames fade over; blur is not undone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from pipelines.contracts.engine import EngineConfig, ModelCard, Resources
from pipelines.frame_interpolation.base import FrameInterpolator
from pipelines.media import Rgb

if TYPE_CHECKING:
    import cv2

Plane = NDArray[np.float32]

_FLOW_PX = 600_000  # larger frames get their flow at a half, a third, ... of their size
_SMALLEST_PX = 64  # DIS needs some room
_AGREEMENT_PX = 1.5  # motions that differ by less are the same motion
_HIDDEN_COST, _LOST_COST = 12.0, 40.0  # in gray levels: seen in one frame only; in neither
_STILL_HANDICAP = 2.0  # standing still has to be clearly better
_NOTHING = 1e-9


class OpticalFlowConfig(EngineConfig):
    """Interpolation by classical optical flow; it has no settings."""

    engine: Literal["optical-flow"] = "optical-flow"
    """Chooses this engine."""

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model="dis-optical-flow",
            license="Apache-2.0",
            description="In-between frames by classical optical flow with occlusion handling; not a neural network.",
            embedded=True,
        )

    def load(self, resources: Resources) -> "OpticalFlow":
        """Make the engine."""
        return OpticalFlow.load(self)


class OpticalFlow(FrameInterpolator):
    """DIS flow both ways. Not thread-safe."""

    def __init__(self, flow: "cv2.DISOpticalFlow") -> None:
        """`flow` is OpenCV's, already set up."""
        self._dis: Any = flow

    @classmethod
    def load(cls, config: OpticalFlowConfig) -> Self:
        """Set up OpenCV's flow."""
        import cv2

        return cls(cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM))

    def interpolate(self, before: Rgb, after: Rgb, timesteps: Sequence[float], *, outer: tuple[Rgb, Rgb]) -> list[Rgb]:
        """As the base says; `outer` is not looked at."""
        motion = self._motion(before, after)
        return [_frame_at(before, after, motion, t) for t in timesteps]

    def _motion(self, before: Rgb, after: Rgb) -> "_Motion":
        import cv2

        gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, after)]
        height, width = gray[0].shape
        divisor = math.ceil(math.sqrt(height * width / _FLOW_PX))
        if divisor > 1:
            height, width = max(1, height // divisor), max(1, width // divisor)
            gray = [cv2.resize(g, (width, height), interpolation=cv2.INTER_AREA) for g in gray]
        room = (0, max(0, _SMALLEST_PX - height), 0, max(0, _SMALLEST_PX - width))
        one, two = (cv2.copyMakeBorder(g, *room, cv2.BORDER_REPLICATE) for g in gray)
        there = self._dis.calc(one, two, None)[:height, :width]
        back = self._dis.calc(two, one, None)[:height, :width]
        return _Motion(np.dstack([gray[0], there]), np.dstack([gray[1], -back]))


@dataclass(frozen=True)
class _Motion:
    """What is known of two frames at the size of the flow.

    Each is float32 (h, w, 3): gray level, and the motion in x and y from the first frame to the second, in pixels, as
    seen from that frame.
    """

    before: Plane
    after: Plane


def _frame_at(before: Rgb, after: Rgb, motion: _Motion, t: float) -> Rgb:
    import cv2

    flow, seen_before, seen_after = _choose(motion, t)
    height, width = before.shape[:2]
    if flow.shape[:2] != (height, width):
        ratio = np.array([width / flow.shape[1], height / flow.shape[0]], np.float32)
        flow = np.asarray(cv2.resize(flow, (width, height)), np.float32) * ratio
        seen_before = np.asarray(cv2.resize(seen_before, (width, height)), np.float32)
        seen_after = np.asarray(cv2.resize(seen_after, (width, height)), np.float32)
    first = _look(before, -t * flow, cv2.INTER_CUBIC)
    second = _look(after, (1 - t) * flow, cv2.INTER_CUBIC)
    weight_before = (1 - t) * (seen_before + 1e-3)
    weight_after = t * (seen_after + 1e-3)
    share = weight_after / (weight_before + weight_after)
    return np.asarray(cv2.blendLinear(first, second, 1 - share, share), np.uint8)


def _choose(motion: _Motion, t: float) -> tuple[Plane, Plane, Plane]:
    """The motion of each pixel of the moment `t`, and how far it is seen in either frame (0 to 1)."""
    flow = _carry(motion.before, motion.after, t)
    cost, seen_before, seen_after = _judge(motion, flow, t)
    other_flows = (_carry(motion.after, motion.before, t - 1), np.zeros_like(flow))
    for other, handicap in zip(other_flows, (0.0, _STILL_HANDICAP), strict=True):
        other_cost, other_before, other_after = _judge(motion, other, t)
        better = other_cost + handicap < cost
        cost[better] = other_cost[better] + handicap
        flow[better] = other[better]
        seen_before[better] = other_before[better]
        seen_after[better] = other_after[better]
    return flow, _soft(seen_before, 1), _soft(seen_after, 1)


def _judge(motion: _Motion, flow: Plane, t: float) -> tuple[Plane, Plane, Plane]:
    """Cost of moving along `flow` through the moment `t`, and how far it is seen in either frame."""
    import cv2

    to_before, to_after = -t * flow, (1 - t) * flow
    first, second = _look(motion.before, to_before), _look(motion.after, to_after)
    seen_before = _agreement(first, flow) * _inside(to_before)
    seen_after = _agreement(second, flow) * _inside(to_after)
    both = seen_before * seen_after
    either = np.maximum(seen_before, seen_after)
    difference = cv2.blur(np.minimum(np.abs(first[..., 0] - second[..., 0]), _LOST_COST), (3, 3))
    cost = both * difference + (either - both) * _HIDDEN_COST + (1 - either) * _LOST_COST
    return _soft(cost, 1.5), seen_before, seen_after


def _carry(source: Plane, target: Plane, share: float) -> Plane:
    """Bring the motion of each pixel of `source` to where the pixel is after `share` of it.

    Where several pixels meet, those count whose motion ends on what looks like them in `target`; where none comes, the
    surroundings do.
    """
    height, width = source.shape[:2]
    flow = source[..., 1:]
    whole = flow if share > 0 else -flow
    trust = np.exp(np.minimum(np.abs(source[..., 0] - _look(target[..., 0], whole)), _LOST_COST) / -4)
    rows, columns = np.indices((height, width), np.float32)
    x = np.rint(columns + share * flow[..., 0]).astype(np.int32)
    y = np.rint(rows + share * flow[..., 1]).astype(np.int32)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    place = (y * width + x)[inside]
    total, across, down = (
        np.bincount(place, (trust * what)[inside], height * width).astype(np.float32).reshape(height, width)
        for what in (1.0, flow[..., 0], flow[..., 1])
    )
    return _fill(np.dstack([across, down]), total)


def _fill(sums: Plane, weights: Plane) -> Plane:
    """Weighted mean; where nothing arrived, that of the surroundings, from ever smaller copies."""
    import cv2

    result = sums / np.maximum(weights, np.float32(_NOTHING))[..., None]
    missing = weights <= _NOTHING
    height, width = weights.shape
    if missing.any() and max(height, width) > 1:
        half = (max(1, width // 2), max(1, height // 2))
        halves = [np.asarray(cv2.resize(a, half, interpolation=cv2.INTER_AREA), np.float32) for a in (sums, weights)]
        result[missing] = cv2.resize(_fill(halves[0], halves[1]), (width, height))[missing]
    return np.asarray(result, np.float32)


def _look(image: NDArray[Any], offset: Plane, interpolation: int = 1) -> NDArray[Any]:
    """What each pixel sees at `offset` from it (linearly interpolated if not told otherwise)."""
    import cv2

    height, width = offset.shape[:2]
    x = np.arange(width, dtype=np.float32) + offset[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + offset[..., 1]
    return np.asarray(cv2.remap(image, x, y, interpolation, borderMode=cv2.BORDER_REPLICATE))


def _inside(offset: Plane) -> Plane:
    """1 where `offset` from a pixel is in the image, with a soft edge of one pixel."""
    height, width = offset.shape[:2]
    x = np.arange(width, dtype=np.float32) + offset[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + offset[..., 1]
    margin = np.minimum(np.minimum(x, width - 1 - x), np.minimum(y, height - 1 - y))
    return np.asarray(np.clip(margin + 1, 0, 1), np.float32)


def _agreement(seen: Plane, flow: Plane) -> Plane:
    """1 where what is seen moves as `flow` says, falling to 0 within a few pixels of difference."""
    across, down = seen[..., 1] - flow[..., 0], seen[..., 2] - flow[..., 1]
    return np.asarray(np.exp((across * across + down * down) / -(_AGREEMENT_PX**2)), np.float32)


def _soft(plane: Plane, sigma: float) -> Plane:
    import cv2

    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)
