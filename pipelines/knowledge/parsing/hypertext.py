"""HTML by lxml: headings, paragraphs, list items and tables as a browser shows them; nothing that it names is loaded.

Scripts, styles and what is hidden are left out. A table that holds other tables, or says so, is taken for layout.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from pipelines.knowledge.parsing import tables
from pipelines.knowledge.parsing.documents import Parsed

_BEGINS = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*|(?><!--.*?-->)\s*)*<(?:!doctype\s+html|html|head|body|title|meta|article|main|section|div|p|h[1-6]"
    r"|table|ul|ol|span|b|strong|a|font|center)\b[^>]*>",
    re.IGNORECASE | re.DOTALL,
)
_CHARSET = re.compile(rb"""<meta[^>]+charset\s*=\s*["']?([\w-]+)""", re.IGNORECASE)
_AS_BROWSERS_READ = {"gb2312": "gb18030", "gbk": "gb18030", "iso-8859-1": "cp1252", "us-ascii": "cp1252"}
_HEAD_BYTES = 4096
_HEADINGS = frozenset({"title", "h1", "h2", "h3", "h4", "h5", "h6"})
_SKIPPED = frozenset(
    {"script", "style", "noscript", "template", "svg", "math", "object", "iframe", "datalist", "rp", "rt"}
)
_BLOCKS = frozenset(
    """address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure
    footer form head header hgroup hr html legend li main nav ol option p pre section summary table tbody td tfoot th
    thead tr ul""".split()  # noqa: SIM905
)
_MAX_SPAN = 100


def is_hypertext(text: str) -> bool:
    """Whether a text is HTML, a page or a part of one."""
    return _BEGINS.match(text[:_HEAD_BYTES]) is not None


def decode(data: bytes) -> str | None:
    """The text of a page in the encoding that it says it is in; `None` if it says none, or is in UTF-8 after all."""
    found = _CHARSET.search(data[:_HEAD_BYTES])
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        with suppress(LookupError, UnicodeDecodeError):
            return data.decode(_AS_BROWSERS_READ.get(name := found[1].decode().lower(), name)) if found else None
    return None


def parse(text: str) -> Iterator[Parsed]:
    """The one page of an HTML file, and the pictures that it holds."""
    from lxml import etree  # type: ignore[import-untyped]

    parser = etree.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)
    root = etree.fromstring(text.encode("utf-8", "replace"), parser)
    page = _Page()
    if root is not None:
        page.add(root)
    yield None, page.finish()
    yield from ["picture"] * page.pictures


class _Page:
    """Gathers text into blocks."""

    def __init__(self) -> None:
        self._blocks: list[tuple[str, str]] = []
        self._parts: list[str] = []
        self._bullet = ""
        self.pictures = 0  # within the file itself

    def finish(self) -> list[tuple[str, str]]:
        """All blocks."""
        self._end("text")
        return self._blocks

    def add(self, element: Any) -> None:
        """An element and what follows it within its parent's text."""
        tag = element.tag
        self.pictures += tag == "img" and element.get("src", "").startswith("data:")
        if tag == "br":
            self._parts.append("\n")
        elif tag in _HEADINGS:
            self._end("text")
            self._add_inside(element)
            self._end("heading")
        elif tag == "table" and not _is_layout(element):
            self._end("text")
            self._blocks += (("row", line) for line in tables.lines(*_table(element)))
        elif tag == "pre":
            self._end("text")
            self._blocks.append(("text", "".join(element.itertext())))
        elif tag in _BLOCKS:
            self._end("text")
            self._bullet = "- " if tag == "li" else self._bullet
            self._add_inside(element)
            self._end("text")
            self._bullet = ""
        elif not _is_hidden(element):
            self._add_inside(element)

    def _add_inside(self, element: Any) -> None:
        if _is_hidden(element):
            return
        self._parts.append(_flat(element.text))
        for inner in element:
            self.add(inner)
            self._parts.append(_flat(inner.tail))

    def _end(self, kind: str) -> None:
        lines = [" ".join(line.split()) for line in "".join(self._parts).split("\n")]
        self._parts.clear()
        if text := "\n".join(filter(None, lines)):
            is_known = kind == "heading" and self._blocks[-1:] == [(kind, text)]  # the title again
            if not is_known:
                self._blocks.append((kind, text.replace("\n", " ") if kind == "heading" else self._bullet + text))
            self._bullet = ""


def _flat(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "")


def _is_hidden(element: Any) -> bool:
    style = (element.get("style") or "").replace(" ", "").lower()
    return element.tag in _SKIPPED or element.get("hidden") is not None or "display:none" in style


def _is_layout(table: Any) -> bool:
    return table.get("role") == "presentation" or table.find(".//table") is not None


def _table(table: Any) -> tuple[list[list[str]], int | None]:
    """The cells of a table row by row, and how many rows are heads, if that is marked."""
    grid: list[list[str]] = []
    below: dict[int, tuple[str, int]] = {}  # by column: what a cell above puts here, and into how many more rows
    heads = 0
    for row in table.iter("tr"):
        cells: list[str] = []
        for cell in row.iterchildren("td", "th"):
            cells += _from_above(below, len(cells))
            text, rows = _cell_text(cell), _span(cell, "rowspan")
            for _ in range(_span(cell, "colspan")):
                if rows > 1:
                    below[len(cells)] = text, rows - 1
                cells.append(text)
        cells += _from_above(below, len(cells))
        is_head = row.getparent().tag == "thead" or (len(row) > 0 and all(cell.tag == "th" for cell in row))
        heads += is_head and heads == len(grid)
        grid.append(cells)
    return grid, heads or None


def _from_above(below: dict[int, tuple[str, int]], column: int) -> list[str]:
    """The cells that reach down from rows above, from a column on."""
    cells = []
    while column in below:
        text, rows = below.pop(column)
        if rows > 1:
            below[column] = text, rows - 1
        cells.append(text)
        column += 1
    return cells


def _span(cell: Any, name: str) -> int:
    value = cell.get(name, "1")
    return min(max(int(value), 1), _MAX_SPAN) if value.isdecimal() else 1


def _cell_text(cell: Any) -> str:
    page = _Page()
    page.add(cell)
    return " ".join(text for _, text in page.finish())
