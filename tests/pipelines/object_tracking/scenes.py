"""Scenes that tests draw, with the true boxes of what is in them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

Path = Callable[[float], tuple[float, float]]


@dataclass(frozen=True)
class Thing:
    """Something that moves: `path(t)` is its center in pixels at t seconds."""

    size: tuple[int, int]
    color: tuple[int, int, int]
    path: Path
    shape: str = "box"
    seconds: tuple[float, float] = (0.0, 1e9)


def along(*points: tuple[float, float, float]) -> Path:
    """Straight lines between (t, x, y); stays where it is before and after them."""
    times, xs, ys = zip(*points, strict=True)
    return lambda t: (float(np.interp(t, times, xs)), float(np.interp(t, times, ys)))


def street(width: int, height: int, seed: int = 0) -> np.ndarray:
    """A ground with texture: soft patches, joints and grain."""
    rng = np.random.default_rng(seed)
    light = cv2.resize(rng.uniform(95, 160, (9, 16, 1)), (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    tint = cv2.resize(rng.uniform(-12, 12, (9, 16, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
    ground = light + tint + rng.normal(0, 6, (height, width, 1))
    ground[:: height // 9] -= 25
    ground[:, :: width // 12] -= 25
    return np.clip(ground, 0, 255).astype(np.uint8)


def flat(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), (140, 150, 145), np.uint8)


def paint(image: np.ndarray, thing: Thing, center: tuple[float, float], shadow: bool) -> None:
    """Draw with a 1/16 pixel's precision."""
    width, height = thing.size
    if shadow:
        cast = np.zeros(image.shape[:2], np.uint8)
        middle = (round(center[0] + width * 0.35), round(center[1] + height * 0.5))
        cv2.ellipse(cast, middle, (round(width * 0.7), round(height * 0.16)), 0, 0, 360, 255, -1)
        image[:] = (image * (1 - 0.3 * (cv2.GaussianBlur(cast, (5, 5), 0)[..., None] / 255))).astype(np.uint8)

    def ellipse(x: float, y: float, w: float, h: float, color: tuple[int, int, int]) -> None:
        at = (round((center[0] + x * width) * 16), round((center[1] + y * height) * 16))
        cv2.ellipse(image, at, (round(w * width * 8), round(h * height * 8)), 0, 0, 360, color, -1, cv2.LINE_AA, 4)

    def box(x0: float, y0: float, x1: float, y1: float, color: tuple[int, int, int]) -> None:
        xs = [round((center[0] + x * width) * 16) for x in (x0, x1)]
        ys = [round((center[1] + y * height) * 16) for y in (y0, y1)]
        corners = np.array([(xs[0], ys[0]), (xs[1] - 16, ys[0]), (xs[1] - 16, ys[1] - 16), (xs[0], ys[1] - 16)])
        cv2.fillPoly(image, [corners], color, cv2.LINE_AA, 4)

    dark = tuple(c // 3 for c in thing.color)
    if thing.shape == "ball":
        ellipse(0, 0, 1, 1, thing.color)
    elif thing.shape == "car":
        box(-0.3, -0.5, 0.25, 0.0, dark)
        box(-0.5, -0.15, 0.5, 0.35, thing.color)
        ellipse(-0.3, 0.3, 0.2, 0.4, (25, 25, 28))
        ellipse(0.3, 0.3, 0.2, 0.4, (25, 25, 28))
    elif thing.shape == "walker":
        ellipse(0, -0.4, 0.45, 0.2, (205, 160, 130))
        box(-0.5, -0.32, 0.5, 0.1, thing.color)
        box(-0.42, 0.1, -0.05, 0.5, dark)
        box(0.05, 0.1, 0.42, 0.5, dark)
    else:
        box(-0.5, -0.5, 0.5, 0.5, thing.color)


def true_box(thing: Thing, center: tuple[float, float], size: tuple[int, int]) -> np.ndarray | None:
    """The visible part, or `None` if less than a fifth of the thing is in the image."""
    half = np.array(thing.size) / 2
    whole = np.hstack((center - half, center + half))
    box = np.clip(whole, 0, np.tile(size, 2))
    seen = np.prod(box[2:] - box[:2]) / np.prod(thing.size)
    return box if seen >= 0.2 else None


def play(
    ground: np.ndarray, things: list[Thing], *, seconds: float, fps: float = 25, noise: float = 4, shadows: bool = False
) -> Iterator[tuple[np.ndarray, dict[int, np.ndarray]]]:
    """Frames with the true boxes in them, by the number of the thing. Later things are nearer."""
    rng = np.random.default_rng(1)
    size = ground.shape[1::-1]
    # Fresh noise for each frame would take longer than the tracking: cut it from a larger sheet.
    sheet = rng.normal(0, noise, (size[1] + 64, size[0] + 64, 3)).astype(np.int8)
    for number in range(round(seconds * fps)):
        t = number / fps
        image, truth = ground.copy(), {}
        for identity, thing in enumerate(things):
            if not thing.seconds[0] <= t < thing.seconds[1]:
                continue
            center = thing.path(t)
            paint(image, thing, center, shadows)
            box = true_box(thing, center, size)
            if box is not None:
                truth[identity] = box
        x, y = rng.integers(0, 64, 2)
        grain = sheet[y : y + size[1], x : x + size[0]]
        yield np.clip(image.astype(np.int16) + grain, 0, 255).astype(np.uint8), truth
