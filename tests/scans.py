"""Pages of text as a scanner makes them: 150 dpi, slanted, noisy, compressed."""

import io
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tests.fonts import LATIN

DPI = 150
A4_PX = (1240, 1754)
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

Line = tuple[str, int]
"""Text and the size of its font in pixels; a line without text is a gap."""


def scan(lines: Sequence[str], font: str, *, degrees: float = 2, quality: int = 40) -> NDArray[np.uint8]:
    """A strip of a page, uint8 (620, 1240, 3), with lines that stand far apart."""
    page = Image.new("RGB", (A4_PX[0], 620), "white")
    draw = ImageDraw.Draw(page)
    for number, line in enumerate(lines):
        draw.text((100, 80 + 75 * number), line, font=ImageFont.truetype(font, 25), fill="black")
    return scanned(page, degrees=degrees, quality=quality)


def page(lines: Sequence[Line], font: str = LATIN) -> Image.Image:
    """A page of A4 with lines as dense as in a letter."""
    sheet = Image.new("RGB", A4_PX, "white")
    draw = ImageDraw.Draw(sheet)
    top = 150.0
    for text, size in lines:
        draw.text((130, top), text, font=ImageFont.truetype(font, size), fill="black")
        top += 1.4 * size
    return sheet


def scanned(sheet: Image.Image, *, degrees: float = 2, quality: int = 40) -> NDArray[np.uint8]:
    """What a scanner makes of a sheet, uint8 (H, W, 3)."""
    turned = np.asarray(sheet.rotate(degrees, fillcolor="white", resample=Image.Resampling.BICUBIC), float)
    noisy = (turned + np.random.default_rng(1).normal(0, 12, turned.shape)).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def saved(sheets: Sequence[NDArray[np.uint8]], format: str) -> bytes:
    """Scanned sheets as a file: "PDF", "TIFF", or one of them as "PNG" or "JPEG"."""
    first, *others = map(Image.fromarray, sheets)
    file = io.BytesIO()
    pages = {"save_all": True, "append_images": others} if others else {}
    first.save(file, format, resolution=DPI, **pages)
    return file.getvalue()


def share_right(wanted: Sequence[str], found: Sequence[str]) -> float:
    """The part of the wanted words (or characters) that was found, each as often as it stands there."""
    return sum((Counter(wanted) & Counter(found)).values()) / len(wanted)
