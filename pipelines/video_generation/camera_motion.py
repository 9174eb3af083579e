"""A still image comes alive by a camera that slowly moves into it: needs no weights, runs on a CPU.

A depth map is guessed from what photographs have in common (the ground is near at the bottom, what is sharp and unlike
the image's border stands in front), made to follow the image's edges by a guided filter (He et al. 2010,
https://kaiminghe.github.io/eccv10/) and kept smooth, so that near things move more than far ones and nothing tears.

What it does not know: what is in the image. Nothing in it moves by itself, and what hides behind things stays unseen.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from pipelines.contracts.engine import EngineConfig, ModelCard, Resources
from pipelines.contracts.errors import InvalidInput
from pipelines.contracts.progress import Progress, no_progress
from pipelines.media import Rgb
from pipelines.video_generation.base import Clip, VideoGenerator, VideoRequest

Plane = NDArray[np.float32]

_DURATION_S = 4
_FPS = 25.0
_MOTION = 0.5
_MOST_FRAMES = 600
_GUESS_SIDE_PX = 256  # the depth is guessed on a copy of this size
_GRID_PX = 4  # motion is worked out for every fourth pixel and interpolated: it is smooth
_STRONGEST_PUSH = 0.26  # how much closer the camera comes, as a part of the size, at motion 1
_EVEN_PACE = 0.4  # share of steady motion: with pure easing the first frames would stand still


class CameraMotionConfig(EngineConfig):
    """A camera moves into the image."""

    engine: Literal["camera-motion"] = "camera-motion"
    """Chooses this engine."""

    longest_side_px: int = 1280
    """Longer side of the video in pixels; smaller images keep their size."""

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model="camera-motion",
            license="Apache-2.0",
            description="Moves a camera into the image by guessed depth; no neural network, nothing moves by itself.",
            embedded=True,
        )

    def load(self, resources: Resources) -> "CameraMotion":
        """Make the engine."""
        return CameraMotion.load(self)


class CameraMotion(VideoGenerator):
    """Parallax camera. Keeps no state."""

    def __init__(self, longest_side_px: int) -> None:
        """`longest_side_px` bounds the video's size."""
        self._longest_side_px = longest_side_px

    @classmethod
    def load(cls, config: CameraMotionConfig) -> Self:
        """Nothing has to be loaded."""
        return cls(config.longest_side_px)

    def generate(self, image: Rgb, request: VideoRequest, *, progress: Progress = no_progress) -> Clip:
        """As the base says. Takes 2 to 600 frames at 1 to 60 a second; by default 4 s at 25."""
        fps = _checked("fps", request.fps, _FPS, 1, 60)
        count = round(_checked("frames", request.frames, round(_DURATION_S * fps), 2, _MOST_FRAMES))
        motion = _checked("motion", request.motion, _MOTION, 0, 1)
        progress(0.0, "looking")
        picture = _fitted(image, self._longest_side_px)
        path = _Path.choose(motion, np.random.default_rng(request.seed))
        height, width = picture.shape[:2]
        return Clip(_render(picture, path, count, progress), count, fps, width, height)


@dataclass(frozen=True)
class _Path:
    """Where the camera goes. Lengths are parts of the image's shorter side."""

    push: float
    across: float
    down: float
    bow: float

    @classmethod
    def choose(cls, motion: float, rng: np.random.Generator) -> Self:
        """One of endless paths: mostly sideways, as heads move, a little up or down, slightly bowed."""
        push = _STRONGEST_PUSH * motion
        angle = float(rng.uniform(-0.5, 0.5)) + (math.pi if rng.random() < 0.5 else 0.0)
        reach = 0.25 * push
        return cls(push, reach * math.cos(angle), reach * math.sin(angle), float(rng.choice((-0.35, 0.35))))

    def at(self, done: float) -> tuple[float, float, float]:
        """Push and shift after `done` (0 to 1) of the time: eased at both ends, never quite at rest."""
        eased = _EVEN_PACE * done + (1 - _EVEN_PACE) * done * done * (3 - 2 * done)
        bow = self.bow * math.sin(math.pi * eased)
        return self.push * eased, self.across * eased - self.down * bow, self.down * eased + self.across * bow


