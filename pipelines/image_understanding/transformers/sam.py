"""Segments by SAM.

Checkpoint: facebook/sam-vit-base (Apache-2.0, https://arxiv.org/abs/2304.02643).
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


class PaddedFrame(Frame):
    """SAM keeps the image's shape and fills up the square at the right or below."""

    def enlarge(self, logits: "Tensor") -> NDArray[np.bool_]:
        """One mask over the image: see the base class."""
        from torch.nn.functional import interpolate

        square = interpolate(logits[None, None], (self.side, self.side), mode="bilinear", align_corners=False)
        square = square[..., : self.inner[0], : self.inner[1]]
        mask = interpolate(square, self.size, mode="bilinear", align_corners=False)[0, 0] > 0
        return np.asarray(mask.cpu().numpy())


class SamSegmenter(Segmenter):
    """One loaded `SamModel`. Not thread-safe."""

    own_least_quality: ClassVar[float] = 0.88

    @classmethod
    def load(cls, weights: Weights, placement: Placement, **options: Any) -> Self:
        """Read the checkpoint: see the base class."""
        from transformers import SamImageProcessorPil, SamModel

        processor = read_image_processor(SamImageProcessorPil, weights)
        return cls(read_model(SamModel, weights, placement), processor, placement, weights.name, **options)

    def _embed(self, image: Rgb) -> tuple[Any, Frame]:
        import torch

        inputs = self._processor(image, input_data_format="channels_last", return_tensors="pt")
        pixels = inputs["pixel_values"].to(self._placement.device, self._placement.dtype)
        rows, columns = inputs["reshaped_input_sizes"][0].tolist()
        frame = PaddedFrame((image.shape[0], image.shape[1]), (rows, columns), int(pixels.shape[-1]))
        embedding = self._model.get_image_embeddings(pixels)
        if not torch.isfinite(embedding).all():
            raise overflowed(self._name)
        return embedding, frame
