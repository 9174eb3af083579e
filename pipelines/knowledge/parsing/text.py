"""Plain text in any common encoding: UTF-8, UTF-16, UTF-32, GB18030, Big5, Japanese, Korean and Latin code pages.

No file says what its legacy encoding is: charset-normalizer judges how much each reading looks like a language. A few
words can fit two encodings equally; then the one higher in `_LEGACY` wins.
"""

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO

from pipelines.contracts.errors import UnsupportedMedia
from pipelines.knowledge.parsing.clean import join_lines, row
from pipelines.knowledge.parsing.documents import ReadLimits
from pipelines.text.scripts import width

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LEGACY = ("gb18030", "big5", "cp1252", "cp932", "euc_jp", "cp949", "cp1251", "koi8_r", "cp1250", "cp1253", "cp1254")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x19\x1c-\x1f\x7f]")
_ORDINARY = re.compile(
    r"[\t\n\r\x20-\x7e\u00a0-\u024f\u0370-\u04ff\u2010-\u2027\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff00-\uff65]"
)
_SENTENCE_END = tuple(".!?:;…。！？：；”’」』)）]")
_LIST_ITEM = re.compile(r"\s*(?:[-*•·]|\(?\d{1,3}[.)、]|[一二三四五六七八九十]+、)\s*\S")
_MARKDOWN_HEADING = re.compile(r"#{1,6}\s+(\S.*)")
_CELLS = re.compile(r"\||\t+")


def parse(file: BinaryIO, limits: ReadLimits) -> Iterator[tuple[None, list[tuple[str, str]]]]:
    """The one page of a text file: paragraphs, headings and table rows as far as the layout shows.

    Raises:
        UnsupportedMedia: the bytes are not text.
    """
    lines = _decode(file.read()).splitlines()
    yield None, list(_blocks(lines))


def _decode(data: bytes) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _checked(data[len(mark) :].decode(encoding, errors="replace"))
    if b"\0" in data:
        return _utf16(data)
    try:
        return _checked(data.decode("utf-8"))
    except UnicodeDecodeError:
        return _checked(data.decode(_legacy(data), errors="replace"))


def _checked(text: str) -> str:
    if len(_CONTROL.findall(text)) > len(text) / 100:
        raise _not_text()
    return text


def _utf16(data: bytes) -> str:
    """UTF-16 without its mark: half of Latin text is NUL bytes, on one side or the other."""
    for encoding in ("utf-16-le", "utf-16-be"):
        sample = data[: 1 << 16].decode(encoding, errors="replace")
        if len(_ORDINARY.findall(sample)) >= 0.95 * len(sample):
            return data.decode(encoding, errors="replace")
    raise _not_text()


def _legacy(data: bytes) -> str:
    from charset_normalizer import from_bytes

    matches = list(from_bytes(data, cp_isolation=list(_LEGACY)))
    if not matches:
        raise _not_text()
    best = matches[0]
    ties = {
        encoding
        for match in matches
        if match.chaos <= best.chaos + 0.03 and match.coherence >= best.coherence
        for encoding in match.could_be_from_charset
    }
    return next((encoding for encoding in _LEGACY if encoding in ties), best.encoding)


def _not_text() -> UnsupportedMedia:
    return UnsupportedMedia("The file is not text.")


def _blocks(lines: list[str]) -> Iterator[tuple[str, str]]:
    paragraph: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            paragraph.append(line.rstrip())
        elif paragraph:
            yield from _paragraph(paragraph)
            paragraph = []


def _paragraph(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Lines between blank lines: one heading, table rows, or text whose line ends may only be wrapping."""
    if len(lines) == 1 and _is_heading(lines[0]):
        yield "heading", lines[0].strip()
        return
    longest = max(map(width, lines))
    held = ""
    previous = ""
    for line in lines:
        heading = _MARKDOWN_HEADING.match(line)
        cells = _CELLS.split(line.strip().strip("|"))
        if heading or len(cells) > 1:
            if held:
                yield "text", held
            held = previous = ""
            if heading:
                yield "heading", heading[1].rstrip("# ")
            elif not set(line) <= set("|-:+= \t"):
                yield "row", row(cells)
        elif held and _continues(previous, line, longest):
            held, previous = join_lines(held, line.strip()), line
        else:
            if held:
                yield "text", held
            held = previous = line.strip()
    if held:
        yield "text", held


def _continues(line: str, following: str, longest: int) -> bool:
    """Whether the line end is only where the text was wrapped: a full line, no sentence end, no list item next."""
    return (
        40 <= longest <= 160
        and width(line) >= 0.7 * longest
        and not line.endswith(_SENTENCE_END)
        and not _LIST_ITEM.match(following)
    )


def _is_heading(line: str) -> bool:
    text = line.strip()
    return (
        width(text) <= 80
        and text[0].isalnum()
        and not text.endswith((*_SENTENCE_END, ",", "，"))
        and not _CELLS.search(text)
    )
