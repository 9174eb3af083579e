"""Segments by SAM 2.1.

Checkpoints: facebook/sam2.1-hiera-base-plus, and tiny, small and large (Apache-2.0, https://arxiv.org/abs/2408.00714).
They are published as models for videos; of those the part for single images is read.
"""

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from pipelines.image_understanding.transformers.segmenter import Frame, Segmenter
from pipelines.loading.device import Placement
from pipelines.loading.errors import overflowed
from pipelines.loading.pretrained import read_image_processor, read_model
from pipelines.loading.weights import Weights
from pipelines.media import Rgb

if TYPE_CHECKING:
    from torch import Tensor


class FilledFrame(Frame):
    """SAM 2 squeezes or stretches the image to the whole square."""

    def enlarge(self, logits: "Tensor") -> NDArray[np.bool_]:
        """One mask over the image: see the base class."""
        from torch.nn.functional import interpolate

        mask = interpolate(logits[None, None], self.size, mode="bilinear", align_corners=False)[0, 0] > 0
        return np.asarray(mask.cpu().numpy())


class Sam2Segmenter(Segmenter):
    """One loaded `Sam2Model`. Not thread-safe."""

    own_least_quality: ClassVar[float] = 0.8

    @classmethod
    def load(cls, weights: Weights, placement: Placement, **options: Any) -> Self:
        """Read the checkpoint: see the base class."""
        from transformers import Sam2Model, ViTImageProcessorPil

        # SAM 2's own processor needs torchvision; ViT's does the same: resizes to a square, normalizes.
        processor = read_image_processor(ViTImageProcessorPil, weights)
        return cls(read_model(Sam2Model, weights, placement), processor, placement, weights.name, **options)

    def _embed(self, image: Rgb) -> tuple[Any, Frame]:
        import torch

        inputs = self._processor(image, input_data_format="channels_last", return_tensors="pt")
        pixels = inputs["pixel_values"].to(self._placement.device, self._placement.dtype)
        side = int(pixels.shape[-1])
        frame = FilledFrame((image.shape[0], image.shape[1]), (side, side), side)
        embeddings = self._model.get_image_embeddings(pixels)
        if not all(torch.isfinite(each).all() for each in embeddings):
            raise overflowed(self._name)
        return embeddings, frame
