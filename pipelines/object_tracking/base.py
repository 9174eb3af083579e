"""What every object tracking engine offers."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.media import Rgb


@dataclass(frozen=True)
class Tracks:
    """The tracked objects of one frame.

    Attributes:
        xyxy: float32 (N, 4), left, top, right, bottom in pixels.
        ids: int64 (N,), from 1; an object keeps its id.
        scores: float32 (N,), 0 to 1.
        labels: N class names.
    """

    xyxy: NDArray[np.float32]
    ids: NDArray[np.int64]
    scores: NDArray[np.float32]
    labels: tuple[str, ...]


class ObjectTracker(ABC):
    """One loaded detector and tracker. Not thread-safe."""

    @abstractmethod
    def track(self, frames: Iterable[Rgb], *, fps: float) -> Iterator[tuple[Rgb, Tracks]]:
        """Track through one video.

        Args:
            frames: consecutive frames of one size; read lazily, a bounded number is held.
            fps: frames per second.

        Yields:
            Each frame with its tracks, in order.
        """
