"""The land: mountains, hills, towns and what the figures stand on."""

from collections.abc import Callable

import numpy as np

from pipelines.image_generation.icons.canvas import Mask, darker, lighter, luminance, mix, ridge
from pipelines.image_generation.icons.looks import Colour, rgb
from pipelines.image_generation.icons.setting import Setting


class Land(Setting):
    """Paints the distance and the ground of a scene outdoors."""

    def paint_distance(self) -> None:
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
            line = (
                self.horizon
                - swell * (0.9 - index * 0.55)
                + ridge(self.rng, self.canvas.width, 1.3 + index) * swell * 0.6
            )
            colour = mix(self.lit(rgb(green)), self.haze, far)
            self.canvas.below(line.astype(np.float32), lighter(colour, 0.06), colour)
            if index == 1 and ground in {"grass", "snow", "sea"}:
                self._woods(line, colour, 46 if "forest" in features else 12, ground == "snow")

    def _mountains(self) -> None:
        for index, (far, height) in enumerate(((0.55, 0.34), (0.3, 0.24))):
            peaks = 3 + index * 2
            xs = np.linspace(-0.1, 1.1, 2 * peaks + 1) + self.rng.uniform(-0.04, 0.04, 2 * peaks + 1)
            ys = np.where(
                np.arange(2 * peaks + 1) % 2,
                self.rng.uniform(0.65, 1, 2 * peaks + 1),
                self.rng.uniform(0.1, 0.4, 2 * peaks + 1),
            )
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
        for x in np.sort(
            self.rng.uniform(0, self.canvas.width, int(count * self.canvas.width / self.canvas.height) + 3)
        ):
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
                colour = mix(base, self.haze, far)
                self._tower(int(x), int(self.horizon - tall), (int(width), int(tall * 1.3)), colour, lit=index > 0)
                x += width * self.rng.uniform(0.9, 1.25)

    def _tower(self, x: int, y: int, size: tuple[int, int], colour: Colour, *, lit: bool) -> None:
        width, height = size
        self.canvas.blend(np.ones((height, width), np.float32), colour, x, y)
        pane = max(2, int(self.canvas.unit * 0.011))
        lights = rgb("#ffe08a") if luminance(self.haze) < 150 else lighter(colour, 0.35)
        for row in range(y + pane * 2, y + height, pane * 3):
            for column in range(x + pane, x + width - pane, pane * 2):
                if self.rng.random() < 0.55 and lit:
                    self.canvas.blend(np.full((int(pane * 1.4), pane), 0.8, np.float32), lights, column, row)

    def paint_ground(self) -> None:
        """Paint what the figures stand on."""
        grounds: dict[str, Callable[[], None]] = {
            "grass": self._grass, "snow": self._snow, "desert": self._desert, "sea": self._sea, "beach": self._beach,
            "road": self._road,
        }  # fmt: skip
        grounds[self.scene.ground]()

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
            line.astype(np.float32),
            self.lit(rgb("#c4a047" if autumn else "#7cbd55")),
            self.lit(rgb("#94762f" if autumn else "#3f8743")),
        )
        self._tufts("#6a7a2f" if autumn else "#3d8a44")
        self._blossoms()

    def _tufts(self, colour: str) -> None:
        depth = self.canvas.height - self.horizon
        for _ in range(int(36 * self.canvas.width / self.canvas.height) + 8):
            x, share = self.rng.uniform(0, self.canvas.width), self.rng.uniform(0.12, 1)
            y, size = self.horizon + depth * share, self.canvas.unit * 0.013 * (0.4 + share)
            for lean in (-0.5, 0, 0.5):
                self.canvas.oval(
                    x + lean * size,
                    y - size * (0.5 - abs(lean) * 0.3),
                    size * 0.14,
                    size * (0.7 - abs(lean) * 0.4),
                    self.lit(rgb(colour)),
                    opacity=0.55,
                )

    def _blossoms(self) -> None:
        depth = self.canvas.height - self.horizon
        for _ in range(int(16 * self.canvas.width / self.canvas.height) + 4):
            x, share = self.rng.uniform(0, self.canvas.width), self.rng.uniform(0.15, 1)
            radius = self.canvas.unit * 0.0042 * (0.5 + share)
            colour = ("#fff6e6", "#ffe27a", "#ffd0dc")[int(self.rng.integers(3))]
            self.canvas.disc(x, self.horizon + depth * share, radius, self.lit(rgb(colour)), opacity=0.9)

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
            self.canvas.oval(
                self.rng.uniform(0, self.canvas.width),
                y,
                length,
                max(0.6, length * 0.05),
                lighter(self.haze, 0.5),
                opacity=0.4,
            )

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
        self.canvas.below(
            (line - depth * 0.03).astype(np.float32), self.lit((250, 253, 255)), self.lit((250, 253, 255)), 0.85
        )
        self.canvas.below(line.astype(np.float32), self.lit(rgb("#e8cb92")), self.lit(rgb("#f2dca8")))
        self.canvas.below((line + depth * 0.07).astype(np.float32), self.lit(rgb("#f6e2b4")), self.lit(rgb("#e6c486")))
        for _ in range(60):
            y = self.rng.uniform(shore + depth * 0.12, self.canvas.height)
            self.canvas.disc(
                self.rng.uniform(0, self.canvas.width),
                y,
                self.canvas.unit * 0.002,
                self.lit(rgb("#c9a566")),
                opacity=0.6,
            )

    def _road(self) -> None:
        """A verge, and asphalt with a dashed line."""
        self._near("#8fc862", "#5fa450", 0.01)
        depth = self.canvas.height - self.horizon
        edge = np.full(self.canvas.width, self.horizon + depth * 0.2, np.float32)
        self.canvas.below(edge, self.lit(rgb("#d8d3c8")), self.lit(rgb("#d8d3c8")))
        self.canvas.below(
            edge + np.float32(depth * 0.05),
            self.lit(rgb("#5d6270")),
            self.lit(rgb("#474b58")),
            1.0,
            int(self.horizon + depth * 0.93),
        )
        dash, y = self.canvas.unit * 0.12, self.horizon + depth * 0.74
        x = -self.rng.uniform(0, dash)
        while x < self.canvas.width:
            mark = np.ones((max(1, int(depth * 0.028)), max(1, int(dash * 0.62))), np.float32)
            self.canvas.blend(mark, self.lit(rgb("#f6efdc")), int(x), int(y))
            x += dash
        self.canvas.below(edge + np.float32(depth * 0.73), self.lit(rgb("#d8d3c8")), self.lit(rgb("#6fb055")))
