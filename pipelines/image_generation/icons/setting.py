"""What the painters of sky, land and rooms share: the scene, its canvas and its light."""

import numpy as np

from pipelines.image_generation.icons.canvas import Canvas, darker, lighter, mix
from pipelines.image_generation.icons.looks import Colour, rgb
from pipelines.image_generation.icons.scene import Scene

_SKIES: dict[str, tuple[tuple[str, ...], ...]] = {
    "day": (("#4aa3e8", "#8fcdf4", "#dff3fb"), ("#3f97dc", "#86c6ee", "#fdf0d8"), ("#5bb0ea", "#a8dcf2", "#eef7ec")),
    "sunset": (("#3d3a78", "#a8487f", "#f2785a", "#ffc978"), ("#4a2f6b", "#d1556a", "#f99a5b", "#ffdd98")),
    "dawn": (("#7fa8dc", "#d3b7d6", "#fbcdb2", "#ffe9bf"), ("#8fb8e6", "#f0c4d0", "#ffe0b8")),
    "night": (("#0d1333", "#1d2a5e", "#3c4f8c"), ("#10112e", "#2a2560", "#5a4a8a")),
    "cloudy": (("#93a5b8", "#bccad6", "#e3e9ec"),),
    "rain": (("#62748a", "#8c9cad", "#bac6cf"),),
    "storm": (("#353c52", "#5a6478", "#8c93a3"),),
}
_LIGHT: dict[str, tuple[str, float]] = {
    "day": ("#ffffff", 0.0),
    "dawn": ("#ffd6b0", 0.14),
    "sunset": ("#ff9a6a", 0.24),
    "night": ("#1a2250", 0.56),
    "cloudy": ("#a8b4c0", 0.14),
    "rain": ("#6a7a8c", 0.28),
    "storm": ("#3a4258", 0.38),
}


class Setting:
    """One scene on one canvas, in the light of its sky."""

    def __init__(self, scene: Scene, canvas: Canvas, rng: np.random.Generator) -> None:
        self.scene = scene
        self.canvas = canvas
        self.rng = rng
        self.horizon = scene.horizon * canvas.height
        self.tint, self.shade = (rgb(_LIGHT[scene.sky][0]), _LIGHT[scene.sky][1])
        self.haze = self.sky_stops()[-1]

    def lit(self, colour: Colour, share: float = 1.0) -> Colour:
        """A colour under the scene's light."""
        return mix(colour, self.tint, self.shade * share)

    def sky_stops(self) -> list[Colour]:
        """The sky's colours from the zenith to the horizon."""
        choices = _SKIES[self.scene.sky]
        stops = [rgb(stop) for stop in choices[self.scene.seed % len(choices)]]
        if (stated := self.scene.sky_colour) is None:
            return stops
        if self.scene.sky == "night":
            return [darker(stated, 0.75), darker(stated, 0.5), darker(stated, 0.25)]
        return [darker(stated, 0.1), lighter(stated, 0.15), lighter(stated, 0.5)]

    def free_x(self) -> float:
        """A place in the sky that no figure covers, as a fraction of the width."""
        places = self.rng.permutation(np.linspace(0.14, 0.86, 7))
        high = [figure for figure in self.scene.figures if figure.top < 0.42]

        def room(x: float) -> float:
            return min((abs(figure.x - x) - figure.width / 2 for figure in high), default=1.0)

        return float(next((x for x in places if room(x) > 0.1), max(places, key=room)))

    def stars(self, count: int, depth: float) -> None:
        """Scatter stars over the upper `depth` rows; some sparkle."""
        size = self.canvas.unit / 700
        for index in range(count):
            x, y = self.rng.uniform(0, self.canvas.width), self.rng.uniform(0, depth)
            radius = max(0.5, size * self.rng.uniform(0.6, 1.9))
            self.canvas.disc(x, y, radius, (255, 250, 232), opacity=self.rng.uniform(0.4, 0.95))
            if index % 14 == 0:
                self.canvas.glow(x, y, radius * 9, radius * 1.3, (255, 255, 255), opacity=0.8)
                self.canvas.glow(x, y, radius * 1.3, radius * 9, (255, 255, 255), opacity=0.8)
