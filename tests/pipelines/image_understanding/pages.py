"""Drawn pages and screens: kinds of image of which scikit-image ships no sample."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from pipelines.media import Rgb

TEXT = (
    "The warehouse opens at seven and closes at nine in the evening. Deliveries are weighed, labelled and stored by "
    "the hour of their arrival, and every pallet carries a number that the ledger repeats."
)


def _paragraph(pen: ImageDraw.ImageDraw, box: tuple[int, int, int, int], size: int, ink: str = "black") -> None:
    font = ImageFont.load_default(size)
    left, top, right, bottom = box
    x, y, word = left, top, 0
    words = TEXT.split()
    while y + size < bottom:
        text = words[word % len(words)]
        width = pen.textlength(text + " ", font=font)
        if x + width > right:
            x, y = left, y + round(size * 1.5)
            continue
        pen.text((x, y), text, font=font, fill=ink)
        x, word = x + round(width), word + 1


def page(paper: str = "white", ink: str = "black") -> Rgb:
    """A printed page of text with a heading."""
    image = Image.new("RGB", (850, 1100), paper)
    pen = ImageDraw.Draw(image)
    pen.text((90, 80), "Annual report", font=ImageFont.load_default(40), fill=ink)
    _paragraph(pen, (90, 170, 760, 1000), 20, ink)
    return np.asarray(image)


def scan() -> Rgb:
    """The same page, photographed: slightly rotated, blurred, unevenly lit, with the camera's noise."""
    image = Image.fromarray(page()).rotate(2, fillcolor="white", resample=Image.Resampling.BICUBIC)
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(0.8)), np.float64)
    y, x = np.mgrid[:1100, :850]
    light = (0.62 + 0.3 * x / 850 - 0.1 * y / 1100)[..., None] * (1, 0.98, 0.93)
    noise = np.random.default_rng(4).normal(0, 3, pixels.shape)
    return np.clip(pixels * light + 10 + noise, 0, 255).astype(np.uint8)


def screen() -> Rgb:
    """A window of an application: bars, buttons, a list, a text field."""
    image = Image.new("RGB", (1280, 800), "#f3f4f6")
    pen = ImageDraw.Draw(image)
    small = ImageFont.load_default(15)
    pen.rectangle((0, 0, 1280, 44), fill="#1f2937")
    for n, name in enumerate(("File", "Edit", "View", "Tools", "Help")):
        pen.text((20 + 80 * n, 13), name, font=small, fill="white")
    pen.rectangle((0, 44, 250, 800), fill="#e5e7eb")
    for n in range(14):
        if n == 3:
            pen.rectangle((8, 62 + n * 40, 242, 94 + n * 40), fill="#2563eb")
        pen.text((20, 70 + n * 40), f"Folder number {n}", font=small, fill="white" if n == 3 else "#111827")
    pen.rectangle((290, 90, 1240, 600), fill="white", outline="#9ca3af")
    _paragraph(pen, (310, 110, 1220, 420), 16, "#111827")
    for n, name in enumerate(("Cancel", "Save")):
        pen.rounded_rectangle((980 + n * 140, 640, 1100 + n * 140, 680), 6, fill=("#d1d5db", "#16a34a")[n])
        pen.text((1010 + n * 140, 651), name, font=small, fill=("black", "white")[n])
    return np.asarray(image)


def drawing() -> Rgb:
    """A child's drawing: flat colors with outlines."""
    image = Image.new("RGB", (800, 600), "#bfe3ff")
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 420, 800, 600), fill="#6cbf5a")
    pen.ellipse((600, 40, 720, 160), fill="#ffd94a", outline="black", width=4)
    pen.rectangle((150, 260, 400, 480), fill="#e08a5a", outline="black", width=4)
    pen.polygon([(120, 260), (430, 260), (275, 130)], fill="#a03a2a", outline="black")
    pen.ellipse((520, 280, 680, 430), fill="#2f7d3a", outline="black", width=4)
    return np.asarray(image)
