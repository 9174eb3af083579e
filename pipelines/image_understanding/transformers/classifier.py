"""Zero-shot classification: how well given names fit an image, by the distance of their embeddings from its own."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from pipelines.loading.device import Placement
from pipelines.loading.errors import overflowed
from pipelines.loading.weights import Weights
from pipelines.media import Rgb

if TYPE_CHECKING:
    from torch import Tensor

TEXT_BATCH_SIZE = 64


class Classifier(ABC):
    """One loaded model with its names. Not thread-safe.

    Args:
        model: on the device of `placement`.
        processor: prepares its images.
        tokenizer: tokenizes the names.
        placement: device and number format.
        name: for messages.
        labels: the names.
        prompt: sentence in which each name replaces `{}`; `None` is the family's own.
    """

    own_prompt: ClassVar[str]

    def __init__(
        self,
        model: Any,
        processor: Any,
        tokenizer: Any,
        placement: Placement,
        name: str,
        *,
        labels: Sequence[str],
        prompt: str | None,
    ) -> None:
        self._model = model
        self._processor = processor
        self._tokenizer = tokenizer
        self._placement = placement
        self._name = name
        self.labels = tuple(labels)
        self._names = self._embed([(prompt or self.own_prompt).replace("{}", label) for label in labels])

    @classmethod
    @abstractmethod
    def load(cls, weights: Weights, placement: Placement, *, labels: Sequence[str], prompt: str | None) -> Self:
        """Read the checkpoint and embed the names.

        Raises:
            ModelUnavailable: missing, damaged, or of another kind.
        """

    def probabilities(self, image: Rgb) -> NDArray[np.float32]:
        """How well each of `labels` fits an image.

        Args:
            image: RGB uint8 (H, W, 3).

        Returns:
            float32 (labels,), 0 to 1.

        Raises:
            ModelUnavailable: the model's numbers overflow in the chosen number format.
        """
        import torch

        inputs = self._processor(image, input_data_format="channels_last", return_tensors="pt")
        with torch.inference_mode():
            inputs = inputs.to(self._placement.device, self._placement.dtype)
            seen = _unit(self._model.get_image_features(**inputs).pooler_output)[0]
            logits = self._names @ seen * self._model.logit_scale.float().exp()
            if not torch.isfinite(logits).all():
                raise overflowed(self._name)
            return np.asarray(self._to_probabilities(logits).cpu().numpy(), np.float32)

    @abstractmethod
    def _tokens(self, texts: list[str], max_length: int) -> Any:
        """Inputs of the text model, by name."""

    @abstractmethod
    def _to_probabilities(self, logits: "Tensor") -> "Tensor":
        """From scaled similarities, float32 (labels,)."""

    def _embed(self, texts: list[str]) -> "Tensor":
        """Unit vectors of texts, float32 (N, dimension)."""
        import torch

        vectors = []
        max_length = self._model.config.text_config.max_position_embeddings
        with torch.inference_mode():
            for start in range(0, len(texts), TEXT_BATCH_SIZE):
                tokens = self._tokens(texts[start : start + TEXT_BATCH_SIZE], max_length).to(self._placement.device)
                vectors.append(_unit(self._model.get_text_features(**tokens).pooler_output))
        return torch.cat(vectors)


def _unit(vectors: "Tensor") -> "Tensor":
    """Unit vectors in float32: half precision would shift probabilities by several percent."""
    from torch.nn.functional import normalize

    return normalize(vectors.float(), dim=-1)
