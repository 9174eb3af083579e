"""PDF by pypdfium2 (Apache-2.0 or BSD-3-Clause; PDFium BSD-3-Clause): pages as headings, paragraphs and table rows.

PDF knows no paragraphs, only text at places: PDFium yields lines in the order of drawing, and `layout` makes blocks of
them. A page that has an image and no text of its own besides its number is a scan, and is read as `scan` reads images;
on any other page the text in images is not read.
"""

import ctypes
import re
from array import array
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO

from pipelines.contracts.errors import UnusableMedia
from pipelines.knowledge.parsing import layout, scan
from pipelines.knowledge.parsing.documents import DAMAGED, ENCRYPTED, ReadLimits
from pipelines.knowledge.parsing.layout import BULLET, Span
from pipelines.media import Rgb
from pipelines.text.ocr import MAX_SIDE_PX

_TAIL_BYTES = 4096
_DPI = 200
_MAX_FORM_DEPTH = 5


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
            raise UnusableMedia(f"The document has {count:,} pages; the limit is {limits.pages:,}.")
        yield count
        sizes: Counter[int] = Counter()
        for index in range(count):
            yield index + 1, list(_page(document, index, sizes))
    except pypdfium2.PdfiumError as error:
        encrypted = error.err_code in {pypdfium2.raw.FPDF_ERR_PASSWORD, pypdfium2.raw.FPDF_ERR_SECURITY}
        raise UnusableMedia(ENCRYPTED if encrypted else DAMAGED) from error


def _page(document: Any, index: int, sizes: Counter[int]) -> Iterator[tuple[str, str]]:
    """The blocks of one page; `sizes` gathers font heights over the document, to know what is larger than usual."""
    page = document[index]
    try:
        text_page = page.get_textpage()
        try:
            spans = list(_spans(text_page))
        finally:
            text_page.close()
        if not layout.has_words(spans) and _has_image(page):
            yield from scan.blocks(_rendered(page))
            return
    finally:
        page.close()
    for span in spans:
        sizes[round(span.height)] += len(span.text)
    usual = sizes.most_common(1)[0][0] if sizes else 0
    yield from layout.blocks(spans, float(usual))


def _has_image(page: Any) -> bool:
    import pypdfium2.raw as pdfium

    return next(page.get_objects([pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=_MAX_FORM_DEPTH), None) is not None


def _rendered(page: Any) -> Rgb:
    """The page as a reader sees it, however large it says it is."""
    pixels_per_point = min(_DPI / 72, MAX_SIDE_PX / max(page.get_size()))
    bitmap = page.render(scale=pixels_per_point, rev_byteorder=True)
    image: Rgb = bitmap.to_numpy()[:, :, :3].copy()
    bitmap.close()
    return image


def _spans(text_page: Any) -> Iterator[Span]:
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
                if gap > 0.9 * height and not BULLET.fullmatch(line[0][start.start() : end.end()]):
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

    def span(self, text: str, start: int, end: int) -> Span:
        """The characters from `start` up to `end`."""
        left, bottom, _, top = self._measure(start)
        _, _, right, _ = self._measure(end - 1)
        character = self._pdfium.FPDFText_GetCharIndexFromTextIndex(self._page, start)
        self._font.value = b""
        flags = ctypes.c_int()
        self._pdfium.FPDFText_GetFontInfo(self._page, character, self._font, len(self._font), ctypes.byref(flags))
        words = text[start:end].encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return Span(words, left, right, bottom, top, b"bold" in self._font.value.lower())
