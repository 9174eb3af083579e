"""What kind of image it is, from its statistics: a photo, a drawing, a page of text, a screenshot.

Cameras leave noise everywhere, programs draw areas whose pixels are exactly alike, and writing is many thin dark
strokes on even paper. A painting, a rendering with noise or a drawing kept as a strongly compressed JPEG counts as a
photo.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.image_understanding.classical.colors import names_of
from pipelines.media import Rgb
from pipelines.media.image import fit

Kind = Literal["photo", "drawing", "page of text", "screenshot"]

WORK_SIDE: Final = 1000
STROKE_PX: Final = 3
"""Half of the widest stroke that still is writing."""


@dataclass(frozen=True)
class Writing:
    """What of an image looks like writing.

    Attributes:
        ink: where it is darker than its surroundings by a quarter at least: bool (h, w).
        strokes: connected pieces of ink.
        thin: part of the ink in strokes no wider than a pen's or a letter's.
        alike: part of the strokes that are about as tall as most.
        unevenness: standard deviation of the paper beside the ink, relative to its brightness.
    """

    ink: NDArray[np.bool_]
    strokes: int
    thin: float
    alike: float
    unevenness: float

    @property
    def is_page(self) -> bool:
        """Little but writing on even paper."""
        covered = 0.02 < self.ink.mean() < 0.3
        return bool(covered and self.strokes >= 30 and self.thin > 0.9 and self.unevenness < 0.045)


def kind_of(image: Rgb) -> tuple[Kind, Writing | None]:
    """Tell an image's kind; for a page of text also its writing, at most 1,000 px on the long side."""
    even, even_inside, inside = _evenness(image)
    small = fit(image, WORK_SIDE)
    dark, light = _writing(small), _writing(255 - small)
    for writing in (dark, light):
        if writing.is_page:
            return "page of text", writing
    if even > 0.55 and max(dark.strokes * dark.alike, light.strokes * light.alike) > 60:
        return "screenshot", None
    if even > 0.4 and (even_inside > 0.2 or inside < 0.15):
        return "drawing", None
    return "photo", None


def page_colors(image: Rgb, writing: Writing) -> tuple[str, str]:
    """Names of the ink's and the paper's colour."""
    import cv2

    rows, columns = writing.ink.shape
    small = np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    # The middle of a stroke has the ink's colour, its edge a mixture: take what is furthest from the paper.
    paper = np.median(small[~writing.ink], axis=0)
    ink = small[writing.ink].astype(float)
    distance = np.abs(ink - paper).sum(axis=1)
    ink = np.median(ink[distance >= np.percentile(distance, 90)], axis=0)
    names = names_of(np.array([[ink, paper]]).astype(np.uint8))[0]
    return str(names[0]), str(names[1])


def _evenness(image: Rgb) -> tuple[float, float, float]:
    """Parts of pixels exactly like their neighbours: of all, of those neither black nor white, and these' own part."""
    if min(image.shape[:2]) < 2:
        return 0.0, 0.0, 1.0
    here = image[:-1, :-1]
    same = (here == image[:-1, 1:]).all(axis=2) & (here == image[1:, :-1]).all(axis=2)
    green = here[..., 1]
    inside = (green > 8) & (green < 247)
    return float(same.mean()), float(same[inside].mean()) if inside.any() else 0.0, float(inside.mean())


def _writing(image: Rgb) -> Writing:
    import cv2

    gray = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), 0.7)
    reach = max(5, min(gray.shape) // 20) | 1
    paper = cv2.morphologyEx(gray, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
    paper = cv2.blur(paper, (reach, reach)).astype(np.float32)
    darker = (paper - gray) / np.maximum(paper, 20)
    ink = (darker > 0.25).astype(np.uint8)
    *_, pieces, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    heights = pieces[1:, cv2.CC_STAT_HEIGHT][pieces[1:, cv2.CC_STAT_AREA] >= 4]
    typical = np.median(heights) if len(heights) else 0
    depth = cv2.distanceTransform(ink, cv2.DIST_L2, 3)
    beside = darker[cv2.dilate(ink, np.ones((5, 5), np.uint8)) == 0]
    return Writing(
        ink=ink.astype(bool),
        strokes=len(heights),
        thin=float((depth[ink > 0] <= STROKE_PX).mean()) if ink.any() else 0.0,
        alike=float((np.abs(heights - typical) <= typical / 2).mean()) if len(heights) else 0.0,
        unevenness=float(beside.std()) if beside.size else 1.0,
    )
