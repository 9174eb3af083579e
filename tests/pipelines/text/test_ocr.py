"""Text in images that the tests draw: slanted, noisy and compressed, as a scanner makes them."""

import io
import unicodedata
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from pipelines.contracts.errors import ModelUnavailable
from pipelines.text.ocr import TextReader
from tests.fonts import CHINESE, LATIN

ENGLISH_TEXT = (
    "The lighthouse of Farsund was built in 1836.",
    "Its light is seen 27 nautical miles away on clear nights.",
    "Engineers closed the bridge because of cracks in two of its cables.",
    "Tickets are 12 euros for adults and 5 euros for children.",
    "The pump weighs 42 kilograms without its base plate.",
    "Backup copies are stored in a second data centre, 80 km away.",
)
CHINESE_TEXT = (
    "服务器每天凌晨两点自动备份。",
    "备份文件保留九十天，然后删除。",
    "图书馆周六开放到中午十二点。",
    "水泵重量为四十二公斤。",
)


@pytest.fixture(scope="module")
def reader() -> TextReader:
    try:
        return TextReader.load()
    except ModelUnavailable as error:
        pytest.skip(error.message)


def scan(lines: tuple[str, ...], font: str, *, degrees: float = 2, quality: int = 40) -> np.ndarray:
    """A page of 150 dpi as a scanner gives it: turned, noisy, compressed."""
    page = Image.new("RGB", (1240, 620), "white")
    draw = ImageDraw.Draw(page)
    for number, line in enumerate(lines):
        draw.text((100, 80 + 75 * number), line, font=ImageFont.truetype(font, 25), fill="black")
    turned = np.asarray(page.rotate(degrees, fillcolor="white", resample=Image.Resampling.BICUBIC), float)
    noisy = (turned + np.random.default_rng(1).normal(0, 12, turned.shape)).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def share_right(wanted: list[str], found: list[str]) -> float:
    """The part of the wanted words (or characters) that was found, each as often as it stands there."""
    return sum((Counter(wanted) & Counter(found)).values()) / len(wanted)


@pytest.mark.parametrize("degrees", [-2.0, 0.0, 2.0])
def test_english_scans(reader: TextReader, degrees: float) -> None:
    lines = reader.read(scan(ENGLISH_TEXT, LATIN, degrees=degrees))
    right = share_right(" ".join(ENGLISH_TEXT).split(), " ".join(line.text for line in lines).split())
    print(f"{right:.3f} of the words at {degrees}°")
    assert right >= 0.95
    assert [line.text[:3] for line in lines] == [line[:3] for line in ENGLISH_TEXT], "from top to bottom"


def test_chinese_scans(reader: TextReader) -> None:
    lines = reader.read(scan(CHINESE_TEXT, CHINESE))
    found = unicodedata.normalize("NFKC", "".join(line.text for line in lines))
    right = share_right(list(unicodedata.normalize("NFKC", "".join(CHINESE_TEXT))), list(found))
    print(f"{right:.3f} of the characters")
    assert right >= 0.95


def test_pieces_side_by_side_are_one_line(reader: TextReader) -> None:
    page = Image.new("RGB", (1000, 200), "white")
    draw = ImageDraw.Draw(page)
    for left, text in ((40, "Bergen"), (400, "2400"), (760, "3100")):
        draw.text((left, 80), text, font=ImageFont.truetype(LATIN, 32), fill="black")
    assert [line.text for line in reader.read(np.asarray(page))] == ["Bergen 2400 3100"]


@pytest.mark.parametrize("level", [0, 128, 255])
def test_nothing_is_read_where_nothing_is_written(reader: TextReader, level: int) -> None:
    assert reader.read(np.full((300, 400, 3), level, np.uint8)) == []


def test_a_tiny_image_is_no_error(reader: TextReader) -> None:
    assert reader.read(np.zeros((1, 1, 3), np.uint8)) == []
