"""Object tracking without any model to download: OpenCV finds what moves or people, ByteTrack gives identities.

If the camera stands still, everything that moves is found by its motion (`motion.py`); otherwise people are found by
their shape (`people.py`). It does not know what the moving things are, and it follows nothing but people before a
moving camera. Sources and licenses are stated in those files and in `byte_track.py`.
"""

from collections import deque
from collections.abc import Iterator
from itertools import chain, islice
from typing import Literal

from pipelines.contracts.engine import EngineConfig, ModelCard, Resources
from pipelines.media import Rgb
from pipelines.object_tracking.base import Tracks
from pipelines.object_tracking.byte_track import Associator, ByteTracker
from pipelines.object_tracking.classical.motion import MotionDetector
from pipelines.object_tracking.classical.people import PeopleDetector

AHEAD_S = 2.0
MIN_AHEAD_FRAMES, MAX_AHEAD_FRAMES, MAX_AHEAD_BYTES = 8, 90, 192 * 2**20
"""How far is looked ahead at the start of a shot: seconds, within these numbers of frames, but never more bytes."""

MIN_MOTION_FPS, MAX_MOVING_SHARE = 6.0, 0.3

DetectorName = Literal["auto", "motion", "people"]


class ClassicalConfig(EngineConfig):
    """OpenCV detection and ByteTrack; runs anywhere without a download."""

    engine: Literal["classical"] = "classical"
    detector: DetectorName = "auto"
    """`motion` finds whatever moves before a camera that stands still, `people` finds standing and walking people.
    `auto` decides per shot: motion from 6 frames/s on if the camera stands still, people otherwise."""

    def card(self) -> ModelCard:
        """The algorithms."""
        return ModelCard(
            model="opencv-motion-people-bytetrack",
            license="Apache-2.0",
            description="Finds what moves before a still camera, or people by their outline, and follows each by "
            "ByteTrack. Names nothing but people, and follows only people when the camera moves.",
            embedded=True,
        )

    def load(self, resources: Resources) -> "ClassicalTracker":
        """Import the libraries: what is missing shows now and not at the first video."""
        import cv2  # noqa: F401
        import supervision  # noqa: F401
        import trackers  # noqa: F401

        return ClassicalTracker(self.detector)


class ClassicalTracker(ByteTracker):
    """OpenCV's detectors and ByteTrack; `detector` is that of `ClassicalConfig`.

    At the start of a shot, frames come out up to 2 s late (at most 192 MiB of them): the background is learned then.
    """

    def __init__(self, detector: DetectorName = "auto") -> None:
        self._detector = detector

    def _track_shot(self, shot: Iterator[Rgb], fps: float, ids: Iterator[int]) -> Iterator[tuple[Rgb, Tracks]]:
        first = next(shot)
        ahead = min(max(round(AHEAD_S * fps), MIN_AHEAD_FRAMES), MAX_AHEAD_FRAMES, MAX_AHEAD_BYTES // first.nbytes)
        window = deque([first, *islice(shot, max(0, ahead - 1))])
        detector = self._choose(window, fps)
        associator = Associator(fps=fps, stride=detector.stride, ids=ids)
        started = (window.popleft() for _ in range(len(window)))  # frees each frame as it goes
        for number, frame in enumerate(chain(started, shot)):
            found = detector.detect(frame, associator.expected()) if number % detector.stride == 0 else None
            yield from associator.update(frame, found)
        yield from associator.flush()

    def _choose(self, window: deque[Rgb], fps: float) -> MotionDetector | PeopleDetector:
        if self._detector == "motion" or (self._detector == "auto" and fps >= MIN_MOTION_FPS):
            motion = MotionDetector(window, fps=fps)
            if self._detector == "motion" or (len(window) >= 3 and motion.moving_share <= MAX_MOVING_SHARE):
                return motion
        return PeopleDetector(fps=fps)
