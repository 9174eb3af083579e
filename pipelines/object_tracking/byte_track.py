"""ByteTrack behind any detector: detections of consecutive frames become tracks, with the delay that good tracks need.

Algorithm: ByteTrack, https://arxiv.org/abs/2110.06864, from `trackers` (Apache-2.0). Knows nothing of how objects are
detected, and compares positions only: two objects that swap places unseen swap ids.

ByteTrack decides frame by frame. Here the latest frames are held back for a moment, so that a track is reported from
its first frame on although it takes several to confirm it, short gaps are filled, and boxes are steady without lag.
"""

import math
from abc import abstractmethod
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count, groupby

import numpy as np
from numpy.typing import NDArray

from pipelines.contracts.errors import InvalidInput
from pipelines.media import Rgb
from pipelines.object_tracking.base import ObjectTracker, Tracks
from pipelines.object_tracking.shots import ShotNumber

LOST_S = 1.5
"""How long an object that is not seen keeps its identity."""

HOLD_S = 0.5
CONFIRM_S = 0.12
SMOOTH_S = 0.07
MIN_HELD_FRAMES, MAX_HELD_FRAMES = 4, 24


@dataclass(frozen=True)
class Detections:
    """What a detector found in one frame.

    Attributes:
        xyxy: float32 (N, 4), left, top, right, bottom in pixels.
        scores: float32 (N,), 0 to 1. High ones begin a track, others only prolong one.
        labels: N class names. Association ignores them; a track takes the label of most of its detections.
    """

    xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: tuple[str, ...]


NOTHING = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), ())


class ByteTracker(ObjectTracker):
    """An engine that detects and leaves identities to ByteTrack. Holds nothing between videos."""

    def track(self, frames: Iterable[Rgb], *, fps: float) -> Iterator[tuple[Rgb, Tracks]]:
        """Track through one video, each shot on its own; no id is used in two shots.

        Args:
            frames: consecutive frames of one size, RGB uint8 (H, W, 3); read lazily, a bounded number is held.
            fps: frames per second, above 0.

        Yields:
            Each frame with its tracks, in order; half a second late (4 to 24 frames) or more.

        Raises:
            InvalidInput: `fps` is not a positive number.
        """
        if not 0 < fps < math.inf:
            raise InvalidInput("The frame rate must be a positive number.", "fps")
        ids = count(1)
        shots = (shot for _, shot in groupby(frames, key=ShotNumber()))
        return (tracked for shot in shots for tracked in self._track_shot(shot, float(fps), ids))

    @abstractmethod
    def _track_shot(self, shot: Iterator[Rgb], fps: float, ids: Iterator[int]) -> Iterator[tuple[Rgb, Tracks]]:
        """Track through one shot of at least one frame, with `ids` for an `Associator`."""


@dataclass
class _Sighting:
    box: NDArray[np.float32]
    score: float


@dataclass
class _Held:
    frame: Rgb
    sightings: dict[int, _Sighting] = field(default_factory=dict)


@dataclass
class _Object:
    last_seen: int
    hits: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    public_id: int | None = None


