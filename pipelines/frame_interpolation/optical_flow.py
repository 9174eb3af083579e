"""Frame interpolation by dense optical flow: needs no weights, runs on a CPU.

Both frames' flows (DIS, Kroeger et al. 2016, https://arxiv.org/abs/1603.03590, in OpenCV, Apache-2.0) are projected to
the requested moment, which gives each of its pixels a few candidate motions; the one is taken along which the two
frames agree, and what is occluded in one frame comes from the other. After Niklaus & Liu 2018
(https://arxiv.org/abs/1803.10967), without their network.

What it does not know: small objects that move further than their own size between frames fade over; motion blur stays.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.contracts.engine import EngineConfig, ModelCard, Resources
from pipelines.frame_interpolation.base import FrameInterpolator
from pipelines.media import Rgb

Plane = NDArray[np.float32]

_MAX_FLOW_PX = 600_000  # larger frames get their flow at a half, a third, ... of their size
_MIN_SIDE_PX = 64  # DIS needs some room
_SAME_MOTION_PX = 1.5
_OCCLUDED_COST, _LOST_COST = 12.0, 40.0  # in gray levels: visible in one frame only; in neither
_STILL_HANDICAP = 2.0  # standing still has to be clearly better


class OpticalFlowConfig(EngineConfig):
    """Interpolation by classical optical flow; it has no settings."""

    engine: Literal["optical-flow"] = "optical-flow"

    def card(self) -> ModelCard:
        """The flow's algorithm."""
        return ModelCard(
            model="dis-optical-flow",
            license="Apache-2.0",
            description="In-between frames by classical optical flow with occlusion handling; not a neural network.",
            embedded=True,
        )

    def load(self, resources: Resources) -> "OpticalFlow":
        """Set up OpenCV's flow."""
        import cv2

        return OpticalFlow(cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM))


