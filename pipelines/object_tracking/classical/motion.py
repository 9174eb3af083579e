"""Whatever moves before a still camera: background subtraction that keeps objects apart and lets them pause.

What differs from the background (`background.py`) is an object. The background does not change under objects, so one
that stops is not swallowed. When objects meet, their common blob is shared out by how they moved and looked before.
Built on OpenCV (Apache-2.0). Knows no kinds of objects; what never moves is not found.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipelines.media import Rgb
from pipelines.object_tracking.byte_track import NOTHING, Detections
from pipelines.object_tracking.classical.background import Background, View, tidy
from pipelines.object_tracking.classical.camera import Affine

WORK_SIDE = 640
"""Longest side, in pixels, that motion is looked for at."""

LEARNED_FRAMES = 15
LEAST_AREA = (25, 0.0002)
"""Smallest object at the working scale: pixels, and part of the image."""

ADAPT_S = 4.0
STILL_S = 0.3
SETTLE_S = 0.5
"""How long the camera must stand still again before anything is looked for."""

GROWN_UP = 5
"""Frames after which an object is trusted to keep its own box where it meets another."""

SHADED = 0.75
"""What looks like a shadow in more than this part is an object of that colour."""

PART = 0.3
"""What is smaller than this part of an object and moves with it belongs to it."""

EXPLAINED = 0.65
"""Objects that have met account for at least this part of their common blob."""

Box = NDArray[np.float64]


@dataclass
class _Target:
    """One moving object between frames, at the working scale."""

    box: Box
    score: float
    look: Rgb
    velocity: Box = field(default_factory=lambda: np.zeros(2))
    age: int = 1
    still: int = 0
    shared: bool = False

    @property
    def ahead(self) -> Box:
        """Where it is expected in the next frame."""
        return self.box + np.tile(self.velocity, 2)


@dataclass(frozen=True)
class _Blobs:
    """Connected foreground: `labels` int32 (H, W) from 1, boxes (N, 4), areas (N,) in pixels, scores (N,)."""

    labels: NDArray[np.int32]
    boxes: Box
    areas: NDArray[np.int64]
    scores: NDArray[np.float64]


class MotionDetector:
    """Moving objects of one shot. Frames must come in order and have the size of those it learned from.

    Args:
        frames: the first frames of the shot, at least one; objects in them must move for the background to be seen.
        fps: frames per second.
    """

    every = 1

    def __init__(self, frames: Sequence[Rgb], *, fps: float) -> None:
        height, width = frames[0].shape[:2]
        scale = min(1.0, WORK_SIDE / max(height, width))
        self._size = (max(1, round(width * scale)), max(1, round(height * scale)))
        self._grow = np.tile((width / self._size[0], height / self._size[1]), 2)
        self._least_area = max(LEAST_AREA[0], LEAST_AREA[1] * self._size[0] * self._size[1])
        self._rate = 1 - float(np.exp(-1 / (ADAPT_S * fps)))
        self._still_looks = max(3, round(STILL_S * fps))
        self._settle_looks = max(3, round(SETTLE_S * fps))
        self._unsettled: list[Rgb] = []
        self._targets: list[_Target] = []
        chosen = np.linspace(0, len(frames) - 1, min(LEARNED_FRAMES, len(frames))).round().astype(int)
        self._background = self._learn([self._shrink(frames[i]) for i in chosen])
        self.moving_share = self._background.moving_share
        """Mean part of these frames that differs from the background, 0 to 1: large where the camera moves."""

    def detect(self, frame: Rgb) -> Detections:
        """Find the moving objects of the next frame.

        Args:
            frame: RGB uint8 (H, W, 3).

        Returns:
            Boxes, label `object`. Scores are 1 - exp(-contrast in units of the threshold).
        """
        small = self._shrink(frame)
        view = self._background.view(small)
        if view is None:
            self._background, self._targets, self._unsettled = Background([small]), [], [small]
        elif self._unsettled:
            self._unsettled.append(small)
            if len(self._unsettled) >= self._settle_looks:
                self._background, self._unsettled = self._learn(self._unsettled), []
        else:
            self._step(self._background, view, self._still_looks)
        if view is None or not self._targets:
            return NOTHING
        boxes = np.array([_moved(t.box, view.movement) for t in self._targets]) * self._grow
        scores = np.array([t.score for t in self._targets], np.float32)
        return Detections(boxes.astype(np.float32), scores, ("object",) * len(boxes))

    def _learn(self, images: list[Rgb]) -> Background:
        background = Background(images)
        for image in background.images:  # finds holes that hid the background for most of this time
            view = background.view(image)
            if view is not None:
                self._step(background, view, still_looks=2)
        background.expect(background.images[0])
        self._targets = []
        return background

    def _step(self, background: Background, view: View, still_looks: int) -> None:
        """Follow the targets into the next frame, and the background where no target is."""
        blobs = self._blobs(background, view)
        self._targets = self._follow(blobs, view.image)
        taken = (blobs.labels > 0).astype(np.uint8) * 255
        kept = []
        for target in self._targets:
            part = _window(target.box, taken.shape, margin=3)
            if target.still >= still_looks and background.fill_hole(view.image, part, taken[part]):
                taken[part] = 0
            else:
                kept.append(target)
        self._targets = kept
        background.follow(view, taken, self._rate)

    def _shrink(self, frame: Rgb) -> Rgb:
        import cv2

        small = cv2.resize(frame, self._size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.GaussianBlur(small, (3, 3), 0.8), np.uint8)

    def _blobs(self, background: Background, view: View) -> _Blobs:
        """Connected parts of the mask without shadows, large enough to be objects."""
        import cv2

        _, labels = cv2.connectedComponents(view.mask)
        inside = view.mask > 0
        part, shadow = labels[inside], background.shadows(view.image, inside)
        # A grey object can look like a shadow all over: a shadow has an object beside it.
        shaded = np.bincount(part, shadow) / np.maximum(np.bincount(part), 1)
        mask = view.mask.copy()
        mask[inside] = np.where(shadow & (shaded < SHADED)[part], 0, 255)
        mask = tidy(mask)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
        keep = np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= self._least_area) + 1
        renumber = np.zeros(count, np.int32)
        renumber[keep] = np.arange(1, len(keep) + 1)
        labels = renumber[labels]
        areas = stats[keep, cv2.CC_STAT_AREA].astype(np.int64)
        limit = background.limit()
        found = labels > 0
        strength = np.bincount(labels[found], view.contrast[found] / limit[found], minlength=len(keep) + 1)[1:]
        corner, size = stats[keep, :2].astype(np.float64), stats[keep, 2:4]
        return _Blobs(labels, np.hstack((corner, corner + size)), areas, 1 - np.exp(-strength / np.maximum(areas, 1)))

    def _follow(self, blobs: _Blobs, small: Rgb) -> list[_Target]:
        """The targets of this frame: known ones where blobs continue them, new ones for the other blobs."""
        owners = self._owners(blobs)
        followed: list[_Target] = []
        alone: list[tuple[Box, _Target]] = []
        for blob, targets in owners.items():
            box = blobs.boxes[blob]
            met = _distinct([t for t in targets if t.age >= GROWN_UP])
            shared = [_share(t, box, small) for t in met] if len(met) > 1 else []
            if shared and _explained(blobs.labels == blob + 1, shared) > EXPLAINED:
                followed += shared
            else:
                oldest = max(targets, key=lambda t: t.age)
                alone.append((oldest.ahead, self._continue(oldest, box, float(blobs.scores[blob]), small)))
        for blob in set(range(len(blobs.boxes))) - owners.keys():
            box = blobs.boxes[blob]
            wholes = (t for ahead, t in alone if min(_inside(box, _wider(ahead)), _inside(box, _wider(t.box))) > 0.9)
            whole = next(wholes, None)
            if whole is None:
                followed.append(_Target(box, float(blobs.scores[blob]), _cut(small, box)))
            else:  # a part that something of the background's colour cuts off
                whole.box = np.hstack((np.minimum(whole.box[:2], box[:2]), np.maximum(whole.box[2:], box[2:])))
        return followed + [target for _, target in alone]

    def _owners(self, blobs: _Blobs) -> dict[int, list[_Target]]:
        """Which targets continue in which blob: one each where possible, several where they have met."""
        from scipy.optimize import linear_sum_assignment

        owners: dict[int, list[_Target]] = {}
        if not self._targets or not len(blobs.boxes):
            return owners
        ahead = np.array([t.ahead for t in self._targets])
        overlap = _intersections(ahead, blobs.boxes)
        union = _areas(ahead)[:, None] + _areas(blobs.boxes) - overlap
        similar = overlap / union
        rows, columns = linear_sum_assignment(similar, maximize=True)
        chosen = {r: c for r, c in zip(rows.tolist(), columns.tolist(), strict=True) if similar[r, c] > 0.2}
        for row, target in enumerate(self._targets):
            blob = chosen.get(row, int(overlap[row].argmax()))
            if row in chosen or overlap[row, blob] > 0.3 * _areas(ahead[row]):
                owners.setdefault(blob, []).append(target)
        return owners

    def _continue(self, target: _Target, box: Box, score: float, small: Rgb) -> _Target:
        """The target, alone in its blob."""
        step = (box[:2] + box[2:] - target.box[:2] - target.box[2:]) / 2
        gain = 0.0 if target.shared else max(0.3, 1 / target.age)
        still = target.still + 1 if np.abs(box - target.box).max() <= 1 else 0
        velocity = (1 - gain) * target.velocity + gain * step
        return _Target(box, score, _cut(small, box), velocity, target.age + 1, still)


def _distinct(targets: list[_Target]) -> list[_Target]:
    """The targets without those that are part of another: much smaller, beside it, and moving as it does."""
    kept: list[_Target] = []
    for target in sorted(targets, key=lambda t: -_areas(t.box)):
        if not any(
            _areas(target.box) < PART * _areas(other.box)
            and _inside(target.box, _wider(other.box)) > 0.5
            and np.abs(target.velocity - other.velocity).max() < 1 + 0.3 * np.abs(other.velocity).max()
            for other in kept
        ):
            kept.append(target)
    return kept


def _explained(blob: NDArray[np.bool_], targets: list[_Target]) -> float:
    """Part of the blob that lies in the targets' boxes, 0 to 1. Little, where the targets are pieces of one object."""
    free = blob.copy()
    for target in targets:
        free[_window(target.box, blob.shape)] = False
    return 1 - float(free.sum() / max(1, blob.sum()))


