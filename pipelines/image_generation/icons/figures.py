"""Painting one figure: a glyph turned into a shaded, coloured drawing with a shadow."""

import numpy as np
from numpy.typing import NDArray

from pipelines.image_generation.icons.canvas import Canvas, Mask, darker, ink, lighter, luminance
from pipelines.image_generation.icons.layout import MASCOT
from pipelines.image_generation.icons.looks import Colour, Part, rgb
from pipelines.image_generation.icons.scene import Figure, Scene
from pipelines.image_generation.icons.setting import Setting
from pipelines.image_generation.icons.vocabulary import Vocabulary

_SKINS = tuple(rgb(value) for value in ("#f6cfae", "#e8b48c", "#c68a5e", "#96603c", "#f1c3a0"))
_Paint = NDArray[np.float32]
"""Colours of a figure, float32 (h, w, 3)."""


class FigurePainter:
    """Draws figures with the vocabulary's glyphs. Not thread-safe."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def paint(self, figure: Figure, setting: Setting) -> None:
        """Draw one figure where the scene puts it, with its shadow, in the scene's light."""
        scene, canvas = setting.scene, setting.canvas
        height = max(2, round(figure.height * canvas.height))
        width = max(2, round(figure.width * canvas.width))
        x, foot = figure.x * canvas.width, figure.base * canvas.height
        skin = _SKINS[(scene.seed + round(figure.x * 97)) % len(_SKINS)]
        drawing = _Drawing(figure, skin)
        head = round(height / MASCOT) if figure.look.mascot else height
        glyph = self._glyph(figure.look.icon, width, head)
        cover, paint = drawing.render(glyph, height)
        if figure.mirrored:
            cover, paint = cover[:, ::-1], paint[:, ::-1]
        if not figure.floats:
            self._shadow(canvas, x, foot, width, scene)
        tint = ink(setting.tint)
        paint += (tint - paint) * np.float32(setting.shade * (0.3 if scene.sky == "night" else 0.45))
        margin = (cover.shape[1] - width) // 2
        canvas.blend(cover, paint, round(x - width / 2) - margin, round(foot) - height - drawing.margin)
        if scene.ground == "sea" and not figure.floats:
            self._waterline(setting, x, foot, width, height)

    def _glyph(self, icon: str, width: int, height: int) -> Mask:
        """Coverage of an icon's ink, float32 (height, width)."""
        from PIL import Image

        probe, character = self._vocabulary.font(icon, 128)
        box = probe.getmask(character).getbbox()
        scale = max(width / (box[2] - box[0]), height / (box[3] - box[1]))
        font, character = self._vocabulary.font(icon, max(4, min(3000, round(128 * scale))))
        mask = font.getmask(character)
        ink = Image.frombytes("L", mask.size, bytes(mask)).crop(mask.getbbox())
        return np.asarray(ink.resize((width, height), Image.Resampling.LANCZOS), np.float32) / np.float32(255)

    @staticmethod
    def _shadow(canvas: Canvas, x: float, foot: float, width: int, scene: Scene) -> None:
        if scene.ground == "sea":
            return
        strength = 0.42 if scene.sky in {"day", "dawn", "sunset"} else 0.32
        colour = (70, 90, 130) if scene.ground == "snow" else (24, 30, 36)
        canvas.glow(x + width * 0.06, foot, width * 0.66, max(2.0, width * 0.11), colour, opacity=strength)
        canvas.glow(x, foot - width * 0.005, width * 0.46, max(1.5, width * 0.05), colour, opacity=strength)

    @staticmethod
    def _waterline(setting: Setting, x: float, foot: float, width: int, height: int) -> None:
        """Ripples that hide the foot of what swims."""
        canvas = setting.canvas
        water = setting.lit(rgb("#3a93c4"))
        canvas.oval(x, foot + height * 0.02, width * 0.56, max(1.5, height * 0.045), water, opacity=0.92)
        for spread, opacity in ((0.5, 0.5), (0.36, 0.45)):
            canvas.oval(
                x, foot + height * 0.02, width * spread, max(1.0, height * 0.012), lighter(water, 0.55), opacity=opacity
            )


