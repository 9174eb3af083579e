"""Object tracking by any multi-object tracking model of MMTracking: ByteTrack, OC-SORT, QDTrack, DeepSORT, Tracktor ….

MMTracking 0.14.0 (Apache-2.0, archived), https://github.com/open-mmlab/mmtracking; by default its ByteTrack with a
YOLOX-x detector, https://arxiv.org/abs/2110.06864. It runs in an environment of its own: see
`pipelines/loading/openmmlab.py`.

Knows nothing of time or cuts: the config's tracker counts in frames and goes on through a cut.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from pipelines.contracts.engine import ModelCard, Resources
from pipelines.contracts.errors import ModelUnavailable, UnusableMedia
from pipelines.loading.device import DeviceName, select_device
from pipelines.loading.openmmlab import LICENSE, OpenMMLabConfig, build_model, read_config, require_kind
from pipelines.media import Rgb
from pipelines.object_tracking.base import ObjectTracker, Tracks

if TYPE_CHECKING:
    import torch

MAX_LOOKBACK: Final = 16
"""How many sightings a tracker looks back at most; DeepSORT takes the mean of the last ten."""


class MmtrackingConfig(OpenMMLabConfig):
    """A model of MMTracking; its own configs are those below `configs/mot`."""

    engine: Literal["mmtracking"] = "mmtracking"
    config: str = "bytetrack/bytetrack_yolox_x_crowdhuman_mot17-private-half"

    def card(self) -> ModelCard:
        """The model, by its checkpoint's name."""
        return ModelCard(
            model=self.name,
            license=LICENSE,
            description="Tracks what its checkpoint was trained on, by a model of MMTracking (archived).",
        )

    def load(self, resources: Resources) -> ObjectTracker:
        """Build the model and read its checkpoint; the environment must be OpenMMLab's."""
        settings = read_config("mmtrack", "mot", self.config)
        from mmtrack.apis import init_model
        from mmtrack.models.builder import MODELS
        from mmtrack.models.mot import BaseMultiObjectTracker

        require_kind(settings, MODELS, BaseMultiObjectTracker, "multi-object tracking")
        if any(step.type == "LoadDetections" for step in settings.data.test.pipeline):
            raise ModelUnavailable("The config needs a benchmark's own detections; take one that detects (private).")
        device = _select_device(self.device)
        model, classes = build_model(settings, init_model, self.checkpoint)
        return Mmtracking(model.to(device), classes or model.CLASSES or ())


class Mmtracking(ObjectTracker):
    """One loaded model. Not thread-safe: the model holds the tracks of the current video."""

    def __init__(self, model: Any, classes: Sequence[str]) -> None:
        """`model` is a multi-object tracker of mmtrack on its device; `classes` are the names of its labels."""
        self._model = model
        self._classes = classes

    def track(self, frames: Iterable[Rgb], *, fps: float) -> Iterator[tuple[Rgb, Tracks]]:
        """As the base says; each frame comes out at once, and `fps` is ignored.

        Raises:
            UnusableMedia: the model moves its tracks along with the camera, and two frames have nothing in common.
        """
        import cv2
        from mmtrack.apis import inference_mot

        for number, frame in enumerate(frames):
            bgr = np.ascontiguousarray(frame[..., ::-1])
            try:
                found = inference_mot(self._model, bgr, number)["track_bboxes"]
            except cv2.error:  # what OpenCV's alignment of frames raises at a cut
                raise UnusableMedia(
                    "The model cannot align a frame with the one before it, as at a cut. Split the video there, or use "
                    "a config without camera motion compensation."
                ) from None
            self._forget()
            yield frame, self._tracks(found)

    def _tracks(self, found: Sequence[Any]) -> Tracks:
        """From float32 (N, 6) for each class: id from 0, left, top, right, bottom, score."""
        rows = np.concatenate([np.asarray(rows, np.float32).reshape(-1, 6) for rows in found])
        labels = [self._name(label) for label, rows in enumerate(found) for _ in rows]
        return Tracks(rows[:, 1:5], rows[:, 0].astype(np.int64) + 1, rows[:, 5], tuple(labels))

    def _name(self, label: int) -> str:
        return self._classes[label] if label < len(self._classes) else f"class {label}"

    def _forget(self) -> None:
        """Shorten what mmtrack keeps of each visible object: memory must not grow with the video."""
        tracker = self._model.tracker
        kept = tracker.num_frames_retain + MAX_LOOKBACK  # OC-SORT also looks back to where a lost object was seen last
        for track in tracker.tracks.values():
            for history in track.values():
                if isinstance(history, list):
                    del history[:-kept]


def _select_device(device: DeviceName) -> "torch.device":
    from mmcv.ops import get_compiling_cuda_version

    compiled = get_compiling_cuda_version() != "not available"
    if device == "cuda" and not compiled:
        raise ModelUnavailable("OpenMMLab's environment was built without CUDA operators. Set `device: cpu`.")
    return select_device(device if compiled else "cpu", "float32").device
