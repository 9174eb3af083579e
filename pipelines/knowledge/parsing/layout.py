"""Words at places on a page, as headings, paragraphs and table rows.

From the places of words this module distinguishes columns of a table from spaces, wrapped lines from ends of
paragraphs, and headings by size or weight. A table whose cells come column by column reads column by column. One that
goes on overleaf keeps its head, unless it has another in bold there. Filled fields below each other are one record: a
row whose heads are their labels.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from pipelines.knowledge.parsing.clean import join_lines
from pipelines.knowledge.parsing.tables import SEPARATOR, Cell, Table, find_columns, in_columns

_MAX_CELL_LINES = 12
_MAX_PAGE_NUMBER = 40
_RUNNING_BLOCKS = 2  # what stands at the foot of a page and at the head of the next one
_ENDS = tuple(".!?。！？：:；;…”」")
BULLET = re.compile(r"[•●▪■◦–—*·-]|\(?\w{1,3}[.)、]")
_ITEM = re.compile(rf"(?:{BULLET.pattern})\s")
_PAGE_NUMBER = re.compile(
    r"\W*(?:page|seite|página|第)?\s*\d{1,4}(?:\s*(?:/|of|von|de|页|頁|共)\s*\d{0,4}\s*[页頁]?)?\W*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Span:
    """Words with no column gap between them; y upwards. `height` is the font's, `bold` its weight.

    One that `is_field` is a field of a form, "Name: Anna", and does not run on into the next line.
    """

    text: str
    left: float
    right: float
    bottom: float
    top: float
    bold: bool
    is_field: bool = False

    @property
    def height(self) -> float:
        """Of the font."""
        return max(self.top - self.bottom, 1.0)

    @property
    def middle(self) -> float:
        """Half way up the line."""
        return (self.top + self.bottom) / 2


_Cell = list[Span]
_Line = list[_Cell]


class Layout:
    """Reads the pages of one document, one after the other."""

    def __init__(self) -> None:
        self._head: list[str] = []  # of the last table
        self._columns: list[tuple[float, float]] = []
        self._blocks_since = 0
        self._is_new_page = True

    def blocks(self, spans: Sequence[Span], usual: float) -> Iterator[tuple[str, str]]:
        """The blocks of one page: ("heading" | "text" | "row", text).

        Args:
            spans: in reading order.
            usual: the height of the document's running text.
        """
        self._is_new_page = True
        for kind, lines in groupby(_typed(_lines(_without_page_number(list(spans)))), itemgetter(0)):
            run = [line for _, line in lines]
            if kind == "table":
                yield from (("row", line) for line in self._table(run).lines())
            elif kind == "field":
                yield "row", SEPARATOR.join(_joined(cell) for line in run for cell in line)
            else:
                for block in _paragraphs([span for line in run for cell in line for span in cell], usual):
                    self._blocks_since += 1
                    yield block

    def _table(self, lines: list[_Line]) -> Table:
        """A table, which may be the rest of the last one."""
        cells = [
            [Cell(_joined(cell), cell[0].left, max(span.right for span in cell)) for cell in line] for line in lines
        ]
        rows, columns = in_columns(cells), find_columns(cells)
        is_bold = [all(span.bold for cell in line for span in cell) for line in lines[:2]]
        heads = 1 if is_bold == [True, False] else None
        goes_on = self._is_new_page and self._blocks_since <= _RUNNING_BLOCKS and _are_same(columns, self._columns)
        if goes_on and self._head and heads is None:
            rows, heads = [self._head, *rows], 1
        table = Table.read(rows, heads)
        self._head = table.heads[-1] if table.heads else []
        self._columns = columns
        self._blocks_since, self._is_new_page = 0, False
        return table


def _typed(lines: list[_Line]) -> Iterator[tuple[str, _Line]]:
    """Each line with what it belongs to: "table", "field" or "text"."""
    for index, line in enumerate(lines):
        neighbors = lines[max(index - 1, 0) : index] + lines[index + 1 : index + 2]
        if any(span.is_field for cell in line for span in cell):
            yield "field", line
        elif len(line) > 1 and any(_is_aligned(line, other) for other in neighbors):
            yield "table", line
        else:
            yield "text", line


def _are_same(columns: Sequence[tuple[float, float]], others: Sequence[tuple[float, float]]) -> bool:
    """Whether two tables have the same columns."""
    return len(columns) == len(others) and all(
        left < other_right and other_left < right
        for (left, right), (other_left, other_right) in zip(columns, others, strict=True)
    )


def _paragraphs(spans: list[Span], usual: float) -> Iterator[tuple[str, str]]:
    paragraph: list[Span] = []
    for span in spans:
        if paragraph and _begins(paragraph, span):
            yield from _paragraph(paragraph, usual)
            paragraph = []
        paragraph.append(span)
    yield from _paragraph(paragraph, usual)


def has_words(spans: Sequence[Span]) -> bool:
    """Whether there is more than page numbers."""
    return any(any(map(str.isalpha, span.text)) and not is_page_number(span.text) for span in spans)


def is_page_number(text: str) -> bool:
    """Whether a text is a number of a page and nothing else."""
    return len(text) <= _MAX_PAGE_NUMBER and _PAGE_NUMBER.fullmatch(text) is not None


def _without_page_number(spans: list[Span]) -> list[Span]:
    """The spans less a number that stands apart at the top or the bottom."""
    for edge in (min, max):
        if len(spans) > 1:
            outer = edge(spans, key=lambda span: span.middle)
            distance = min(abs(span.middle - outer.middle) for span in spans if span is not outer)
            if is_page_number(outer.text) and distance > 1.5 * outer.height:
                spans = [span for span in spans if span is not outer]
    return spans


def _lines(spans: list[Span]) -> list[_Line]:
    """Spans gathered into lines of cells, even if the text of a cell is wrapped."""
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
            # Up and to the right: the cell before was wrapped over several lines, which still count as lines.
            _fold(lines, span)
            lines[-1].append([span])
        elif len(lines[-1]) > 1 and -1.6 * span.height < rise < 0 and abs(span.left - last[0].left) < span.height:
            last.append(span)
        else:
            lines.append([[span]])
    return lines


def _fold(lines: list[_Line], span: Span) -> None:
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


def _is_aligned(line: _Line, other: _Line) -> bool:
    """Whether two lines share a column besides the first, by its left edge, right edge or middle."""
    for cell in line[1:]:
        for match in other[1:]:
            near = 0.5 * cell[0].height
            left, right = cell[0].left - match[0].left, cell[0].right - match[0].right
            if min(abs(left), abs(right), abs(left + right) / 2) < near:
                return True
    return False


def _begins(paragraph: list[Span], span: Span) -> bool:
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


def _paragraph(spans: list[Span], usual: float) -> Iterator[tuple[str, str]]:
    if not spans:
        return
    text = _joined(spans)
    stands_out = spans[0].height > 1.15 * usual or all(span.bold for span in spans)
    is_heading = stands_out and len(text) <= 160 and len(spans) <= 3 and not text.endswith(_ENDS)
    yield ("heading" if is_heading else "text"), text


def _joined(spans: list[Span]) -> str:
    text = ""
    for span in spans:
        # PDFium marks a hyphen at a line's end, which only cuts a word, by a code of its own.
        text = join_lines(re.sub("[\x02\ufffe]$", "\u00ad", text), span.text)
    return text
