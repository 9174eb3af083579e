"""PDF by pypdfium2 (Apache-2.0 or BSD-3-Clause; PDFium BSD-3-Clause): pages as headings, paragraphs and table rows.

PDF knows no paragraphs, only text at places: PDFium yields lines in the order of drawing, and `layout` makes blocks of
them, with filled form fields beside their labels. A page that has an image and no text of its own besides its number is
a scan, and is read as `scan` reads images; on any other page the text in images is not read.
"""

import ctypes
import re
from array import array
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO

from pipelines.contracts.errors import UnusableMedia
from pipelines.knowledge.parsing import layout, scan
from pipelines.knowledge.parsing.annotations import Annotations
from pipelines.knowledge.parsing.documents import DAMAGED, ENCRYPTED, Parsed, ReadLimits
from pipelines.knowledge.parsing.layout import BULLET, Layout, Span
from pipelines.media import Rgb
from pipelines.text.ocr import MAX_SIDE_PX

_DPI = 200
_MAX_FORM_DEPTH = 5
_MIN_PICTURE = 36.0  # points: smaller ones are ornaments
_SCAN_SHARE = 0.7  # of the page: a picture so large has its text on the page if there is any
_OBJECT = re.compile(rb"\b\d{1,10}\s{1,20}\d{1,5}\s{1,20}obj\b")


def parse(file: BinaryIO, limits: ReadLimits) -> Iterator[Parsed]:
    """How many pages there are, then each page, and what the document holds that is not read.

    Raises:
        UnusableMedia: damaged, encrypted, or with too many pages.
    """
    import pypdfium2

    data = file.read()
    if _is_cut(data):
        raise UnusableMedia("The document is damaged: its end is missing.")
    try:
        document = pypdfium2.PdfDocument(data)
        document.init_forms()
        count = len(document)
        if count > limits.pages:
            raise UnusableMedia(f"The document has {count:,} pages; the limit is {limits.pages:,}.")
        yield count
        reader = _Reader(document)
        for index in range(count):
            yield index + 1, list(reader.blocks(index))
        yield from reader.not_read
        yield from _attached(document)
    except pypdfium2.PdfiumError as error:
        encrypted = error.err_code in {pypdfium2.raw.FPDF_ERR_PASSWORD, pypdfium2.raw.FPDF_ERR_SECURITY}
        raise UnusableMedia(ENCRYPTED if encrypted else DAMAGED) from error


def _is_cut(data: bytes) -> bool:
    """Whether the file breaks off within an object: PDFium would read it without what is missing."""
    begun = _OBJECT.search(data, data.rfind(b"endobj") + 1)
    return begun is not None and data.find(b"startxref", begun.end()) < 0


def _attached(document: Any) -> Iterator[str]:
    for index in range(document.count_attachments()):
        yield f"embedded file: {document.get_attachment(index).get_name()}"
    import pypdfium2.raw as pdfium

    if document.get_formtype() == pdfium.FORMTYPE_XFA_FULL:
        yield "XFA form"


class _Reader:
    """Reads the pages of one document, one after the other."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._layout = Layout()
        self._sizes: Counter[int] = Counter()  # font heights, to know what is larger than usual
        self.not_read: list[str] = []

    def blocks(self, index: int) -> Iterator[tuple[str, str]]:
        """The blocks of one page."""
        page = self._document[index]
        try:
            spans = _text_spans(page)
            annotations = Annotations.read(self._document, page)
            is_scan = not layout.has_words(spans) and _has_image(page)
            if is_scan:
                yield from scan.blocks(_rendered(page))
                spans = []
            else:
                self.not_read += ["picture"] * _count_pictures(page)
        finally:
            page.close()
        for span in spans:
            self._sizes[round(span.height)] += len(span.text)
        usual = self._sizes.most_common(1)[0][0] if self._sizes else 0
        yield from self._layout.blocks(annotations.beside(spans), float(usual))
        yield from (("text", remark) for remark in annotations.remarks)
        self.not_read += annotations.not_read


def _text_spans(page: Any) -> list[Span]:
    text_page = page.get_textpage()
    try:
        return list(_spans(text_page))
    finally:
        text_page.close()


def _count_pictures(page: Any) -> int:
    """How many pictures there are beside the text."""
    import pypdfium2.raw as pdfium

    width, height = page.get_size()
    count = 0
    for picture in page.get_objects([pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=_MAX_FORM_DEPTH):
        left, bottom, right, top = picture.get_bounds()
        is_scan = (right - left) * (top - bottom) > _SCAN_SHARE * width * height
        count += min(right - left, top - bottom) >= _MIN_PICTURE and not is_scan
    return count


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
