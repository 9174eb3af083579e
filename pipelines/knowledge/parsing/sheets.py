"""Workbooks (xlsx, ISO/IEC 29500) by lxml: each sheet is a page that begins with its name, its rows tables with heads.

Values are shown as their number formats say, formulas by the values that were last computed. Rows and columns without
any text part a sheet into tables; hidden sheets are read like the others. Comments follow their sheet. Charts are not
read.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import regex

from pipelines.contracts.errors import UnusableMedia
from pipelines.knowledge.parsing import tables
from pipelines.knowledge.parsing.documents import DAMAGED, Parsed
from pipelines.knowledge.parsing.package import Package, Relation, attribute, child, elements, inside, local, unread

_MAX_MERGED_CELLS = 100_000  # of a sheet, in all
_DAYS = (datetime(1899, 12, 30), datetime(1904, 1, 1))
_MAX_DAY = 2_958_465  # the end of the year 9999
_BUILT_IN = {"1": "0", "2": "0.00", "3": "#,##0", "4": "#,##0.00", "9": "0%", "10": "0.00%"} | {
    str(id): "y" for id in (*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59))
}
"""Number formats that no file spells out; which date it is does not matter here."""
_PLACE = regex.compile(r"([A-Z]{1,3})(\d{1,7})")
_LITERAL = regex.compile(r'"([^"]*)"|\\(.)|\[\$([^\]-]*)[^\]]*\]|\[[^\]]*\]|[_*].')
_DIGITS = regex.compile(r"[#0?][#0?,]*(?:\.([#0?]*))?")


def parse(package: Package, main: str, root: Any) -> Iterator[Parsed]:
    """How many sheets there are, each sheet, and what the workbook holds that is not read.

    Raises:
        UnusableMedia: damaged.
    """
    relations = package.relations(main)
    parts = {one.id: one for one in relations}
    sheets = [sheet for sheet in inside(root, "sheets") if attribute(sheet, "id") in parts]
    workbook = _Workbook(package, root, relations)
    yield len(sheets)
    seen: set[str] = set()
    for number, sheet in enumerate(sheets, 1):
        part = parts[attribute(sheet, "id")]
        inner = package.relations(part.target)
        blocks = list(workbook.blocks(sheet.get("name", ""), part, inner)) if part.type == "worksheet" else []
        yield number, blocks
        drawings = (package.relations(one.target) for one in inner if one.type == "drawing")
        yield from unread([*inner, *(one for found in drawings for one in found)], seen)


class _Workbook:
    """What all sheets share: texts, number formats, and the day that dates are counted from."""

    def __init__(self, package: Package, root: Any, relations: Sequence[Relation]) -> None:
        self._package = package
        by_type = {one.type: one.target for one in relations}
        self._texts = [_text(item) for item in elements(package.xml(by_type.get("sharedStrings", "")))]
        self._formats = _formats(package.xml(by_type.get("styles", "")))
        properties = child(root, "workbookPr")
        self._first_day = _DAYS[properties is not None and properties.get("date1904") in {"1", "true"}]

    def blocks(self, name: str, part: Relation, relations: Sequence[Relation]) -> Iterator[tuple[str, str]]:
        """One sheet: its name, its tables, its text boxes and comments."""
        yield "heading", name
        for index, area in enumerate(_areas(self._cells(self._package.xml(part.target)))):
            if all(_is_one(row) for row in area):
                yield from (("text", "".join(dict.fromkeys(row))) for row in area)
                continue
            if index and _is_one(area[0]):
                yield "heading", name  # else the next one would replace it
            while _is_one(area[0]):
                yield "heading", "".join(dict.fromkeys(area.pop(0)))
            yield from (("row", line) for line in tables.lines(area))
        types = {one.type for one in relations}
        comments = "threadedComment" if "threadedComment" in types else "comments"  # the latter repeat the former
        for one in relations:
            if one.type in {comments, "drawing"}:
                for element in self._package.xml(one.target).iter():
                    if local(element) in {"comment", "threadedComment", "txBody"} and (text := _text(element)):
                        yield "text", text

    def _cells(self, root: Any) -> dict[int, dict[int, str]]:
        """The texts of a sheet by row and column; a merged cell has its text in each of its places."""
        cells: dict[int, dict[int, str]] = {}
        number = 0
        for row in inside(root, "sheetData"):
            number = int(row.get("r") or number + 1)
            column = 0
            for cell in elements(row):
                column = _place(cell.get("r"))[1] if cell.get("r") else column + 1
                if text := self._value(cell):
                    cells.setdefault(number, {})[column] = text
        budget = _MAX_MERGED_CELLS
        for merged in inside(root, "mergeCells"):
            first, _, last = merged.get("ref", "").partition(":")
            (top, left), (bottom, right) = _place(first), _place(last or first)
            merged_text = cells.get(top, {}).get(left, "")
            area = (bottom - top + 1) * (right - left + 1)
            if merged_text and area <= budget:
                budget -= area
                for number in range(top, bottom + 1):
                    cells.setdefault(number, {}).update(dict.fromkeys(range(left, right + 1), merged_text))
        return cells

    def _value(self, cell: Any) -> str:
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            return _text(cell)
        value = child(cell, "v")
        text = (value.text or "") if value is not None else ""
        try:
            if kind == "s":
                return self._texts[int(text)]
            if kind == "b":
                return "TRUE" if text == "1" else "FALSE"
            if kind != "n" or not text:
                return text
            style = int(cell.get("s", "0"))
            return _shown(float(text), self._formats[style] if style < len(self._formats) else "", self._first_day)
        except (ValueError, IndexError) as error:
            raise UnusableMedia(DAMAGED) from error


def _areas(cells: dict[int, dict[int, str]]) -> Iterator[list[list[str]]]:
    """The parts of a sheet between empty rows, without empty columns."""
    # In a run without gaps, number and position differ by the same.
    for _, run in groupby(enumerate(sorted(cells)), lambda pair: pair[1] - pair[0]):
        rows = [cells[number] for _, number in run]
        columns = sorted(set().union(*rows))
        yield [[row.get(column, "") for column in columns] for row in rows]


def _is_one(row: Sequence[str]) -> bool:
    """Whether a row has one cell, or a merged one."""
    return len(set(filter(None, row))) == 1


def _text(element: Any) -> str:
    """All text of an element, a paragraph a line; phonetic guides are left out."""
    parts = []
    for inner in elements(element):
        match local(inner):
            case "t":
                parts.append(inner.text or "")
            case "text":  # of a comment, either itself or in runs
                parts.append((inner.text or "").strip() + _text(inner))
            case "p":
                parts.append(f"\n{_text(inner)}")
            case "rPh":
                pass
            case _:
                parts.append(_text(inner))
    return "".join(parts).strip()


def _place(reference: str) -> tuple[int, int]:
    """Row and column of "BC12", both from 1."""
    found = _PLACE.fullmatch(reference)
    if found is None:
        raise UnusableMedia(DAMAGED)
    column = 0
    for letter in found[1]:
        column = 26 * column + ord(letter) - ord("A") + 1
    return int(found[2]), column


def _formats(root: Any) -> list[str]:
    """The number format of each cell style, for positive numbers."""
    own = {one.get("numFmtId"): one.get("formatCode", "") for one in root.iter() if local(one) == "numFmt"}
    ids = [style.get("numFmtId", "0") for style in inside(root, "cellXfs")]
    return [own.get(id, _BUILT_IN.get(id, "")) for id in ids]


def _shown(number: float, format: str, first_day: datetime) -> str:
    """A number as its format shows it; dates as ISO 8601 writes them."""
    pattern = _LITERAL.sub(lambda match: match[1] or match[2] or match[3] or "", format).partition(";")[0]
    if regex.search("[ymdhs]", _LITERAL.sub("", format).lower()) and 0 <= number <= _MAX_DAY:
        return _moment(number, first_day)
    digits = _DIGITS.search(pattern)
    if digits is None or regex.search(r"[/Ee]", _LITERAL.sub("", format)):
        return f"{number:.15g}"
    before, after = pattern[: digits.start()], pattern[digits.end() :]
    if "%" in before + after:
        number *= 100
    shown = f"{number:{',' if ',' in digits[0] else ''}.{len(digits[1] or '')}f}"
    if digits[1] and digits[1].endswith("#"):
        shown = shown.rstrip("0").rstrip(".")
    return f"{before}{shown}{after}".strip()


def _moment(number: float, first_day: datetime) -> str:
    moment = first_day + timedelta(seconds=round(number * 86_400))
    time = f"{moment:%H:%M:%S}".removesuffix(":00")
    if number < 1:
        return time
    return f"{moment:%Y-%m-%d}" if number == int(number) else f"{moment:%Y-%m-%d} {time}"
