"""Video from a still image by a camera that slowly moves into it: needs no weights, runs on a CPU.

A depth map is guessed from what photographs have in common (the ground is near at the bottom; what is sharp and unlike
the image's border stands in front), made to follow the image's edges by a guided filter (He et al. 2010,
https://kaiminghe.github.io/eccv10/) and kept smooth, so that near things move more than far ones and nothing tears.

It does not understand the image: nothing moves by itself, and what is hidden stays hidden.
"""

import math
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipelines.contracts.engine import EngineConfig, ModelCard, Resources
from pipelines.contracts.errors import InvalidInput
from pipelines.contracts.progress import Progress, no_progress
from pipelines.media import Rgb
from pipelines.video_generation.base import Clip, VideoGenerator, VideoRequest

Plane = NDArray[np.float32]
Path = Callable[[float], tuple[float, float, float]]
"""Share of the time passed to the camera's push and its shift right and down, in parts of the shorter side."""

_DURATION_S = 4
_DEPTH_SIDE_PX = 256  # the depth is guessed on a copy of this size
_GRID_PX = 4  # motion is smooth: computed for every fourth pixel and interpolated
_MAX_PUSH = 0.26  # how much closer the camera comes, as a part of the size, at motion 1
_EVEN_PACE = 0.4  # share of steady motion: with pure easing the first frames would stand still


class CameraMotionConfig(EngineConfig):
    """A camera moves into the image."""

    engine: Literal["camera-motion"] = "camera-motion"
    longest_side_px: int = Field(1280, description="Longer side of the video; smaller images keep their size.")

    def card(self) -> ModelCard:
        """What this configuration answers with."""
        return ModelCard(
            model="camera-motion",
            license="Apache-2.0",
            description="Moves a camera into the image by guessed depth; no neural network, nothing moves by itself.",
            embedded=True,
        )

    def load(self, resources: Resources) -> "CameraMotion":
        """Nothing has to be read."""
        return CameraMotion(self.longest_side_px)


class CameraMotion(VideoGenerator):
    """Parallax camera, for videos of at most `max_side_px` pixels on the longer side. Keeps no state."""

    def __init__(self, max_side_px: int) -> None:
        self._max_side_px = max_side_px

    def generate(self, image: Rgb, request: VideoRequest, *, progress: Progress = no_progress) -> Clip:
        """As the base says. Takes 2 to 600 frames at 1 to 60 a second; by default 4 s at 25."""
        request.require_no_prompt()
        fps = _checked("fps", request.fps, 25.0, 1, 60)
        count = round(_checked("frames", request.frames, round(_DURATION_S * fps), 2, 600))
        motion = _checked("motion", request.motion, 0.5, 0, 1)
        progress(0.0, "looking")
        image = _shrunk(image, self._max_side_px, multiple=2)
        path = _choose_path(motion, np.random.default_rng(request.seed))
        return Clip(_render(image, path, count, progress), count, fps, image.shape[1], image.shape[0])


def _checked(name: str, value: float | None, default: float, low: float, high: float) -> float:
    value = default if value is None else value
    if not low <= value <= high:
        raise InvalidInput(f"{name} must be from {low:g} to {high:g}.", name)
    return value


def _shrunk(image: Rgb, max_side_px: int, multiple: int) -> Rgb:
    """The image within a size, both sides a multiple of a number; a smaller image keeps its size."""
    import cv2

    scale = min(1.0, max_side_px / max(image.shape[:2]))
    width, height = (max(1, round(side * scale / multiple)) * multiple for side in image.shape[1::-1])
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _choose_path(motion: float, rng: np.random.Generator) -> Path:
    """A way into the image: mostly sideways, as heads move, a little up or down, slightly bowed."""
    push = _MAX_PUSH * motion
    angle = float(rng.uniform(-0.5, 0.5)) + (math.pi if rng.random() < 0.5 else 0.0)
    right, down = 0.25 * push * math.cos(angle), 0.25 * push * math.sin(angle)
    bend = float(rng.choice((-0.35, 0.35)))

    def at(done: float) -> tuple[float, float, float]:
        eased = _EVEN_PACE * done + (1 - _EVEN_PACE) * done * done * (3 - 2 * done)
        bow = bend * math.sin(math.pi * eased)
        return push * eased, right * eased - down * bow, down * eased + right * bow

    return at