def _share(target: _Target, blob: Box, small: Rgb) -> _Target:
    """The target within a blob that it shares with others: as it looked, near where it is expected."""
    import cv2

    box = target.ahead
    look_height, look_width = target.look.shape[:2]
    margin = 2 + round(0.15 * max(look_height, look_width))
    part = _window(np.hstack((box[:2], box[:2] + np.array((look_width, look_height)))), small.shape[:2], margin=margin)
    field_ = small[part]
    if field_.shape[0] >= look_height and field_.shape[1] >= look_width:
        error = cv2.matchTemplate(field_, target.look, cv2.TM_SQDIFF) / target.look.size
        left, top = part[1].start + np.arange(error.shape[1]), part[0].start + np.arange(error.shape[0])
        far = ((left - box[0]) ** 2 + (top - box[1])[:, None] ** 2) / margin**2
        best = np.unravel_index(int((error + 100 * far).argmin()), error.shape)
        if error[best] < 400:  # seen well enough; otherwise hidden by the other, so trust its course
            box = box + np.tile((left[best[1]] - box[0], top[best[0]] - box[1]), 2)
    low = np.maximum(blob[:2] - box[:2], 0)
    high = np.minimum(blob[2:] - box[2:], 0)
    box = box + np.tile(np.where(low > 0, low, high), 2)
    return _Target(box, target.score, target.look, target.velocity, target.age + 1, 0, shared=True)


