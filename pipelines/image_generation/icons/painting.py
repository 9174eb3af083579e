"""Painting a scene: the sky and the land, or a room, then each figure as a shaded drawing of its icon."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.contracts.errors import ModelUnavailable
from pipelines.image_generation.icons.layout import MASCOT, Figure, Scene
from pipelines.image_generation.icons.prompt import Color, Look, rgb
from pipelines.media import Rgb

Plane = NDArray[np.floating[Any]]
"""A mask, (h, w), 0 to 1; a color, (3,), or colors, (h, w, 3), 0 to 255."""

_FONTS = {"mdi": "materialdesignicons6-webfont", "fa": "fontawesome6-solid-webfont"}
_SKIES = {  # colors at the zenith, halfway and at the horizon; color and strength of the light; clouds
    "day": ("#4aa3e8", "#8fcdf4", "#dff3fb", "#ffffff", 0.0, 3),
    "sunset": ("#4a2f6b", "#e0605f", "#ffcf85", "#ff9a6a", 0.24, 3),
    "night": ("#0d1333", "#1d2a5e", "#3c4f8c", "#1a2250", 0.56, 1),
    "rain": ("#62748a", "#8c9cad", "#bac6cf", "#6a7a8c", 0.28, 8),
    "storm": ("#353c52", "#5a6478", "#8c93a3", "#3a4258", 0.38, 8),
    "table": ("#d9d6ee", "#e8e4f5", "#f8f4fc", "#ffffff", 0.0, 0),
    "room": ("#cfe3df", "#dcebe7", "#eaf4ef", "#ffffff", 0.0, 0),
    "deep": ("#7fd8e0", "#2587b4", "#114a7c", "#2f9fc6", 0.1, 0),
    "space": ("#0b0b24", "#1c1646", "#3a2866", "#ffffff", 0.0, 0),
}
_GROUNDS = {  # strips: where in the depth each begins, its swell, its colors at the top and the foot
    "grass": ((0, 0.02, "#94cb62", "#5aa24c"), (0.42, 0.04, "#7cbd55", "#3f8743")),
    "snow": ((0, 0.02, "#f4f8fc", "#cfdff0"), (0.3, 0.03, "#fbfdff", "#c6d8ec")),
    "desert": ((0, 0.02, "#f0cf90", "#dba95c"), (0.3, 0.05, "#eec27a", "#c98f48")),
    "sea": ((0, 0, "#8fcfe2", "#3a97c8"), (0.45, 0.006, "#3f9fd0", "#1c629c")),
    "beach": ((0, 0, "#6cc0dc", "#3a97c8"), (0.34, 0.02, "#fafdff", "#fafdff"), (0.38, 0.02, "#f2dca8", "#e6c486")),
    "road": ((0, 0.01, "#8fc862", "#5fa450"), (0.2, 0, "#d8d3c8", "#d8d3c8"), (0.25, 0, "#5d6270", "#474b58")),
    "table": ((0, 0, "#efc99c", "#efc99c"), (0.04, 0, "#d9a066", "#c08550")),
    "room": ((-0.1, 0, "#fffdf8", "#f0eae2"), (0, 0, "#d3a16c", "#b57f4e")),
    "deep": ((0.93, 0.02, "#d9c492", "#a8956a"),),
    "space": ((0.93, 0.05, "#b06a56", "#5a2f4a"),),
}
_DISTANT = {  # icon, how many to a square image, height, color
    "mountains": ("fa:mountain", 4, 0.25, "#7f90b5"),
    "city": ("mdi:city", 5, 0.2, "#7886b3"),
    "forest": ("mdi:pine-tree", 26, 0.1, "#3f8a68"),
}
_SCATTERED = {  # how many to a square image; color and strength; half width and half height
    "grass": (90, "#fff6e6", 1.5, 0.006, 0.006), "snow": (40, "#b8cee6", 0.8, 0.08, 0.005),
    "sea": (110, "#e4f5fb", 0.8, 0.08, 0.005), "deep": (40, "#dcf6fc", 0.8, 0.012, 0.012),
    "stars": (180, "#fffae8", 1.5, 0.004, 0.004), "space": (300, "#fffae8", 1.5, 0.004, 0.004),
    "rain": (260, "#e2eef8", 0.9, 0.003, 0.032), "snowfall": (250, "#ffffff", 2.0, 0.007, 0.007),
}  # fmt: skip
_BODY = (  # feet, body, belly: right of and above the foot's middle, half width, half height; how much darker
    (-0.19, 0.06, 0.15, 0.08, 0.22), (0.19, 0.06, 0.15, 0.08, 0.22), (0.0, 0.36, 0.36, 0.36, 0.06),
    (0.0, 0.3, 0.22, 0.24, -0.45), (-0.32, 0.42, 0.09, 0.17, 0.16), (0.32, 0.42, 0.09, 0.17, 0.16),
)  # fmt: skip


def _ink(color: str | Color) -> Plane:
    return np.array(rgb(color) if isinstance(color, str) else color, np.float32)


def _toned(color: Plane, share: float) -> Plane:
    """Toward a deep blue-black, so that shades stay colored; by a negative share toward white."""
    return color + (_ink("#16122a" if share > 0 else "#ffffff") - color) * abs(share)


class IconFonts:
    """The glyphs of Material Design Icons and Font Awesome, which the package `qtawesome` carries as files."""

    def __init__(self) -> None:
        spec = find_spec("qtawesome")  # not imported: it wants Qt
        if spec is None or spec.origin is None:
            raise ModelUnavailable("The icon fonts are missing: install the package qtawesome.")
        folder = Path(spec.origin).parent / "fonts"
        self._glyphs: dict[str, tuple[str, str]] = {}  # of each icon, the font's file and the character
        for font, name in _FONTS.items():
            path = str(next(folder.glob(f"{name}-[0-9]*.ttf")))
            codes = json.loads(next(folder.glob(f"{name}-charmap-*.json")).read_text("utf-8"))
            self._glyphs |= {f"{font}:{glyph}": (path, chr(int(code, 16))) for glyph, code in codes.items()}

    def has(self, icon: str) -> bool:
        """Whether there is an icon "font:name"."""
        return icon in self._glyphs

    def aspect(self, icon: str) -> float:
        """Width over height of an icon's ink."""
        return float(np.divide(*self._glyph(icon, 64).size))

    def mask(self, icon: str, width: float, height: float) -> Plane:
        """An icon's ink at a size."""
        size = max(1, round(width)), max(1, round(height))
        scale = max(np.divide(size, self._glyph(icon, 64).size))
        return np.asarray(self._glyph(icon, max(8, min(3000, round(64 * scale)))).resize(size), np.float32) / 255

    def _glyph(self, icon: str, size_px: int) -> Any:
        from PIL import Image, ImageFont

        path, character = self._glyphs[icon]
        mask = ImageFont.truetype(path, size_px).getmask(character)
        return Image.frombytes("L", mask.size, bytes(mask)).crop(mask.getbbox())