def _render(picture: Rgb, path: _Path, count: int, progress: Progress) -> Iterator[Rgb]:
    """The frames; the first is the image itself."""
    import cv2

    height, width = picture.shape[:2]
    depth = _guess_depth(picture)
    grid = (max(1, width // _GRID_PX), max(1, height // _GRID_PX))
    depth = np.asarray(cv2.resize(depth, grid, interpolation=cv2.INTER_AREA), np.float32)
    focus = _focus(depth)
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    for index in range(count):
        progress(index / count, "rendering")
        if index == 0:
            yield picture.copy()
            continue
        across, down = _displacement(depth, focus, path.at(index / (count - 1)))
        x = columns + cv2.resize(across, (width, height)) * width
        y = rows + cv2.resize(down, (width, height)) * height
        yield np.asarray(cv2.remap(picture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101), np.uint8)


def _displacement(depth: Plane, focus: tuple[float, float], pose: tuple[float, float, float]) -> tuple[Plane, Plane]:
    """From where each pixel of a frame comes, relative to where it is, as parts of width and height.

    Depth belongs to the place a pixel comes from, which is what is sought: found in a few rounds, as both are smooth.
    """
    import cv2

    push, shift_across, shift_down = pose
    height, width = depth.shape
    shorter = min(height, width)
    x = (np.arange(width, dtype=np.float32) + 0.5) / width
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height
    # Sideways, a place moves by how near it is among its row's: else the ground's slope would bend what stands upright.
    planes = np.dstack([depth, depth - depth.mean(1, keepdims=True)])
    across = np.zeros_like(depth)
    down = np.zeros_like(depth)
    for _ in range(3):
        columns, rows = (x + across) * width - 0.5, (y + down) * height - 0.5
        seen = cv2.remap(planes, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        near, apart = seen[..., 0], seen[..., 1]
        closer = 1 / (1 + push * (0.75 + 0.5 * near)) - 1
        across = (x - focus[0]) * closer - apart * (shift_across * shorter / width)
        down = (y - focus[1]) * closer - apart * (shift_down * shorter / height)
    return across, down


def _guess_depth(picture: Rgb) -> Plane:
    """How near each place seems, float32 (h, w) of a small copy, 0 (far) to 1 (near)."""
    import cv2

    height, width = picture.shape[:2]
    scale = min(1.0, _GUESS_SIDE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    lab = np.asarray(cv2.cvtColor(np.asarray(small, np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
    lightness = np.asarray(lab[..., 0] / 100, np.float32)
    radius = max(size) / 16
    low = np.asarray(np.linspace(0, 1, size[1])[:, None] ** 1.5, np.float32)
    guess: Plane = 0.35 * low + 0.2 * _sharpness(lightness, radius) + 0.45 * _foreground(lab, radius)
    followed = _guided(lightness, guess, round(radius))
    smooth = _blur(followed, radius / 4)
    bottom, top = np.percentile(smooth, (2, 98))
    return np.asarray(np.clip((smooth - bottom) / max(top - bottom, 0.05), 0, 1), np.float32)


def _sharpness(lightness: Plane, radius: float) -> Plane:
    """Where the image is in focus, 0 to 1."""
    import cv2

    detail = np.abs(cv2.Laplacian(lightness, cv2.CV_32F))
    return _to_unit(_blur(np.minimum(detail, 0.2), radius))


def _foreground(lab: Plane, radius: float) -> Plane:
    """What is unlike the left, right and upper border, the more so near the middle, 0 to 1."""
    height, width = lab.shape[:2]
    strip = max(1, round(radius / 2))
    border = np.concatenate([part.reshape(-1, 3) for part in (lab[:strip], lab[:, :strip], lab[:, -strip:])])
    centres = np.stack([part.reshape(-1, 3).mean(0) for part in (lab[:strip], lab[:, :strip], lab[:, -strip:])])
    spread = border.std(0).mean() + 5
    distance = np.min([np.linalg.norm(lab - centre, axis=-1) for centre in centres], 0) / spread
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    middle = np.exp(-(x * x + y * y))
    return _to_unit(_blur(np.asarray(np.minimum(distance, 3) * middle, np.float32), radius / 2))


def _guided(guide: Plane, values: Plane, radius: int) -> Plane:
    """`values` smoothed along the guide's surfaces, not over its edges."""
    import cv2

    def mean(plane: Plane) -> Plane:
        return np.asarray(cv2.blur(plane, (2 * radius + 1, 2 * radius + 1)), np.float32)

    mean_guide, mean_values = mean(guide), mean(values)
    slope = (mean(guide * values) - mean_guide * mean_values) / (mean(guide * guide) - mean_guide**2 + 0.01)
    return mean(slope) * guide + mean(mean_values - slope * mean_guide)


def _focus(depth: Plane) -> tuple[float, float]:
    """The point the camera makes for: the middle of what is near, not far from the image's, and never below it."""
    height, width = depth.shape
    weight = depth**2 + 1e-3
    x = float((weight.sum(0) * (np.arange(width) + 0.5)).sum() / weight.sum() / width)
    y = float((weight.sum(1) * (np.arange(height) + 0.5)).sum() / weight.sum() / height)
    return min(max(x, 0.4), 0.6), min(max(y, 0.4), 0.5)


def _fitted(image: Rgb, longest_side_px: int) -> Rgb:
    """The image at the video's size, with even sides."""
    import cv2

    height, width = image.shape[:2]
    scale = min(1.0, longest_side_px / max(height, width))
    size = (max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _checked(name: str, value: float | None, default: float, least: float, most: float) -> float:
    if value is None:
        return default
    if not least <= value <= most:
        raise InvalidInput(f"{name} must be from {least:g} to {most:g}.", name)
    return value


def _to_unit(plane: Plane) -> Plane:
    return np.asarray(plane / max(float(plane.max()), 1e-6), np.float32)


def _blur(plane: Plane, sigma: float) -> Plane:
    import cv2

    return np.asarray(cv2.GaussianBlur(plane, (0, 0), max(sigma, 0.3)), np.float32)