class OpticalFlow(FrameInterpolator):
    """Flow both ways by a `cv2.DISOpticalFlow`. Not thread-safe."""

    def __init__(self, dis: Any) -> None:
        self._dis = dis

    def interpolate(self, before: Rgb, after: Rgb, timesteps: Sequence[float], *, outer: tuple[Rgb, Rgb]) -> list[Rgb]:
        """As the base says; `outer` is ignored."""
        motion = self._motion(before, after)
        return [_frame_at(before, after, motion, t) for t in timesteps]

    def _motion(self, before: Rgb, after: Rgb) -> tuple[Plane, Plane]:
        """For each frame, (h, w, 3) at the flow's size: gray level; motion in x and y from `before` to `after`."""
        import cv2

        gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, after)]
        divisor = math.ceil(math.sqrt(gray[0].size / _MAX_FLOW_PX))
        height, width = (max(1, side // divisor) for side in gray[0].shape)
        gray = [cv2.resize(g, (width, height), interpolation=cv2.INTER_AREA) for g in gray]
        room = (0, max(0, _MIN_SIDE_PX - height), 0, max(0, _MIN_SIDE_PX - width))
        one, two = (cv2.copyMakeBorder(g, *room, cv2.BORDER_REPLICATE) for g in gray)
        forth, back = (self._dis.calc(*pair, None)[:height, :width] for pair in ((one, two), (two, one)))
        return np.dstack([gray[0], forth]), np.dstack([gray[1], -back])


def _frame_at(before: Rgb, after: Rgb, motion: tuple[Plane, Plane], t: float) -> Rgb:
    import cv2

    height, width = before.shape[:2]
    chosen = _choose(*motion, t)
    ratio = np.array([width / chosen.shape[1], height / chosen.shape[0]], np.float32)
    chosen = np.asarray(cv2.resize(chosen, (width, height)), np.float32)
    flow, (in_before, in_after) = chosen[..., :2] * ratio, cv2.split(chosen)[2:]
    first = _sample(before, _positions(flow, -t), cv2.INTER_CUBIC)
    second = _sample(after, _positions(flow, 1 - t), cv2.INTER_CUBIC)
    weight = t * (in_after + 1e-3)
    weight /= weight + (1 - t) * (in_before + 1e-3)
    return np.asarray(cv2.blendLinear(first, second, 1 - weight, weight), np.uint8)


def _choose(before: Plane, after: Plane, t: float) -> Plane:
    """For each pixel at moment `t`, (h, w, 4): its motion, and how far it is visible in either frame (0 to 1)."""
    import cv2

    flow = _project(before, after, t)
    cost, chosen = _judge(before, after, flow, t)
    for other, handicap in ((_project(after, before, t - 1), 0.0), (np.zeros_like(flow), _STILL_HANDICAP)):
        other_cost, candidate = _judge(before, after, other, t)
        better = other_cost + handicap < cost
        np.minimum(cost, other_cost + handicap, out=cost)
        cv2.copyTo(candidate, better.astype(np.uint8), chosen)
    return np.dstack([chosen[..., :2], _blur(chosen[..., 2:], 1)])


def _judge(before: Plane, after: Plane, flow: Plane, t: float) -> tuple[Plane, Plane]:
    """Cost (h, w) of moving along `flow` through moment `t`, and (h, w, 4) as `_choose` returns it."""
    import cv2

    gray_before, in_before = _look(before, flow, -t)
    gray_after, in_after = _look(after, flow, 1 - t)
    both, either = in_before * in_after, np.maximum(in_before, in_after)
    difference = cv2.blur(np.minimum(np.abs(gray_before - gray_after), _LOST_COST), (3, 3))
    cost = both * difference + (either - both) * _OCCLUDED_COST + (1 - either) * _LOST_COST
    return _blur(cost, 1.5), np.dstack([flow, in_before, in_after])


def _look(frame: Plane, flow: Plane, share: float) -> tuple[Plane, Plane]:
    """The gray level at `share` of `flow`; 1 if the frame moves as `flow` there, falling to 0 within a few pixels."""
    x, y = positions = _positions(flow, share)
    seen, (height, width) = _sample(frame, positions), x.shape
    across, down = seen[..., 1] - flow[..., 0], seen[..., 2] - flow[..., 1]
    agreement = np.exp((across * across + down * down) / -(_SAME_MOTION_PX**2))
    margin = np.minimum(np.minimum(x, width - 1 - x), np.minimum(y, height - 1 - y))
    return seen[..., 0], agreement * np.clip(margin + 1, 0, 1)  # nothing is visible outside of the frame


def _project(source: Plane, target: Plane, share: float) -> Plane:
    """Bring the motion of each pixel of `source` to where the pixel is after `share` of it.

    If several meet, those count whose motion ends on what looks like them in `target`; if none, the surroundings do.
    """
    flow, (height, width) = source[..., 1:], source.shape[:2]
    end = _sample(target[..., 0], _positions(flow, math.copysign(1, share)))
    trust = np.exp(np.minimum(np.abs(source[..., 0] - end), _LOST_COST) / -4)
    x, y = (np.rint(each).astype(np.int32) for each in _positions(flow, share))
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

    result = sums / np.maximum(weights, np.float32(1e-9))[..., None]
    missing = weights <= 1e-9
    if missing.any() and weights.size > 1:
        half = [max(1, side // 2) for side in weights.shape[::-1]]
        halves = [np.asarray(cv2.resize(a, half, interpolation=cv2.INTER_AREA), np.float32) for a in (sums, weights)]
        result[missing] = cv2.resize(_fill(*halves), weights.shape[::-1])[missing]
    return np.asarray(result, np.float32)


def _positions(flow: Plane, share: float) -> tuple[Plane, Plane]:
    """The x and y that each pixel reaches by `share` of its flow."""
    rows, columns = np.ogrid[: flow.shape[0], : flow.shape[1]]
    return share * flow[..., 0] + columns.astype(np.float32), share * flow[..., 1] + rows.astype(np.float32)


def _sample(image: NDArray[Any], positions: tuple[Plane, Plane], interpolation: int = 1) -> NDArray[Any]:
    """What is in the image at x and y, interpolated linearly by default."""
    import cv2

    return np.asarray(cv2.remap(image, *positions, interpolation, borderMode=cv2.BORDER_REPLICATE))


def _blur(plane: Plane, sigma: float) -> Plane:
    import cv2

    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)