class Associator:
    """Tracks the objects of one shot. Frames go in one by one and come out in the same order, some frames later.

    Args:
        fps: frames per second of the video.
        stride: the detector runs on every n-th frame; boxes in between are interpolated.
        ids: source of public ids; the shots of a video share it, so that no id is used twice.
        threshold: score from which a detection begins a track; more than 0.1 below, it is matched last.
    """

    def __init__(
        self, *, fps: float, stride: int = 1, ids: Iterator[int] | None = None, threshold: float = 0.7
    ) -> None:
        from trackers import BIoU, ByteTrackTracker

        detections_per_s = fps / stride
        self._tracker = ByteTrackTracker(
            lost_track_buffer=math.ceil(LOST_S * 30),  # counted in frames of a 30 fps video, whatever the rate
            frame_rate=detections_per_s,
            track_activation_threshold=threshold,
            high_conf_det_threshold=threshold - 0.1,
            minimum_consecutive_frames=1,  # tracks are confirmed here, in hindsight
            # Boxes that are far apart in time hardly overlap: grow them if the detector runs seldom.
            iou=BIoU(buffer_ratio=min(0.4, 1.5 / detections_per_s)),
        )
        self._identities = count(1)
        self._ids = count(1) if ids is None else ids
        self._hold = min(max(round(HOLD_S * fps), MIN_HELD_FRAMES), MAX_HELD_FRAMES)
        self._min_hits = min(max(2, round(CONFIRM_S * detections_per_s)), max(2, self._hold // stride))
        self._reach = round(SMOOTH_S * fps)
        self._held: deque[_Held] = deque()
        self._emitted: deque[dict[int, _Sighting]] = deque(maxlen=max(1, self._reach))
        self._objects: dict[int, _Object] = {}
        self._number = 0
        self._detector_runs = 0

    def update(self, frame: Rgb, found: Detections | None) -> list[tuple[Rgb, Tracks]]:
        """Take the next frame.

        Args:
            frame: RGB uint8 (H, W, 3); it comes out again untouched.
            found: its detections; `None` if the detector did not run on it.

        Returns:
            The frames that are final by now, with their tracks.
        """
        self._held.append(_Held(frame))
        if found is not None:
            self._detector_runs += 1
            for identity, row in self._identify(found):
                self._record(identity, _Sighting(found.xyxy[row], float(found.scores[row])), found.labels[row])
        self._number += 1
        self._forget()
        return [self._emit(self._min_hits) for _ in range(len(self._held) - self._hold)]

    def flush(self) -> list[tuple[Rgb, Tracks]]:
        """The frames still held, at the end of the shot."""
        min_hits = min(self._min_hits, max(1, self._detector_runs))  # a shot of one frame cannot have two
        return [self._emit(min_hits) for _ in range(len(self._held))]

    def expected(self) -> NDArray[np.float32]:
        """Where the objects of the newest frame should be in the next one: float32 (N, 4), left, top, right, bottom."""
        boxes = []
        for identity, sighting in self._held[-1].sightings.items() if self._held else ():
            past = [held.sightings[identity].box for held in self._held if identity in held.sightings]
            if len(past) >= MIN_HELD_FRAMES:
                boxes.append(sighting.box + (past[-1] - past[0]) / (len(past) - 1))
        return np.array(boxes, np.float32).reshape(-1, 4)

    def _identify(self, found: Detections) -> list[tuple[int, int]]:
        """(identity, row in `found`) of each detection that belongs to a track, new ones included."""
        import supervision as sv

        boxes = found.xyxy.astype(np.float64)
        rows = np.arange(len(boxes))
        matched = self._tracker.update(sv.Detections(boxes, confidence=found.scores, data={"row": rows}))
        if matched.tracker_id is None or len(matched) == 0:
            return []
        found_rows = np.asarray(matched.data["row"])
        pairs = [(int(i), int(row)) for i, row in zip(matched.tracker_id, found_rows, strict=True) if i >= 0]
        unmatched = found_rows[matched.tracker_id < 0]
        # ByteTrack gives an id at the second sighting only; give it at once, so that the first is not lost.
        for tracklet in self._tracker.tracks:
            if tracklet.tracker_id < 0:
                tracklet.tracker_id = next(self._identities)
                distance = np.abs(boxes[unmatched] - tracklet.get_state_bbox()).sum(axis=1)
                pairs.append((tracklet.tracker_id, int(unmatched[distance.argmin()])))
        return pairs

    def _record(self, identity: int, now: _Sighting, label: str) -> None:
        """Note a sighting in the newest frame, and interpolate the held frames since the last one."""
        seen = self._objects.setdefault(identity, _Object(self._number))
        seen.hits += 1
        seen.labels[label] += 1
        self._held[-1].sightings[identity] = now
        gap = self._number - seen.last_seen
        seen.last_seen, first = self._number, len(self._held) - 1 - gap
        if gap < 2 or first < 0:  # a gap that began before the held frames stays one: part of it is out
            return
        before = self._held[first].sightings[identity]
        for step in range(1, gap):
            share = step / gap
            self._held[first + step].sightings[identity] = _Sighting(
                (1 - share) * before.box + share * now.box, (1 - share) * before.score + share * now.score
            )

    def _forget(self) -> None:
        alive = {tracklet.tracker_id for tracklet in self._tracker.tracks}
        alive.update(*(held.sightings for held in self._held))
        self._objects = {identity: seen for identity, seen in self._objects.items() if identity in alive}

    def _emit(self, min_hits: int) -> tuple[Rgb, Tracks]:
        held = self._held.popleft()
        confirmed = {i: s for i, s in held.sightings.items() if self._objects[i].hits >= min_hits}
        for identity in confirmed:
            seen = self._objects[identity]
            seen.public_id = seen.public_id or next(self._ids)
        boxes = [self._smooth(identity, sighting) for identity, sighting in confirmed.items()]
        self._emitted.append(held.sightings)
        return held.frame, Tracks(
            xyxy=np.array(boxes, np.float32).reshape(-1, 4),
            ids=np.array([self._objects[i].public_id for i in confirmed], np.int64),
            scores=np.array([sighting.score for sighting in confirmed.values()], np.float32),
            labels=tuple(self._objects[i].labels.most_common(1)[0][0] for i in confirmed),
        )

    def _smooth(self, identity: int, sighting: _Sighting) -> NDArray[np.float32]:
        """Mean over the frames just before and after, as many on each side: smooth, but not late."""
        boxes = [sighting.box]
        for step in range(1, self._reach + 1):
            if step > min(len(self._emitted), len(self._held)):
                break
            before, after = self._emitted[-step].get(identity), self._held[step - 1].sightings.get(identity)
            if before is None or after is None:
                break
            boxes += [before.box, after.box]
        return np.asarray(np.mean(boxes, axis=0), np.float32)
