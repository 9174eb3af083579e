"""Sky and ground: what is behind and under the figures."""

from collections.abc import Callable, Iterator

import numpy as np

from pipelines.image_generation.canvas import Canvas, Mask, darker, lighter, luminance, mix, ridge
from pipelines.image_generation.layout import Scene
from pipelines.image_generation.looks import Colour, rgb

_SKIES: dict[str, tuple[tuple[str, ...], ...]] = {
    "day": (("#4aa3e8", "#8fcdf4", "#dff3fb"), ("#3f97dc", "#86c6ee", "#fdf0d8"), ("#5bb0ea", "#a8dcf2", "#eef7ec")),
    "sunset": (("#3d3a78", "#a8487f", "#f2785a", "#ffc978"), ("#4a2f6b", "#d1556a", "#f99a5b", "#ffdd98")),
    "dawn": (("#7fa8dc", "#d3b7d6", "#fbcdb2", "#ffe9bf"), ("#8fb8e6", "#f0c4d0", "#ffe0b8")),
    "night": (("#0d1333", "#1d2a5e", "#3c4f8c"), ("#10112e", "#2a2560", "#5a4a8a")),
    "cloudy": (("#93a5b8", "#bccad6", "#e3e9ec"),),
    "rain": (("#62748a", "#8c9cad", "#bac6cf"),),
    "storm": (("#353c52", "#5a6478", "#8c93a3"),),
}
_GRASS: dict[str, str] = {"day": "#86c35a", "autumn": "#c8a94a"}
_LIGHT = {"sunset": ("#ff9a6a", 0.24), "dawn": ("#ffd6b0", 0.14), "night": ("#1a2250", 0.56), "storm": ("#3a4258", 0.38),
          "rain": ("#6a7a8c", 0.28), "cloudy": ("#a8b4c0", 0.14), "day": ("#ffffff", 0.0)}  # fmt: skip

Layer = tuple[str, Callable[[], None]]


