"""What every video generation engine offers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.contracts.progress import Progress, no_progress
from pipelines.media import Rgb


@dataclass(frozen=True)
class VideoRequest:
    """How to animate; `None` means the engine's default. `motion` is 0 (still) to 1 (strong)."""

    frames: int | None = None
    fps: float | None = None
    motion: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class Clip:
    """A video in the making: `count` frames, RGB uint8 (height, width, 3) of even sides, read lazily from `frames`."""

    frames: Iterator[Rgb]
    count: int
    fps: float
    width: int
    height: int


class VideoGenerator(ABC):
    """One loaded model. Not thread-safe."""

    @abstractmethod
    def generate(self, image: Rgb, request: VideoRequest, *, progress: Progress = no_progress) -> Clip:
        """Animate one still image; the first frame is the image.

        Raises:
            InvalidInput: frames, fps or motion outside the engine's range.
            Cancelled: `progress` said so, here or while the frames are read.
        """
