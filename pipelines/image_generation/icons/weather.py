"""Weather before the figures."""

import numpy as np

from pipelines.image_generation.icons.canvas import lighter, ridge
from pipelines.image_generation.icons.setting import Setting


class Weather(Setting):
    """Paints the weather of a scene outdoors."""

    def fog(self) -> None:
        """Banks of mist."""
        for share in (0.5, 0.68, 0.85):
            line = self.canvas.height * share + ridge(self.rng, self.canvas.width, 1.4) * self.canvas.height * 0.05
            self.canvas.below(line.astype(np.float32), lighter(self.haze, 0.4), lighter(self.haze, 0.2), 0.3)

    def rain(self) -> None:
        """Slanting drops."""
        length, lean = self.canvas.unit * 0.045, 0.22
        height, width = int(length) + 1, int(length * lean) + 3
        rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
        drop = np.clip(1.2 - np.abs(columns - (height - rows) * lean - 1) / max(1.0, self.canvas.unit / 700), 0, 1) * (
            rows / height
        )
        for _ in range(int(190 * self.canvas.width / self.canvas.height) + 30):
            x, y = self.rng.uniform(-0.05, 1) * self.canvas.width, self.rng.uniform(-0.05, 1) * self.canvas.height
            self.canvas.blend((drop * self.rng.uniform(0.3, 0.7)).astype(np.float32), (226, 238, 248), int(x), int(y))

    def snow(self) -> None:
        """Flakes."""
        for _ in range(int(170 * self.canvas.width / self.canvas.height) + 30):
            x, y = self.rng.uniform(0, self.canvas.width), self.rng.uniform(0, self.canvas.height)
            self.canvas.disc(
                x,
                y,
                max(0.7, self.canvas.unit * self.rng.uniform(0.002, 0.006)),
                (255, 255, 255),
                opacity=self.rng.uniform(0.6, 0.95),
            )
