"""What every image generation engine offers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.contracts.errors import InvalidInput
from pipelines.contracts.progress import Progress, no_progress
from pipelines.media import Rgb

SMALLEST_PX = 64
LARGEST_PX = 2048
LONGEST_PROMPT = 4000


@dataclass(frozen=True)
class ImageRequest:
    """One image to make. The same request gives the same image, alone or in a batch."""

    prompt: str
    width: int
    height: int
    seed: int


ImageOrRefusal = Rgb | InvalidInput
"""An image, RGB uint8 (height, width, 3), or why this one cannot be made."""


class ImageGenerator(ABC):
    """One loaded model. Not thread-safe.

    Attributes:
        max_batch: how many requests of equal size gain from being made at once.
    """

    max_batch: int = 1

    @abstractmethod
    def generate(self, requests: Sequence[ImageRequest], *, progress: Progress = no_progress) -> list[ImageOrRefusal]:
        """Make one image per request.

        Returns:
            One image or refusal each, in the order of `requests`: a request that cannot be taken, or whose image
            may not be shown, does not keep the others from theirs.

        Raises:
            Cancelled: `progress` said so; no partial result.
        """


def check(request: ImageRequest) -> None:
    """Refuse what no engine takes.

    Raises:
        InvalidInput: a prompt that `check_prompt` refuses, or a side outside 64 to 2048 pixels.
    """
    check_prompt(request.prompt)
    if not all(SMALLEST_PX <= side <= LARGEST_PX for side in (request.width, request.height)):
        raise InvalidInput(f"Width and height must be {SMALLEST_PX} to {LARGEST_PX} pixels.", "size")


def check_prompt(prompt: str) -> None:
    """Refuse a prompt that no engine takes.

    Raises:
        InvalidInput: it is empty or has more than 4,000 characters.
    """
    if not prompt.strip():
        raise InvalidInput("The prompt is empty.", "prompt")
    if len(prompt) > LONGEST_PROMPT:
        raise InvalidInput(f"The prompt is longer than {LONGEST_PROMPT} characters.", "prompt")