class Backdrop:
    """Paints one scene's surroundings, layer by layer."""

    def __init__(self, scene: Scene, canvas: Canvas, rng: np.random.Generator) -> None:
        self.scene = scene
        self.canvas = canvas
        self.rng = rng
        self.horizon = scene.horizon * canvas.height
        self.tint, self.shade = (rgb(_LIGHT[scene.sky][0]), _LIGHT[scene.sky][1])
        self.haze = self._sky_stops()[-1]
        self.light: tuple[float, float] | None = None

    def layers(self) -> Iterator[Layer]:
        """What is to be painted before the figures, in order."""
        ground = self.scene.ground
        if ground in {"table", "room"}:
            yield "wall", self._wall
            yield ground, self._table if ground == "table" else self._floor
        elif ground == "deep":
            yield "water", self._deep
        elif ground == "space":
            yield "space", self._space
        else:
            yield "sky", self._sky
            yield "lights", self._lights
            yield "distance", self._distance
            yield ground, self._grounds()[ground]

    def weather(self) -> Iterator[Layer]:
        """What is to be painted over the figures."""
        for feature, paint in (("fog", self._fog), ("rain", self._rain), ("snow", self._snowfall)):
            if feature in self.scene.features and self.scene.ground not in {"table", "room", "deep", "space"}:
                yield feature, paint

    def lit(self, colour: Colour, share: float = 1.0) -> Colour:
        """A colour under the scene's light."""
        return mix(colour, self.tint, self.shade * share)

    # --- sky

    def _sky_stops(self) -> list[Colour]:
        choices = _SKIES[self.scene.sky]
        stops = [rgb(stop) for stop in choices[self.scene.seed % len(choices)]]
        if (stated := self.scene.sky_colour) is None:
            return stops
        if self.scene.sky == "night":
            return [darker(stated, 0.75), darker(stated, 0.5), darker(stated, 0.25)]
        return [darker(stated, 0.1), lighter(stated, 0.15), lighter(stated, 0.5)]

    def _sky(self) -> None:
        self.canvas.gradient(self._sky_stops(), 0, int(self.horizon) + 2)

    def _lights(self) -> None:
        scene, features = self.scene, self.scene.features
        dark = scene.sky == "night"
        if dark or "stars" in features:
            self._stars(int(90 * self.canvas.width / self.canvas.height) + 40, self.horizon * 0.9)
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

    def _free_x(self) -> float:
        """A place in the sky that no figure covers, as a fraction of the width."""
        places = self.rng.permutation(np.linspace(0.14, 0.86, 7))
        high = [figure for figure in self.scene.figures if figure.top < 0.42]
        def room(x: float) -> float:
            return min((abs(figure.x - x) - figure.width / 2 for figure in high), default=1.0)
        return float(next((x for x in places if room(x) > 0.1), max(places, key=room)))

    def _sun(self) -> None:
        low = self.scene.sky in {"sunset", "dawn"}
        colour = self.scene.colours.get("sun", rgb("#ffe9a0") if low else rgb("#fff3c0"))
        x = self._free_x() * self.canvas.width
        y = self.horizon * (0.78 if low else 0.24)
        radius = self.canvas.unit * (0.11 if low else 0.075)
        self.light = (x, y)
        warm = mix(colour, rgb("#ffb454"), 0.35)
        self.canvas.glow(x, y, radius * 6, radius * 6, lighter(colour, 0.3), 0.55)
        for ring, opacity in ((2.5, 0.13), (1.75, 0.2), (1.3, 0.3)):
            self.canvas.disc(x, y, radius * ring, lighter(warm, 0.35), opacity)
        self.canvas.disc(x, y, radius, colour if self.scene.colours.get("sun") else lighter(warm, 0.3))

    def _moon(self) -> None:
        colour = self.scene.colours.get("moon", rgb("#fbf4d8"))
        x, y, radius = self._free_x() * self.canvas.width, self.horizon * 0.25, self.canvas.unit * 0.075
        self.light = (x, y)
        self.canvas.glow(x, y, radius * 6, radius * 6, lighter(colour, 0.1), 0.35)
        for ring, opacity in ((1.9, 0.07), (1.4, 0.1)):
            self.canvas.disc(x, y, radius * ring, colour, opacity)
        self.canvas.disc(x, y, radius, colour)
        for dx, dy, size in ((-0.35, -0.25, 0.22), (0.3, 0.3, 0.28), (0.25, -0.45, 0.13), (-0.3, 0.45, 0.15)):
            self.canvas.disc(x + dx * radius, y + dy * radius, size * radius, darker(colour, 0.13))

    def _stars(self, count: int, depth: float) -> None:
        size = self.canvas.unit / 700
        for index in range(count):
            x, y = self.rng.uniform(0, self.canvas.width), self.rng.uniform(0, depth)
            radius = max(0.5, size * self.rng.uniform(0.6, 1.9))
            self.canvas.disc(x, y, radius, (255, 250, 232), self.rng.uniform(0.4, 0.95))
            if index % 14 == 0:
                self.canvas.glow(x, y, radius * 9, radius * 1.3, (255, 255, 255), 0.8)
                self.canvas.glow(x, y, radius * 1.3, radius * 9, (255, 255, 255), 0.8)

    def _cloud(self) -> None:
        """Round heads on a flat foot, in the sky's own light."""
        unit = self.canvas.unit * self.rng.uniform(0.05, 0.1)
        x, y = self.rng.uniform(-0.05, 1.05) * self.canvas.width, self.horizon * self.rng.uniform(0.08, 0.7)
        if self.light and np.hypot(x - self.light[0], y - self.light[1]) < unit * 3 + self.canvas.unit * 0.06:
            x = (x + self.canvas.width * 0.5) % self.canvas.width
        bright = {"night": rgb("#46548c"), "storm": rgb("#6d7486"), "rain": rgb("#a3afbb")}.get(self.scene.sky, (255, 255, 255))
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
        self.canvas.blend(cover * shade * np.float32(self.rng.uniform(0.55, 0.9)), colour, int(x - width / 2), int(y - height / 2))

    def _rainbow(self) -> None:
        unit = min(self.canvas.width * 0.46, self.horizon * 0.85)
        rows, columns = np.mgrid[0 : int(self.horizon) + 1, 0 : self.canvas.width].astype(np.float32)
        distance = np.hypot(columns - self.canvas.width * 0.5, rows - self.horizon * 1.02) / np.float32(unit)
        bands = ("#f0504a", "#f79a3c", "#f9d94a", "#6cc46a", "#4a90e0", "#8a5cc8")
        for index, band in enumerate(bands):
            outer = 1.0 - index * 0.045
            cover = np.clip((outer - distance) * unit, 0, 1) * np.clip((distance - outer + 0.047) * unit, 0, 1)
            self.canvas.blend(cover * np.float32(0.62), rgb(band))

    def _aurora(self) -> None:
        rows = np.arange(int(self.horizon), dtype=np.float32)[:, None] / np.float32(self.horizon)
        for index, band in enumerate(("#3ef0a8", "#4ad6e8", "#9a6cf0")):
            line = 0.3 + 0.12 * index + 0.1 * ridge(self.rng, self.canvas.width, 1.5)
            curtain = np.clip(1 - (line[None, :] - rows) / 0.4, 0, 1) * (rows < line[None, :])
            self.canvas.blend((curtain**2 * 0.5).astype(np.float32), rgb(band))

    def _bolt(self) -> None:
        x, y = self._free_x() * self.canvas.width, self.horizon * 0.08
        self.canvas.glow(x, self.horizon * 0.35, self.canvas.unit * 0.4, self.canvas.unit * 0.5, (235, 235, 255), 0.5)
        steps = 40
        for index in range(steps):
            zigzag = (abs((index / steps * 5) % 2 - 1) - 0.5) * 0.09 * self.canvas.unit
            radius = self.canvas.unit * 0.012 * (1.2 - index / steps)
            for inner in range(4):
                step = (index + inner / 4) / steps
                self.canvas.disc(x + zigzag + step * 0.08 * self.canvas.unit, y + step * self.horizon * 0.75, radius, rgb("#fff6c0"))

    # --- distance

    def _distance(self) -> None:
        """Mountains, hills, woods and towns, the farther the paler."""
        features, ground = self.scene.features, self.scene.ground
        if "mountains" in features:
            self._mountains()
        if "city" in features:
            self._skyline()
        if ground in {"beach"} or (ground == "sea" and "hills" not in features):
            return
        green = {"snow": "#dbe7f2", "desert": "#d9a868", "autumn": "#c79a4a"}.get(
            "autumn" if "autumn" in features else ground, "#6fae62"
        )
        for index, far in enumerate((0.62, 0.36)):
            swell = self.canvas.height * (0.05 if "hills" not in features else 0.075)
            line = self.horizon - swell * (0.9 - index * 0.55) + ridge(self.rng, self.canvas.width, 1.3 + index) * swell * 0.6
            colour = mix(self.lit(rgb(green)), self.haze, far)
            self.canvas.below(line.astype(np.float32), lighter(colour, 0.06), colour)
            if index == 1 and ground in {"grass", "snow", "sea"}:
                self._woods(line, colour, 46 if "forest" in features else 12, ground == "snow")

    def _mountains(self) -> None:
        for index, (far, height) in enumerate(((0.55, 0.34), (0.3, 0.24))):
            peaks = 3 + index * 2
            xs = np.linspace(-0.1, 1.1, 2 * peaks + 1) + self.rng.uniform(-0.04, 0.04, 2 * peaks + 1)
            ys = np.where(np.arange(2 * peaks + 1) % 2, self.rng.uniform(0.65, 1, 2 * peaks + 1), self.rng.uniform(0.1, 0.4, 2 * peaks + 1))
            columns = np.linspace(0, 1, self.canvas.width)
            rise = np.interp(columns, xs, ys) + 0.03 * ridge(self.rng, self.canvas.width, 14, 2)
            line = (self.horizon - rise * height * self.canvas.height * 0.9).astype(np.float32)
            rock = mix(self.lit(rgb("#6f83a8")), self.haze, far)
            self.canvas.below(line, rock, mix(rock, self.haze, 0.45))
            jag = ridge(self.rng, self.canvas.width, 24, 2) * self.canvas.height * 0.012
            snowline = self.horizon - 0.62 * height * self.canvas.height * 0.9 + jag
            self._snowcap(line, snowline.astype(np.float32), mix(self.lit((250, 252, 255)), self.haze, far * 0.5))

    def _snowcap(self, line: Mask, snowline: Mask, colour: Colour) -> None:
        top, bottom = max(0, int(line.min()) - 1), min(self.canvas.height, int(snowline.max()) + 2)
        if bottom <= top:
            return
        rows = np.arange(top, bottom, dtype=np.float32)[:, None]
        cover = np.clip(rows - line[None, :] + 0.5, 0, 1) * np.clip(snowline[None, :] - rows + 0.5, 0, 1)
        self.canvas.blend(cover.astype(np.float32), colour, 0, top)

    def _woods(self, line: Mask, colour: Colour, count: int, firs: bool) -> None:
        """Small far trees along a ridge."""
        for x in np.sort(self.rng.uniform(0, self.canvas.width, int(count * self.canvas.width / self.canvas.height) + 3)):
            size = self.canvas.unit * self.rng.uniform(0.018, 0.034) * (1.6 if "forest" in self.scene.features else 1)
            y = float(line[min(int(x), self.canvas.width - 1)])
            shade = darker(colour, self.rng.uniform(0.14, 0.3))
            if firs or "forest" in self.scene.features:
                self._fir(x, y + size * 0.3, size, mix(shade, rgb("#2f6f60"), 0.35))
            else:
                self.canvas.oval(x, y - size * 0.5, size * 0.62, size * 0.8, shade)

    def _fir(self, x: float, foot: float, size: float, colour: Colour) -> None:
        height = int(size * 2.6) + 2
        width = int(size * 1.5) + 2
        rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
        share = rows / height
        half = (share % 0.34 * 0.5 + share * 0.62) * width * 0.55
        cover = np.clip(half - np.abs(columns - width / 2) + 0.5, 0, 1)
        self.canvas.blend(cover.astype(np.float32), colour, int(x - width / 2), int(foot - height))

    def _skyline(self) -> None:
        for index, far in enumerate((0.6, 0.34)):
            x = -0.02 * self.canvas.width
            while x < self.canvas.width:
                width = self.canvas.unit * self.rng.uniform(0.06, 0.13)
                tall = self.canvas.height * self.rng.uniform(0.1, 0.3) * (1 - 0.3 * index)
                base = self.lit(rgb(("#6f86b0", "#8a7fb0", "#5f92a8")[int(self.rng.integers(3))]))
                self._tower(int(x), int(self.horizon - tall), int(width), int(tall * 1.3), mix(base, self.haze, far), index)
                x += width * self.rng.uniform(0.9, 1.25)

    def _tower(self, x: int, y: int, width: int, height: int, colour: Colour, near: int) -> None:
        self.canvas.blend(np.ones((height, width), np.float32), colour, x, y)
        pane = max(2, int(self.canvas.unit * 0.011))
        lights = rgb("#ffe08a") if luminance(self.haze) < 150 else lighter(colour, 0.35)
        for row in range(y + pane * 2, y + height, pane * 3):
            for column in range(x + pane, x + width - pane, pane * 2):
                if self.rng.random() < 0.55 and near:
                    self.canvas.blend(np.full((int(pane * 1.4), pane), 0.8, np.float32), lights, column, row)

    # --- ground

    def _grounds(self) -> dict[str, Callable[[], None]]:
        return {
            "grass": self._grass, "snow": self._snow, "desert": self._desert, "sea": self._sea, "beach": self._beach,
            "road": self._road,
        }  # fmt: skip

    def _near(self, upper: str, lower: str, swell: float = 0.02) -> Mask:
        line = self.horizon + ridge(self.rng, self.canvas.width, 1.1) * self.canvas.height * swell
        self.canvas.below(line.astype(np.float32), self.lit(rgb(upper)), self.lit(rgb(lower)))
        return line.astype(np.float32)

    def _grass(self) -> None:
        """Two rolling meadows with tufts and small flowers."""
        autumn = "autumn" in self.scene.features
        self._near("#d3b455" if autumn else "#94cb62", "#a8873a" if autumn else "#5aa24c")
        depth = self.canvas.height - self.horizon
        line = self.horizon + depth * 0.42 + ridge(self.rng, self.canvas.width, 0.8) * depth * 0.12
        self.canvas.below(
            line.astype(np.float32), self.lit(rgb("#c4a047" if autumn else "#7cbd55")), self.lit(rgb("#94762f" if autumn else "#3f8743"))
        )
        self._tufts("#6a7a2f" if autumn else "#3d8a44")
        self._blossoms()

    def _tufts(self, colour: str) -> None:
        depth = self.canvas.height - self.horizon
        for _ in range(int(36 * self.canvas.width / self.canvas.height) + 8):
            x, share = self.rng.uniform(0, self.canvas.width), self.rng.uniform(0.12, 1)
            y, size = self.horizon + depth * share, self.canvas.unit * 0.013 * (0.4 + share)
            for lean in (-0.5, 0, 0.5):
                self.canvas.oval(x + lean * size, y - size * (0.5 - abs(lean) * 0.3), size * 0.14, size * (0.7 - abs(lean) * 0.4), self.lit(rgb(colour)), 0.55)

    def _blossoms(self) -> None:
        depth = self.canvas.height - self.horizon
        for _ in range(int(16 * self.canvas.width / self.canvas.height) + 4):
            x, share = self.rng.uniform(0, self.canvas.width), self.rng.uniform(0.15, 1)
            radius = self.canvas.unit * 0.0042 * (0.5 + share)
            colour = ("#fff6e6", "#ffe27a", "#ffd0dc")[int(self.rng.integers(3))]
            self.canvas.disc(x, self.horizon + depth * share, radius, self.lit(rgb(colour)), 0.9)

    def _snow(self) -> None:
        """Drifts with blue shades."""
        self._near("#f4f8fc", "#cfdff0")
        depth = self.canvas.height - self.horizon
        for share, colour in ((0.3, "#fbfdff"), (0.62, "#f0f6fb")):
            line = self.horizon + depth * share + ridge(self.rng, self.canvas.width, 1.2) * depth * 0.1
            self.canvas.below(line.astype(np.float32), self.lit(rgb(colour)), self.lit(rgb("#c6d8ec")))

    def _desert(self) -> None:
        """Dunes."""
        self._near("#f0cf90", "#dba95c")
        depth = self.canvas.height - self.horizon
        for share, colour in ((0.25, "#eec27a"), (0.6, "#e6b264")):
            line = self.horizon + depth * share + ridge(self.rng, self.canvas.width, 0.9, 2) * depth * 0.16
            self.canvas.below(line.astype(np.float32), self.lit(rgb(colour)), self.lit(rgb("#c98f48")))

    def _water(self, top: int, bottom: int) -> None:
        stops = [mix(self.lit(rgb("#6cc0dc")), self.haze, 0.35), self.lit(rgb("#3a97c8")), self.lit(rgb("#1f6ba8"))]
        self.canvas.gradient(stops, max(0, top), min(bottom, self.canvas.height))
        for _ in range(int(60 * self.canvas.width / self.canvas.height) + 20):
            share = self.rng.uniform(0, 1) ** 1.4
            y = top + (bottom - top) * share
            length = self.canvas.unit * (0.015 + 0.09 * share)
            self.canvas.oval(self.rng.uniform(0, self.canvas.width), y, length, max(0.6, length * 0.05), lighter(self.haze, 0.5), 0.4)

    def _sea(self) -> None:
        """Open water to the horizon, with swells."""
        self._water(int(self.horizon), self.canvas.height)
        depth = self.canvas.height - self.horizon
        for share, opacity in ((0.45, 0.35), (0.72, 0.4), (0.88, 0.5)):
            line = self.horizon + depth * share + ridge(self.rng, self.canvas.width, 7, 1) * depth * 0.025
            self.canvas.below(line.astype(np.float32), self.lit(rgb("#3f9fd0")), self.lit(rgb("#1c629c")), opacity)

    def _beach(self) -> None:
        """Sea behind a strip of sand."""
        depth = self.canvas.height - self.horizon
        shore = self.horizon + depth * 0.36
        self._water(int(self.horizon), int(shore + depth * 0.1))
        line = shore + ridge(self.rng, self.canvas.width, 1.4) * depth * 0.05
        self.canvas.below((line - depth * 0.03).astype(np.float32), self.lit((250, 253, 255)), self.lit((250, 253, 255)), 0.85)
        self.canvas.below(line.astype(np.float32), self.lit(rgb("#e8cb92")), self.lit(rgb("#f2dca8")))
        self.canvas.below((line + depth * 0.07).astype(np.float32), self.lit(rgb("#f6e2b4")), self.lit(rgb("#e6c486")))
        for _ in range(60):
            y = self.rng.uniform(shore + depth * 0.12, self.canvas.height)
            self.canvas.disc(self.rng.uniform(0, self.canvas.width), y, self.canvas.unit * 0.002, self.lit(rgb("#c9a566")), 0.6)

    def _road(self) -> None:
        """A verge, and asphalt with a dashed line."""
        self._near("#8fc862", "#5fa450", 0.01)
        depth = self.canvas.height - self.horizon
        edge = np.full(self.canvas.width, self.horizon + depth * 0.2, np.float32)
        self.canvas.below(edge, self.lit(rgb("#d8d3c8")), self.lit(rgb("#d8d3c8")))
        self.canvas.below(edge + np.float32(depth * 0.05), self.lit(rgb("#5d6270")), self.lit(rgb("#474b58")), 1.0, int(self.horizon + depth * 0.93))
        dash, y = self.canvas.unit * 0.12, self.horizon + depth * 0.74
        x = -self.rng.uniform(0, dash)
        while x < self.canvas.width:
            mark = np.ones((max(1, int(depth * 0.028)), max(1, int(dash * 0.62))), np.float32)
            self.canvas.blend(mark, self.lit(rgb("#f6efdc")), int(x), int(y))
            x += dash
        self.canvas.below(edge + np.float32(depth * 0.73), self.lit(rgb("#d8d3c8")), self.lit(rgb("#6fb055")))

    # --- indoors, under water, in space

    def _wall(self) -> None:
        walls = (("#f6dcc4", "#fbeee0"), ("#cfe3df", "#eaf4ef"), ("#d9d6ee", "#f0eefa"), ("#f7d9d6", "#fdf0ea"), ("#d4e4f2", "#eef5fa"))
        upper, lower = walls[self.scene.seed % len(walls)]
        self.canvas.gradient([rgb(upper), rgb(lower)], 0, int(self.horizon) + 2)
        if self.scene.ground == "table":
            x, y, radius = self.canvas.width * 0.5, self.horizon * 0.62, self.canvas.unit * 0.43
            self.canvas.glow(x, y, radius * 2, radius * 2, (255, 255, 255), 0.5)
            self.canvas.disc(x, y, radius, lighter(rgb(lower), 0.45), 0.75)
            return
        stripe = self.canvas.unit * 0.07
        for index in range(0, int(self.canvas.width / stripe) + 1, 2):
            self.canvas.blend(np.full((int(self.horizon), max(1, int(stripe))), 0.35, np.float32), lighter(rgb(lower), 0.4), int(index * stripe))
        self._window(darker(rgb(upper), 0.12))

    def _window(self, frame: Colour) -> None:
        size = int(min(self.canvas.unit * 0.3, self.horizon * 0.5))
        x, y = int(self._free_x() * self.canvas.width - size / 2), int(self.horizon * 0.12)
        border = max(1, size // 14)
        self.canvas.blend(np.ones((size + 2 * border, size + 2 * border), np.float32), (255, 253, 248), x - border, y - border)
        view = np.linspace(0, 1, size, dtype=np.float32)[:, None, None]
        top, bottom = np.float32(rgb("#8fcdf4")), np.float32(rgb("#e6f5fb"))
        self.canvas.blend(np.ones((size, size), np.float32), np.broadcast_to(top + (bottom - top) * view, (size, size, 3)), x, y)
        middle = (size - border) // 2
        self.canvas.blend(np.ones((size, border), np.float32), (255, 253, 248), x + middle, y)
        self.canvas.blend(np.ones((border, size), np.float32), (255, 253, 248), x, y + middle)
        self.canvas.blend(np.ones((border, size + 4 * border), np.float32), frame, x - 2 * border, y + size + border)

    def _table(self) -> None:
        line = np.full(self.canvas.width, self.horizon, np.float32)
        wood = ("#d9a066", "#c98d5a", "#e0b07a")[self.scene.seed % 3]
        self.canvas.below(line, lighter(rgb(wood), 0.18), darker(rgb(wood), 0.1))
        depth = self.canvas.height - self.horizon
        for share in (0.1, 0.27, 0.5, 0.78):
            grain = self.horizon + depth * share + ridge(self.rng, self.canvas.width, 1.5, 2) * depth * 0.02
            self.canvas.below(grain.astype(np.float32), darker(rgb(wood), 0.22), darker(rgb(wood), 0.22), 0.3, int(grain.max() + max(1, depth * 0.004)))
        self.canvas.below(line, lighter(rgb(wood), 0.5), lighter(rgb(wood), 0.5), 0.8, int(self.horizon + max(1, depth * 0.02)))

    def _floor(self) -> None:
        line = np.full(self.canvas.width, self.horizon, np.float32)
        self.canvas.below(line - np.float32(self.canvas.height * 0.025), (255, 253, 248), (240, 234, 226))
        self.canvas.below(line, rgb("#d3a16c"), rgb("#b57f4e"))
        depth = self.canvas.height - self.horizon
        for share in (0.12, 0.3, 0.55, 0.85):
            edge = line + np.float32(depth * share)
            self.canvas.below(edge, rgb("#9c6b40"), rgb("#9c6b40"), 0.45, int(edge[0] + max(1, depth * 0.012)))
        self.canvas.oval(self.canvas.width / 2, self.horizon + depth * 0.62, self.canvas.width * 0.42, depth * 0.3, rgb("#e9d9c4"), 0.85)
        self.canvas.oval(self.canvas.width / 2, self.horizon + depth * 0.62, self.canvas.width * 0.37, depth * 0.24, rgb("#c9705f"), 0.55)

    def _deep(self) -> None:
        canvas = self.canvas
        canvas.gradient([rgb("#7fd8e0"), rgb("#2f9fc6"), rgb("#1a6aa0"), rgb("#114a7c")])
        rows, columns = np.mgrid[0 : canvas.height, 0 : canvas.width].astype(np.float32)
        for _ in range(5):
            lean, start = self.rng.uniform(-0.35, 0.35), self.rng.uniform(0, 1) * canvas.width
            width = canvas.unit * self.rng.uniform(0.03, 0.09) * (1 + rows / canvas.height)
            beam = np.clip(1 - np.abs(columns - start - rows * np.float32(lean)) / width, 0, 1) * np.clip(1 - rows / (canvas.height * 0.8), 0, 1)
            canvas.blend((beam * 0.28).astype(np.float32), (235, 252, 255))
        floor = canvas.height * 0.9 + ridge(self.rng, canvas.width, 1.3) * canvas.height * 0.025
        canvas.below(floor.astype(np.float32), rgb("#d9c492"), rgb("#a8956a"))
        self._weed(floor)
        for _ in range(26):
            x, y, radius = self.rng.uniform(0, canvas.width), self.rng.uniform(0.05, 0.9) * canvas.height, canvas.unit * self.rng.uniform(0.003, 0.012)
            canvas.disc(x, y, radius, (220, 246, 252), 0.3)
            canvas.disc(x - radius * 0.3, y - radius * 0.3, radius * 0.35, (255, 255, 255), 0.6)

    def _weed(self, floor: Mask) -> None:
        for _ in range(int(11 * self.canvas.width / self.canvas.height) + 3):
            x, tall = self.rng.uniform(0, self.canvas.width), self.canvas.unit * self.rng.uniform(0.08, 0.2)
            colour = rgb(("#2f8f6a", "#3aa56a", "#d86a7a")[int(self.rng.integers(3))])
            phase, foot = self.rng.uniform(0, 6), float(floor[int(x) % self.canvas.width])
            for share in np.linspace(0, 1, 36):
                sway = np.sin(phase + share * 5) * self.canvas.unit * 0.012 * share
                self.canvas.disc(x + sway, foot + 4 - tall * share, self.canvas.unit * 0.007 * (1.3 - share), mix(colour, (20, 80, 120), 0.2))

    def _space(self) -> None:
        canvas = self.canvas
        canvas.gradient([rgb("#0b0b24"), rgb("#1c1646"), rgb("#34225c")])
        for colour in ("#7a3fa0", "#2f5fb8", "#b8457a", "#2f8fa8"):
            x, y = self.rng.uniform(0, 1) * canvas.width, self.rng.uniform(0, 0.9) * canvas.height
            canvas.glow(x, y, canvas.width * self.rng.uniform(0.35, 0.6), canvas.height * self.rng.uniform(0.2, 0.4), rgb(colour), 0.5)
        self._stars(int(200 * canvas.width / canvas.height) + 40, canvas.height)
        radius = max(canvas.width, canvas.height) * 0.9
        colour = rgb(("#e0916a", "#6fa8d8", "#b58ad0", "#8fc0a0")[self.scene.seed % 4])
        y = canvas.height * 0.9 + radius
        canvas.glow(canvas.width / 2, y, radius * 1.12, radius * 1.12, lighter(colour, 0.3), 0.9)
        canvas.disc(canvas.width / 2, y, radius, darker(colour, 0.25))
        canvas.disc(canvas.width / 2, y + radius * 0.02, radius, darker(colour, 0.4))

    # --- weather

    def _fog(self) -> None:
        for share in (0.5, 0.68, 0.85):
            line = self.canvas.height * share + ridge(self.rng, self.canvas.width, 1.4) * self.canvas.height * 0.05
            self.canvas.below(line.astype(np.float32), lighter(self.haze, 0.4), lighter(self.haze, 0.2), 0.3)

    def _rain(self) -> None:
        length, lean = self.canvas.unit * 0.045, 0.22
        height, width = int(length) + 1, int(length * lean) + 3
        rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
        drop = np.clip(1.2 - np.abs(columns - (height - rows) * lean - 1) / max(1.0, self.canvas.unit / 700), 0, 1) * (rows / height)
        for _ in range(int(190 * self.canvas.width / self.canvas.height) + 30):
            x, y = self.rng.uniform(-0.05, 1) * self.canvas.width, self.rng.uniform(-0.05, 1) * self.canvas.height
            self.canvas.blend((drop * self.rng.uniform(0.3, 0.7)).astype(np.float32), (226, 238, 248), int(x), int(y))

    def _snowfall(self) -> None:
        for _ in range(int(170 * self.canvas.width / self.canvas.height) + 30):
            x, y = self.rng.uniform(0, self.canvas.width), self.rng.uniform(0, self.canvas.height)
            self.canvas.disc(x, y, max(0.7, self.canvas.unit * self.rng.uniform(0.002, 0.006)), (255, 255, 255), self.rng.uniform(0.6, 0.95))
