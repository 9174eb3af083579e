"""Word documents (docx, ISO/IEC 29500) by lxml: paragraphs, headings, lists, tables and text boxes in document order.

Then what stands beside the text, once each: footnotes, endnotes, comments, diagrams, headers and footers. Deleted text
(tracked changes), field codes and phonetic guides are left out. The format has no pages.
"""

import posixpath
from collections.abc import Iterator
from typing import Any

from pipelines.knowledge.parsing import tables
from pipelines.knowledge.parsing.documents import Parsed
from pipelines.knowledge.parsing.layout import is_page_number
from pipelines.knowledge.parsing.package import Package, attribute, child, local, unread

_SKIPPED = {"del", "moveFrom", "instrText", "delText", "rPr", "pPr", "footnoteRef", "endnoteRef", "rt"}
_CHARACTERS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}
_INSIDE = {"body", "sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag", "footnote", "endnote", "comment"} | {
    "ptLst",
    "pt",
    "t",  # of a diagram
}
_BESIDE = ("footnotes", "endnotes", "comments", "diagramData", "header", "footer")
_REPEATED = {"header", "footer"}
_FIRST_ROW = 0x20  # in the bits of a table's look
_MAX_SPAN = 63  # columns that a table of Word may have

Blocks = Iterator[tuple[str, str]]


def parse(package: Package, main: str, root: Any) -> Iterator[Parsed]:
    """The one page of a docx, and what it holds that is not read.

    Raises:
        UnusableMedia: damaged.
    """
    relations = package.relations(main)
    styles = _Styles(next((package.xml(one.target) for one in relations if one.type == "styles"), ()))
    blocks = list(_blocks(root, styles))
    for kind in _BESIDE:
        usual = posixpath.join(posixpath.dirname(main), f"{kind}.xml")  # of an archive without relationships
        for part in dict.fromkeys([*(one.target for one in relations if one.type == kind), usual]):
            found = _blocks(package.xml(part), styles)
            blocks += found if kind not in _REPEATED else _new(found, blocks)
    yield None, blocks
    yield from unread(relations, set())


def _new(found: Blocks, known: list[tuple[str, str]]) -> Blocks:
    """The blocks of a header or footer that say more than the page number, and nothing that is known."""
    seen = set(known)
    return (block for block in dict.fromkeys(found) if block not in seen and not is_page_number(block[1]))


class _Styles:
    """The ids of styles that mean headings and list items, in any language of Word."""

    def __init__(self, root: Any) -> None:
        self.headings: set[str] = set()
        self.lists: set[str] = set()
        self.headed: set[str] = set()  # of tables
        for style in root:
            name = child(style, "name")
            is_named = name is not None and attribute(name, "val").lower().startswith(("heading", "title"))
            if is_named or child(style, "pPr", "outlineLvl") is not None:
                self.headings.add(attribute(style, "styleId"))
            elif child(style, "pPr", "numPr") is not None:
                self.lists.add(attribute(style, "styleId"))
            elif any(local(part) == "tblStylePr" and attribute(part, "type") == "firstRow" for part in style):
                self.headed.add(attribute(style, "styleId"))


def _blocks(parent: Any, styles: _Styles) -> Blocks:
    for element in parent:
        name = local(element)
        if name == "p":
            yield from _paragraph(element, styles)
        elif name == "tbl":
            for line in tables.lines(*_table(element, styles)):
                yield "row", line
        elif name == "AlternateContent":
            yield from next(filter(None, (list(_blocks(variant, styles)) for variant in element)), [])
        elif name in _INSIDE:
            yield from _blocks(element, styles)


def _paragraph(element: Any, styles: _Styles) -> Blocks:
    """A paragraph, and after it the text boxes that are anchored in it."""
    boxes: list[Any] = []
    text = "".join(_text(element, boxes)).strip()
    named = child(element, "pPr", "pStyle")
    style = attribute(named, "val") if named is not None else ""
    if text and style in styles.headings:
        yield "heading", " ".join(text.split())
    elif text and (style in styles.lists or child(element, "pPr", "numPr") is not None):
        yield "text", f"- {text}"
    elif text:
        yield "text", text
    for box in boxes:
        yield from _blocks(box, styles)


