"""Segments by a model of the SAM family, prompted with a grid of points: things and parts of things.

The choice among the masks follows section 5 and appendix B of the first paper (https://arxiv.org/abs/2304.02643): good
by the model's own estimate, and stable when the threshold moves. Duplicates are found by their masks rather than by
their boxes. It names nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from pipelines.contracts.progress import Progress
from pipelines.loading.device import Placement
from pipelines.loading.weights import Weights
from pipelines.media import Rgb

if TYPE_CHECKING:
    from torch import Tensor

POINT_BATCH_SIZE = 32
MAX_OVERLAP = 0.7
"""Masks of a greater intersection over union are duplicates."""
MIN_SHARE = 0.0005
"""Part of the image; anything smaller is dropped."""
MAX_SEGMENTS = 60


@dataclass(frozen=True)
class Frame(ABC):
    """Where an image of `size` (rows, columns) lies in the square that the model sees: at the top left.

    Attributes:
        size: of the image, px.
        inner: of the image in the square, px of the square.
        side: of the square, px.
    """

    size: tuple[int, int]
    inner: tuple[int, int]
    side: int

    def cut(self, logits: "Tensor") -> "Tensor":
        """The part of coarse masks (N, h, w) that the image covers."""
        rows, columns = (-(-inner * logits.shape[-1] // self.side) for inner in self.inner)
        return logits[:, :rows, :columns]

    @abstractmethod
    def enlarge(self, logits: "Tensor") -> NDArray[np.bool_]:
        """One coarse mask, logits (h, w), as bool (H, W) over the image."""


class Segmenter(ABC):
    """One loaded model. Not thread-safe.

    Args:
        model: on the device of `placement`.
        processor: prepares its images.
        placement: device and number format.
        name: for messages.
        points_per_side: of the grid of points, in each direction.
        least_quality: minimum, by the model's own estimate, of how well a mask fits (intersection over union); `None`
            is what the family's authors use.
        least_stability: minimum part that a mask keeps when its threshold moves by 1 to either side.
    """

    own_least_quality: ClassVar[float]

    def __init__(
        self,
        model: Any,
        processor: Any,
        placement: Placement,
        name: str,
        *,
        points_per_side: int,
        least_quality: float | None,
        least_stability: float,
    ) -> None:
        self._model = model
        self._processor = processor
        self._placement = placement
        self._name = name
        self._points_per_side = points_per_side
        self._least_quality = self.own_least_quality if least_quality is None else least_quality
        self._least_stability = least_stability

    @classmethod
    @abstractmethod
    def load(cls, weights: Weights, placement: Placement, **options: Any) -> Self:
        """Read the checkpoint; `options` as in the class.

        Raises:
            ModelUnavailable: missing, damaged, or of another kind.
        """

    def segment(self, image: Rgb, *, progress: Progress) -> NDArray[np.bool_]:
        """Find the segments of an image; they may overlap.

        Args:
            image: RGB uint8 (H, W, 3).
            progress: called when the image is embedded and after each batch of points.

        Returns:
            bool (N, H, W), 0 ≤ N ≤ 60, the largest first.

        Raises:
            ModelUnavailable: the model's numbers overflow in the chosen number format.
        """
        import torch

        with torch.inference_mode():
            embedding, frame = self._embed(image)
            progress(0.0, "segmenting")
            found: list[Tensor] = []
            best: list[Tensor] = []
            for done, answers, qualities in self._answers(embedding, frame):
                progress(done, "segmenting")
                good = self._good(frame.cut(answers), qualities)
                # Duplicates are dropped at once: a grid gives thousands of masks, each a quarter of a megabyte.
                logits, scores = torch.cat([*found, answers[good]]), torch.cat([*best, qualities[good]])
                distinct = _distinct(frame.cut(logits), scores)
                found, best = [logits[distinct]], [scores[distinct]]
            areas = (frame.cut(found[0]) > 0).sum((1, 2))
            largest = areas.argsort(descending=True, stable=True)[:MAX_SEGMENTS]
            masks = [frame.enlarge(logits) for logits in found[0][largest]]
        masks.sort(key=np.count_nonzero, reverse=True)
        return np.stack(masks) if masks else np.zeros((0, *frame.size), bool)

    @abstractmethod
    def _embed(self, image: Rgb) -> tuple[Any, Frame]:
        """The image's embedding, as the model takes it, and where the image lies in the model's square.

        Raises:
            ModelUnavailable: the model's numbers overflow in the chosen number format.
        """

    def _answers(self, embedding: Any, frame: Frame) -> "Iterator[tuple[float, Tensor, Tensor]]":
        """The part of the grid that is done, logits (N, h, w) and estimated qualities (N,), batch by batch.

        The model answers each point with three masks: a whole, a part, a part of that.
        """
        import torch

        # In float64, as in the library: the model encodes points by waves of high frequency.
        places = (torch.arange(self._points_per_side, dtype=torch.float64) + 0.5) / self._points_per_side
        down, across = torch.meshgrid(places * frame.inner[0], places * frame.inner[1], indexing="ij")
        grid = torch.stack((across, down), -1).reshape(-1, 2).to(self._placement.device)
        for start in range(0, len(grid), POINT_BATCH_SIZE):
            points = grid[start : start + POINT_BATCH_SIZE]
            answer = self._model(image_embeddings=embedding, input_points=points[None, :, None])
            done = min(1.0, (start + len(points)) / len(grid))
            yield done, answer.pred_masks[0].flatten(0, 1).float(), answer.iou_scores[0].flatten().float()

    def _good(self, logits: "Tensor", qualities: "Tensor") -> "Tensor":
        """Which masks (N, h, w) are worth keeping, bool (N,)."""
        certain, possible = (logits > 1).sum((1, 2)), (logits > -1).sum((1, 2))
        stable = certain > self._least_stability * possible
        return (qualities > self._least_quality) & stable & ((logits > 0).float().mean((1, 2)) > MIN_SHARE)


def _distinct(logits: "Tensor", qualities: "Tensor") -> "Tensor":
    """Which masks (N, h, w) are not duplicates of a better one, bool (N,)."""
    import supervision as sv
    import torch

    masks = (logits[:, ::2, ::2] > 0).cpu().numpy()
    scores = np.zeros((len(masks), 5))
    scores[:, 4] = qualities.cpu().numpy()
    return torch.from_numpy(sv.mask_non_max_suppression(scores, masks, MAX_OVERLAP)).to(logits.device)
