"""Zero-shot classification by SigLIP and SigLIP 2: which of the given names fit an image.

Checkpoint: google/siglip2-base-patch16-224 (Apache-2.0, https://arxiv.org/abs/2502.14786), or its NaFlex variant, which
keeps the image's shape. Each name has a probability of its own: of an image that none fits, all are small.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pipelines.image_understanding.transformers.classifier import Classifier
from pipelines.loading.device import Placement
from pipelines.loading.pretrained import read_image_processor, read_model, read_tokenizer
from pipelines.loading.weights import Weights

if TYPE_CHECKING:
    from torch import Tensor


class SiglipClassifier(Classifier):
    """One loaded `SiglipModel` or `Siglip2Model` with its names. Not thread-safe."""

    own_prompt: ClassVar[str] = "This is a photo of {}."

    @classmethod
    def load(cls, weights: Weights, placement: Placement, *, labels: Sequence[str], prompt: str | None) -> Self:
        """Read the checkpoint and embed the names: see the base class."""
        from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

        tokenizer = read_tokenizer(AutoTokenizer, weights)
        processor = read_image_processor(AutoImageProcessor, weights, backend="pil")
        model = read_model(AutoModel, weights, placement)
        return cls(model, processor, tokenizer, placement, weights.name, labels=labels, prompt=prompt)

    def _tokens(self, texts: list[str], max_length: int) -> Any:
        # As it was trained: in lower case, padded to the full length, and the padding not masked.
        return self._tokenizer(
            [text.lower() for text in texts],
            padding="max_length",
            truncation=True,
            max_length=max_length,
            return_attention_mask=False,
            return_tensors="pt",
        )

    def _to_probabilities(self, logits: "Tensor") -> "Tensor":
        biased: Tensor = logits + self._model.logit_bias.float()
        return biased.sigmoid()
