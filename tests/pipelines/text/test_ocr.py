"""Text in images that the tests draw: slanted, noisy and compressed, as a scanner makes them."""

import unicodedata

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from pipelines.contracts.errors import ModelUnavailable
from pipelines.text.ocr import TextReader
from tests.fonts import CHINESE, LATIN
from tests.scans import CHINESE_TEXT, ENGLISH_TEXT, scan, share_right


@pytest.fixture(scope="module")
def reader() -> TextReader:
    try:
        return TextReader.load()
    except ModelUnavailable as error:
        pytest.skip(error.message)


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
