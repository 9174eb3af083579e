"""What every captioning model offers, and what the families share."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pipelines.contracts.progress import Progress
from pipelines.loading.device import DtypeName, Placement
from pipelines.loading.weights import Weights
from pipelines.media import Rgb

if TYPE_CHECKING:
    from torch import Tensor


class Captioner(ABC):
    """One loaded model. Not thread-safe."""

    auto_dtype: ClassVar[DtypeName] = "float32"
    """Number format that `dtype: auto` means; `auto` is half precision on a GPU."""

    @classmethod
    @abstractmethod
    def load(cls, weights: Weights, placement: Placement) -> Self:
        """Read the checkpoint.

        Raises:
            ModelUnavailable: missing, damaged, or of another kind.
        """

    @abstractmethod
    def caption(self, image: Rgb, *, progress: Progress) -> str:
        """Describe an image in a sentence.

        Args:
            image: RGB uint8 (H, W, 3).
            progress: called after each token.
        """


class TokenCounter:
    """A stopping criterion of transformers that stops nothing, and reports each token.

    Args:
        progress: called with the part of `max_tokens` that is done.
        max_tokens: of the caption.
    """

    def __init__(self, progress: Progress, max_tokens: int) -> None:
        self._progress = progress
        self._max_tokens = max_tokens
        self._count = 0

    def __call__(self, tokens: "Tensor", scores: Any, **rest: Any) -> "Tensor":
        """Count one more token."""
        import torch

        self._count += 1
        self._progress(min(self._count / self._max_tokens, 1.0), "captioning")
        return torch.zeros(len(tokens), dtype=torch.bool, device=tokens.device)


def sentence(text: str) -> str:
    """The caption in one line, with a capital first letter."""
    text = " ".join(text.split())
    return f"{text[:1].upper()}{text[1:]}"
