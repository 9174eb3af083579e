"""Object tracking by a neural detector and ByteTrack.

`detector.py` finds the objects of each frame, `byte_track.py` connects them; models, sources and licenses are stated
there. Frames go through the detector in batches. Compares positions only: two objects of one class that swap places
unseen swap ids.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from pipelines.contracts.engine import ModelCard, Resources
from pipelines.contracts.errors import ModelUnavailable
from pipelines.loading.checkpoint import TorchCheckpointConfig
from pipelines.loading.device import DtypeName, select_device
from pipelines.loading.pretrained import read_image_processor, read_model, read_model_type
from pipelines.loading.weights import Weights
from pipelines.media import Rgb
from pipelines.object_tracking.base import Tracks
from pipelines.object_tracking.byte_track import NOTHING, Associator, ByteTracker, Detections
from pipelines.object_tracking.transformers.detector import MIN_SCORE, Detector, TransformersDetector

DUPLICATE_IOU = 0.8
"""Boxes that overlap by more are several detections of one object."""


class TransformersConfig(TorchCheckpointConfig):
    """A detector of transformers and ByteTrack."""

    licenses: ClassVar = {
        "ustc-community/dfine-small-coco": "Apache-2.0",
        "Roboflow/rf-detr-nano": "Apache-2.0",
        "Roboflow/rf-detr-base": "Apache-2.0",
        "Roboflow/rf-detr-medium": "Apache-2.0",
        "PekingU/rtdetr_v2_r18vd": "Apache-2.0",
    }
    files: ClassVar = ("*.json", "model*.safetensors")

    engine: Literal["transformers"] = "transformers"
    model: str = Field(
        "ustc-community/dfine-small-coco",
        description="Hub id or local folder of a D-FINE, RF-DETR or RT-DETR v2 checkpoint.",
    )
    dtype: DtypeName = Field(
        "auto", description="Number format. `auto`: float32 everywhere, as half precision moves boxes by pixels."
    )
    threshold: float = Field(0.5, ge=0.2, le=0.95, description="Score from which an object begins to be tracked.")
    classes: tuple[str, ...] = Field((), description="Names of the classes to track. Default: all.")
    batch_size: int = Field(8, ge=1, le=64, description="Frames that the detector reads at once.")

    def card(self) -> ModelCard:
        """The detector."""
        return ModelCard(
            model=self.name,
            license=self.license,
            description="Finds objects of the classes that its detector knows (by default the 80 of COCO) and follows "
            "each by ByteTrack. Objects that look alike and cross unseen can swap their numbers.",
        )

    def load(self, resources: Resources) -> "TransformersTracker":
        """Read the detector, which must know all of `classes`."""
        import supervision  # noqa: F401  a missing library shows now and not at the first video
        import trackers  # noqa: F401
        from transformers import AutoModelForObjectDetection

        placement = select_device(self.device, "float32" if self.dtype == "auto" else self.dtype)
        (weights,) = self.weights()
        processor = _read_processor(weights)
        model = read_model(AutoModelForObjectDetection, weights, placement)
        detector = TransformersDetector(model, processor, placement, self.name)
        for name in self.classes:
            if name not in detector.labels:
                raise ModelUnavailable(f"{self.name} knows no class {name!r}. It knows: {', '.join(detector.labels)}.")
        return TransformersTracker(detector, threshold=self.threshold, classes=self.classes, batch_size=self.batch_size)


def _read_processor(weights: Weights) -> Any:
    """What prepares frames for a checkpoint's model, and turns its answers into boxes."""
    from transformers import AutoImageProcessor, RTDetrImageProcessorPil

    if read_model_type(weights) == "rf_detr":
        # RF-DETR's own needs torchvision, and the one that its files name, DETR's, reads the scores by a softmax.
        return read_image_processor(RTDetrImageProcessorPil, weights)
    return read_image_processor(AutoImageProcessor, weights, backend="pil")


class TransformersTracker(ByteTracker):
    """A neural detector and ByteTrack.

    Args:
        detector: finds objects in frames.
        threshold: score from which a detection begins a track.
        classes: the labels to track; all if empty.
        batch_size: frames given to the detector at once, by which results are later than ByteTrack's.
    """

    def __init__(
        self, detector: Detector, *, threshold: float = 0.5, classes: Sequence[str] = (), batch_size: int = 8
    ) -> None:
        self._detector = detector
        self._threshold = threshold
        self._classes = frozenset(classes or detector.labels)
        self._batch_size = batch_size

    def _track_shot(self, shot: Iterator[Rgb], fps: float, ids: Iterator[int]) -> Iterator[tuple[Rgb, Tracks]]:
        associator = Associator(fps=fps, ids=ids, threshold=self._threshold)
        while batch := list(islice(shot, self._batch_size)):
            for frame, found in zip(batch, self._detector.detect(batch), strict=True):
                yield from associator.update(frame, self._distinct(found))
        yield from associator.flush()

    def _distinct(self, found: Detections) -> Detections:
        """The detections of the tracked classes, one per object."""
        import supervision as sv

        chosen = np.array([label in self._classes for label in found.labels], bool)
        solid = (found.xyxy[:, 2:] > found.xyxy[:, :2]).all(axis=1)
        rows = np.flatnonzero(chosen & solid & (found.scores >= MIN_SCORE))
        if not len(rows):
            return NOTHING
        boxes = np.column_stack((found.xyxy[rows], found.scores[rows]))
        rows = rows[sv.box_non_max_suppression(boxes, DUPLICATE_IOU)]
        return Detections(found.xyxy[rows], found.scores[rows], tuple(found.labels[row] for row in rows))
