"""What every frame interpolation engine offers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from pipelines.media import Rgb


class FrameInterpolator(ABC):
    """One loaded model. Not thread-safe. Knows nothing of scene cuts or frame rates: `stream.py` does.

    Attributes:
        midpoint_only: the model makes only the frame half-way; `stream.py` then requests 0.5 alone.
    """

    midpoint_only: bool = False

    @abstractmethod
    def interpolate(self, before: Rgb, after: Rgb, timesteps: Sequence[float], *, outer: tuple[Rgb, Rgb]) -> list[Rgb]:
        """Make the frames between two neighbors.

        Args:
            before: RGB uint8 (H, W, 3).
            after: the next frame, of the same size.
            timesteps: positions between them, 0 < t < 1, ascending.
            outer: the frame ahead of `before` and the one that follows `after` (repeated at a cut, start or end), for
                models of four frames.

        Returns:
            One RGB uint8 (H, W, 3) per timestep.
        """
