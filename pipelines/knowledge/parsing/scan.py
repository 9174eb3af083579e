"""Scanned pages: lines read by OCR (`pipelines.text.ocr`), as headings, paragraphs and table rows.

Its models are loaded when the first such page comes: most documents have none. Pages lying on their side are not read.
"""

from collections.abc import Iterator
from functools import cache
from math import inf
from statistics import median

from pipelines.knowledge.parsing.layout import Layout, Span
from pipelines.media import Rgb
from pipelines.text.ocr import TextPiece, TextReader
from pipelines.text.scripts import width

_SAME_SIZE = 0.2
_COLUMN_WIDTH = 20
_COLUMN_LINES = 3
"""Columns of running text have more lines than this, of at least `_COLUMN_WIDTH` characters: cells are shorter."""


def blocks(image: Rgb) -> Iterator[tuple[str, str]]:
    """The blocks of one page.

    Args:
        image: uint8 (H, W, 3), upright.

    Raises:
        ModelUnavailable: the reader is not installed.
    """
    pieces = [piece for line in _reader().read(image) for piece in line.pieces]
    for run in _runs(pieces):
        usual = median(piece.bottom - piece.top for piece in pieces)
        yield from Layout().blocks([_span(piece, usual) for piece in run], usual)


def _runs(pieces: list[TextPiece]) -> list[list[TextPiece]]:
    """What is read in one go: the left column, then the right one, each as far as the next piece across both."""
    gutter = _gutter(pieces)
    runs: list[list[TextPiece]] = []
    across: list[TextPiece] = []
    left: list[TextPiece] = []
    right: list[TextPiece] = []
    for piece in pieces:
        if piece.left < gutter < piece.right:
            runs += left, right
            left, right = [], []
            across.append(piece)
        else:
            runs.append(across)
            across = []
            (left if piece.right <= gutter else right).append(piece)
    return [run for run in [*runs, left, right, across] if run]


def _gutter(pieces: list[TextPiece]) -> float:
    """Where two columns of running text are parted; left of everything if there are none."""
    long = [piece for piece in pieces if width(piece.text) >= _COLUMN_WIDTH]
    if not long:
        return -inf
    middle = (min(piece.left for piece in long) + max(piece.right for piece in long)) / 2
    left = sum(piece.right <= middle for piece in long)
    right = sum(piece.left >= middle for piece in long)
    return middle if min(left, right) > max(_COLUMN_LINES, len(long) - left - right) else -inf


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
