"""Which of some given names fit an image, by CLIP, without training for them.

Checkpoint: openai/clip-vit-base-patch32 (MIT, https://arxiv.org/abs/2103.00020).
Compares the names with each other: it chooses the best of them also where none fits.
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

TEXTS_AT_ONCE = 64


class Classifier:
    """One loaded model with its names. Not thread-safe.

    Args:
        model: a `CLIPModel`, on the device of `where`.
        processor: prepares its images.
        tokenizer: reads the names.
        where: device and number format.
        name: for messages.
        labels: the names.
        prompt: sentence that a name stands in, in place of `{}`.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        tokenizer: Any,
        where: Placement,
        name: str,
        *,
        labels: Sequence[str],
        prompt: str,
    ) -> None:
        self._model = model
        self._processor = processor
        self._where = where
        self._name = name
        self.labels = tuple(labels)
        self._names = self._read([prompt.replace("{}", label) for label in labels], tokenizer)

    @classmethod
    def load(cls, weights: Weights, where: Placement, *, labels: Sequence[str], prompt: str) -> Self:
        """Read the checkpoint, and the names with it.

        Raises:
            ModelUnavailable: missing, damaged, or of another kind.
        """
        from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

        tokenizer = read_tokenizer(AutoTokenizer, weights)
        processor = read_image_processor(CLIPImageProcessorPil, weights)
        model = read_model(CLIPModel, weights, where)
        return cls(model, processor, tokenizer, where, weights.name, labels=labels, prompt=prompt)

    def probabilities(self, image: Rgb) -> NDArray[np.float32]:
        """How well each of `labels` fits an image beside the others.

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
            pixels = inputs["pixel_values"].to(self._where.device, self._where.dtype)
            seen = _unit(self._model.get_image_features(pixel_values=pixels).pooler_output)[0]
            logits = self._names @ seen * self._model.logit_scale.float().exp()
        if not torch.isfinite(logits).all():
            raise overflowed(self._name)
        return np.asarray(logits.softmax(0).cpu().numpy(), np.float32)

    def _read(self, texts: list[str], tokenizer: Any) -> Any:
        """Unit vectors of texts, float32 (N, dimension)."""
        import torch

        vectors = []
        longest = self._model.config.text_config.max_position_embeddings
        with torch.inference_mode():
            for start in range(0, len(texts), TEXTS_AT_ONCE):
                some = texts[start : start + TEXTS_AT_ONCE]
                tokens = tokenizer(some, padding=True, truncation=True, max_length=longest, return_tensors="pt")
                tokens = tokens.to(self._where.device)
                vectors.append(_unit(self._model.get_text_features(**tokens).pooler_output))
        return torch.cat(vectors)


def _unit(vectors: Any) -> Any:
    """Vectors in float32: half precision would shift probabilities by some percent."""
    vectors = vectors.float()
    return vectors / vectors.norm(dim=-1, keepdim=True)