def _cut(small: Rgb, box: Box) -> Rgb:
    return small[_window(box, small.shape[:2])].copy()


def _window(box: Box, shape: tuple[int, ...], margin: int = 0) -> tuple[slice, slice]:
    """The slices of a box within an image, at least one pixel."""
    left, top = np.clip(np.floor(box[:2]) - margin, 0, (shape[1] - 1, shape[0] - 1)).astype(int).tolist()
    right, bottom = np.clip(np.ceil(box[2:]) + margin, (left + 1, top + 1), (shape[1], shape[0])).astype(int).tolist()
    return slice(top, bottom), slice(left, right)


def _areas(boxes: Box) -> Box:
    return np.asarray((boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1]))


def _intersections(boxes: Box, others: Box) -> Box:
    """Pixels that each of N boxes has in common with each of M others, (N, M)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.asarray(np.clip(high - low, 0, None).prod(axis=2))


def _moved(box: Box, movement: Affine) -> Box:
    """The box where the camera showed it; small turns and scales leave its size."""
    centre = (box[:2] + box[2:]) / 2
    shift = np.asarray(movement[:, :2] @ centre + movement[:, 2] - centre)
    return box + np.hstack((shift, shift))


def _wider(box: Box) -> Box:
    """The box with a tenth of its longer side added all round."""
    border = 0.1 * float((box[2:] - box[:2]).max())
    return np.add(box, (-border, -border, border, border))


def _inside(box: Box, other: Box) -> float:
    """Part of the box that lies in the other, 0 to 1."""
    return float(_intersections(box[None], other[None])[0, 0] / _areas(box))
