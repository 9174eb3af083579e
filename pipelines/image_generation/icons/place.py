"""Places without a sky: a room, a table, the deep sea, space."""

import numpy as np

from pipelines.image_generation.icons.canvas import Mask, darker, ink, lighter, mix, ridge
from pipelines.image_generation.icons.looks import Colour, rgb
from pipelines.image_generation.icons.setting import Setting


class Place(Setting):
    """Paints a scene that has no sky."""

    def wall(self) -> None:
        """A papered wall with a window, or a plain one behind a table."""
        walls = (
            ("#f6dcc4", "#fbeee0"),
            ("#cfe3df", "#eaf4ef"),
            ("#d9d6ee", "#f0eefa"),
            ("#f7d9d6", "#fdf0ea"),
            ("#d4e4f2", "#eef5fa"),
        )
        upper, lower = walls[self.scene.seed % len(walls)]
        self.canvas.gradient([rgb(upper), rgb(lower)], 0, int(self.horizon) + 2)
        if self.scene.ground == "table":
            x, y, radius = self.canvas.width * 0.5, self.horizon * 0.62, self.canvas.unit * 0.43
            self.canvas.glow(x, y, radius * 2, radius * 2, (255, 255, 255), opacity=0.5)
            self.canvas.disc(x, y, radius, lighter(rgb(lower), 0.45), opacity=0.75)
            return
        stripe = self.canvas.unit * 0.07
        for index in range(0, int(self.canvas.width / stripe) + 1, 2):
            self.canvas.blend(
                np.full((int(self.horizon), max(1, int(stripe))), 0.35, np.float32),
                lighter(rgb(lower), 0.4),
                int(index * stripe),
            )
        self._window(darker(rgb(upper), 0.12))

    def _window(self, frame: Colour) -> None:
        size = int(min(self.canvas.unit * 0.3, self.horizon * 0.5))
        x, y = int(self.free_x() * self.canvas.width - size / 2), int(self.horizon * 0.12)
        border = max(1, size // 14)
        self.canvas.blend(
            np.ones((size + 2 * border, size + 2 * border), np.float32), (255, 253, 248), x - border, y - border
        )
        view = np.linspace(0, 1, size, dtype=np.float32)[:, None, None]
        top, bottom = ink(rgb("#8fcdf4")), ink(rgb("#e6f5fb"))
        self.canvas.blend(
            np.ones((size, size), np.float32), np.broadcast_to(top + (bottom - top) * view, (size, size, 3)), x, y
        )
        middle = (size - border) // 2
        self.canvas.blend(np.ones((size, border), np.float32), (255, 253, 248), x + middle, y)
        self.canvas.blend(np.ones((border, size), np.float32), (255, 253, 248), x, y + middle)
        self.canvas.blend(np.ones((border, size + 4 * border), np.float32), frame, x - 2 * border, y + size + border)

    def table(self) -> None:
        """A wooden table top."""
        line = np.full(self.canvas.width, self.horizon, np.float32)
        wood = ("#d9a066", "#c98d5a", "#e0b07a")[self.scene.seed % 3]
        self.canvas.below(line, lighter(rgb(wood), 0.18), darker(rgb(wood), 0.1))
        depth = self.canvas.height - self.horizon
        for share in (0.1, 0.27, 0.5, 0.78):
            grain = self.horizon + depth * share + ridge(self.rng, self.canvas.width, 1.5, 2) * depth * 0.02
            self.canvas.below(
                grain.astype(np.float32),
                darker(rgb(wood), 0.22),
                darker(rgb(wood), 0.22),
                0.3,
                int(grain.max() + max(1, depth * 0.004)),
            )
        self.canvas.below(
            line, lighter(rgb(wood), 0.5), lighter(rgb(wood), 0.5), 0.8, int(self.horizon + max(1, depth * 0.02))
        )

    def floor(self) -> None:
        """Floorboards and a rug."""
        line = np.full(self.canvas.width, self.horizon, np.float32)
        self.canvas.below(line - np.float32(self.canvas.height * 0.025), (255, 253, 248), (240, 234, 226))
        self.canvas.below(line, rgb("#d3a16c"), rgb("#b57f4e"))
        depth = self.canvas.height - self.horizon
        for share in (0.12, 0.3, 0.55, 0.85):
            edge = line + np.float32(depth * share)
            self.canvas.below(edge, rgb("#9c6b40"), rgb("#9c6b40"), 0.45, int(edge[0] + max(1, depth * 0.012)))
        self.canvas.oval(
            self.canvas.width / 2,
            self.horizon + depth * 0.62,
            self.canvas.width * 0.42,
            depth * 0.3,
            rgb("#e9d9c4"),
            opacity=0.85,
        )
        self.canvas.oval(
            self.canvas.width / 2,
            self.horizon + depth * 0.62,
            self.canvas.width * 0.37,
            depth * 0.24,
            rgb("#c9705f"),
            opacity=0.55,
        )

    def deep(self) -> None:
        """Water lit from above, sand and weeds."""
        canvas = self.canvas
        canvas.gradient([rgb("#7fd8e0"), rgb("#2f9fc6"), rgb("#1a6aa0"), rgb("#114a7c")])
        rows = np.arange(canvas.height, dtype=np.float32)[:, None]
        columns = np.arange(canvas.width, dtype=np.float32)[None, :]
        for _ in range(5):
            lean, start = self.rng.uniform(-0.35, 0.35), self.rng.uniform(0, 1) * canvas.width
            width = canvas.unit * self.rng.uniform(0.03, 0.09) * (1 + rows / canvas.height)
            beam = np.clip(1 - np.abs(columns - start - rows * np.float32(lean)) / width, 0, 1) * np.clip(
                1 - rows / (canvas.height * 0.8), 0, 1
            )
            canvas.blend((beam * 0.28).astype(np.float32), (235, 252, 255))
        floor = canvas.height * 0.9 + ridge(self.rng, canvas.width, 1.3) * canvas.height * 0.025
        canvas.below(floor.astype(np.float32), rgb("#d9c492"), rgb("#a8956a"))
        self._weed(floor)
        for _ in range(26):
            x, y, radius = (
                self.rng.uniform(0, canvas.width),
                self.rng.uniform(0.05, 0.9) * canvas.height,
                canvas.unit * self.rng.uniform(0.003, 0.012),
            )
            canvas.disc(x, y, radius, (220, 246, 252), opacity=0.3)
            canvas.disc(x - radius * 0.3, y - radius * 0.3, radius * 0.35, (255, 255, 255), opacity=0.6)

    def _weed(self, floor: Mask) -> None:
        for _ in range(int(11 * self.canvas.width / self.canvas.height) + 3):
            x, tall = self.rng.uniform(0, self.canvas.width), self.canvas.unit * self.rng.uniform(0.08, 0.2)
            colour = rgb(("#2f8f6a", "#3aa56a", "#d86a7a")[int(self.rng.integers(3))])
            phase, foot = self.rng.uniform(0, 6), float(floor[int(x) % self.canvas.width])
            for share in np.linspace(0, 1, 36):
                sway = np.sin(phase + share * 5) * self.canvas.unit * 0.012 * share
                self.canvas.disc(
                    x + sway,
                    foot + 4 - tall * share,
                    self.canvas.unit * 0.007 * (1.3 - share),
                    mix(colour, (20, 80, 120), 0.2),
                )

    def space(self) -> None:
        """Stars, nebulae and the limb of a planet."""
        canvas = self.canvas
        canvas.gradient([rgb("#0b0b24"), rgb("#1c1646"), rgb("#34225c")])
        for colour in ("#7a3fa0", "#2f5fb8", "#b8457a", "#2f8fa8"):
            x, y = self.rng.uniform(0, 1) * canvas.width, self.rng.uniform(0, 0.9) * canvas.height
            canvas.glow(
                x,
                y,
                canvas.width * self.rng.uniform(0.35, 0.6),
                canvas.height * self.rng.uniform(0.2, 0.4),
                rgb(colour),
                opacity=0.5,
            )
        self.stars(int(200 * canvas.width / canvas.height) + 40, canvas.height)
        radius = max(canvas.width, canvas.height) * 0.9
        ground = rgb(("#e0916a", "#6fa8d8", "#b58ad0", "#8fc0a0")[self.scene.seed % 4])
        y = canvas.height * 0.9 + radius
        canvas.glow(canvas.width / 2, y, radius * 1.12, radius * 1.12, lighter(ground, 0.3), opacity=0.9)
        canvas.disc(canvas.width / 2, y, radius, darker(ground, 0.25))
        canvas.disc(canvas.width / 2, y + radius * 0.02, radius, darker(ground, 0.4))
