"""Whatever moves before a still camera: background subtraction that keeps objects apart and lets them pause.

A background and its noise are learned per pixel from the shot's first frames (median), and follow slow changes of light
outside objects only, so an object that stops is not swallowed. Where one that was thought to be background leaves, the
hole is told from an object by its outline: a hole's outline is seen in the background, an object's in the frame.
When objects meet, their common blob is shared out by how they moved and looked before.
Built on OpenCV (Apache-2.0). Knows no kinds of objects; what never moves is not found.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipelines.media import Rgb
from pipelines.object_tracking.byte_track import NOTHING, Detections

WORK_SIDE = 640
"""Longest side, in pixels, that motion is looked for at."""

LEARNED_FRAMES = 15
LEAST_CONTRAST = 12.0
NOISE_FACTOR = 4.0
LEAST_AREA = (25, 0.0002)
"""Smallest object at the working scale: pixels, and part of the picture."""

LOST_SHARE = 0.5
"""More of the picture than this in motion means that the camera or the light changed, not the objects."""

SHADOW_LIGHT = (0.45, 0.95)
SHADOW_TINT = 0.06
ADAPT_S = 4.0
STILL_S = 0.3
GROWN_UP = 5
"""Frames after which an object is trusted to keep its own box where it meets another."""

PART = 0.3
"""What is smaller than this part of an object and moves with moves with it belongs to it."""

EXPLAINED = 0.65
"""Objects that have met account for at least this part of their common blob."""

Box = NDArray[np.float64]
Mask = NDArray[np.uint8]


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
        self._targets: list[_Target] = []
        self._taken: Mask = np.zeros(self._size[::-1], np.uint8)

        chosen = np.linspace(0, len(frames) - 1, min(LEARNED_FRAMES, len(frames))).round().astype(int)
        seen = np.stack([self._shrink(frames[i]) for i in chosen])
        background = _median(seen)
        self._background: NDArray[np.float32] = background.astype(np.float32)
        self._noise: NDArray[np.float32] = _median(np.stack([_contrast(f, background) for f in seen])).astype(
            np.float32
        )
        self._uncover(seen[0], seen[-1])
        self.moving_share = float(np.mean([self._foreground(f)[0].mean() / 255 for f in seen]))
        """Mean part of the picture that differs from the background: 0 to 1, large where the camera moves."""
        for small in seen:  # finds the holes that objects leave which hid the background for most of this time
            self._step(small, still_looks=2)
        self._targets = []

    def detect(self, frame: Rgb) -> Detections:
        """Find the moving objects of the next frame.

        Args:
            frame: RGB uint8 (H, W, 3).

        Returns:
            Boxes, label `object`. Scores are 1 - exp(-contrast in units of the threshold).
        """
        self._step(self._shrink(frame), self._still_looks)
        if not self._targets:
            return NOTHING
        return Detections(
            (np.array([t.box for t in self._targets]) * self._grow).astype(np.float32),
            np.array([t.score for t in self._targets], np.float32),
            ("object",) * len(self._targets),
        )

    def _step(self, small: Rgb, still_looks: int) -> None:
        """Follow the targets into the next frame, and the background where no target is."""
        import cv2

        mask, contrast = self._foreground(small)
        if mask.mean() > LOST_SHARE * 255:
            self._background, self._targets = small.astype(np.float32), []
            self._taken = np.zeros_like(mask)
            return
        blobs = self._blobs(small, mask, contrast)
        self._targets = self._follow(blobs, small)
        self._taken = self._absorb_holes(blobs.labels, small, still_looks)
        free = cv2.bitwise_not(cv2.dilate(self._taken, np.ones((7, 7), np.uint8)))
        cv2.accumulateWeighted(small, self._background, self._rate, mask=free)
        cv2.accumulateWeighted(contrast, self._noise, self._rate, mask=free)

    def _uncover(self, first: Rgb, last: Rgb) -> None:
        """Mend the background where a slow object hid it for most of the time: it shows in the first or last frame."""
        import cv2

        limit = float(np.median(self._limit()))  # of the picture: where objects passed, a pixel's own is too high
        far_first, far_last = (_contrast(f, cv2.convertScaleAbs(self._background)) > limit for f in (first, last))
        changed = _tidy((_contrast(first, last) > limit).astype(np.uint8) * 255)
        mend_first, mend_last = np.zeros_like(far_first), far_first & far_last & (changed == 0)
        count, labels = cv2.connectedComponents(changed)
        for label in range(1, count):
            blob = (labels == label).astype(np.uint8)
            if _is_hole(blob, last, first):
                mend_last |= far_last & (blob > 0)
            elif _is_hole(blob, first, last):
                mend_first |= far_first & (blob > 0)
        for shown, mend in ((first, mend_first), (last, mend_last)):
            self._background[mend] = shown[mend]
            self._noise[mend] = np.median(self._noise)

    def _limit(self) -> NDArray[np.float32]:
        """How much each pixel must differ from the background to count."""
        return np.maximum(np.float32(LEAST_CONTRAST), NOISE_FACTOR * self._noise)

    def _shrink(self, frame: Rgb) -> Rgb:
        import cv2

        small = cv2.resize(frame, self._size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.GaussianBlur(small, (3, 3), 0.8), np.uint8)

    def _foreground(self, small: Rgb) -> tuple[Mask, Mask]:
        """Mask (0 or 255) of what differs from the background, and by how much (0 to 255)."""
        import cv2

        background = cv2.convertScaleAbs(self._background)
        # A camera that adjusts its exposure brightens everything alike: that is not motion.
        sampled = self._taken[::4, ::4] == 0
        shift = (small[::4, ::4][sampled].astype(np.int16) - background[::4, ::4][sampled]) if sampled.any() else None
        if shift is not None:
            background = cv2.add(background, (*np.median(shift, axis=0).tolist(), 0.0), dtype=cv2.CV_8U)
        contrast = _contrast(small, background)
        mask = (contrast > self._limit()).astype(np.uint8) * 255
        return cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), contrast

    def _blobs(self, small: Rgb, mask: Mask, contrast: Mask) -> _Blobs:
        """Connected parts of the mask without shadows, large enough to be objects."""
        import cv2

        _, labels = cv2.connectedComponents(mask)
        shadow = self._shadows(small, mask)
        # A grey object can look like a shadow all over: a shadow has an object beside it.
        sizes = np.maximum(np.bincount(labels.ravel()), 1)
        shaded = np.bincount(labels[shadow], minlength=len(sizes)) / sizes
        mask = np.where(shadow & (shaded < 0.75)[labels], 0, mask).astype(np.uint8)
        mask = _tidy(mask)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
        keep = np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= self._least_area) + 1
        renumber = np.zeros(count, np.int32)
        renumber[keep] = np.arange(1, len(keep) + 1)
        labels = renumber[labels]
        areas = stats[keep, cv2.CC_STAT_AREA].astype(np.int64)
        limit = self._limit()
        found = labels > 0
        strength = np.bincount(labels[found], (contrast[found] / limit[found]), minlength=len(keep) + 1)[1:]
        corner, size = stats[keep, :2].astype(np.float64), stats[keep, 2:4]
        return _Blobs(labels, np.hstack((corner, corner + size)), areas, 1 - np.exp(-strength / np.maximum(areas, 1)))

    def _shadows(self, small: Rgb, mask: Mask) -> NDArray[np.bool_]:
        """Where the frame is the background, evenly darkened."""
        shadow = np.zeros(mask.shape, np.bool_)
        where = mask > 0
        ratio = (small[where] + 1) / (self._background[where] + 1)
        light, dark = ratio.max(axis=1), ratio.min(axis=1)
        shadow[where] = (dark > SHADOW_LIGHT[0]) & (light < SHADOW_LIGHT[1]) & (light - dark < SHADOW_TINT)
        return shadow

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

    def _absorb_holes(self, labels: NDArray[np.int32], small: Rgb, still_looks: int) -> Mask:
        """Give the background back to where an object used to be part of it; mask of what objects take."""
        taken = (labels > 0).astype(np.uint8) * 255
        kept = []
        for target in self._targets:
            part = _window(target.box, labels.shape, margin=3)
            blob = taken[part]
            if target.still < still_looks or not _is_hole(blob, small[part], self._background[part]):
                kept.append(target)
                continue
            self._background[part][blob > 0] = small[part][blob > 0]
            blob[:] = 0
        self._targets = kept
        return taken


def _is_hole(blob: Mask, frame: Rgb, background: NDArray[np.float32]) -> bool:
    """Whether the blob's outline is an edge of the background rather than of the frame."""
    import cv2

    outline = cv2.morphologyEx(blob, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    strength = []
    for picture in (frame, cv2.convertScaleAbs(background)):
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        edges = cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
        strength.append(float(edges[outline].sum()))
    return strength[1] > 1.3 * strength[0]


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


def _contrast(frame: Rgb, background: Rgb) -> Mask:
    """Largest difference of the three channels, uint8 (H, W)."""
    import cv2

    red, green, blue = cv2.split(cv2.absdiff(frame, background))
    return np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)


def _tidy(mask: Mask) -> Mask:
    """Without specks, and with narrow gaps closed."""
    import cv2

    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return np.asarray(cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)), np.uint8)


def _median(stack: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Median over the first axis, without the floats that `np.median` makes of it."""
    middle = len(stack) // 2
    return np.partition(stack, middle, axis=0)[middle]


def _cut(small: Rgb, box: Box) -> Rgb:
    return small[_window(box, small.shape[:2])].copy()


def _window(box: Box, shape: tuple[int, ...], margin: int = 0) -> tuple[slice, slice]:
    """The slices of a box within a picture, at least one pixel."""
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


def _wider(box: Box) -> Box:
    """The box with a tenth of its longer side added all round."""
    border = 0.1 * float((box[2:] - box[:2]).max())
    return box + np.array((-border, -border, border, border))


def _inside(box: Box, other: Box) -> float:
    """Part of the box that lies in the other, 0 to 1."""
    return float(_intersections(box[None], other[None])[0, 0] / _areas(box))
