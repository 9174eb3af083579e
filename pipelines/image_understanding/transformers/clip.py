"""Zero-shot classification by CLIP: which of the given names fit an image best.

Checkpoint: openai/clip-vit-base-patch32 (MIT, https://arxiv.org/abs/2103.00020).
It only compares the names with each other, their probabilities have the sum 1: it chooses the best even if none fits.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pipelines.image_understanding.transformers.classifier import Classifier
from pipelines.loading.device import Placement
from pipelines.loading.pretrained import read_image_processor, read_model, read_tokenizer
from pipelines.loading.weights import Weights

if TYPE_CHECKING:
    from torch import Tensor


class ClipClassifier(Classifier):
    """One loaded `CLIPModel` with its names. Not thread-safe."""

    own_prompt: ClassVar[str] = "a photo of a {}."

    @classmethod
    def load(cls, weights: Weights, placement: Placement, *, labels: Sequence[str], prompt: str | None) -> Self:
        """Read the checkpoint and embed the names: see the base class."""
        from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

        tokenizer = read_tokenizer(AutoTokenizer, weights)
        processor = read_image_processor(CLIPImageProcessorPil, weights)
        model = read_model(CLIPModel, weights, placement)
        return cls(model, processor, tokenizer, placement, weights.name, labels=labels, prompt=prompt)

    def _tokens(self, texts: list[str], max_length: int) -> Any:
        return self._tokenizer(texts, padding=True, truncation=True, max_length=max_length, return_tensors="pt")

    def _to_probabilities(self, logits: "Tensor") -> "Tensor":
        return logits.softmax(0)
