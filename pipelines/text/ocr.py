"""Printed text in images, English and Chinese, by PP-OCRv6 small (Apache-2.0): a detector of lines and a recognizer.

Library: rapidocr (Apache-2.0) on onnxruntime, whose wheel carries the models. It downloads silently whatever it misses,
so it is given the paths of files that were checked before. Reads slanted lines, but no handwriting, and nothing that
stands on its head: the library's classifier of upside-down lines, asked about upright ones, turns some of them.
"""

import ctypes
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipelines.contracts.errors import ModelUnavailable
from pipelines.loading.packaged import locate_packaged
from pipelines.media import Rgb
from pipelines.media.image import fit

_MODELS = {
    "Det.model_path": "package:rapidocr/models/PP-OCRv6_det_small.onnx",
    "Rec.model_path": "package:rapidocr/models/PP-OCRv6_rec_small.onnx",
}
_SAME_LINE = 0.5
"""Boxes whose heights overlap by more than this part of the lower one stand on one line."""
_MIN_ASPECT = 3
"""The slope is taken from boxes that are this much wider than high."""
MAX_SIDE_PX = 2_000
"""Larger images are shrunk to this, which on a page of A4 is 170 dpi: the library looks at no more."""


@dataclass(frozen=True)
class TextPiece:
    """Words without a wide gap between them, and their box in pixels.

    Top left is (0, 0), in the image shrunk to `MAX_SIDE_PX` and turned so that its lines are level.
    """

    text: str
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class TextLine:
    """One line of text: its pieces from left to right."""

    pieces: tuple[TextPiece, ...]

    @property
    def text(self) -> str:
        """The whole line."""
        return " ".join(piece.text for piece in self.pieces)


class TextReader:
    """The loaded models. Not thread-safe."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    @classmethod
    def load(cls, threads: int = 1) -> Self:
        """Load the models onto the CPU.

        Args:
            threads: for onnxruntime.

        Raises:
            ModelUnavailable: the package is missing, or its files are not the published ones.
        """
        paths = {key: str(locate_packaged(place)) for key, place in _MODELS.items()}
        options = {
            "Global.log_level": "error",
            "Global.use_cls": False,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
        }
        try:
            from rapidocr import RapidOCR

            reader = cls(RapidOCR(params={**paths, **options}))
            reader.read(_sample())  # the library loads each model when it first needs it
        except ImportError as error:
            raise ModelUnavailable(
                f"Reading text in images needs the Python package {error.name}, which is not installed."
            ) from error
        return reader

    def read(self, image: Rgb) -> list[TextLine]:
        """The lines of text in an image, from top to bottom; pieces that stand side by side are one line.

        Args:
            image: uint8 (H, W, 3), upright.
        """
        image = fit(image, MAX_SIDE_PX)
        found = self._engine(image[:, :, ::-1])  # BGR, as OpenCV has it
        _release_memory()
        if found.boxes is None:
            return []
        pieces = [
            TextPiece(text, *map(float, box.min(axis=0)), *map(float, box.max(axis=0)))
            for box, text in zip(_level(found.boxes), found.txts, strict=True)
            if text.strip()
        ]
        return _lines(pieces)


def _sample() -> Rgb:
    import cv2

    image = np.full((64, 128, 3), 255, np.uint8)
    cv2.putText(image, "text", (16, 44), cv2.FONT_HERSHEY_SIMPLEX, 1, (0, 0, 0), 2)
    return image


def _release_memory() -> None:
    """Give back what onnxruntime freed, hundreds of megabytes after each image: glibc keeps it."""
    ctypes.CDLL(None).malloc_trim(0)


def _level(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Boxes (N, 4 corners from the top left clockwise, x and y) turned so that most lines are level."""
    across, down = boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 0]
    is_long = np.linalg.norm(across, axis=1) > _MIN_ASPECT * np.linalg.norm(down, axis=1)
    if not is_long.any():
        return boxes
    slope = np.median(np.arctan2(across[is_long, 1], across[is_long, 0]))
    cosine, sine = np.cos(slope), np.sin(slope)
    return boxes @ np.array([[cosine, -sine], [sine, cosine]], np.float32)


def _lines(pieces: list[TextPiece]) -> list[TextLine]:
    lines: list[list[TextPiece]] = []
    for piece in sorted(pieces, key=lambda each: (each.top + each.bottom) / 2):
        if lines and _overlap(lines[-1][-1], piece) > _SAME_LINE and not _covers(lines[-1], piece):
            lines[-1].append(piece)
        else:
            lines.append([piece])
    return [TextLine(tuple(sorted(line, key=lambda each: each.left))) for line in lines]


def _overlap(one: TextPiece, other: TextPiece) -> float:
    shared = min(one.bottom, other.bottom) - max(one.top, other.top)
    return shared / max(min(one.bottom - one.top, other.bottom - other.top), 1.0)


def _covers(line: list[TextPiece], piece: TextPiece) -> bool:
    """Whether a piece stands above or below one of a line, as in curved lines."""
    return any(min(each.right, piece.right) - max(each.left, piece.left) > 0 for each in line)
