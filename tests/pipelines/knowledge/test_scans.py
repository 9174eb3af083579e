"""Scanned documents: pages without a text layer are read by OCR, and those with one are not read twice."""

import io
import textwrap
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from pipelines.contracts.errors import ModelUnavailable, TooManyPixels, UnusableMedia
from pipelines.knowledge.parsing.documents import Document, ReadLimits, read_document
from tests.fonts import CHINESE, LATIN
from tests.pipelines.knowledge.drawn import plain_pdf, shapes_pdf
from tests.scans import page, saved, scanned, share_right

pytest.importorskip("rapidocr")

TITLE = "Annual report of the harbour"
ENGLISH = [
    "The lighthouse of Farsund was built in 1836 and its light is seen 27",
    "nautical miles away on clear nights. Engineers closed the bridge be-",
    "cause of cracks in two of its cables.",
    "",
    "Tickets are 12 euros for adults and 5 euros for children. The pump",
    "weighs 42 kilograms without its base plate. Backup copies are stored",
    "in a second data centre, 80 km away.",
]
TABLE = [
    ["Harbour", "Ships 2022", "Ships 2023"],
    ["Bergen", "2,400", "3,100"],
    ["Farsund", "310", "290"],
    ["Stavanger", "1,750", "1,820"],
]
PARAGRAPHS = [
    "The lighthouse of Farsund was built in 1836 and its light is seen 27 nautical miles away on clear nights. "
    "Engineers closed the bridge because of cracks in two of its cables.",
    "Tickets are 12 euros for adults and 5 euros for children. The pump weighs 42 kilograms without its base plate. "
    "Backup copies are stored in a second data centre, 80 km away.",
]
CHINESE_LINES = [
    "服务器每天凌晨两点自动备份，备份文件保留九十天，然后删除。图书馆周六开放",
    "到中午十二点。水泵重量为四十二公斤。",
]
SHEETS = [
    scanned(page([(TITLE, 40), ("", 25), *((line, 25) for line in ENGLISH)])),
    scanned(page([(line, 25) for line in CHINESE_LINES], CHINESE)),
]


def read(data: bytes, kind: str, **limits: int) -> Document:
    return read_document(io.BytesIO(data), f"file.{kind}", kind, limits=ReadLimits(**limits))


def assert_english(document: Document, index: int = 0) -> None:
    blocks = document.pages[index].blocks
    assert [block.kind for block in blocks] == ["heading", "text", "text"]
    wanted = " ".join([TITLE, *PARAGRAPHS]).split()
    right = share_right(wanted, " ".join(block.text for block in blocks).split())
    print(f"{right:.3f} of the words", *(block.text for block in blocks), sep="\n")
    assert right >= 0.95


def assert_chinese(document: Document, index: int) -> None:
    (block,) = document.pages[index].blocks
    wanted, found = (unicodedata.normalize("NFKC", text) for text in ("".join(CHINESE_LINES), block.text))
    right = share_right(list(wanted), list(found))
    print(f"{right:.3f} of the characters", block.text)
    assert right >= 0.95


@pytest.mark.parametrize("kind", ["pdf", "tiff"])
def test_scanned_pages(kind: str) -> None:
    document = read(saved(SHEETS, kind.upper()), kind)
    assert [page.number for page in document.pages] == [1, 2]
    assert_english(document, 0)
    assert_chinese(document, 1)


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_images(kind: str) -> None:
    document = read(saved(SHEETS[:1], kind.upper()), kind)
    assert [page.number for page in document.pages] == [None]
    assert_english(document)


def test_orientation_is_respected() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right
    file = io.BytesIO()
    Image.fromarray(SHEETS[0]).rotate(90, expand=True).save(file, "JPEG", exif=exif)
    assert_english(read(file.getvalue(), "jpeg"))


