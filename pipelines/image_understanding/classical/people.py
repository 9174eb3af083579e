"""People and faces by OpenCV's classical detectors (Apache-2.0).

Faces: two Haar cascades (Viola and Jones, https://doi.org/10.1109/CVPR.2001.990517), trained separately, that must
agree; one alone sees faces in coins and engines. People: histograms of oriented gradients (Dalal and Triggs,
https://doi.org/10.1109/CVPR.2005.177), which find people who stand or walk and are seen whole. Faces in profile, turned
or covered are missed, and so are people who sit, are cut off or are less than an eighth of the image tall.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.media import Rgb
from pipelines.media.image import fit

CASCADES: Final = ("haarcascade_frontalface_alt2.xml", "haarcascade_frontalface_default.xml")
FACES_SIDE_PX: Final = 720
MIN_FACE_PX: Final = 28
PEOPLE_SIDE_PX: Final = 960
MIN_PERSON_PX: Final = (128, 64)
"""Rows and columns of the detector's window: it crashes on smaller images."""
MIN_MARGIN: Final = 1.2
"""Of the people classifier: rockets and letters reach 1.1, pedestrians 1.2 to 4."""

Boxes = NDArray[np.float64]
"""Left, top, right, bottom (N, 4), as parts of the image's width and height."""


class PeopleDetector:
    """The classifiers that OpenCV's wheel contains. Not thread-safe."""

    def __init__(self) -> None:
        import cv2

        folder = cv2.data.haarcascades  # type: ignore[attr-defined]
        self._faces = [cv2.CascadeClassifier(folder + name) for name in CASCADES]
        self._people = cv2.HOGDescriptor()
        self._people.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())  # type: ignore[attr-defined]

    def detect(self, image: Rgb) -> tuple[int, float]:
        """How many people an image (H, W, 3) shows, whole or by their faces; what part of it the largest face takes."""
        faces, people = self._detect_faces(fit(image, FACES_SIDE_PX)), self._detect_whole(fit(image, PEOPLE_SIDE_PX))
        middles = (faces[:, None, :2] + faces[:, None, 2:]) / 2
        counted = np.all((people[:, :2] < middles) & (middles < people[:, 2:]), axis=2).any(axis=1)
        areas = np.prod(faces[:, 2:] - faces[:, :2], axis=1)
        return len(people) + int(np.count_nonzero(~counted)), float(areas.max(initial=0))

    def _detect_faces(self, image: Rgb) -> Boxes:
        import cv2
        import supervision as sv

        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        smallest = (MIN_FACE_PX, MIN_FACE_PX)
        one, other = (_boxes(faces.detectMultiScale(gray, 1.1, 4, minSize=smallest), image) for faces in self._faces)
        return other[(sv.box_iou_batch(one, other) > 0.4).any(axis=0)]

    def _detect_whole(self, image: Rgb) -> Boxes:
        if image.shape[0] < MIN_PERSON_PX[0] or image.shape[1] < MIN_PERSON_PX[1]:
            return np.empty((0, 4))
        bgr = np.ascontiguousarray(image[..., ::-1])
        found, margins = self._people.detectMultiScale(bgr, winStride=(8, 8), padding=(8, 8), scale=1.06)
        return _boxes(found, image)[np.ravel(margins) > MIN_MARGIN]


def _boxes(found: Any, image: Rgb) -> Boxes:
    """OpenCV's left, top, width, height in px as the parts of the image that they are."""
    rows, columns = image.shape[:2]
    boxes: Boxes = np.reshape(found, (-1, 4)) / np.array([columns, rows, columns, rows])
    boxes[:, 2:] += boxes[:, :2]
    return boxes
