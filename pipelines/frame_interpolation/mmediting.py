"""Frame interpolation by MMEditing's models: CAIN, which looks at two frames, and FLAVR, which looks at four.

MMEditing 0.16.1 (Apache-2.0, archived), https://github.com/open-mmlab/mmagic/tree/v0.16.1. CAIN: Choi et al. 2020,
https://github.com/myungsub/CAIN; FLAVR: https://arxiv.org/abs/2012.08512. It runs in an environment of its own: see
`pipelines/loading/openmmlab.py`.

Makes only the frame half-way: frame rates can be doubled, and no other ratio is possible.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from pipelines.contracts.engine import ModelCard, Resources
from pipelines.contracts.errors import ModelUnavailable
from pipelines.frame_interpolation.base import FrameInterpolator
from pipelines.loading.device import select_device
from pipelines.loading.openmmlab import LICENSE, OpenMMLabConfig, build_model, read_config, require_kind
from pipelines.media import Rgb

if TYPE_CHECKING:
    import torch

LOADING_STEPS: Final = ("GenerateSegmentIndices", "LoadImageFromFileList", "LoadImageFromFile")
"""The steps of a config's pipeline that read files: frames are in memory already."""


class MmeditingConfig(OpenMMLabConfig):
    """A model of MMEditing; its own configs are those below `configs/video_interpolators`."""

    engine: Literal["mmediting"] = "mmediting"
    config: str = "cain/cain_b5_g1b32_vimeo90k_triplet"

    def card(self) -> ModelCard:
        """The model, by its checkpoint's name."""
        return ModelCard(
            model=self.name,
            license=LICENSE,
            description="Frames half-way between those of a video, by a model of MMEditing (archived).",
        )

    def load(self, resources: Resources) -> FrameInterpolator:
        """Build the model and read its checkpoint; the environment must be OpenMMLab's."""
        settings = read_config("mmedit", "video_interpolators", self.config)
        from mmedit.apis import init_model
        from mmedit.datasets.pipelines import Compose
        from mmedit.models.registry import MODELS
        from mmedit.models.video_interpolators import BasicInterpolator

        require_kind(settings, MODELS, BasicInterpolator, "video interpolation")
        device = select_device(self.device, "float32").device
        model, _ = build_model(settings, init_model, self.checkpoint)
        if model.required_frames not in (2, 4) or settings.model.generator.get("num_output_frames", 1) != 1:
            raise ModelUnavailable("The config's model does not make one frame from two or four.")
        steps = settings.get("demo_pipeline") or settings.get("test_pipeline") or settings.val_pipeline
        prepare = Compose([step for step in steps if step["type"] not in LOADING_STEPS])
        return Mmediting(model.to(device), prepare, device)


class Mmediting(FrameInterpolator):
    """One loaded model. Not thread-safe."""

    midpoint_only = True

    def __init__(self, model: Any, prepare: Callable[[dict[str, Any]], Any], device: "torch.device") -> None:
        """`model` is an interpolator of mmedit on `device`; `prepare` is its pipeline without the reading of files."""
        self._model = model
        self._prepare = prepare
        self._device = device
        # FLAVR halves its frames three times and fails on a remainder; CAIN pads by itself.
        self._multiple = 8 if model.required_frames == 4 else 1

    def interpolate(self, before: Rgb, after: Rgb, timesteps: Sequence[float], *, outer: tuple[Rgb, Rgb]) -> list[Rgb]:
        """As the base says; `timesteps` is always `[0.5]`, and only models of four frames use `outer`."""
        import torch

        frames = [outer[0], before, after, outer[1]] if self._model.required_frames == 4 else [before, after]
        inputs = self._prepare({"inputs": [self._padded(frame) for frame in frames], "inputs_path": None, "key": ""})
        with torch.no_grad():
            made = self._model(inputs["inputs"][None].to(self._device), test_mode=True)["output"]
        rows, columns = before.shape[:2]
        middle = made[0].clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0)
        return [np.ascontiguousarray(middle[:rows, :columns].cpu().numpy())]

    def _padded(self, frame: Rgb) -> Rgb:
        """With its last rows and columns repeated, up to a multiple that the model can take."""
        rest = [(0, -side % self._multiple) for side in frame.shape[:2]]
        return np.pad(frame, (*rest, (0, 0)), mode="edge") if any(after for _, after in rest) else frame
