"""People and faces by OpenCV's classical detectors (Apache-2.0).

Faces: two Haar cascades (Viola and Jones, https://doi.org/10.1109/CVPR.2001.990517), trained apart, that must agree;
one alone sees faces in coins and engines. People: histograms of oriented gradients (Dalal and Triggs,
https://doi.org/10.1109/CVPR.2005.177), which find people who stand or walk and are seen whole. Faces in profile, turned
or covered, and people who sit, are cut off or less than an eighth of the image tall are missed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from pipelines.media import Rgb
from pipelines.media.image import fit

FACES_SIDE: Final = 720
FACE_PX: Final = 28
PEOPLE_SIDE: Final = 960
PERSON_PX: Final = (64, 128)
PERSON_MARGIN: Final = 1.2
"""Of the classifier: rockets and letters reach 1.1, pedestrians 1.2 to 4."""

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in px."""


@dataclass(frozen=True)
class People:
    """Whom an image shows.

    Attributes:
        faces: boxes of faces, the largest first.
        count: people seen, by their faces or whole.
    """

    faces: tuple[Box, ...]
    count: int


NOBODY: Final = People(faces=(), count=0)


class PeopleDetector:
    """OpenCV's detectors. Not thread-safe.

    Args:
        faces: cascades that must agree on a face, OpenCV's `CascadeClassifier`.
        people: OpenCV's `HOGDescriptor` with a people classifier.
    """

    def __init__(self, faces: tuple[Any, ...], people: Any) -> None:
        self._faces = faces
        self._people = people

    @classmethod
    def load(cls) -> Self:
        """Read the classifiers that OpenCV's wheel carries."""
        import cv2

        names = ("haarcascade_frontalface_alt2.xml", "haarcascade_frontalface_default.xml")
        people = cv2.HOGDescriptor()
        people.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())  # type: ignore[attr-defined]
        folder = cv2.data.haarcascades  # type: ignore[attr-defined]
        return cls(tuple(cv2.CascadeClassifier(folder + name) for name in names), people)

    def detect(self, image: Rgb) -> People:
        """Find faces and people in an image (H, W, 3)."""
        faces, whole = self._detect_faces(image), self._detect_whole(image)
        alone = [face for face in faces if not any(_inside(face, person) for person in whole)]
        return People(faces=tuple(faces), count=len(alone) + len(whole))

    def _detect_faces(self, image: Rgb) -> list[Box]:
        import cv2

        small = fit(image, FACES_SIDE)
        if min(small.shape[:2]) < FACE_PX:
            return []
        gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        agreed: list[Box] = []
        for number, cascade in enumerate(self._faces):
            found = _boxes(cascade.detectMultiScale(gray, 1.1, 4, minSize=(FACE_PX, FACE_PX)), image, small)
            agreed = [box for box in found if number == 0 or any(_overlap(box, other) > 0.4 for other in agreed)]
            if not agreed:
                return []
        return sorted(agreed, key=lambda box: (-_area(box), box))

    def _detect_whole(self, image: Rgb) -> list[Box]:
        small = fit(image, PEOPLE_SIDE)
        if small.shape[1] < PERSON_PX[0] or small.shape[0] < PERSON_PX[1]:  # smaller ones crash the detector
            return []
        bgr = np.ascontiguousarray(small[..., ::-1])
        found, margins = self._people.detectMultiScale(bgr, winStride=(8, 8), padding=(8, 8), scale=1.06)
        sure = np.ravel(margins) > PERSON_MARGIN
        return sorted(_boxes(np.reshape(found, (-1, 4))[sure], image, small))


def _boxes(found: Iterable[NDArray[np.int32]], image: Rgb, small: Rgb) -> list[Box]:
    """OpenCV's left, top, width, height in the small image as boxes in the whole one."""
    scale = image.shape[1] / small.shape[1]
    return [
        (round(x * scale), round(y * scale), round((x + w) * scale), round((y + h) * scale)) for x, y, w, h in found
    ]


def _area(box: Box) -> int:
    return max(0, box[2] - box[0]) * max(0, box[3] - box[1])


def _common(one: Box, other: Box) -> int:
    return _area((max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])))


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    common = _common(one, other)
    return common / (_area(one) + _area(other) - common)


def _inside(inner: Box, outer: Box) -> bool:
    return _common(inner, outer) > 0.5 * _area(inner)
