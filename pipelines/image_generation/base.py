"""What every image generation engine offers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.contracts.errors import InvalidInput, UnsupportedByEngine
from pipelines.contracts.progress import Progress, no_progress
from pipelines.media import Rgb

MIN_SIDE_PX = 64
MAX_SIDE_PX = 2048
MAX_PROMPT_CHARS = 4000


@dataclass(frozen=True)
class ImageRequest:
    """One image to generate. The same request gives the same image, alone or in a batch."""

    prompt: str
    width: int
    height: int
    seed: int


Area = NDArray[np.bool_]
"""Which pixels of an image may change, (H, W)."""

ImageOrRefusal = Rgb | InvalidInput
"""An image, RGB uint8 (height, width, 3), or why there is none."""


class ImageGenerator(ABC):
    """One loaded model. Not thread-safe.

    Attributes:
        max_batch: requests of equal size that gain from being generated together.
    """

    max_batch: int = 1

    @abstractmethod
    def generate(self, requests: Sequence[ImageRequest], *, progress: Progress = no_progress) -> list[ImageOrRefusal]:
        """Generate one image per request.

        Returns:
            One image or refusal each, in the order of `requests`: a request that is refused does not fail the others.

        Raises:
            Cancelled: `progress` said so; no partial result.
        """

    def edit(
        self, image: Rgb, area: Area | None, requests: Sequence[ImageRequest], *, progress: Progress = no_progress
    ) -> list[ImageOrRefusal]:
        """Change one image, once per request.

        Args:
            image: RGB uint8 (H, W, 3). A request of another shape crops it at two sides.
            area: which of its pixels may change, bool (H, W); `None`: all. The others stay exactly as they are.
            requests: what to make of it.
            progress: called between steps.

        Returns:
            As `generate`.

        Raises:
            UnsupportedByEngine: this engine cannot edit, or only without an area.
            Cancelled: `progress` said so; no partial result.
        """
        raise UnsupportedByEngine(
            "The configured engine cannot edit images. Set `engine: diffusers` in the block of ImageGeneration."
        )


def check(request: ImageRequest) -> None:
    """Refuse what no engine takes.

    Raises:
        InvalidInput: the prompt is empty or has more than 4,000 characters, or a side is outside 64 to 2048 pixels.
    """
    if not request.prompt.strip():
        raise InvalidInput("The prompt is empty.", "prompt")
    if len(request.prompt) > MAX_PROMPT_CHARS:
        raise InvalidInput(f"The prompt exceeds the {MAX_PROMPT_CHARS:,}-character limit.", "prompt")
    if not all(MIN_SIDE_PX <= side <= MAX_SIDE_PX for side in (request.width, request.height)):
        raise InvalidInput(f"Width and height must be {MIN_SIDE_PX} to {MAX_SIDE_PX} pixels.", "size")
