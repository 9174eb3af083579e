"""Printed text in images, English and Chinese, by PP-OCRv6 small (Apache-2.0): a detector of lines and a recognizer.

Library: rapidocr (Apache-2.0) on onnxruntime, whose wheel carries the models. It downloads silently whatever it misses,
so it is given the paths of files that were checked before. Reads slanted lines, but no handwriting; columns side by
side are read across.
"""

from dataclasses import dataclass
from typing import Any, Self

from pipelines.contracts.errors import ModelUnavailable
from pipelines.loading.packaged import locate_packaged
from pipelines.media import Rgb

_MODELS = {
    "Det.model_path": "package:rapidocr/models/PP-OCRv6_det_small.onnx",
    "Rec.model_path": "package:rapidocr/models/PP-OCRv6_rec_small.onnx",
    "Cls.model_path": "package:rapidocr/models/ch_ppocr_mobile_v2.0_cls_mobile.onnx",
}
_SAME_LINE = 0.5
"""Boxes whose heights overlap by more than this part of the lower one stand on one line."""


@dataclass(frozen=True)
class TextLine:
    """One line of text, and its box in pixels: top left is (0, 0)."""

    text: str
    left: float
    top: float
    right: float
    bottom: float


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
        try:
            from rapidocr import RapidOCR
        except ImportError as error:
            raise ModelUnavailable(f"Reading text in images needs a package that is missing: {error.name}.") from error
        options = {"Global.log_level": "error", "EngineConfig.onnxruntime.intra_op_num_threads": threads}
        return cls(RapidOCR(params={**paths, **options}))

    def read(self, image: Rgb) -> list[TextLine]:
        """The lines of text in an image, from top to bottom; pieces that stand side by side are one line.

        Args:
            image: uint8 (H, W, 3).
        """
        found = self._engine(image[:, :, ::-1])  # BGR, as OpenCV has it
        if found.boxes is None:
            return []
        pieces = [
            TextLine(text, *map(float, box.min(axis=0)), *map(float, box.max(axis=0)))
            for box, text in zip(found.boxes, found.txts, strict=True)
            if text.strip()
        ]
        return [_joined(line) for line in _lines(pieces)]


def _lines(pieces: list[TextLine]) -> list[list[TextLine]]:
    """Pieces by line, each from left to right."""
    lines: list[list[TextLine]] = []
    for piece in sorted(pieces, key=lambda each: (each.top + each.bottom) / 2):
        if lines and _overlap(lines[-1][-1], piece) > _SAME_LINE and not _covers(lines[-1], piece):
            lines[-1].append(piece)
        else:
            lines.append([piece])
    return [sorted(line, key=lambda each: each.left) for line in lines]


def _overlap(one: TextLine, other: TextLine) -> float:
    shared = min(one.bottom, other.bottom) - max(one.top, other.top)
    return shared / max(min(one.bottom - one.top, other.bottom - other.top), 1.0)


def _covers(line: list[TextLine], piece: TextLine) -> bool:
    """Whether a piece stands above or below one of a line: slanted lines overlap in height, not in width."""
    return any(min(each.right, piece.right) - max(each.left, piece.left) > 0 for each in line)


def _joined(line: list[TextLine]) -> TextLine:
    return TextLine(
        " ".join(piece.text for piece in line),
        min(piece.left for piece in line),
        min(piece.top for piece in line),
        max(piece.right for piece in line),
        max(piece.bottom for piece in line),
    )
