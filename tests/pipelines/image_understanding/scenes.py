"""Drawn scenes with their true masks: plain, shaded, noisy and textured shapes."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipelines.media import Rgb

Mask = NDArray[np.bool_]
WIDTH, HEIGHT = 480, 360


def _shape(kind: str, box: tuple[int, int, int, int]) -> Mask:
    image = Image.new("1", (WIDTH, HEIGHT))
    pen = ImageDraw.Draw(image)
    left, top, right, bottom = box
    if kind == "triangle":
        pen.polygon([(left, bottom), (right, bottom), ((left + right) // 2, top)], fill=1)
    elif kind == "star":
        angles = np.arange(10) * np.pi / 5 - np.pi / 2
        reach = np.where(np.arange(10) % 2, 0.5, 1.0)
        x = (left + right) / 2 + reach * np.cos(angles) * (right - left) / 2
        y = (top + bottom) / 2 + reach * np.sin(angles) * (bottom - top) / 2
        pen.polygon(list(zip(x, y, strict=True)), fill=1)
    else:
        getattr(pen, kind)(box, fill=1)
    return np.asarray(image)


def _look(kind: str, color: tuple[int, int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    look = np.broadcast_to(np.array(color, float), (HEIGHT, WIDTH, 3)).copy()
    if kind == "shaded":
        look += ((x / WIDTH - 0.5) * 70 + (y / HEIGHT - 0.5) * 30)[..., None]
    elif kind == "noisy":
        look += rng.normal(0, 12, look.shape)
    elif kind == "striped":
        look += (14 * np.sin(x * 0.9 + y * 0.5))[..., None]
    elif kind == "speckled":
        look += np.where(rng.random((HEIGHT, WIDTH)) < 0.15, -45, 0)[..., None]
    return look


Part = tuple[str, tuple[int, int, int, int], str, tuple[int, int, int]]

SCENES: dict[str, tuple[tuple[str, tuple[int, int, int]], list[Part]]] = {
    "plain": (
        ("plain", (235, 235, 225)),
        [
            ("ellipse", (40, 60, 190, 210), "plain", (200, 40, 40)),
            ("rectangle", (250, 40, 430, 150), "plain", (40, 90, 200)),
            ("triangle", (200, 200, 400, 340), "plain", (40, 150, 70)),
        ],
    ),
    "shaded": (
        ("shaded", (120, 160, 210)),
        [
            ("ellipse", (60, 90, 240, 270), "shaded", (210, 160, 60)),
            ("rectangle", (290, 150, 440, 330), "shaded", (110, 50, 60)),
        ],
    ),
    "noisy": (
        ("noisy", (90, 130, 90)),
        [
            ("star", (60, 40, 260, 240), "noisy", (220, 200, 70)),
            ("ellipse", (280, 160, 450, 330), "noisy", (70, 60, 130)),
        ],
    ),
    "textured": (
        ("striped", (150, 120, 90)),
        [
            ("rectangle", (50, 60, 220, 300), "speckled", (230, 225, 215)),
            ("ellipse", (270, 90, 430, 250), "striped", (50, 100, 120)),
        ],
    ),
    "similar colors": (
        ("shaded", (150, 150, 150)),
        [
            ("ellipse", (60, 60, 220, 220), "noisy", (185, 150, 120)),
            ("triangle", (240, 120, 440, 320), "plain", (120, 135, 190)),
        ],
    ),
    "crowded": (
        ("shaded", (200, 210, 220)),
        [
            ("rectangle", (0, 240, 480, 360), "speckled", (110, 150, 80)),
            ("rectangle", (70, 130, 210, 280), "noisy", (190, 110, 80)),
            ("triangle", (50, 50, 230, 130), "striped", (120, 50, 45)),
            ("ellipse", (360, 30, 440, 110), "plain", (250, 215, 80)),
            ("ellipse", (290, 150, 410, 260), "noisy", (50, 110, 60)),
            ("rectangle", (120, 200, 160, 280), "plain", (80, 55, 40)),
        ],
    ),
}


def draw(name: str, seed: int = 0) -> tuple[Rgb, list[Mask]]:
    """A scene and the masks of all that it shows, the background first; later parts cover earlier ones."""
    rng = np.random.default_rng(seed)
    (ground, color), parts = SCENES[name]
    image = _look(ground, color, rng)
    masks: list[Mask] = [np.ones((HEIGHT, WIDTH), bool)]
    for kind, box, look, part_color in parts:
        mask = _shape(kind, box)
        image[mask] = _look(look, part_color, rng)[mask]
        masks = [other & ~mask for other in masks] + [mask]
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), masks
