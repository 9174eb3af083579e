"""What kind of image it is, by its statistics: a photo, a drawing, a page of text, a screenshot.

Cameras leave noise everywhere, programs draw areas of identical pixels, and writing is many thin dark strokes on even
paper. A painting, a rendering with noise or a drawing saved as a strongly compressed JPEG counts as a photo.
"""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.image_understanding.classical.colors import names_of
from pipelines.media import Rgb
from pipelines.media.image import fit

Kind = Literal["photo", "drawing", "page of text", "screenshot"]

WORK_SIDE_PX: Final = 1000
MAX_STROKE_PX: Final = 3
"""Half the width of the widest stroke that still is writing."""


def kind_of(image: Rgb) -> tuple[Kind, tuple[str, str] | None]:
    """The kind of an image, and for a page of text the names of the colors of its ink and paper."""
    small = fit(image, WORK_SIDE_PX)
    dark, dark_letters = _writing(small)
    light, light_letters = _writing(255 - small)  # on dark paper
    ink = light if dark is None else dark
    if ink is not None:
        return "page of text", _page_colors(small, ink)
    even, even_inside = _evenness(image)
    if even > 0.55 and max(dark_letters, light_letters) > 60:
        return "screenshot", None
    return ("drawing" if even > 0.4 and even_inside > 0.2 else "photo"), None


def _page_colors(page: Rgb, ink: NDArray[np.bool_]) -> tuple[str, str]:
    # The middle of a stroke has the ink's color, its edge a mixture: take what is furthest from the paper.
    paper = np.median(page[~ink], axis=0)
    distance = np.abs(page[ink] - paper).sum(axis=1)
    written = np.median(page[ink][distance >= np.percentile(distance, 90)], axis=0)
    names = names_of(np.array([[written, paper]]).astype(np.uint8))[0]
    return str(names[0]), str(names[1])


def _evenness(image: Rgb) -> tuple[float, float]:
    """Part of pixels identical to their neighbors: of all, and of those neither black nor white (1 if they are few)."""
    if min(image.shape[:2]) < 2:
        return 0.0, 0.0
    here = image[:-1, :-1]
    same = (here == image[:-1, 1:]).all(axis=2) & (here == image[1:, :-1]).all(axis=2)
    inside = (here[..., 1] > 8) & (here[..., 1] < 247)
    return float(same.mean()), float(same[inside].mean()) if inside.mean() > 0.15 else 1.0


def _writing(image: Rgb) -> tuple[NDArray[np.bool_] | None, int]:
    """The ink (h, w) of an image that is little but writing on even paper, and how many letters any image has."""
    import cv2

    gray = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), 0.7)
    reach = max(5, min(gray.shape) // 20) | 1
    paper = cv2.morphologyEx(gray, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
    paper = cv2.blur(paper, (reach, reach)).astype(np.float32)
    darker = (paper - gray) / np.maximum(paper, 20)
    ink = darker > 0.25
    mask = ink.astype(np.uint8)
    *_, pieces, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    heights = pieces[1:, cv2.CC_STAT_HEIGHT][pieces[1:, cv2.CC_STAT_AREA] >= 4]
    if len(heights) < 30:
        return None, len(heights)
    thin = (cv2.distanceTransform(mask, cv2.DIST_L2, 3)[ink] <= MAX_STROKE_PX).mean()
    beside = darker[cv2.dilate(mask, np.ones((5, 5), np.uint8)) == 0]
    is_page = 0.02 < ink.mean() < 0.3 and thin > 0.9 and beside.size and beside.std() < 0.045
    of_one_height = np.abs(heights - np.median(heights)) <= np.median(heights) / 2
    return ink if is_page else None, int(np.count_nonzero(of_one_height))
