"""ZIP packages of XML parts: docx, xlsx, pptx (Open Packaging Conventions, ISO/IEC 29500-2) and odt (ISO/IEC 26300).

A package is opened without trusting it: what it unpacks to is limited, document types and entities are refused, and
parts are found by the package's own relationships, whatever they are called, but never outside of it.
"""

import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from pipelines.contracts.errors import UnsupportedMedia, UnusableMedia
from pipelines.knowledge.parsing.documents import DAMAGED, ENCRYPTED, Parsed, ReadLimits

_MAX_ENTRIES = 10_000
_USUAL_MAIN = "word/document.xml"
_OPENDOCUMENT_TEXT = "application/vnd.oasis.opendocument.text"


class Relation(NamedTuple):
    """A relationship of a part: the last word of its type ("image"), and the part it leads to."""

    id: str
    type: str
    target: str


class Package:
    """The parts of an archive, unpacked under one common limit. Names of parts differ in more than their case."""

    def __init__(self, archive: zipfile.ZipFile, limit: int) -> None:
        self._archive = archive
        self._left = limit
        entries = archive.infolist()
        if len(entries) > _MAX_ENTRIES or sum(entry.file_size for entry in entries) > limit:
            raise _too_large()
        self._entries = {_key(entry.filename): entry for entry in entries}

    def has(self, name: str) -> bool:
        """Whether there is a part of that name."""
        return _key(name) in self._entries

    def read(self, name: str) -> bytes:
        """A part as it is, empty if there is none of that name."""
        entry = self._entries.get(_key(name))
        if entry is None:
            return b""
        if entry.flag_bits & 1:
            raise UnusableMedia(ENCRYPTED)
        with self._archive.open(entry) as part:
            # The size that an archive declares is only a claim: what is unpacked counts.
            data = part.read(self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise _too_large()
        return data

    def xml(self, name: str) -> Any:
        """The root element of a part; one without children if there is no such part."""
        from lxml import etree  # type: ignore[import-untyped]

        if not self.has(name):
            return etree.Element("missing")
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        try:
            root = etree.fromstring(self.read(name), parser)
        except etree.XMLSyntaxError as error:
            raise UnusableMedia(DAMAGED) from error
        if root.getroottree().docinfo.internalDTD is not None:
            raise UnusableMedia(DAMAGED)  # these formats forbid document types; entities are how XML is abused
        return root

    def relations(self, name: str = "") -> list[Relation]:
        """The relationships of a part, or of the package itself; those that lead out of it are left out."""
        folder, base = posixpath.split(name)
        root = self.xml(posixpath.join(folder, "_rels", f"{base}.rels"))
        return [
            Relation(
                element.get("Id", ""),
                element.get("Type", "").rpartition("/")[2],
                posixpath.normpath(posixpath.join("/", folder, element.get("Target", ""))).lstrip("/"),
            )
            for element in elements(root)
            if element.get("TargetMode") != "External"
        ]


def parse(file: BinaryIO, limits: ReadLimits) -> Iterator[Parsed]:
    """A docx, xlsx, pptx or odt document.

    Raises:
        UnsupportedMedia: another kind of ZIP file.
        UnusableMedia: damaged, encrypted, or unpacks to more than the limit.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            yield from _read(Package(archive, limits.inflated_bytes))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise UnusableMedia(DAMAGED) from error


def _read(package: Package) -> Iterator[Parsed]:
    if package.read("mimetype").decode("ascii", "replace").startswith(_OPENDOCUMENT_TEXT):
        from pipelines.knowledge.parsing import opendocument

        return opendocument.parse(package)
    main = next((relation.target for relation in package.relations() if relation.type == "officeDocument"), _USUAL_MAIN)
    if main.endswith(".bin"):
        raise UnsupportedMedia("The .xlsb format is not supported. Save the workbook as .xlsx.")
    root = package.xml(main)
    match local(root):
        case "document":
            from pipelines.knowledge.parsing import word

            return word.parse(package, main, root)
        case "workbook":
            from pipelines.knowledge.parsing import sheets

            return sheets.parse(package, main, root)
        case "presentation":
            from pipelines.knowledge.parsing import slides

            return slides.parse(package, main, root)
    raise UnsupportedMedia("The ZIP file is not a docx, xlsx, pptx or odt document.")


def unread(relations: list[Relation], seen: set[str]) -> Iterator[str]:
    """What parts hold besides text, a word for each: pictures, charts, embedded files. `seen` are those known."""
    for relation in relations:
        if relation.target in seen:
            continue
        seen.add(relation.target)
        match relation.type:
            case "image":
                yield "picture"
            case "chart" | "chartEx":
                yield "chart"
            case "video" | "audio" | "media":
                yield "recording"
            case "package" | "oleObject" | "aFChunk":
                yield f"embedded file: {posixpath.basename(relation.target)}"


def elements(parent: Any) -> Iterator[Any]:
    """The child elements, without comments and processing instructions."""
    return (child for child in parent if isinstance(child.tag, str))


def local(element: Any) -> str:
    """The tag without its namespace: the transitional and the strict variant differ only in that."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Any, name: str) -> str:
    """An attribute by its name without the namespace, or ""."""
    return next((value for key, value in element.attrib.items() if key.rpartition("}")[2] == name), "")


def child(element: Any, *path: str) -> Any:
    """The element at a path of names without namespaces; `None` if there is none."""
    for name in path:
        element = next((inner for inner in element if local(inner) == name), None)
        if element is None:
            return None
    return element


def inside(element: Any, *path: str) -> list[Any]:
    """The child elements of the element at a path; none if there is no such element."""
    found = child(element, *path)
    return [] if found is None else list(elements(found))


def _key(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()


def _too_large() -> UnusableMedia:
    return UnusableMedia("The document unpacks to more than the size limit.")
