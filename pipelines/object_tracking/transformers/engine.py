"""Object tracking by a neural detector and ByteTrack.

What is seen in each frame is told by `detector.py`, what belongs together by `byte_track.py`; sources and licenses
stand there. Frames go through the detector in batches. Looks at positions only: two objects of one class that swap
places unseen swap ids.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count, groupby, islice
from typing import Literal, Self

import numpy as np
from pydantic import Field

from pipelines.contracts.engine import EngineConfig, ModelCard, Resources
from pipelines.contracts.errors import InvalidInput, ModelUnavailable
from pipelines.loading.device import DeviceName, DtypeName, select_device
from pipelines.loading.weights import Weights
from pipelines.media import Rgb
from pipelines.object_tracking.base import ObjectTracker, Tracks
from pipelines.object_tracking.byte_track import Associator, Detections
from pipelines.object_tracking.shots import ShotNumber
from pipelines.object_tracking.transformers.detector import FLOOR, Detector, TransformersDetector

SAME_PLACE = 0.8
"""Boxes that share more of their union are several opinions on one object."""

_DFINE = "ustc-community/dfine-small-coco"
_RTDETR = "PekingU/rtdetr_v2_r18vd"
_LICENSES = {_DFINE: "Apache-2.0", _RTDETR: "Apache-2.0"}
_FILES = ("*.json", "model*.safetensors")


class TransformersConfig(EngineConfig):
    """A detector of transformers and ByteTrack."""

    engine: Literal["transformers"] = "transformers"
    model: str = Field(_DFINE, description="Hub id or local folder of a D-FINE or RT-DETR v2 checkpoint.")
    revision: str = Field("main", description="Commit, tag or branch on the hub.")
    device: DeviceName = Field("auto", description="Where it runs.")
    dtype: DtypeName = Field(
        "auto", description="Number format. `auto`: float32 everywhere, as half precision moves boxes by pixels."
    )
    threshold: float = Field(0.5, ge=0.2, le=0.95, description="Score from which on an object begins to be tracked.")
    classes: tuple[str, ...] = Field((), description="Names of the classes that are tracked. Default: all.")
    batch_size: int = Field(8, ge=1, le=64, description="Frames that the detector reads at once.")

    def card(self) -> ModelCard:
        """What answers."""
        return ModelCard(
            model=self.weights()[0].name,
            license=_LICENSES.get(self.model, "see the model's page"),
            description="Finds objects of the classes that its detector knows (by default the 80 of COCO) and follows "
            "each by ByteTrack. Objects that look alike and cross unseen can swap their numbers.",
        )

    def weights(self) -> tuple[Weights, ...]:
        """The detector."""
        return (Weights(self.model, self.revision, _FILES),)

    def load(self, resources: Resources) -> "TransformersTracker":
        """Read the detector.

        Raises:
            ModelUnavailable: the weights are missing, damaged or of no detector, or it does not know one of `classes`.
        """
        return TransformersTracker.load(self)


class TransformersTracker(ObjectTracker):
    """A detector before ByteTrack. Holds nothing between videos.

    Args:
        detector: finds objects in frames.
        threshold: score from which on a detection begins a track.
        classes: what is tracked, of the detector's labels; all where empty.
        batch_size: frames given to the detector at once.
    """

    def __init__(
        self, detector: Detector, *, threshold: float = 0.5, classes: Sequence[str] = (), batch_size: int = 8
    ) -> None:
        self._detector = detector
        self._threshold = threshold
        self._classes = frozenset(classes or detector.labels)
        self._batch_size = batch_size

    @classmethod
    def load(cls, config: TransformersConfig) -> Self:
        """Read the detector; see `TransformersConfig.load`."""
        import supervision  # noqa: F401  imported here so that what is missing shows now and not at the first video
        import trackers  # noqa: F401

        where = select_device(config.device, "float32" if config.dtype == "auto" else config.dtype)
        weights = config.weights()[0]
        detector = TransformersDetector.load(weights, where)
        for name in config.classes:
            if name not in detector.labels:
                raise ModelUnavailable(
                    f"{weights.name} knows no class {name!r}. It knows: {', '.join(detector.labels)}."
                )
        return cls(detector, threshold=config.threshold, classes=config.classes, batch_size=config.batch_size)

    def track(self, frames: Iterable[Rgb], *, fps: float) -> Iterator[tuple[Rgb, Tracks]]:
        """Track through one video.

        Frames come out late, by a batch and half a second (4 to 24 frames). Each shot begins anew, with ids that were
        not used before.

        Args:
            frames: consecutive frames of one size, RGB uint8 (H, W, 3); read lazily.
            fps: frames per second, above 0.

        Yields:
            Each frame with its tracks, in order.

        Raises:
            InvalidInput: `fps` is not a positive number.
            ModelUnavailable: the model's numbers overflow in the chosen number format.
        """
        if not 0 < fps < float("inf"):
            raise InvalidInput("The frame rate must be a positive number.", "fps")
        return self._track(frames, float(fps))

    def _track(self, frames: Iterable[Rgb], fps: float) -> Iterator[tuple[Rgb, Tracks]]:
        ids = count(1)
        for _, shot in groupby(frames, key=ShotNumber()):
            associator = Associator(fps=fps, ids=ids, sure=self._threshold)
            while batch := list(islice(shot, self._batch_size)):
                for frame, found in zip(batch, self._detector.detect(batch), strict=True):
                    yield from associator.update(frame, self._distinct(found))
            yield from associator.flush()

    def _distinct(self, found: Detections) -> Detections:
        """The detections of the classes that are tracked, without second opinions on one place."""
        import supervision as sv

        chosen = np.array([label in self._classes for label in found.labels], bool)
        solid = (found.xyxy[:, 2:] > found.xyxy[:, :2]).all(axis=1)
        rows = np.flatnonzero(chosen & solid & (found.scores >= FLOOR))
        if not len(rows):
            return replace(found, xyxy=found.xyxy[rows], scores=found.scores[rows], labels=())
        boxes = np.column_stack((found.xyxy[rows], found.scores[rows]))
        rows = rows[sv.box_non_max_suppression(boxes, SAME_PLACE)]
        return Detections(found.xyxy[rows], found.scores[rows], tuple(found.labels[row] for row in rows))