class Painter:
    """Paints one scene on a canvas of float32, 0 to 255."""

    def __init__(self, scene: Scene, fonts: IconFonts, width: int, height: int) -> None:
        self.scene, self.fonts, self.width, self.height = scene, fonts, width, height
        self.rng = np.random.default_rng(scene.seed)
        self.unit = min(width, height, 0.8 * (width * height) ** 0.5)
        self.horizon = scene.horizon * height
        *sky, light, self.shade, self.clouds = _SKIES[scene.ground if scene.ground in _SKIES else scene.sky]
        self.sky, self.light = [_ink(color) for color in sky], _ink(light)
        if scene.sky_color:
            zenith = _toned(_ink(scene.sky_color), 0.6 * (scene.sky == "night"))
            self.sky = [_toned(zenith, share) for share in (0.0, -0.1, -0.45)]
        self.pixels = np.zeros((height, width, 3), np.float32)

    def layers(self) -> list[Callable[[], None]]:
        """What is to be painted, in order."""
        features = self.scene.features
        lights = [] if self.scene.ground in _SKIES else [self._paint_lights, self._paint_distance]
        figures = [partial(self._paint_figure, figure) for figure in self.scene.figures]
        weather = [partial(self._scatter, kind, 0, self.height) for kind in ("rain", "snowfall") if kind in features]
        sky = partial(self._below, np.full(self.width, -1.0), self.sky, 1.05 * self.horizon + 2)
        return [sky, *lights, self._paint_ground, *figures, *weather]

    def finish(self) -> Rgb:
        """The image, with a fine grain that keeps gradients from banding."""
        grain = self.rng.normal(0, 1.1, (self.height, self.width, 1))
        return np.clip(np.rint(self.pixels + grain), 0, 255).astype(np.uint8)

    def _lit(self, color: Plane, haze: float = 0.0) -> Plane:
        """A color in the light of the scene, and in the haze of the distance."""
        lit = color + (self.light - color) * self.shade
        return lit + (self.sky[-1] - lit) * haze

    def _blend(self, mask: Plane, paint: Plane, x: float, y: float) -> None:
        """Lay a color, or colors, over the canvas at x, y as far as the mask covers."""
        left, top = round(x), round(y)
        x0, y0 = max(0, left), max(0, top)
        x1, y1 = min(self.width, left + mask.shape[1]), min(self.height, top + mask.shape[0])
        if x0 < x1 and y0 < y1:
            inside = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
            region = self.pixels[y0:y1, x0:x1]
            region += ((paint[inside] if paint.ndim == 3 else paint) - region) * mask[inside][..., None]

    def _below(self, line: Plane, colors: Sequence[Plane], bottom: float) -> None:
        """Fill what lies between a line, given as y of each column, and a row with a gradient."""
        top = int(min(max(0, line.min() - 1), bottom - 1))
        rows = np.arange(top, min(int(bottom), self.height), dtype=np.float32)[:, None]
        stops = np.linspace(top, bottom, len(colors))
        paint = np.dstack([np.interp(rows, stops, channel) for channel in np.transpose(colors)])
        cover = np.clip(rows - line + 0.5, 0, 1)
        self._blend(cover, np.broadcast_to(paint, (*cover.shape, 3)), 0, top)

    def _spot(self, x: float, y: float, rx: float, ry: float, color: Plane, *, glow: float = 0.0) -> None:
        """An oval with a smooth edge; with a glow, translucent and fading from its middle."""
        rx, ry = max(rx, 0.5), max(ry, 0.5)
        columns = np.arange(int(x - rx) - 1, int(x + rx) + 2, dtype=np.float32)
        rows = np.arange(int(y - ry) - 1, int(y + ry) + 2, dtype=np.float32)[:, None]
        inside = 1 - np.hypot((columns + 0.5 - x) / rx, (rows + 0.5 - y) / ry)
        cover = np.minimum(glow * np.clip(inside, 0, 1) ** 2, 1) if glow else np.clip(inside * min(rx, ry) + 0.5, 0, 1)
        self._blend(cover, color, columns[0], rows[0, 0])

    def _scatter(self, kind: str, top: float, bottom: float) -> None:
        """Small spots between two rows, the larger the nearer to the second."""
        count, color, glow, rx, ry = _SCATTERED[kind]
        for _ in range(int(count * self.width / self.height) + 20):
            x, nearness, strength = self.rng.uniform((0, 0, 0.5), (self.width, 1, 1))
            size, y = self.unit * (0.4 + nearness), top + nearness * (bottom - top)
            self._spot(x, y, rx * size, ry * size, self._lit(_ink(color)), glow=glow * strength)

    def _stamp(self, icon: str, x: float, foot: float, height: float, color: str) -> None:
        """A hazy icon in one color."""
        mask = self.fonts.mask(icon, height * self.fonts.aspect(icon), height)
        self._blend(0.8 * mask, self._lit(_ink(color), 0.2), x - mask.shape[1] / 2, foot - height)

    def _ridge(self, waves: float) -> Plane:
        """A rolling line, (width,), about -1 to 1."""
        x = np.linspace(0, 2 * np.pi * waves, self.width)
        return np.asarray(sum(0.6 / 2**i * np.sin(x * 1.9**i + self.rng.uniform(0, 7)) for i in range(3)))

    def _paint_lights(self) -> None:
        """Stars, rainbow, sun or moon, and clouds."""
        features = self.scene.features
        if "stars" in features:
            self._scatter("stars", 0.9 * self.horizon, 0)
        if "rainbow" in features:
            outer = min(0.46 * self.width, 0.85 * self.horizon)
            rows, columns = np.mgrid[: int(self.horizon) + 1, : self.width]
            depth = 1 - np.hypot(columns - self.width / 2, rows - self.horizon) / outer
            for index, band in enumerate(("#f0504a", "#f79a3c", "#f9d94a", "#6cc46a", "#4a90e0", "#8a5cc8")):
                self._blend(0.75 * np.clip(outer * (0.025 - np.abs(depth - 0.045 * index)), 0, 1), _ink(band), 0, 0)
        if features & {"sun", "moon"}:
            color = _ink("#fbf4d8" if "moon" in features else "#ffeab8")
            x = self.rng.choice((0.14, 0.86)) * self.width
            y = self.horizon * (0.7 if self.scene.sky == "sunset" else 0.2)
            for ring, glow in ((0.45, 0.5), (0.18, 0.7), (0.075, 0.0)):
                self._spot(x, y, ring * self.unit, ring * self.unit, color, glow=glow)
        for _ in range(self.clouds + 3 * ("clouds" in features)):
            x, y, size = self.rng.uniform((0, 0.15, 0.06), (1, 0.75, 0.13)) * (self.width, self.horizon, self.unit)
            self._stamp("fa:cloud", x, y, size, "#ffffff")

    def _paint_distance(self) -> None:
        """Mountains, a city, hills or a forest along the horizon."""
        if "hills" in self.scene.features:
            line = self.horizon - (0.06 + 0.04 * self._ridge(1.6)) * self.height
            self._below(line, [self._lit(_ink("#6fae62"), haze) for haze in (0.4, 0.3)], 1.05 * self.horizon + 2)
        for feature in sorted(_DISTANT.keys() & self.scene.features):
            icon, count, size, color = _DISTANT[feature]
            for x in np.linspace(0, self.width, int(count * self.width / self.height) + 2):
                height = size * self.height * self.rng.uniform(0.6, 1)
                self._stamp(icon, x, self.horizon + 0.02 * self.height, height, color)

    def _paint_ground(self) -> None:
        """What the figures stand on."""
        depth = self.height * (1 - self.scene.horizon % 1)
        for start, swell, *colors in _GROUNDS[self.scene.ground]:
            line = self.height - (1 - start) * depth + swell * self.height * self._ridge(1.1)
            self._below(line, [self._lit(_ink(color)) for color in colors], self.height)
        if self.scene.ground in _SCATTERED:
            self._scatter(self.scene.ground, self.height - 0.9 * depth, self.height)

    def _paint_figure(self, figure: Figure) -> None:
        """One icon, with its shadow, and with a body if it is a head."""
        width, height = figure.width * self.width, figure.height * self.height
        x, foot, look = figure.x * self.width, figure.base * self.height, figure.look
        color, head = _ink(figure.color), height / (MASCOT if "mascot" in look.traits else 1)
        if not figure.floats and self.scene.ground != "sea":
            self._spot(x + 0.05 * width, foot, 0.62 * width, 0.1 * width, _ink("#181e24"), glow=0.5)
        if "mane" in look.traits:
            self._spot(x, foot - height + 0.54 * head, 0.55 * width, 0.55 * width, self._lit(_toned(color, 0.4)))
        for right, up, rx, ry, shade in _BODY if "mascot" in look.traits else ():
            self._spot(x + right * width, foot - up * width, rx * width, ry * width, self._lit(_toned(color, shade)))
        glyph = self.fonts.mask(look.icon, width, head)
        cover, paint, margin = _drawing(glyph, look, color)
        paint += (self.light - paint) * 0.4 * self.shade
        self._blend(cover, paint, x - glyph.shape[1] / 2 - margin, foot - height - margin)
        if self.scene.ground == "sea" and not figure.floats:
            for size, water in ((0.56, "#3a93c4"), (0.42, "#7fc0e0"), (0.3, "#3a93c4")):
                self._spot(x, foot, size * width, 0.07 * size * width, self._lit(_ink(water)))