def _render(image: Rgb, path: Path, count: int, progress: Progress) -> Iterator[Rgb]:
    """The frames; the first is the image itself, as the path begins at rest."""
    import cv2

    height, width = image.shape[:2]
    grid = (max(1, width // _GRID_PX), max(1, height // _GRID_PX))
    depth = np.asarray(cv2.resize(_guess_depth(image), grid, interpolation=cv2.INTER_AREA), np.float32)
    focus = _focus(depth)
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    for index in range(count):
        progress(index / count, "rendering")
        across, down = _displacement(depth, focus, path(index / (count - 1)))
        x = columns + cv2.resize(across, (width, height)) * width
        y = rows + cv2.resize(down, (width, height)) * height
        yield np.asarray(cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101), np.uint8)


def _displacement(depth: Plane, focus: tuple[float, float], pose: tuple[float, float, float]) -> tuple[Plane, Plane]:
    """Offset from each pixel of a frame to its source in the image, as parts of width and height.

    Depth belongs to the place a pixel comes from, which is what is sought: found in a few rounds, as both are smooth.
    """
    import cv2

    push, right, lower = pose
    height, width = depth.shape
    x = (np.arange(width, dtype=np.float32) + 0.5) / width
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height
    # Sideways, a place moves by how near it is among its row's: else the ground's slope would bend what stands upright.
    planes = np.dstack([depth, depth - depth.mean(1, keepdims=True)])
    across, down = np.zeros_like(depth), np.zeros_like(depth)
    for _ in range(3):
        columns, rows = (x + across) * width - 0.5, (y + down) * height - 0.5
        seen = cv2.remap(planes, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        near, apart = seen[..., 0], seen[..., 1]
        closer = 1 / (1 + push * (0.75 + 0.5 * near)) - 1
        across = (x - focus[0]) * closer - apart * (right * min(height, width) / width)
        down = (y - focus[1]) * closer - apart * (lower * min(height, width) / height)
    return across, down


def _guess_depth(image: Rgb) -> Plane:
    """How near each place seems, float32 (h, w) of a small copy, 0 (far) to 1 (near)."""
    import cv2

    def blur(plane: Plane, sigma: float) -> Plane:
        return np.asarray(cv2.GaussianBlur(plane, (0, 0), max(sigma, 0.3)), np.float32)

    def mean(plane: Plane) -> Plane:
        return np.asarray(cv2.blur(plane, (2 * round(radius) + 1,) * 2), np.float32)

    small = _shrunk(image, _DEPTH_SIDE_PX, multiple=1)
    lab = np.asarray(cv2.cvtColor(np.asarray(small, np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
    lightness = np.asarray(lab[..., 0] / 100, np.float32)
    radius = max(small.shape) / 16
    low = np.linspace(0, 1, len(small), dtype=np.float32)[:, None] ** 1.5
    sharp = blur(np.minimum(np.abs(cv2.Laplacian(lightness, cv2.CV_32F)), 0.2), radius)
    front = blur(_unlike_border(lab, max(1, round(radius / 2))), radius / 2)
    guess: Plane = 0.35 * low + 0.2 * sharp / max(sharp.max(), 1e-6) + 0.45 * front / max(front.max(), 1e-6)
    # The guided filter: smooth along the image's surfaces, not over its edges.
    variance = mean(lightness * lightness) - mean(lightness) ** 2
    slope = (mean(guess * lightness) - mean(guess) * mean(lightness)) / (variance + 0.01)
    smooth = blur(mean(slope) * lightness + mean(mean(guess) - slope * mean(lightness)), radius / 4)
    far, near = np.percentile(smooth, (2, 98))
    return np.asarray(np.clip((smooth - far) / max(near - far, 0.05), 0, 1), np.float32)


def _unlike_border(lab: Plane, strip: int) -> Plane:
    """How unlike the left, right and upper border each place is, the more so near the middle."""
    height, width = lab.shape[:2]
    strips = [part.reshape(-1, 3) for part in (lab[:strip], lab[:, :strip], lab[:, -strip:])]
    spread = np.concatenate(strips).std(0).mean() + 5
    distance = np.min([np.linalg.norm(lab - part.mean(0), axis=-1) for part in strips], 0) / spread
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    return np.asarray(np.minimum(distance, 3) * np.exp(-(x * x + y * y)), np.float32)


def _focus(depth: Plane) -> tuple[float, float]:
    """The point the camera makes for: the middle of what is near, not far from the image's, and never below it."""
    weight = depth**2 + 1e-3
    x, y = (np.average((np.arange(n) + 0.5) / n, weights=weight.sum(axis)) for axis, n in enumerate(depth.shape[::-1]))
    return float(min(max(x, 0.4), 0.6)), float(min(max(y, 0.4), 0.5))
