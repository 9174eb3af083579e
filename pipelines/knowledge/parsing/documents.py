"""Documents as text: what every parser yields, and reading a file without trusting it.

Parsers meet hostile bytes, and some of them are native code. So a file is parsed in a child process with limits on
time and memory (`pipelines.knowledge.parsing`), which returns its pages one by one. Whatever happens to the child, this
process survives and reports what the file is: damaged, encrypted, empty, too large.

Scanned pages are read by OCR. Knows nothing of chunks, embeddings or storage.
"""

import json
import logging
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import IO, Any, BinaryIO, Literal, cast

from pipelines.contracts.errors import ModelUnavailable, SensoriumError, TooManyPixels, UnsupportedMedia, UnusableMedia
from pipelines.contracts.progress import Progress, no_progress

BlockKind = Literal["heading", "text", "row"]
KINDS = ("txt", "rtf", "zip", "pdf", "png", "jpeg", "tiff", "webp", "gif", "bmp", "avif", "heic")
"""What `read_document` reads; a text and a ZIP file may each be of several formats."""
FORMATS = "txt, md, html, csv, rtf, docx, xlsx, pptx, odt, pdf, png, jpeg, tiff, webp, gif, bmp, avif, heic"
Parsed = int | str | tuple[int | None, list[tuple[str, str]]]
"""What a parser yields: how many pages there are, something that is not read ("picture"), or a page: number, blocks."""
DAMAGED = "The document is damaged."
ENCRYPTED = "The document is encrypted. Save it without a password."

_LEGACY_STREAMS = {"WordDocument": "doc", "Workbook": "xls", "PowerPoint Document": "ppt"}
_REFUSALS: dict[str, type[SensoriumError]] = {
    error.code: error for error in (UnsupportedMedia, UnusableMedia, TooManyPixels, ModelUnavailable)
}
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Block:
    """A unit of layout: a heading, a paragraph or list item, or one table row as `tables` writes it."""

    kind: BlockKind
    text: str


@dataclass(frozen=True)
class Page:
    """One page in reading order; `number` counts from 1 and is `None` if the format has no pages."""

    number: int | None
    blocks: tuple[Block, ...]

    @property
    def text(self) -> str:
        """All blocks, one a line."""
        return "\n".join(block.text for block in self.blocks)


@dataclass(frozen=True)
class Document:
    """A file as text.

    Attributes:
        name: what its owner called it; it is never used as a path.
        kind: one of `KINDS`.
        pages: in their order.
        not_read: what the file holds besides, for people: "2 pictures", "embedded file: prices.xlsx".
    """

    name: str
    kind: str
    pages: list[Page] = field(default_factory=list)
    not_read: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReadLimits:
    """How much a file may hold or take before it is refused.

    Attributes:
        pages: of a PDF or TIFF.
        pixels: of an image.
        characters: of text, in all.
        inflated_bytes: what the parts of a docx, xlsx, pptx or odt may unpack to, in all.
        seconds: of parsing. A scanned page takes 1 to 5 on a quiet core, so that 30 fit even if the core is shared; the
            rest of a call's 10 minutes is for embedding.
        memory_bytes: address space of the parsing process. OCR takes up to 1.8 GiB of it.
    """

    pages: int = 5_000
    pixels: int = 50_000_000
    characters: int = 20_000_000
    inflated_bytes: int = 256 << 20
    seconds: int = 480
    memory_bytes: int = 3 << 30


def read_document(
    file: BinaryIO, name: str, kind: str, *, limits: ReadLimits | None = None, progress: Progress = no_progress
) -> Document:
    """Read the text of a file from its current position.

    Args:
        file: the bytes; need not be a real file.
        name: what the owner calls it.
        kind: one of `KINDS` or "doc", as detected from the bytes.
        limits: beyond them the file is refused.
        progress: called at least every quarter of a second.

    Returns:
        Pages with at least one letter or digit in all; text is NFC without control characters.

    Raises:
        UnsupportedMedia: not one of `KINDS`, or not what `kind` says.
        UnusableMedia: empty, encrypted, damaged, without text, or beyond the limits; the message says which.
        ModelUnavailable: a page is a scan, and what reads it is not installed.
        Cancelled: `progress` said so; the child is gone.
    """
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(file, copy)
        if not copy.tell():
            raise UnusableMedia("The file is empty.")
        copy.seek(0)
        if kind == "doc":
            raise _legacy_office(copy)
        if kind not in KINDS:
            raise UnsupportedMedia(f"Unsupported document type. Supported: {FORMATS}.")
        not_read: Counter[str] = Counter()
        pages = list(_parse(copy, kind, limits or ReadLimits(), progress, not_read))
    if not any(character.isalnum() for page in pages for block in page.blocks for character in block.text):
        raise UnusableMedia("The document has no text.")
    return Document(name, kind, pages, tuple(_counted(what, count) for what, count in not_read.items()))


