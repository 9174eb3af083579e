"""Scanned pages: lines read by OCR (`pipelines.text.ocr`), as headings, paragraphs and table rows.

Its models are loaded when the first such page comes: most documents have none. Pages lying on their side are not read.
"""

from collections.abc import Iterator
from functools import cache
from statistics import median

from pipelines.knowledge.parsing import layout
from pipelines.knowledge.parsing.layout import Span
from pipelines.media import Rgb
from pipelines.media.image import fit
from pipelines.text.ocr import TextPiece, TextReader

MAX_SIDE_PX = 2_000
"""The reader itself looks at no more: 170 dpi on a page of A4."""
_SAME_SIZE = 0.2


def blocks(image: Rgb) -> Iterator[tuple[str, str]]:
    """The blocks of one page.

    Args:
        image: uint8 (H, W, 3), upright.

    Raises:
        ModelUnavailable: the reader is not installed.
    """
    pieces = [piece for line in _reader().read(fit(image, MAX_SIDE_PX)) for piece in line.pieces]
    if pieces:
        usual = median(piece.bottom - piece.top for piece in pieces)
        yield from layout.blocks([_span(piece, usual) for piece in pieces], usual)


def _span(piece: TextPiece, usual: float) -> Span:
    """A piece with the height of its font: boxes hug their letters, and without ascenders or descenders are lower."""
    height = piece.bottom - piece.top
    if abs(height - usual) < _SAME_SIZE * usual:
        height = usual
    middle = -(piece.top + piece.bottom) / 2
    return Span(piece.text, piece.left, piece.right, middle - height / 2, middle + height / 2, bold=False)


@cache
def _reader() -> TextReader:
    import cv2

    # The stack of each of OpenCV's threads counts against the process's memory limit.
    cv2.setNumThreads(1)
    return TextReader.load()
