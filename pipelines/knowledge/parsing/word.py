"""Word documents (docx, ISO/IEC 29500) by lxml: paragraphs, headings, lists, tables, footnotes in document order.

Read as what it is, a ZIP of XML: only three of its parts are opened, none by a name that the file chooses. Deleted text
(tracked changes) and field codes are left out; so are headers and footers, which repeat on every page. The format has
no pages.
"""

import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from pipelines.contracts.errors import UnsupportedMedia, UnusableMedia
from pipelines.knowledge.parsing.clean import row
from pipelines.knowledge.parsing.documents import DAMAGED, ENCRYPTED, ReadLimits

_MAX_ENTRIES = 10_000
_SKIPPED = {"del", "moveFrom", "instrText", "delText", "Fallback", "rPr", "pPr", "footnoteRef", "pict"}
_CHARACTERS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}


def parse(file: BinaryIO, limits: ReadLimits) -> Iterator[tuple[None, list[tuple[str, str]]]]:
    """The one page of a docx.

    Raises:
        UnsupportedMedia: a ZIP that is not a Word document.
        UnusableMedia: damaged, encrypted, or unpacks to more than the limit.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            parts = _Parts(archive, limits.inflated_bytes)
            styles = _Styles(parts.read("word/styles.xml"))
            body = parts.read("word/document.xml")
            notes = parts.read("word/footnotes.xml")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise UnusableMedia(DAMAGED) from error
    if body is None:
        raise UnsupportedMedia("The file is not a Word document.")
    blocks = list(_blocks(body, styles))
    if notes is not None:
        blocks += _blocks(notes, styles)
    yield None, blocks


class _Parts:
    """The XML parts of the archive, unpacked under one common limit."""

    def __init__(self, archive: zipfile.ZipFile, limit: int) -> None:
        self._archive = archive
        self._left = limit
        entries = archive.infolist()
        if len(entries) > _MAX_ENTRIES or sum(entry.file_size for entry in entries) > limit:
            raise self._too_large()
        self._names = {entry.filename for entry in entries}

    def read(self, name: str) -> Any:
        """The root element of a part, `None` if the archive lacks it."""
        from lxml import etree  # type: ignore[import-untyped]

        if name not in self._names:
            return None
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        info = self._archive.getinfo(name)
        if info.flag_bits & 1:
            raise UnusableMedia(ENCRYPTED)
        with self._archive.open(info) as part:
            # The size that an archive declares is only a claim: what is unpacked counts.
            data = part.read(self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise self._too_large()
        try:
            root = etree.fromstring(data, parser)
        except etree.XMLSyntaxError as error:
            raise UnusableMedia(DAMAGED) from error
        if root.getroottree().docinfo.internalDTD is not None:
            raise UnusableMedia(DAMAGED)  # OOXML forbids document types; entities are how XML is abused
        return root

    @staticmethod
    def _too_large() -> UnusableMedia:
        return UnusableMedia("The document unpacks to more than the size limit.")


def _local(element: Any) -> str:
    """The tag without its namespace: the transitional and the strict variant differ only in that."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _attribute(element: Any, name: str) -> str:
    return next((value for key, value in element.attrib.items() if key.rpartition("}")[2] == name), "")


def _child(element: Any, *path: str) -> Any:
    for name in path:
        element = next((child for child in element if _local(child) == name), None)
        if element is None:
            return None
    return element


class _Styles:
    """The ids of styles that mean headings and list items, in any language of Word."""

    def __init__(self, root: Any) -> None:
        self.headings: set[str] = set()
        self.lists: set[str] = set()
        for style in root if root is not None else ():
            name = _child(style, "name")
            is_named = name is not None and _attribute(name, "val").lower().startswith(("heading", "title"))
            if is_named or _child(style, "pPr", "outlineLvl") is not None:
                self.headings.add(_attribute(style, "styleId"))
            elif _child(style, "pPr", "numPr") is not None:
                self.lists.add(_attribute(style, "styleId"))


def _blocks(parent: Any, styles: _Styles) -> Iterator[tuple[str, str]]:
    for element in parent:
        match _local(element):
            case "p":
                yield from _paragraph(element, styles)
            case "tbl":
                for table_row in _rows(element):
                    yield "row", table_row
            case "body" | "sdt" | "sdtContent" | "ins" | "moveTo" | "customXml" | "footnote" | "smartTag":
                yield from _blocks(element, styles)


def _paragraph(element: Any, styles: _Styles) -> Iterator[tuple[str, str]]:
    text = _text(element).strip()
    if not text:
        return
    named = _child(element, "pPr", "pStyle")
    style = _attribute(named, "val") if named is not None else ""
    if style in styles.headings:
        yield "heading", " ".join(text.split())
    elif style in styles.lists or _child(element, "pPr", "numPr") is not None:
        yield "text", f"- {text}"
    else:
        yield "text", text


def _text(element: Any) -> str:
    parts = []
    for child in element:
        name = _local(child)
        if name in _SKIPPED:
            continue
        if name == "t":
            parts.append(child.text or "")
        elif name in _CHARACTERS:
            parts.append(_CHARACTERS[name])
        else:
            # A text box within a paragraph holds paragraphs of its own.
            parts.append(("\n" if name == "p" else "") + _text(child))
    return "".join(parts)


def _rows(table: Any) -> Iterator[str]:
    for element in table:
        name = _local(element)
        if name in {"sdt", "sdtContent", "ins"}:
            yield from _rows(element)
        elif name == "tr":
            cells = [" ".join(_cell(cell)) for cell in element if _local(cell) in {"tc", "sdt"}]
            if line := row(cells):
                yield line


def _cell(cell: Any) -> Iterator[str]:
    for _, text in _blocks(cell, _Styles(None)):
        yield text
