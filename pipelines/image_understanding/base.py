"""What every image understanding engine offers."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.contracts.progress import Progress, no_progress
from pipelines.media import Rgb


@dataclass(frozen=True)
class Description:
    """What an image shows.

    Attributes:
        caption: one sentence.
        classes: category names, the most likely first; at least one.
        masks: bool (N, H, W) over the described image, the largest segment first.
    """

    caption: str
    classes: tuple[str, ...]
    masks: NDArray[np.bool_]


class ImageUnderstander(ABC):
    """One loaded set of models. Not thread-safe."""

    @abstractmethod
    def describe(self, image: Rgb, *, progress: Progress = no_progress) -> Description:
        """Caption, classify and segment one image.

        Args:
            image: RGB uint8 (H, W, 3), already turned upright and at most 1,536 px on its long side.

        Raises:
            Cancelled: `progress` said so.
        """
