"""Painting with soft masks on an image of floats."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.image_generation.icons.looks import Colour
from pipelines.media import Rgb

Mask = NDArray[np.float32]
"""Coverage, float32 (h, w), 0 to 1."""


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """A colour between two; 0 is `one`, 1 is `other`."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def lighter(colour: Colour, share: float) -> Colour:
    """Toward white."""
    return mix(colour, (255, 255, 255), share)


def darker(colour: Colour, share: float) -> Colour:
    """Toward a deep blue-black, so that shades stay coloured."""
    return mix(colour, (22, 18, 42), share)


def ink(colour: Colour) -> NDArray[np.float32]:
    """A colour as float32 (3,), to reckon with."""
    return np.array(colour, dtype=np.float32)


def luminance(colour: Colour) -> float:
    """0 (black) to 255."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def ridge(rng: np.random.Generator, width: int, waves: float, octaves: int = 3) -> Mask:
    """A rolling line, float32 (width,), about -1 to 1, with `waves` swells over the image."""
    x = np.linspace(0, 2 * np.pi, width, dtype=np.float32)
    line = np.zeros(width, np.float32)
    for octave in range(octaves):
        pitch = waves * 1.9**octave
        line += np.sin(x * pitch + np.float32(rng.uniform(0, 2 * np.pi))) * np.float32(0.5**octave)
    return line / np.float32(1.6)


class Canvas:
    """An RGB image of float32, 0 to 255."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.pixels = np.zeros((height, width, 3), np.float32)
        self.unit = float(min(width, height, (width * height) ** 0.5 * 0.8))

    def gradient(self, stops: Sequence[Colour], top: int = 0, bottom: int | None = None) -> None:
        """Fill rows with evenly spaced colours from `top` to `bottom`."""
        bottom = self.height if bottom is None else bottom
        if bottom <= top:
            return
        where = np.linspace(0, len(stops) - 1, bottom - top, dtype=np.float32)
        for channel in range(3):
            values = np.interp(where, range(len(stops)), [stop[channel] for stop in stops])
            self.pixels[top:bottom, :, channel] = values[:, None]

    def blend(self, mask: Mask, colour: Colour | NDArray[np.float32], x: int = 0, y: int = 0) -> None:
        """Lay a colour (or an image of the mask's shape) over the canvas at x, y, as far as the mask covers."""
        x0, y0 = max(0, x), max(0, y)
        x1, y1 = min(self.width, x + mask.shape[1]), min(self.height, y + mask.shape[0])
        if x1 <= x0 or y1 <= y0:
            return
        cover = mask[y0 - y : y1 - y, x0 - x : x1 - x, None]
        paint = np.asarray(colour, dtype=np.float32)
        if paint.ndim == 3:
            paint = paint[y0 - y : y1 - y, x0 - x : x1 - x]
        region = self.pixels[y0:y1, x0:x1]
        region += (paint - region) * cover

    def below(self, line: Mask, upper: Colour, lower: Colour, opacity: float = 1.0, until: int | None = None) -> None:
        """Fill what lies under a line.

        Args:
            line: y in pixels for each column, float32 (width,).
            upper: colour at the line's highest point.
            lower: colour at the bottom.
            opacity: 0 to 1.
            until: last row; the bottom of the image where `None`.
        """
        until = self.height if until is None else min(until, self.height)
        top = max(0, int(line.min()) - 1)
        if top >= until:
            return
        rows = np.arange(top, until, dtype=np.float32)[:, None]
        cover = np.clip(rows - line[None, :] + 0.5, 0, 1) * np.float32(opacity)
        share = ((rows - top) / max(1.0, until - top))[..., None]
        first, last = ink(upper), ink(lower)
        region = self.pixels[top:until]
        region += (first + (last - first) * share - region) * cover[..., None]

    def disc(self, x: float, y: float, radius: float, colour: Colour, *, opacity: float = 1.0) -> None:
        """A round spot with a smooth edge."""
        self.oval(x, y, radius, radius, colour, opacity=opacity)

    def oval(self, x: float, y: float, rx: float, ry: float, colour: Colour, *, opacity: float = 1.0) -> None:
        """An ellipse with a smooth edge."""
        self._spot((x, y), (rx, ry), colour, opacity, soft=False)

    def glow(self, x: float, y: float, rx: float, ry: float, colour: Colour, *, opacity: float = 1.0) -> None:
        """A spot that fades from its middle to nothing at its rim."""
        self._spot((x, y), (rx, ry), colour, opacity, soft=True)

    def _spot(
        self, centre: tuple[float, float], radii: tuple[float, float], colour: Colour, opacity: float, *, soft: bool
    ) -> None:
        (x, y), (rx, ry) = centre, radii
        x0, x1 = max(0, int(x - rx) - 1), min(self.width, int(x + rx) + 2)
        y0, y1 = max(0, int(y - ry) - 1), min(self.height, int(y + ry) + 2)
        if x1 <= x0 or y1 <= y0:
            return
        across = (np.arange(x0, x1, dtype=np.float32) + 0.5 - np.float32(x)) / np.float32(max(rx, 0.5))
        down = (np.arange(y0, y1, dtype=np.float32) + 0.5 - np.float32(y)) / np.float32(max(ry, 0.5))
        distance = np.sqrt(across[None, :] ** 2 + down[:, None] ** 2)
        if soft:
            cover = np.clip(1 - distance, 0, 1) ** 2
        else:
            cover = np.clip((1 - distance) * np.float32(max(min(rx, ry), 0.5)) + 0.5, 0, 1)
        self.blend(cover * np.float32(opacity), colour, x0, y0)

    def finish(self, rng: np.random.Generator) -> Rgb:
        """Round to uint8 with a fine grain, which keeps gradients from banding."""
        grain = rng.normal(0, 1.1, (self.height, self.width, 1)).astype(np.float32)
        image: Rgb = np.clip(np.rint(self.pixels + grain), 0, 255).astype(np.uint8)
        return image