def test_columns_are_read_one_after_the_other() -> None:
    sheet = page([("A heading across both of the columns of this page", 32)])
    draw = ImageDraw.Draw(sheet)
    for left, lines in ((100, ENGLISH[:3]), (660, ENGLISH[4:])):
        words = " ".join(lines).replace("be- cause", "because")
        for number, line in enumerate(textwrap.wrap(words, 36)):
            draw.text((left, 250 + 35 * number), line, font=ImageFont.truetype(LATIN, 24), fill="black")
    (document,) = read(saved([scanned(sheet)], "PNG"), "png").pages
    heading, *paragraphs = document.blocks
    assert heading.text.startswith("A heading")
    assert [share_right(p.split(), b.text.split()) > 0.9 for p, b in zip(PARAGRAPHS, paragraphs, strict=True)] == [
        True
    ] * 2


def test_tables_are_read_row_by_row() -> None:
    sheet = page([])
    draw = ImageDraw.Draw(sheet)
    for number, cells in enumerate(TABLE):
        for left, cell in zip((130, 500, 800), cells, strict=True):
            draw.text((left, 300 + 60 * number), cell, font=ImageFont.truetype(LATIN, 28), fill="black")
    (document,) = read(saved([scanned(sheet)], "PNG"), "png").pages
    assert [(block.kind, block.text) for block in document.blocks] == [
        ("row", " | ".join(f"{head}: {cell}" for head, cell in zip(TABLE[0], cells, strict=True)))
        for cells in TABLE[1:]
    ]


def mixed_pdf(*layers: str) -> bytes:
    """Pages with a scan over all of it, each with a layer of text behind; then one with a shape alone."""
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=A4, invariant=True)
    for layer in layers:
        canvas.drawString(50, 800, layer)
        canvas.drawImage(ImageReader(Image.fromarray(SHEETS[0])), 0, 0, *A4)
        canvas.showPage()
    canvas.rect(100, 100, 200, 300)
    canvas.showPage()
    canvas.save()
    return file.getvalue()


def test_a_page_with_a_text_layer_is_not_read_twice() -> None:
    document = read(mixed_pdf("A text layer.", "Page 2 of 3"), "pdf")
    assert [page.number for page in document.pages] == [1, 2, 3]
    assert document.pages[0].text == "A text layer."
    assert_english(document, 1)  # a page number is no text layer
    assert document.pages[2].blocks == ()


def test_pages_without_images_cost_nothing() -> None:
    """Shapes are no scan, and no page of a document with text loads the models."""
    started = time.monotonic()
    with pytest.raises(UnusableMedia, match="no text"):
        read(shapes_pdf(), "pdf")
    assert len(read(plain_pdf(["Some text."] * 200), "pdf", seconds=10).pages) == 200
    assert time.monotonic() - started < 20


def test_without_the_reader_only_scans_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rapidocr.py").touch()  # in the child's way to the package
    monkeypatch.syspath_prepend(tmp_path)
    for data, kind in ((mixed_pdf(""), "pdf"), (saved(SHEETS[:1], "PNG"), "png")):
        with pytest.raises(ModelUnavailable, match="rapidocr"):
            read(data, kind)
    assert read(plain_pdf(["A text layer."]), "pdf").pages[0].text == "A text layer."


def test_nothing_written() -> None:
    with pytest.raises(UnusableMedia, match="no text"):
        read(saved([np.full((600, 400, 3), 255, np.uint8)], "PNG"), "png")


@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "pdf"])
def test_damaged(kind: str) -> None:
    data = saved(SHEETS[:1], kind.upper())
    with pytest.raises(UnusableMedia, match="damaged"):
        read(data[: len(data) // 2], kind)


def test_too_many_pixels() -> None:
    file = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(file, "PNG")
    with pytest.raises(TooManyPixels):
        read(file.getvalue(), "png")


def test_too_many_pages() -> None:
    with pytest.raises(UnusableMedia, match="2 pages"):
        read(saved(SHEETS, "TIFF"), "tiff", pages=1)


def test_the_largest_image_fits_the_memory() -> None:
    file = io.BytesIO()
    Image.fromarray(SHEETS[0]).resize((5900, 8400)).save(file, "JPEG")
    assert_english(read(file.getvalue(), "jpeg"))
