"""What every video generation engine offers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.contracts.errors import UnsupportedByEngine
from pipelines.contracts.progress import Progress, no_progress
from pipelines.media import Rgb

MAX_PROMPT_CHARS = 4000


@dataclass(frozen=True)
class VideoRequest:
    """How to animate; `None` means the engine's default.

    Attributes:
        frames: of the video.
        fps: frames per second.
        motion: 0 (still) to 1 (strong).
        prompt: what happens, in words.
        seed: the same request with the same seed gives the same video.
    """

    frames: int | None = None
    fps: float | None = None
    motion: float | None = None
    prompt: str | None = None
    seed: int = 0

    def require_no_prompt(self) -> None:
        """Refuse a prompt, for engines that only look at the image.

        Raises:
            UnsupportedByEngine: there is one.
        """
        if self.prompt is not None:
            raise UnsupportedByEngine(
                "The configured engine does not follow a prompt. Leave it out, or configure a model that does (Wan).",
                "prompt",
            )


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
            UnsupportedByEngine: motion or a prompt, of which the engine knows nothing.
            Cancelled: `progress` said so, here or while the frames are read.
        """