def _counted(what: str, count: int) -> str:
    """Embedded files have names, everything else a number."""
    if ": " in what:
        return what
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _legacy_office(file: IO[bytes]) -> SensoriumError:
    """OLE2 holds Office's legacy formats, and whatever Office has encrypted."""
    data = file.read()
    if "EncryptedPackage".encode("utf-16-le") in data:
        return UnusableMedia(ENCRYPTED)
    for stream, extension in _LEGACY_STREAMS.items():
        if stream.encode("utf-16-le") in data:
            return UnsupportedMedia(f"The .{extension} format is not supported. Save the document as .{extension}x.")
    return UnsupportedMedia("The file is in an old format. Save it as .docx, .xlsx or .pptx.")


def _parse(
    file: IO[bytes], kind: str, limits: ReadLimits, progress: Progress, not_read: Counter[str]
) -> Iterator[Page]:
    total: int | None = None
    done = 0
    blocks: list[Block] = []
    for message in _messages(file, kind, limits):
        progress(done / total if total else None, "reading")
        match message:
            case {"pages": int(total)}:
                pass
            case {"blocks": list(some)}:
                blocks += [Block(kind, text) for kind, text in some]
            case {"number": number}:
                done += 1
                yield Page(number, tuple(blocks))
                blocks = []
            case {"not_read": str(what)}:
                not_read[what] += 1
            case {"refused": str(code), "message": str(reason)}:
                raise _REFUSALS[code](reason)
            case {"end": True}:
                return
    raise UnusableMedia(DAMAGED)


def _messages(file: IO[bytes], kind: str, limits: ReadLimits) -> Iterator[dict[str, Any]]:
    """The child's messages as they come, and {} while it is silent; ends early if the child dies."""
    deadline = time.monotonic() + limits.seconds
    with tempfile.TemporaryFile() as errors, _child(file, kind, limits, errors) as output:
        pieces: list[bytes] = []
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while True:
                if time.monotonic() > deadline:
                    raise UnusableMedia(f"Reading the document takes longer than {limits.seconds} s.")
                if not selector.select(0.25):
                    yield {}
                    continue
                chunk = os.read(output.fileno(), 1 << 18)
                if not chunk:
                    break
                *ends, begin = chunk.split(b"\n")
                for end in ends:
                    yield json.loads(b"".join((*pieces, end)))
                    pieces.clear()
                pieces.append(begin)
        errors.seek(0)
        # The caller learns that the file is damaged; the operator may want to know how.
        _logger.warning("reading a %s ended early: %s", kind, errors.read()[-2000:].decode(errors="replace"))


@contextmanager
def _child(file: IO[bytes], kind: str, limits: ReadLimits, errors: IO[bytes]) -> Iterator[IO[bytes]]:
    """A parsing process, killed whatever happens; yields its output."""
    command = [sys.executable, "-P", "-m", "pipelines.knowledge.parsing", kind, json.dumps(asdict(limits))]
    # Only what Python needs of our environment: it may hold credentials. The package imports numpy, and the stacks of
    # its threads would count against the memory limit.
    environment = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
    environment["OPENBLAS_NUM_THREADS"] = "1"
    process = subprocess.Popen(  # noqa: S603  (our own interpreter and module)
        command, stdin=file, stdout=subprocess.PIPE, stderr=errors, env=environment, close_fds=True
    )
    with process:
        try:
            yield cast(IO[bytes], process.stdout)
        finally:
            process.kill()
