"""Presentations (pptx, ISO/IEC 29500) by lxml: each slide is a page that begins with its title.

Text boxes, tables, diagrams, speaker notes and comments are read, hidden slides like the others; what master slides
repeat is not, and neither are charts.
"""

from collections.abc import Iterator
from typing import Any

from pipelines.knowledge.parsing import tables
from pipelines.knowledge.parsing.documents import Parsed
from pipelines.knowledge.parsing.package import Package, attribute, child, elements, inside, local, unread

_TITLES = {"title", "ctrTitle"}
_REPEATED = {"sldNum", "dt", "ftr", "hdr", "sldImg"}

Blocks = Iterator[tuple[str, str]]


def parse(package: Package, main: str, root: Any) -> Iterator[Parsed]:
    """How many slides there are, each slide, and what the presentation holds that is not read.

    Raises:
        UnusableMedia: damaged.
    """
    parts = {one.id: one.target for one in package.relations(main) if one.type == "slide"}
    ids = [_relation_id(slide) for slide in inside(root, "sldIdLst")]
    slides = [parts[id] for id in ids if id in parts]
    yield len(slides)
    seen: set[str] = set()
    for number, part in enumerate(slides, 1):
        relations = package.relations(part)
        blocks = list(_shapes(package.xml(part)))
        for one in relations:
            if one.type in {"diagramData", "notesSlide"}:
                blocks += (("text", text) for _, text in _shapes(package.xml(one.target)))
            elif one.type == "comments":
                blocks += _comments(package.xml(one.target))
        title = next((text for kind, text in blocks if kind == "heading"), f"Slide {number}")
        yield number, [("heading", title), *(block for block in blocks if block != ("heading", title))]
        yield from unread(relations, seen)


def _relation_id(slide: Any) -> str:
    """A slide has an `id` of its own besides the relationship's."""
    return next((value for key, value in slide.attrib.items() if key.endswith("}id")), "")


def _shapes(parent: Any) -> Blocks:
    for element in elements(parent):
        match local(element):
            case "sp" if (role := _role(element)) not in _REPEATED:
                yield from _paragraphs(element, is_title=role in _TITLES)
            case "sp":
                pass
            case "tbl":
                yield from (("row", line) for line in tables.lines(*_table(element)))
            case "t" if any(local(inner) == "p" for inner in element):  # of a diagram
                yield from _paragraphs(element, is_title=False)
            case "AlternateContent":
                yield from next(filter(None, (list(_shapes(variant)) for variant in element)), [])
            case _:
                yield from _shapes(element)


def _comments(root: Any) -> Blocks:
    for element in root.iter():
        if local(element) == "text" and element.text:  # as older programs write them
            yield "text", element.text
        elif local(element) == "txBody":
            yield from _paragraphs(element, is_title=False)


def _role(shape: Any) -> str:
    """What the layout has the shape for."""
    placeholder = child(shape, "nvSpPr", "nvPr", "ph")
    return attribute(placeholder, "type") if placeholder is not None else ""


def _paragraphs(shape: Any, *, is_title: bool) -> Blocks:
    texts = [text for one in shape.iter() if local(one) == "p" and (text := _text(one))]
    if is_title and texts:
        yield "heading", " ".join(texts)
    elif not is_title:
        yield from (("text", text) for text in texts)


def _text(paragraph: Any) -> str:
    parts = []
    for one in paragraph.iter():
        if local(one) == "t":
            parts.append(one.text or "")
        elif local(one) == "br":
            parts.append(" ")
    return "".join(parts).strip()


def _table(table: Any) -> tuple[list[list[str]], int | None]:
    """The cells of a table row by row, and how many rows are heads, if that shows."""
    grid: list[list[str]] = []
    for row in (element for element in table if local(element) == "tr"):
        cells: list[str] = []
        for cell in (element for element in row if local(element) == "tc"):
            if attribute(cell, "hMerge") in {"1", "true"} and cells:
                cells.append(cells[-1])
            elif attribute(cell, "vMerge") in {"1", "true"} and grid and len(cells) < len(grid[-1]):
                cells.append(grid[-1][len(cells)])
            else:
                cells.append(" ".join(text for _, text in _paragraphs(cell, is_title=False)))
        grid.append(cells)
    properties = child(table, "tblPr")
    is_marked = properties is not None and attribute(properties, "firstRow") in {"1", "true"}
    return grid, 1 if is_marked else None