class _Drawing:
    """The colours of one figure."""

    def __init__(self, figure: Figure, skin: Colour) -> None:
        self.look = figure.look
        self.base = figure.colour
        self.accent = figure.accent
        self.skin = skin
        self.margin = 0

    def render(self, glyph: Mask, height: int) -> tuple[Mask, _Paint]:
        """The figure's coverage (h, w) and colours (h, w, 3), with `self.margin` pixels around."""
        from scipy import ndimage

        size = max(glyph.shape)
        roomy = self.look.mane or any(part.shape == "oval" for part in self.look.parts)
        reach = max(1, round(size * (0.05 if self.look.gap else 0.018)))
        self.margin = max(2 * reach, size // (6 if roomy else 24))
        glyph = np.pad(glyph, self.margin)
        closed = ndimage.grey_closing(glyph, (2 * reach + 1, 2 * reach + 1)) if size > 24 else glyph
        filled = ndimage.binary_fill_holes(closed > 0.5)
        see_through = self.look.hole == "open" or self._is_wiry(filled, glyph)
        cover = closed if see_through else np.maximum(closed, filled).astype(np.float32)
        paint = self._colours(glyph, closed, filled)
        cover, paint = self._backed(glyph, cover, paint)
        paint = self._shaded(paint, np.maximum(glyph, cover), size)
        cover, paint = self._rimmed(cover, paint, size)
        if self.look.mane:
            cover, paint = self._maned(cover, paint, self.look.mane)
        return self._embodied(cover, paint, height) if self.look.mascot else (cover, paint)

    def _is_wiry(self, filled: NDArray[np.bool_], glyph: Mask) -> bool:
        """An icon without a look of its own, mostly open: a frame, not a body with windows."""
        return self.look.hole is None and float(filled.sum()) > 1.6 * float(glyph.sum())

    def _colours(self, glyph: Mask, closed: Mask, filled: NDArray[np.bool_]) -> _Paint:
        from scipy import ndimage

        hole = self.accent or (self.look.hole if isinstance(self.look.hole, tuple) else self._contrast())
        gap = self.accent or self.look.gap or darker(self.base, 0.42)
        paint = np.empty((*glyph.shape, 3), np.float32)
        paint[:] = gap
        enclosed = ndimage.binary_fill_holes(glyph > 0.5) | (filled & (closed < 0.5))
        paint = np.where(enclosed[..., None], ink(hole), paint)
        paint = self._parted(paint, enclosed.astype(np.float32), "hole")
        drawn = np.empty_like(paint)
        drawn[:] = self.base
        drawn = self._parted(drawn, np.ones_like(glyph), "box", "disc")
        paint = paint + (drawn - paint) * glyph[..., None]
        return paint.astype(np.float32)

    def _backed(self, glyph: Mask, cover: Mask, paint: _Paint) -> tuple[Mask, _Paint]:
        """Add what the icon lacks: behind it (a door in a doorway) or over it (a bee's wings)."""
        for part in self.look.parts:
            if part.shape in {"back", "oval"}:
                region = self._region(part, glyph.shape)
                shown = region * (1 - glyph) if part.shape == "back" else region
                paint = paint + (ink(self._tone(part)) - paint) * shown[..., None]
                cover = np.maximum(cover, region)
        return cover, paint.astype(np.float32)

    def _contrast(self) -> Colour:
        return darker(self.base, 0.5) if luminance(self.base) > 90 else lighter(self.base, 0.5)

    def _parted(self, paint: _Paint, where: Mask, *kinds: str) -> _Paint:
        """Recolour the regions of the look's parts."""
        for part in self.look.parts:
            if part.shape in kinds:
                cover = (self._region(part, where.shape) * where)[..., None]
                paint = paint + (ink(self._tone(part)) - paint) * cover
        return paint

    def _tone(self, part: Part) -> Colour:
        return self.skin if part.colour == "skin" else part.colour

    def _region(self, part: Part, shape: tuple[int, ...]) -> Mask:
        height, width = shape[0] - 2 * self.margin, shape[1] - 2 * self.margin
        rows = ((np.arange(shape[0], dtype=np.float32) - self.margin + 0.5) / height)[:, None]
        columns = ((np.arange(shape[1], dtype=np.float32) - self.margin + 0.5) / width)[None, :]
        a, b, c, d = part.area
        if part.shape in {"disc", "oval"}:
            distance = np.sqrt(((columns - a) / c) ** 2 + ((rows - b) / d) ** 2)
            round_part: Mask = np.clip((1 - distance) * np.float32(c * width) + 0.5, 0, 1)
            return round_part
        spill = 0.0 if part.shape == "back" else 0.2  # a part that reaches an edge takes its soft pixels too
        low, high = b - spill * (b <= 0), d + spill * (d >= 1)
        start, end = a - spill * (a <= 0), c + spill * (c >= 1)
        inside: Mask = ((rows >= low) & (rows <= high) & (columns >= start) & (columns <= end)).astype(np.float32)
        return inside

    def _shaded(self, paint: _Paint, body: Mask, size: int) -> _Paint:
        """Light from the upper left: a soft relief, and a little darker toward the foot."""
        from PIL import Image
        from scipy import ndimage

        # the relief is smooth: reckoned small, then enlarged
        factor = max(1, size // 160)
        small = body[::factor, ::factor]
        blurred = ndimage.gaussian_filter(small, size / factor * 0.035)
        step = max(1, round(size / factor * 0.025))
        slope = np.roll(blurred, (-step, -step), (0, 1)) - np.roll(blurred, (step, step), (0, 1))
        relief = np.asarray(Image.fromarray(slope).resize(body.shape[::-1], Image.Resampling.BICUBIC))
        fall = np.linspace(0.06, -0.1, body.shape[0], dtype=np.float32)[:, None]
        light = np.clip(relief * 0.3 + fall, -0.3, 0.3)[..., None]
        white, dark = np.float32(255), ink((30, 22, 50))
        lit: _Paint = np.where(light > 0, paint + (white - paint) * light, paint + (paint - dark) * light)
        return lit

    def _rimmed(self, cover: Mask, paint: _Paint, size: int) -> tuple[Mask, _Paint]:
        """A thin darker rim sets the figure off from whatever is behind."""
        from scipy import ndimage

        rim = ndimage.gaussian_filter(cover, max(0.5, size * 0.004)) * 1.8
        wider = np.clip(np.maximum(cover, rim), 0, 1).astype(np.float32)
        edge = ink(darker(self.base, 0.5))
        share = np.divide(cover, wider, out=np.zeros_like(cover), where=wider > 1e-4)[..., None]
        return wider, (edge + (paint - edge) * share).astype(np.float32)

    def _maned(self, cover: Mask, paint: _Paint, mane: Colour) -> tuple[Mask, _Paint]:
        under = Canvas(cover.shape[1], cover.shape[0])
        reach = Canvas(cover.shape[1], cover.shape[0])
        width, height = cover.shape[1], cover.shape[0]
        for angle in np.linspace(0, 2 * np.pi, 15)[:-1]:
            x = width * 0.5 + np.sin(angle) * width * 0.33
            y = height * 0.54 + np.cos(angle) * height * 0.36
            reach.disc(x, y, width * 0.15, (255, 255, 255))
            under.disc(x, y, width * 0.15, darker(mane, 0.12 if np.cos(angle) > 0 else 0.0))
        reach.oval(width * 0.5, height * 0.55, width * 0.36, height * 0.4, (255, 255, 255))
        under.oval(width * 0.5, height * 0.55, width * 0.36, height * 0.4, mane)
        back = reach.pixels[..., 0] / np.float32(255)
        under.blend(cover, paint)
        return np.maximum(back, cover), under.pixels

    def _embodied(self, cover: Mask, paint: _Paint, height: int) -> tuple[Mask, _Paint]:
        """Put a small round body with feet under a head."""
        head_height, width = cover.shape
        full = height + 2 * self.margin
        body, reach = Canvas(width, full), Canvas(width, full)
        fur = self.base
        white = self.look.hole if isinstance(self.look.hole, tuple) and luminance(self.look.hole) > 240 else None
        belly = self.accent or white or lighter(fur, 0.45)
        inner = width - 2 * self.margin
        middle, foot = width / 2, full - self.margin
        shapes: tuple[tuple[float, float, float, float, Colour], ...] = (
            (middle - inner * 0.19, foot - inner * 0.06, inner * 0.15, inner * 0.08, darker(fur, 0.22)),
            (middle + inner * 0.19, foot - inner * 0.06, inner * 0.15, inner * 0.08, darker(fur, 0.22)),
            (middle, foot - inner * 0.36, inner * 0.36, inner * 0.36, darker(fur, 0.06)),
            (middle, foot - inner * 0.3, inner * 0.22, inner * 0.24, belly),
            (middle - inner * 0.32, foot - inner * 0.42, inner * 0.09, inner * 0.17, darker(fur, 0.16)),
            (middle + inner * 0.32, foot - inner * 0.42, inner * 0.09, inner * 0.17, darker(fur, 0.16)),
        )
        for x, y, rx, ry, colour in shapes:
            reach.oval(x, y, rx, ry, (255, 255, 255))
            body.oval(x, y, rx, ry, colour)
        body.glow(middle, head_height - self.margin, inner * 0.42, inner * 0.14, darker(fur, 0.55), opacity=0.5)
        body.blend(cover, paint)
        whole = reach.pixels[..., 0] / np.float32(255)
        whole[:head_height] = np.maximum(whole[:head_height], cover)
        return whole, body.pixels
