"""Frame interpolation by MMEditing's models: CAIN, which looks at two frames, and FLAVR, which looks at four.

MMEditing 0.16.1 (Apache-2.0, archived), https://github.com/open-mmlab/mmagic/tree/v0.16.1. CAIN: Choi et al. 2020,
https://github.com/myungsub/CAIN; FLAVR: https://arxiv.org/abs/2012.08512. It runs in an environment of its own: see
`pipelines/loading/openmmlab.py`.

Knows only the frame half-way: other rates than doubled ones cannot be had.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np

from pipelines.contracts.engine import EngineConfig, ModelCard, Resources
from pipelines.contracts.errors import ModelUnavailable
from pipelines.frame_interpolation.base import FrameInterpolator
from pipelines.loading.device import DeviceName, select_device
from pipelines.loading.openmmlab import LICENCE, fill, read_config, take_parts
from pipelines.media import Rgb

if TYPE_CHECKING:
    import torch

LOADING: Final = ("GenerateSegmentIndices", "LoadImageFromFileList", "LoadImageFromFile")
"""The steps of a config's pipeline that read files: frames are here already."""


class MmeditingConfig(EngineConfig):
    """A model of MMEditing. The block must also name `py_executable: openmmlab/python`."""

    engine: Literal["mmediting"] = "mmediting"
    """Chooses this engine."""
    config: str = "cain/cain_b5_g1b32_vimeo90k_triplet"
    """One of MMEditing's own (below `configs/video_interpolators`, without `.py`), or the path of a file. It is run:
    trust it as you trust code."""
    checkpoint: str | None = None
    """The file with the model's weights; there is no serving without."""
    device: DeviceName = "auto"
    """`auto` takes a GPU where there is one."""

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model=Path(self.checkpoint or self.config).stem,
            license=LICENCE,
            description="Frames half-way between those of a video, by a model of MMEditing (archived).",
        )

    def load(self, resources: Resources) -> FrameInterpolator:
        """Build the model and read its checkpoint.

        Raises:
            ModelUnavailable: not in OpenMMLab's environment, no such config or one of another task, a checkpoint that
                is not there, damaged or of another model, or no such device.
        """
        return Mmediting.load(self)


class Mmediting(FrameInterpolator):
    """One loaded model. Not thread-safe."""

    midpoint_only = True

    def __init__(self, model: Any, prepare: Callable[[dict[str, Any]], Any], device: "torch.device") -> None:
        """`model` is an interpolator of mmedit on `device`; `prepare` is its pipeline without the reading of files."""
        self._model = model
        self._prepare = prepare
        self._device = device
        # FLAVR halves its frames three times and fails where that leaves a rest; CAIN pads by itself.
        self._multiple = 8 if model.required_frames == 4 else 1

    @classmethod
    def load(cls, config: MmeditingConfig) -> Self:
        """As `MmeditingConfig.load` says."""
        settings = read_config("mmedit", "video_interpolators", config.config)
        from mmedit.apis import init_model
        from mmedit.datasets.pipelines import Compose
        from mmedit.models.registry import MODELS
        from mmedit.models.video_interpolators import BasicInterpolator

        kind = MODELS.get(settings.get("model", {}).get("type", ""))
        if kind is None or not issubclass(kind, BasicInterpolator):
            raise ModelUnavailable("The config is not one of MMEditing for video interpolation.")
        parts = take_parts(settings.model)
        if config.checkpoint is not None:
            parts[""] = config.checkpoint
        device = select_device(config.device, "float32").device
        model = init_model(settings, device="cpu")
        if model.required_frames not in (2, 4) or settings.model.generator.get("num_output_frames", 1) != 1:
            raise ModelUnavailable("The config's model makes more than the frame half-way of two or four.")
        fill(model, parts)
        steps = settings.get("demo_pipeline") or settings.get("test_pipeline") or settings.val_pipeline
        prepare = Compose([step for step in steps if step["type"] not in LOADING])
        return cls(model.to(device), prepare, device)

    def interpolate(self, before: Rgb, after: Rgb, timesteps: Sequence[float], *, outer: tuple[Rgb, Rgb]) -> list[Rgb]:
        """As the base says; `timesteps` is always `[0.5]`, and only models of four frames look at `outer`."""
        import torch

        frames = [outer[0], before, after, outer[1]] if self._model.required_frames == 4 else [before, after]
        inputs = self._prepare({"inputs": [self._padded(frame) for frame in frames], "inputs_path": None, "key": ""})
        with torch.no_grad():
            made = self._model(inputs["inputs"][None].to(self._device), test_mode=True)["output"]
        rows, columns = before.shape[:2]
        middle = made[0].clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0)
        return [np.ascontiguousarray(middle[:rows, :columns].cpu().numpy())]

    def _padded(self, frame: Rgb) -> Rgb:
        """With its last rows and columns repeated, where the model could not take it as it is."""
        rest = [(0, -side % self._multiple) for side in frame.shape[:2]]
        return np.pad(frame, (*rest, (0, 0)), mode="edge") if any(after for _, after in rest) else frame
