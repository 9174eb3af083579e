"""Object tracking by any multi-object tracking model of MMTracking: ByteTrack, OC-SORT, QDTrack, DeepSORT, Tracktor ….

MMTracking 0.14.0 (Apache-2.0, archived), https://github.com/open-mmlab/mmtracking; by default its ByteTrack with a
YOLOX-x detector, https://arxiv.org/abs/2110.06864. It runs in an environment of its own: see
`pipelines/loading/openmmlab.py`.

Knows nothing of time and of cuts: the config's tracker counts in frames and goes on through a cut.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np

from pipelines.contracts.engine import EngineConfig, ModelCard, Resources
from pipelines.contracts.errors import ModelUnavailable, UnusableMedia
from pipelines.loading.device import DeviceName, select_device
from pipelines.loading.openmmlab import LICENCE, fill, read_config, take_parts
from pipelines.media import Rgb
from pipelines.object_tracking.base import ObjectTracker, Tracks

if TYPE_CHECKING:
    import torch

LOOKED_BACK: Final = 16
"""How many sightings a tracker looks back at most; DeepSORT takes the mean of the last ten."""


class MmtrackingConfig(EngineConfig):
    """A model of MMTracking. The block must also name `py_executable: openmmlab/python`."""

    engine: Literal["mmtracking"] = "mmtracking"
    """Chooses this engine."""
    config: str = "bytetrack/bytetrack_yolox_x_crowdhuman_mot17-private-half"
    """One of MMTracking's own (below `configs/mot`, without `.py`), or the path of a file. It is run: trust it as you
    trust code."""
    checkpoint: str | None = None
    """The file with the model's weights. `None` where the config names files for all of its parts (`init_cfg`)."""
    device: DeviceName = "auto"
    """`auto` takes a GPU where there is one and mmcv was compiled for it."""

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model=Path(self.checkpoint or self.config).stem,
            license=LICENCE,
            description="Tracks what its checkpoint was trained on, by a model of MMTracking (archived).",
        )

    def load(self, resources: Resources) -> ObjectTracker:
        """Build the model and read its checkpoint.

        Raises:
            ModelUnavailable: not in OpenMMLab's environment, no such config or one of another task, a checkpoint that
                is not there, damaged or of another model, or no such device.
        """
        return Mmtracking.load(self)


class Mmtracking(ObjectTracker):
    """One loaded model. Not thread-safe: the model holds the tracks of the video under way."""

    def __init__(self, model: Any, classes: Sequence[str]) -> None:
        """`model` is a multi-object tracker of mmtrack on its device; `classes` are the names of its labels."""
        self._model = model
        self._classes = classes

    @classmethod
    def load(cls, config: MmtrackingConfig) -> Self:
        """As `MmtrackingConfig.load` says."""
        settings = read_config("mmtrack", "mot", config.config)
        from mmtrack.apis import init_model

        _check(settings)
        parts = take_parts(settings.model)
        if config.checkpoint is not None:
            parts[""] = config.checkpoint
        device = _place(config.device)
        model = init_model(settings, device="cpu")
        classes = fill(model, parts) or model.CLASSES or ()
        return cls(model.to(device), classes)

    def track(self, frames: Iterable[Rgb], *, fps: float) -> Iterator[tuple[Rgb, Tracks]]:
        """As the base says; each frame comes out at once, and `fps` is not looked at.

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
                    "The model cannot align a frame with the one before it, as at a cut; cut the video there, or take "
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
        """Shorten what mmtrack keeps of each object for as long as it is seen: memory must not grow with the video."""
        tracker = self._model.tracker
        kept = tracker.num_frames_retain + LOOKED_BACK  # OC-SORT also looks back to where a lost object was seen last
        for track in tracker.tracks.values():
            for history in track.values():
                if isinstance(history, list):
                    del history[:-kept]


def _check(settings: Any) -> None:
    from mmtrack.models.builder import MODELS
    from mmtrack.models.mot import BaseMultiObjectTracker

    kind = MODELS.get(settings.get("model", {}).get("type", ""))
    if kind is None or not issubclass(kind, BaseMultiObjectTracker):
        raise ModelUnavailable("The config is not one of MMTracking for multi-object tracking.")
    if any(step.type == "LoadDetections" for step in settings.data.test.pipeline):
        raise ModelUnavailable("The config wants a benchmark's own detections, which no video has; take a private one.")


def _place(device: DeviceName) -> "torch.device":
    from mmcv.ops import get_compiling_cuda_version

    compiled = get_compiling_cuda_version() != "not available"
    if device == "cuda" and not compiled:
        raise ModelUnavailable("OpenMMLab's environment was built without CUDA operators; set `device: cpu`.")
    return select_device(device if compiled else "cpu", "float32").device