def _text(element: Any, boxes: list[Any]) -> Iterator[str]:
    """The text within a paragraph; text boxes, which hold paragraphs of their own, are put into `boxes`."""
    for inner in element:
        name = local(inner)
        if name == "t":
            yield inner.text or ""
        elif name in _CHARACTERS:
            yield _CHARACTERS[name]
        elif name == "txbxContent":
            boxes.append(inner)
        elif name == "textpath":  # lettering drawn as a shape
            yield attribute(inner, "string")
        elif name == "ffData":
            yield _form_field(inner)
        elif name == "AlternateContent":
            yield from _first_variant(inner, boxes)
        elif name not in _SKIPPED:
            yield from _text(inner, boxes)


def _first_variant(element: Any, boxes: list[Any]) -> Iterator[str]:
    """The same content for newer and for older programs: the first variant that has text."""
    for variant in element:
        known = len(boxes)
        found = list(_text(variant, boxes))
        if found or len(boxes) > known:
            yield from found
            return


def _form_field(data: Any) -> str:
    """What is chosen in a list, or whether a box is checked."""
    box, choice = child(data, "checkBox"), child(data, "ddList")
    if choice is not None:
        entries = [attribute(entry, "val") for entry in choice if local(entry) == "listEntry"]
        chosen = child(choice, "result")
        number = attribute(chosen, "val") if chosen is not None else "0"
        return "".join(entries[int(number) :][:1]) if number.isdecimal() else ""
    if box is None:
        return ""
    state = next((one for name in ("checked", "default") if (one := child(box, name)) is not None), None)
    return "[x] " if state is not None and attribute(state, "val") not in {"0", "false", "off"} else "[ ] "


def _table(table: Any, styles: _Styles) -> tuple[list[list[str]], int | None]:
    """The cells of a table row by row, and how many rows are heads, if that shows."""
    grid: list[list[str]] = []
    rows = list(_rows(table))
    for element in rows:
        above = grid[-1] if grid else []
        grid.append(list(_cells(element, above)))
    marked = [child(element, "trPr", "tblHeader") is not None for element in rows]
    heads = marked.index(False) if False in marked else 0
    is_first_bold = len(rows) > 1 and _is_bold(rows[0]) and not _is_bold(rows[1])
    return grid, heads or (1 if is_first_bold or _has_styled_head(table, styles) else None)


def _has_styled_head(table: Any, styles: _Styles) -> bool:
    """Whether the table's style sets its first row apart."""
    style, look = child(table, "tblPr", "tblStyle"), child(table, "tblPr", "tblLook")
    if style is None or look is None or attribute(style, "val") not in styles.headed:
        return False
    return attribute(look, "firstRow") in {"1", "true"} or bool(int(attribute(look, "val") or "0", 16) & _FIRST_ROW)


def _rows(table: Any) -> Iterator[Any]:
    for element in table:
        if local(element) in {"sdt", "sdtContent", "ins"}:
            yield from _rows(element)
        elif local(element) == "tr":
            yield element


def _cells(parent: Any, above: list[str]) -> Iterator[str]:
    """The cells of a row; one that spans columns or rows is repeated in each."""
    column = 0
    for element in parent:
        if local(element) in {"sdt", "sdtContent", "customXml"}:
            inner = list(_cells(element, above[column:]))
        elif local(element) == "tc":
            inner = _spanned(element, above[column : column + 1])
        else:
            continue
        column += len(inner)
        yield from inner


def _spanned(cell: Any, above: list[str]) -> list[str]:
    span, merge = child(cell, "tcPr", "gridSpan"), child(cell, "tcPr", "vMerge")
    if merge is not None and attribute(merge, "val") != "restart":
        text = "".join(above)
    else:
        text = " ".join(line for _, line in _blocks(cell, _Styles(())))
    width = attribute(span, "val") if span is not None else "1"
    return [text] * min(int(width) if width.isdecimal() else 1, _MAX_SPAN)


def _is_bold(row: Any) -> bool:
    """Whether all text of a row is bold."""
    runs = [run for run in row.iter() if local(run) == "r" and "".join(_text(run, [])).strip()]
    marks = [child(run, "rPr", "b") for run in runs]
    return bool(runs) and all(mark is not None and attribute(mark, "val") not in {"0", "false"} for mark in marks)
