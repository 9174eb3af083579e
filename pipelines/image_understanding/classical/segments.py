"""Segmentation by region merging: small even patches first, then neighbours that look alike, step by step.

Patches are SLIC superpixels (Achanta et al., https://doi.org/10.1109/TPAMI.2012.120, by scikit-image, BSD-3-Clause) of
the image smoothed by mean shift (Comaniciu and Meer, https://doi.org/10.1109/34.1000236, by OpenCV, Apache-2.0). Two
regions differ by the mean difference of the patches along their common border, so that a region may shade from dark to
light across its width. Segments are areas of one look: what they belong to is not known.
"""

import heapq
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.image_understanding.classical.colors import lab_of
from pipelines.media import Rgb
from pipelines.media.image import fit

Labels = NDArray[np.intp]

WORK_SIDE: Final = 320
PATCHES: Final = 700
SAME_LOOK: Final = 13.0
"""Regions that differ by less, in CIE Lab, are one; 2 is just noticeable."""
SMALLEST: Final = 0.004
"""Part of the image; what is smaller joins the neighbour that it is most like."""
MOST: Final = 20
MEAN_SHIFT_PX: Final = 8
"""Images with a smaller side are not smoothed: the filter's pyramid needs that much."""


def segment(image: Rgb) -> NDArray[np.bool_]:
    """Cut an image into areas of one look.

    Args:
        image: RGB uint8 (H, W, 3).

    Returns:
        bool (N, H, W), 1 ≤ N ≤ 20, the largest first; each pixel is in exactly one.
    """
    import cv2

    small = fit(image, WORK_SIDE)
    labels = _regions(small)
    rows, columns = image.shape[:2]
    best = np.zeros((rows, columns), np.float32)
    winner = np.zeros((rows, columns), np.uint8)
    for label in range(int(labels.max()) + 1):
        share = cv2.GaussianBlur((labels == label).astype(np.float32), (0, 0), 0.8)
        share = cv2.resize(share, (columns, rows), interpolation=cv2.INTER_LINEAR)
        winner[share > best] = label
        np.maximum(best, share, out=best)
    sizes = np.bincount(winner.ravel())
    order = sorted(np.flatnonzero(sizes), key=lambda label: (-sizes[label], label))
    return np.stack([winner == label for label in order])


def _regions(image: Rgb) -> Labels:
    """Labels 0 to N-1 of the regions of a small image, intp (H, W)."""
    import cv2
    from skimage.segmentation import slic

    if min(image.shape[:2]) >= MEAN_SHIFT_PX:
        image = np.asarray(cv2.pyrMeanShiftFiltering(image, 7, 14, maxLevel=1), np.uint8)
    lab = lab_of(image)
    patches = slic(lab, PATCHES, compactness=0.1, convert2lab=False, start_label=0, channel_axis=-1)
    return _Regions(np.asarray(patches, np.intp), lab).merged()


@dataclass
class _Border:
    """What two regions have in common: its length in px, and the sum of the differences along it."""

    length: float = 0.0
    differences: float = 0.0

    def add(self, other: "_Border") -> None:
        self.length += other.length
        self.differences += other.differences


class _Regions:
    """Patches with their borders, merged two by two.

    Args:
        patches: intp (H, W), 0 to N-1.
        lab: float32 (H, W, 3), CIE Lab.
    """

    def __init__(self, patches: Labels, lab: NDArray[np.float32]) -> None:
        self._patches = patches
        count = int(patches.max()) + 1
        self._pixels = np.bincount(patches.ravel(), minlength=count).astype(float).tolist()
        self._parent = list(range(count))
        self._borders: list[dict[int, _Border]] = [{} for _ in range(count)]
        sums = [np.bincount(patches.ravel(), lab[..., channel].ravel(), count) for channel in range(3)]
        means = np.stack(sums, axis=1) / np.maximum(self._pixels, 1)[:, None]
        for one, other in ((patches[:, :-1], patches[:, 1:]), (patches[:-1], patches[1:])):
            self._find_borders(one[one != other], other[one != other], means)

    def _find_borders(self, one: Labels, other: Labels, means: NDArray[np.float64]) -> None:
        pairs = np.stack([np.minimum(one, other), np.maximum(one, other)], axis=1)
        pairs, lengths = np.unique(pairs, axis=0, return_counts=True)
        differences = np.linalg.norm(means[pairs[:, 0]] - means[pairs[:, 1]], axis=1) * lengths
        for (a, b), length, difference in zip(pairs.tolist(), lengths.tolist(), differences.tolist(), strict=True):
            border = self._borders[a].setdefault(b, _Border())
            border.add(_Border(length, difference))
            self._borders[b][a] = border

    def merged(self) -> Labels:
        """Merge the pair that is most alike, until all that remain differ and are few and large enough."""
        alive = sum(pixels > 0 for pixels in self._pixels)
        queue = [(self._cost(a, b), a, b) for a, borders in enumerate(self._borders) for b in borders if a < b]
        heapq.heapify(queue)
        while queue:
            cost, a, b = heapq.heappop(queue)
            if b not in self._borders[a]:
                continue  # one of them is part of another region by now
            now = self._cost(a, b)
            if now > cost:
                heapq.heappush(queue, (now, a, b))
                continue
            if now >= SAME_LOOK and alive <= MOST:
                break
            if len(self._borders[a]) < len(self._borders[b]):
                a, b = b, a
            self._absorb(a, b)
            alive -= 1
            for c in self._borders[a]:
                heapq.heappush(queue, (self._cost(a, c), min(a, c), max(a, c)))
        return self._labels()

    def _cost(self, a: int, b: int) -> float:
        """How much two regions differ; less where one is too small to stand alone."""
        border = self._borders[a][b]
        smaller = min(self._pixels[a], self._pixels[b])
        alone = min(1.0, smaller / (SMALLEST * self._patches.size))
        return border.differences / border.length * float(np.sqrt(alone))

    def _absorb(self, a: int, b: int) -> None:
        """Make region `b` a part of `a`."""
        self._parent[b] = a
        self._pixels[a] += self._pixels[b]
        for c, border in self._borders[b].items():
            del self._borders[c][b]
            if c == a:
                continue
            if c in self._borders[a]:
                self._borders[a][c].add(border)
            else:
                self._borders[a][c] = self._borders[c][a] = border
        self._borders[b] = {}

    def _labels(self) -> Labels:
        roots = np.array(self._parent)
        while not np.array_equal(roots, roots[roots]):
            roots = roots[roots]
        _, labels = np.unique(roots[self._patches], return_inverse=True)
        return labels.reshape(self._patches.shape)
