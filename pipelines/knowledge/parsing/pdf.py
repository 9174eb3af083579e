"""PDF by pypdfium2 (Apache-2.0 or BSD-3-Clause; PDFium BSD-3-Clause): pages as headings, paragraphs and table rows.

PDF knows no paragraphs, only text at places. PDFium yields lines in the order of drawing; from the places of words this
module tells columns of a table from spaces, wrapped lines from ends of paragraphs, and headings by size or weight. A
table whose cells are drawn column by column reads column by column. Text in images is not read.
"""

import ctypes
import re
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from pipelines.contracts.errors import UnusableMedia
from pipelines.knowledge.parsing.clean import join_lines, row
from pipelines.knowledge.parsing.documents import ReadLimits

_DAMAGED = "The document is damaged: it cannot be read."
_ENCRYPTED = "The document is encrypted: save it without a password."
_TAIL_BYTES = 4096
_MAX_CELL_LINES = 12
_ENDS = tuple(".!?。！？：:；;…”」")
_BULLET = re.compile(r"[•●▪■◦–—*·-]|\(?\w{1,3}[.)、]")
_ITEM = re.compile(rf"(?:{_BULLET.pattern})\s")
_PAGE_NUMBER = re.compile(
    r"\W*(?:page|seite|página|第)?\s*\d{1,4}(?:\s*(?:/|of|von|de|页|頁|共)\s*\d{0,4}\s*[页頁]?)?\W*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _Span:
    """Words with no column gap between them; points, y upwards. `height` is the font's, `bold` its weight."""

    text: str
    left: float
    right: float
    bottom: float
    top: float
    bold: bool

    @property
    def height(self) -> float:
        return max(self.top - self.bottom, 1.0)

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


_Cell = list[_Span]
_Line = list[_Cell]


def parse(file: BinaryIO, limits: ReadLimits) -> Iterator[int | tuple[int, list[tuple[str, str]]]]:
    """How many pages there are, then each page.

    Raises:
        UnusableMedia: damaged, encrypted, or with too many pages.
    """
    import pypdfium2

    data = file.read()
    if b"%%EOF" not in data[-_TAIL_BYTES:]:
        raise UnusableMedia("The document is damaged: its end is missing.")
    try:
        document = pypdfium2.PdfDocument(data)
        count = len(document)
        if count > limits.pages:
            raise UnusableMedia(f"The document has {count:,} pages; at most {limits.pages:,} are read.")
        yield count
        sizes: Counter[int] = Counter()
        for index in range(count):
            yield index + 1, list(_page(document, index, sizes))
    except pypdfium2.PdfiumError as error:
        encrypted = error.err_code in {pypdfium2.raw.FPDF_ERR_PASSWORD, pypdfium2.raw.FPDF_ERR_SECURITY}
        raise UnusableMedia(_ENCRYPTED if encrypted else _DAMAGED) from error


def _page(document: Any, index: int, sizes: Counter[int]) -> Iterator[tuple[str, str]]:
    """The blocks of one page; `sizes` gathers font heights over the document, to know what is larger than usual."""
    page = document[index]
    try:
        text_page = page.get_textpage()
        try:
            spans = list(_spans(text_page))
        finally:
            text_page.close()
    finally:
        page.close()
    for span in spans:
        sizes[round(span.height)] += len(span.text)
    usual = sizes.most_common(1)[0][0] if sizes else 0
    lines = _lines(_without_page_number(spans))
    yield from _blocks(lines, float(usual))


def _without_page_number(spans: list[_Span]) -> list[_Span]:
    """The spans less a number that stands apart at the top or the bottom."""
    for edge in (min, max):
        if len(spans) > 1:
            outer = edge(spans, key=lambda span: span.middle)
            distance = min(abs(span.middle - outer.middle) for span in spans if span is not outer)
            is_number = len(outer.text) <= 40 and _PAGE_NUMBER.fullmatch(outer.text) is not None
            if is_number and distance > 1.5 * outer.height:
                spans = [span for span in spans if span is not outer]
    return spans


def _spans(text_page: Any) -> Iterator[_Span]:
    """The page's text in drawing order, cut at line ends and at gaps as wide as a column's."""
    text = text_page.get_text_range()
    if text and max(text) > "\uffff":
        # PDFium counts in UTF-16 units, Python in characters.
        text = "".join(map(chr, array("H", text.encode("utf-16-le"))))
    metrics = _Metrics(text_page)
    for line in re.finditer(r"[^\r\n]+", text):
        start: re.Match[str] | None = None
        end: re.Match[str] | None = None
        for word in re.finditer(r"\S+", line[0]):
            if start and end:
                height, gap = metrics.gap(line.start() + end.end() - 1, line.start() + word.start())
                if gap > 0.9 * height and not _BULLET.fullmatch(line[0][start.start() : end.end()]):
                    yield metrics.span(text, line.start() + start.start(), line.start() + end.end())
                    start = word
            start, end = start or word, word
        if start and end:
            yield metrics.span(text, line.start() + start.start(), line.start() + end.end())


class _Metrics:
    """Places of characters by their index in the page's text."""

    def __init__(self, text_page: Any) -> None:
        import pypdfium2.raw as pdfium

        self._pdfium = pdfium
        self._page = text_page.raw
        self._box = pdfium.FS_RECTF()
        self._font = ctypes.create_string_buffer(256)

    def _measure(self, index: int) -> tuple[float, float, float, float]:
        character = self._pdfium.FPDFText_GetCharIndexFromTextIndex(self._page, index)
        if not self._pdfium.FPDFText_GetLooseCharBox(self._page, character, ctypes.byref(self._box)):
            return 0.0, 0.0, 0.0, 0.0
        return self._box.left, self._box.bottom, self._box.right, self._box.top

    def gap(self, end: int, start: int) -> tuple[float, float]:
        """The font height, and the space between the characters at `end` and `start`."""
        _, bottom, right, top = self._measure(end)
        left, *_ = self._measure(start)
        return top - bottom, left - right

    def span(self, text: str, start: int, end: int) -> _Span:
        """The characters from `start` up to `end`."""
        left, bottom, _, top = self._measure(start)
        _, _, right, _ = self._measure(end - 1)
        character = self._pdfium.FPDFText_GetCharIndexFromTextIndex(self._page, start)
        self._font.value = b""
        flags = ctypes.c_int()
        self._pdfium.FPDFText_GetFontInfo(self._page, character, self._font, len(self._font), ctypes.byref(flags))
        words = text[start:end].encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return _Span(words, left, right, bottom, top, b"bold" in self._font.value.lower())


def _lines(spans: list[_Span]) -> list[_Line]:
    """Spans gathered into lines of cells, also where the text of a cell is wrapped."""
    lines: list[_Line] = []
    for span in spans:
        if not lines:
            lines.append([[span]])
            continue
        last = lines[-1][-1]
        rise = span.middle - last[-1].middle
        is_right = span.left >= last[-1].right - 0.3 * span.height
        if is_right and abs(rise) < 0.5 * span.height:
            lines[-1].append([span])
        elif is_right and 0 < rise < _MAX_CELL_LINES * span.height:
            # Up and to the right: the cell before was wrapped over several lines, which are still taken for lines.
            _fold(lines, span)
            lines[-1].append([span])
        elif len(lines[-1]) > 1 and -1.6 * span.height < rise < 0 and abs(span.left - last[0].left) < span.height:
            last.append(span)
        else:
            lines.append([[span]])
    return lines


def _fold(lines: list[_Line], span: _Span) -> None:
    """Make one cell of the last single-cell lines that are not above `span`."""
    cell = lines[-1][-1]
    while (
        len(lines) > 1
        and len(lines[-1]) == len(lines[-2]) == 1
        and lines[-2][0][-1].middle <= span.middle + 0.5 * span.height
        and abs(lines[-2][0][0].left - cell[0].left) < span.height
    ):
        lines.pop()
        cell[:0] = lines[-1][0]
        lines[-1] = [cell]


def _blocks(lines: list[_Line], usual: float) -> Iterator[tuple[str, str]]:
    paragraph: list[_Span] = []
    for index, line in enumerate(lines):
        neighbours = lines[max(index - 1, 0) : index] + lines[index + 1 : index + 2]
        if len(line) > 1 and any(_is_aligned(line, other) for other in neighbours):
            yield from _paragraph(paragraph, usual)
            paragraph = []
            yield "row", row([_joined(cell) for cell in line])
            continue
        for span in (span for cell in line for span in cell):
            if paragraph and _begins(paragraph, span):
                yield from _paragraph(paragraph, usual)
                paragraph = []
            paragraph.append(span)
    yield from _paragraph(paragraph, usual)


def _is_aligned(line: _Line, other: _Line) -> bool:
    """Whether two lines share a column besides the first, by its left edge, right edge or middle."""
    for cell in line[1:]:
        for match in other[1:]:
            near = 0.5 * cell[0].height
            left, right = cell[0].left - match[0].left, cell[0].right - match[0].right
            if min(abs(left), abs(right), abs(left + right) / 2) < near:
                return True
    return False


def _begins(paragraph: list[_Span], span: _Span) -> bool:
    """Whether `span` begins a new paragraph."""
    last = paragraph[-1]
    step = last.middle - span.middle
    if abs(step) < 0.5 * span.height:
        return False
    shift = span.left - last.left
    is_astray = abs(shift) > 4 * span.height and abs(shift + span.right - last.right) > 4 * span.height
    if is_astray or abs(span.height - last.height) > 0.12 * last.height or span.bold != last.bold:
        return True
    has_ended = last.text.endswith(_ENDS)
    if step < 0 or step > 8 * span.height:
        return has_ended  # the next column
    usual_step = paragraph[-2].middle - last.middle if len(paragraph) > 1 else 0.0
    is_apart = step > 1.9 * span.height or (usual_step > 0.5 * span.height and step > 1.3 * usual_step)
    is_item = _ITEM.match(span.text) is not None and (has_ended or _ITEM.match(paragraph[0].text) is not None)
    is_short = last.right < max(part.right for part in paragraph) - 3 * span.height
    return is_apart or is_item or (has_ended and (is_short or shift > span.height))


def _paragraph(spans: list[_Span], usual: float) -> Iterator[tuple[str, str]]:
    if not spans:
        return
    text = _joined(spans)
    stands_out = spans[0].height > 1.15 * usual or all(span.bold for span in spans)
    is_heading = stands_out and len(text) <= 160 and len(spans) <= 3 and not text.endswith(_ENDS)
    yield ("heading" if is_heading else "text"), text


def _joined(spans: list[_Span]) -> str:
    text = ""
    for span in spans:
        # PDFium marks a hyphen at a line's end, which only cuts a word, by a code of its own.
        text = join_lines(re.sub("[\x02\ufffe]$", "\u00ad", text), span.text)
    return text
