"""Objects in single frames by any detector of transformers that reads the whole frame at once.

By default D-FINE-S, ustc-community/dfine-small-coco (Apache-2.0, https://arxiv.org/abs/2410.13842). Others are RF-DETR,
Roboflow/rf-detr-nano, base and medium (Apache-2.0, https://arxiv.org/abs/2511.09554), and RT-DETR v2,
PekingU/rtdetr_v2_r18vd (Apache-2.0, https://arxiv.org/abs/2407.17140). All know the 80 classes of COCO, and nothing of
time.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from pipelines.loading.device import Placement
from pipelines.loading.errors import overflowed
from pipelines.media import Rgb
from pipelines.object_tracking.byte_track import Detections

MIN_SCORE = 0.1
"""Far below what begins a track, enough to prolong one."""


class Detector(Protocol):
    """Finds objects of known classes in frames.

    Attributes:
        labels: names of the classes.
    """

    labels: tuple[str, ...]

    def detect(self, frames: Sequence[Rgb]) -> list[Detections]:
        """Find the objects of each of some frames of one size, RGB uint8 (H, W, 3), with scores from `MIN_SCORE`."""


class TransformersDetector:
    """One loaded model. Not thread-safe.

    Args:
        model: a detection model of transformers, on the device of `placement`.
        processor: its image processor.
        placement: device and number format.
        name: for messages.
    """

    def __init__(self, model: Any, processor: Any, placement: Placement, name: str) -> None:
        self._model = model
        self._processor = processor
        self._placement = placement
        self._name = name
        self._names: dict[int, str] = model.config.id2label
        self.labels = tuple(dict.fromkeys(self._names.values()))

    def detect(self, frames: Sequence[Rgb]) -> list[Detections]:
        """Find the objects of each of some frames.

        Args:
            frames: RGB uint8 (H, W, 3), of one size.

        Returns:
            Boxes of each frame, the best first, clipped to the frame; one object may have several labels.

        Raises:
            ModelUnavailable: the model overflows in the chosen number format.
        """
        import torch

        # A frame of few rows could be taken for one with its channels first: state the layout.
        inputs = self._processor(list(frames), input_data_format="channels_last", return_tensors="pt")
        with torch.inference_mode():
            outputs = self._model(**inputs.to(self._placement.device, self._placement.dtype))
        outputs.logits, outputs.pred_boxes = outputs.logits.float(), outputs.pred_boxes.float()
        if not (torch.isfinite(outputs.logits).all() and torch.isfinite(outputs.pred_boxes).all()):
            raise overflowed(self._name)
        sizes = [frame.shape[:2] for frame in frames]
        found = self._processor.post_process_object_detection(outputs, threshold=MIN_SCORE, target_sizes=sizes)
        return [self._detections(one, height, width) for one, (height, width) in zip(found, sizes, strict=True)]

    def _detections(self, found: dict[str, Any], height: int, width: int) -> Detections:
        boxes = found["boxes"].cpu().numpy()
        return Detections(
            xyxy=np.clip(boxes, 0, (width, height, width, height)).astype(np.float32),
            scores=found["scores"].cpu().numpy().astype(np.float32),
            labels=tuple(self._names[label] for label in found["labels"].tolist()),
        )
