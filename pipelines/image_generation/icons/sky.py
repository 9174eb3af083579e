"""The sky: its colours, lights and clouds."""

import numpy as np

from pipelines.image_generation.icons.canvas import Canvas, Mask, darker, lighter, mix, ridge
from pipelines.image_generation.icons.looks import rgb
from pipelines.image_generation.icons.scene import Scene
from pipelines.image_generation.icons.setting import Setting


class Sky(Setting):
    """Paints the sky of a scene outdoors."""

    def __init__(self, scene: Scene, canvas: Canvas, rng: np.random.Generator) -> None:
        super().__init__(scene, canvas, rng)
        self.light: tuple[float, float] | None = None

    def paint(self) -> None:
        """Fill the sky with its colours."""
        self.canvas.gradient(self.sky_stops(), 0, int(self.horizon) + 2)

    def paint_lights(self) -> None:
        """Add stars, sun or moon, rainbow and clouds."""
        scene, features = self.scene, self.scene.features
        dark = scene.sky == "night"
        if dark or "stars" in features:
            self.stars(int(90 * self.canvas.width / self.canvas.height) + 40, self.horizon * 0.9)
        if "aurora" in features:
            self._aurora()
        if "rainbow" in features:
            self._rainbow()
        if "moon" in features or (dark and "sun" not in features):
            self._moon()
        elif "sun" in features or (scene.sky == "day" and scene.sky_colour is None) or scene.sky in {"sunset", "dawn"}:
            self._sun()
        if "bolt" in features:
            self._bolt()
        clouds = {"cloudy": 7, "rain": 8, "storm": 8, "night": 2}.get(scene.sky, 3) + 3 * ("clouds" in features)
        for _ in range(clouds):
            self._cloud()

    def _sun(self) -> None:
        low = self.scene.sky in {"sunset", "dawn"}
        colour = self.scene.colours.get("sun", rgb("#ffe9a0") if low else rgb("#fff3c0"))
        x = self.free_x() * self.canvas.width
        y = self.horizon * (0.78 if low else 0.24)
        radius = self.canvas.unit * (0.11 if low else 0.075)
        self.light = (x, y)
        warm = mix(colour, rgb("#ffb454"), 0.35)
        self.canvas.glow(x, y, radius * 6, radius * 6, lighter(colour, 0.3), opacity=0.55)
        for ring, opacity in ((2.5, 0.13), (1.75, 0.2), (1.3, 0.3)):
            self.canvas.disc(x, y, radius * ring, lighter(warm, 0.35), opacity=opacity)
        self.canvas.disc(x, y, radius, colour if self.scene.colours.get("sun") else lighter(warm, 0.3))

    def _moon(self) -> None:
        colour = self.scene.colours.get("moon", rgb("#fbf4d8"))
        x, y, radius = self.free_x() * self.canvas.width, self.horizon * 0.25, self.canvas.unit * 0.075
        self.light = (x, y)
        self.canvas.glow(x, y, radius * 6, radius * 6, lighter(colour, 0.1), opacity=0.35)
        for ring, opacity in ((1.9, 0.07), (1.4, 0.1)):
            self.canvas.disc(x, y, radius * ring, colour, opacity=opacity)
        self.canvas.disc(x, y, radius, colour)
        for dx, dy, size in ((-0.35, -0.25, 0.22), (0.3, 0.3, 0.28), (0.25, -0.45, 0.13), (-0.3, 0.45, 0.15)):
            self.canvas.disc(x + dx * radius, y + dy * radius, size * radius, darker(colour, 0.13))

    def _cloud(self) -> None:
        """Round heads on a flat foot, in the sky's own light."""
        unit = self.canvas.unit * self.rng.uniform(0.05, 0.1)
        x, y = self.rng.uniform(-0.05, 1.05) * self.canvas.width, self.horizon * self.rng.uniform(0.08, 0.7)
        if self.light and np.hypot(x - self.light[0], y - self.light[1]) < unit * 3 + self.canvas.unit * 0.06:
            x = (x + self.canvas.width * 0.5) % self.canvas.width
        bright = {"night": rgb("#46548c"), "storm": rgb("#6d7486"), "rain": rgb("#a3afbb")}.get(
            self.scene.sky, (255, 255, 255)
        )
        colour = mix(bright, self.haze, 0.12)
        height, width = int(unit * 2.4) + 2, int(unit * 6) + 2
        rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
        cover: Mask = np.zeros((height, width), np.float32)
        for share in (0.18, 0.36, 0.55, 0.74, 0.86):
            radius = unit * (0.45 + 0.75 * (1 - abs(share - 0.5) * 2)) * self.rng.uniform(0.85, 1.1)
            distance = np.hypot(columns - share * width, rows - (height - unit * 0.55))
            cover = np.maximum(cover, np.clip(radius - distance + 0.5, 0, 1))
        cover *= np.clip(height - unit * 0.35 - rows, 0, 1)
        shade = 0.95 - 0.4 * rows / height
        self.canvas.blend(
            cover * shade * np.float32(self.rng.uniform(0.55, 0.9)), colour, int(x - width / 2), int(y - height / 2)
        )

    def _rainbow(self) -> None:
        unit = min(self.canvas.width * 0.46, self.horizon * 0.85)
        rows, columns = np.mgrid[0 : int(self.horizon) + 1, 0 : self.canvas.width].astype(np.float32)
        distance = np.hypot(columns - self.canvas.width * 0.5, rows - self.horizon * 1.02) / np.float32(unit)
        bands = ("#f0504a", "#f79a3c", "#f9d94a", "#6cc46a", "#4a90e0", "#8a5cc8")
        for index, band in enumerate(bands):
            outer = 1.0 - index * 0.045
            cover = np.clip((outer - distance) * unit, 0, 1) * np.clip((distance - outer + 0.047) * unit, 0, 1)
            self.canvas.blend(cover * np.float32(0.75), rgb(band))

    def _aurora(self) -> None:
        rows = np.arange(int(self.horizon), dtype=np.float32)[:, None] / np.float32(self.horizon)
        for index, band in enumerate(("#3ef0a8", "#4ad6e8", "#9a6cf0")):
            line = 0.3 + 0.12 * index + 0.1 * ridge(self.rng, self.canvas.width, 1.5)
            curtain = np.clip(1 - (line[None, :] - rows) / 0.4, 0, 1) * (rows < line[None, :])
            self.canvas.blend((curtain**2 * 0.5).astype(np.float32), rgb(band))

    def _bolt(self) -> None:
        x, y = self.free_x() * self.canvas.width, self.horizon * 0.08
        self.canvas.glow(
            x, self.horizon * 0.35, self.canvas.unit * 0.4, self.canvas.unit * 0.5, (235, 235, 255), opacity=0.5
        )
        steps = 160
        for index in range(steps):
            zigzag = (abs((index / steps * 5) % 2 - 1) - 0.5) * 0.09 * self.canvas.unit
            radius = self.canvas.unit * 0.012 * (1.2 - index / steps)
            for inner in range(4):
                step = (index + inner / 4) / steps
                self.canvas.disc(
                    x + zigzag + step * 0.08 * self.canvas.unit, y + step * self.horizon * 0.75, radius, rgb("#fff6c0")
                )
