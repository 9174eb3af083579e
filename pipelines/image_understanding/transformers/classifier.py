"""Zero-shot classification by CLIP: which of the given names fit an image.

Checkpoint: openai/clip-vit-base-patch32 (MIT, https://arxiv.org/abs/2103.00020).
It only compares the names with each other: it chooses the best even if none fits.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipelines.loading.device import Placement
from pipelines.loading.errors import overflowed
from pipelines.loading.pretrained import read_image_processor, read_model, read_tokenizer
from pipelines.loading.weights import Weights
from pipelines.media import Rgb

TEXT_BATCH_SIZE = 64


class Classifier:
    """One loaded model with its names. Not thread-safe.

    Args:
        model: a `CLIPModel`, on the device of `placement`.
        processor: prepares its images.
        tokenizer: tokenizes the names.
        placement: device and number format.
        name: for messages.
        labels: the names.
        prompt: sentence in which each name replaces `{}`.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        tokenizer: Any,
        placement: Placement,
        name: str,
        *,
        labels: Sequence[str],
        prompt: str,
    ) -> None:
        self._model = model
        self._processor = processor
        self._placement = placement
        self._name = name
        self.labels = tuple(labels)
        self._names = self._embed([prompt.replace("{}", label) for label in labels], tokenizer)

    @classmethod
    def load(cls, weights: Weights, placement: Placement, *, labels: Sequence[str], prompt: str) -> Self:
        """Read the checkpoint and embed the names.

        Raises:
            ModelUnavailable: missing, damaged, or of another kind.
        """
        from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

        tokenizer = read_tokenizer(AutoTokenizer, weights)
        processor = read_image_processor(CLIPImageProcessorPil, weights)
        model = read_model(CLIPModel, weights, placement)
        return cls(model, processor, tokenizer, placement, weights.name, labels=labels, prompt=prompt)

    def probabilities(self, image: Rgb) -> NDArray[np.float32]:
        """How well each of `labels` fits an image, compared with the others.

        Args:
            image: RGB uint8 (H, W, 3).

        Returns:
            float32 (labels,), sum 1.

        Raises:
            ModelUnavailable: the model's numbers overflow in the chosen number format.
        """
        import torch

        inputs = self._processor(image, input_data_format="channels_last", return_tensors="pt")
        with torch.inference_mode():
            pixels = inputs["pixel_values"].to(self._placement.device, self._placement.dtype)
            seen = _unit(self._model.get_image_features(pixel_values=pixels).pooler_output)[0]
            logits = self._names @ seen * self._model.logit_scale.float().exp()
        if not torch.isfinite(logits).all():
            raise overflowed(self._name)
        return np.asarray(logits.softmax(0).cpu().numpy(), np.float32)

    def _embed(self, texts: list[str], tokenizer: Any) -> Any:
        """Unit vectors of texts, float32 (N, dimension)."""
        import torch

        vectors = []
        max_length = self._model.config.text_config.max_position_embeddings
        with torch.inference_mode():
            for start in range(0, len(texts), TEXT_BATCH_SIZE):
                batch = texts[start : start + TEXT_BATCH_SIZE]
                tokens = tokenizer(batch, padding=True, truncation=True, max_length=max_length, return_tensors="pt")
                tokens = tokens.to(self._placement.device)
                vectors.append(_unit(self._model.get_text_features(**tokens).pooler_output))
        return torch.cat(vectors)


def _unit(vectors: Any) -> Any:
    """Unit vectors in float32: half precision would shift probabilities by several percent."""
    vectors = vectors.float()
    return vectors / vectors.norm(dim=-1, keepdim=True)
