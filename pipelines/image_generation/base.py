"""What every image generation engine offers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.media import Rgb
from pipelines.progress import Progress, quiet


@dataclass(frozen=True)
class ImageRequest:
    """One picture to make. The same request gives the same picture, alone or in a batch."""

    prompt: str
    width: int
    height: int
    seed: int


class ImageGenerator(ABC):
    """One loaded model. Not thread-safe."""

    @abstractmethod
    def generate(self, requests: Sequence[ImageRequest], *, progress: Progress = quiet) -> list[Rgb]:
        """Make one picture per request.

        Returns:
            RGB uint8 (height, width, 3) each, in the order of `requests`.

        Raises:
            InvalidInput: a size or prompt that the engine cannot take.
            Cancelled: `progress` said so; no partial result.
        """
