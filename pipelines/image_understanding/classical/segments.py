"""Segmentation by region merging: small even patches first, then neighbors that look alike.

Patches are SLIC superpixels (Achanta et al., https://doi.org/10.1109/TPAMI.2012.120) of the image without its noise.
Those that differ little where they meet are one region, which may thus shade from dark to light. A segment is an area
of one look; what it belongs to is not known. Libraries: scikit-image (BSD-3-Clause), OpenCV (Apache-2.0).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.image_understanding.classical.colors import lab_of
from pipelines.media import Rgb
from pipelines.media.image import fit

WORK_SIDE_PX: Final = 320
PATCHES: Final = 400
SAME_LOOK: Final = 12.0
"""Neighboring patches that differ by less, in CIE Lab, are one; 2 is just noticeable."""
MIN_SHARE: Final = 0.004
"""Part of the image; anything smaller joins a neighbor."""
MAX_SEGMENTS: Final = 20


def segment(image: Rgb) -> NDArray[np.bool_]:
    """Divide an image into areas of one look.

    Args:
        image: RGB uint8 (H, W, 3).

    Returns:
        bool (N, H, W), 1 ≤ N ≤ 20, the largest first; each pixel is in exactly one.
    """
    import cv2

    labels = _regions(fit(image, WORK_SIDE_PX))
    rows, columns = image.shape[:2]
    best = np.zeros((rows, columns), np.float32)
    winner = np.zeros((rows, columns), np.int32)
    for label in np.unique(labels):  # enlarged one by one and blurred, so that borders are smooth
        share = cv2.GaussianBlur((labels == label).astype(np.float32), (0, 0), 0.8)
        share = cv2.resize(share, (columns, rows), interpolation=cv2.INTER_LINEAR)
        winner[share > best] = label
        np.maximum(best, share, out=best)
    found, sizes = np.unique(winner, return_counts=True)
    return np.stack([winner == label for label in found[np.argsort(-sizes, kind="stable")]])


def _regions(image: Rgb) -> NDArray[np.intp]:
    """Labels of the regions of a small image, intp (H, W), from 1."""
    import cv2
    from skimage import graph, segmentation

    lab = lab_of(np.asarray(cv2.bilateralFilter(image, 9, 40, 5), np.uint8))
    # Hardly compact, so that patches follow edges rather than a grid.
    labels = segmentation.slic(lab, PATCHES, compactness=0.1, convert2lab=False, channel_axis=-1)
    if labels.max() > 1:  # a single patch has no neighbors
        differences = graph.rag_mean_color(lab, labels, connectivity=1)  # type: ignore[no-untyped-call]
        labels = graph.cut_threshold(labels, differences, SAME_LOOK) + 1  # type: ignore[no-untyped-call]
    sizes = np.bincount(labels.ravel())
    largest = np.argsort(-sizes, kind="stable")[:MAX_SEGMENTS]
    kept = largest[sizes[largest] >= min(MIN_SHARE * labels.size, sizes.max())]
    labels = np.where(np.isin(labels, kept), labels, 0)
    labels = segmentation.expand_labels(labels, distance=max(labels.shape))  # type: ignore[no-untyped-call]
    return np.asarray(labels, np.intp)