def _drawing(glyph: Plane, look: Look, color: Plane) -> tuple[Plane, Plane, int]:
    """A glyph in color: its mask, its colors, and the margin around it in pixels."""
    from scipy import ndimage

    size = max(glyph.shape)
    reach = max(1, round(size * (0.05 if "gap" in look.traits else 0.018)))
    margin = 2 * reach + 2
    glyph = np.pad(glyph, margin)
    closed = ndimage.grey_closing(glyph, (2 * reach + 1, 2 * reach + 1))
    filled = ndimage.binary_fill_holes(closed > 0.5)
    is_wiry = filled.sum() > 1.6 * glyph.sum() and "hole" not in look.traits  # a frame, not a body with windows
    cover = closed if is_wiry or "open" in look.traits else np.maximum(closed, filled)
    enclosed = ndimage.binary_fill_holes(glyph > 0.5) | (filled & (closed < 0.5))
    dim = _toned(color, 0.45 if color.sum() > 270 else -0.5)
    paint = dim + (color - dim) * glyph[..., None]
    free = {"hole": enclosed * (1 - glyph), "gap": ~enclosed * (1 - glyph), "back": 1 - glyph}
    for kind, area, stated in look.marks:
        if stated:
            region = _region(kind, area or (0.5, 0.5, 1, 1), glyph.shape, margin)
            cover = np.maximum(cover, region) if kind == "back" else cover
            paint += (_ink(stated) - paint) * (region * free.get(kind, glyph))[..., None]
    # Light from the upper left, and a thin darker rim that sets the figure off from what is behind it.
    step = max(1, round(0.025 * size))
    relief = ndimage.gaussian_filter(cover, 0.035 * size)
    slope = np.roll(relief, (-step, -step), (0, 1)) - np.roll(relief, (step, step), (0, 1))
    light = np.clip(0.3 * slope + np.linspace(0.06, -0.1, len(cover))[:, None], -0.3, 0.3)[..., None]
    paint = np.where(light > 0, paint + (255 - paint) * light, paint * (1 + light))
    wider = np.maximum(cover, np.minimum(1, 1.8 * ndimage.gaussian_filter(cover, max(0.5, 0.004 * size))))
    edge = _toned(color, 0.5)
    return wider, edge + (paint - edge) * (cover / np.maximum(wider, 1e-4))[..., None], margin


def _region(kind: str, area: tuple[float, ...], shape: tuple[int, ...], margin: int) -> Plane:
    """Where a part of a glyph is."""
    x, y, rx, ry = area
    height, width = shape[0] - 2 * margin, shape[1] - 2 * margin
    across = np.abs(np.arange(shape[1]) + 0.5 - margin - x * width) / (rx * width)
    down = np.abs(np.arange(shape[0]) + 0.5 - margin - y * height)[:, None] / (ry * height)
    distance = np.hypot(across, down) if kind == "disc" else np.maximum(across, down)
    return np.asarray(np.clip((1 - distance) * min(rx * width, ry * height) + 0.5, 0, 1))
