"""OpenDocument text (odt, ISO/IEC 26300) by lxml: paragraphs, headings, lists, tables, text boxes, notes, comments.

Deleted text (tracked changes) is left out. The format has no pages.
"""

import re
from collections.abc import Iterator
from typing import Any

from pipelines.contracts.errors import UnusableMedia
from pipelines.knowledge.parsing import tables
from pipelines.knowledge.parsing.documents import DAMAGED, ENCRYPTED, Parsed
from pipelines.knowledge.parsing.layout import is_page_number
from pipelines.knowledge.parsing.package import Package, attribute, child, elements, inside, local

_SKIPPED = {
    "tracked-changes",
    "note-citation",
    "ruby-text",
    "sequence-decls",
    "forms",
    "desc",
    "title",
    "creator",
    "date",
}
_APART = {"note", "annotation", "text-box"}
_SPACE = re.compile(r"\s+")
_MAX_REPEATED = 1_000

Blocks = Iterator[tuple[str, str]]


def parse(package: Package) -> Iterator[Parsed]:
    """The one page of an odt, and what it holds that is not read.

    Raises:
        UnusableMedia: damaged or encrypted.
    """
    manifest = package.xml("META-INF/manifest.xml")
    if any(local(element) == "encryption-data" for element in manifest.iter()):
        raise UnusableMedia(ENCRYPTED)
    body = child(package.xml("content.xml"), "body", "text")
    if body is None:
        raise UnusableMedia(DAMAGED)
    blocks = list(_blocks(body))
    for master in inside(package.xml("styles.xml"), "master-styles"):
        for element in (one for one in master if local(one) in {"header", "footer"}):
            seen = set(blocks)
            blocks += [one for one in dict.fromkeys(_blocks(element)) if one not in seen and not is_page_number(one[1])]
    yield None, blocks
    for element in body.iter():
        if local(element) == "image" and not attribute(element, "href").startswith("./ObjectReplacements"):
            yield "picture"
        elif local(element) in {"object", "object-ole"}:
            yield f"embedded file: {attribute(element, 'href').rpartition('/')[2]}"


def _blocks(parent: Any) -> Blocks:
    for element in elements(parent):
        match local(element):
            case "h" | "p" as name:
                yield from _paragraph(element, "heading" if name == "h" else "text")
            case "list-item":
                yield from ((kind, f"- {text}" if kind == "text" else text) for kind, text in _blocks(element))
            case "table":
                yield from (("row", line) for line in tables.lines(*_table(element)))
            case name if name not in _SKIPPED:
                yield from _blocks(element)


def _paragraph(element: Any, kind: str) -> Blocks:
    """A paragraph, and after it the notes, comments and text boxes that are anchored in it."""
    apart: list[Any] = []
    text = _text(element, apart).strip()
    if text:
        yield kind, text
    for one in apart:
        yield from _blocks(one)


def _text(element: Any, apart: list[Any]) -> str:
    """The text within a paragraph; what holds paragraphs of its own is put into `apart`."""
    parts = [_SPACE.sub(" ", element.text or "")]
    for inner in elements(element):
        match local(inner):
            case "s":
                count = attribute(inner, "c")
                parts.append(" " * (int(count) if count.isdecimal() and int(count) < _MAX_REPEATED else 1))
            case "tab":
                parts.append("\t")
            case "line-break":
                parts.append("\n")
            case name if name in _APART:
                apart.append(inner)
            case name if name not in _SKIPPED:
                parts.append(_text(inner, apart))
        parts.append(_SPACE.sub(" ", inner.tail or ""))
    return "".join(parts)


def _table(table: Any) -> tuple[list[list[str]], int | None]:
    """The cells of a table row by row, and how many rows are heads, if that is marked."""
    heads = [row for group in table.iter() if local(group) == "table-header-rows" for row in group]
    rows = [row for row in table.iter() if local(row) == "table-row" and _owner(row) is table]
    grid: list[list[str]] = []
    for row in rows:
        above = grid[-1] if grid else []
        grid.append(_cells(row, above))
    return grid, sum(row in heads for row in rows) or None


def _owner(row: Any) -> Any:
    """The table that a row belongs to: a table may stand within a cell of another."""
    return next(one for one in row.iterancestors() if local(one) == "table")


def _cells(row: Any, above: list[str]) -> list[str]:
    """The cells of a row; one that spans columns or rows is repeated in each."""
    cells: list[str] = []
    spanning = ""
    for cell in elements(row):
        if local(cell) == "covered-table-cell":
            is_beside = spanning and cells
            cells.append(cells[-1] if is_beside else "".join(above[len(cells) : len(cells) + 1]))
            continue
        spanning = attribute(cell, "number-columns-spanned").removeprefix("1")
        repeated = attribute(cell, "number-columns-repeated")
        count = int(repeated) if repeated.isdecimal() and int(repeated) < _MAX_REPEATED else 1
        cells += [" ".join(text for _, text in _blocks(cell))] * count
    return cells
