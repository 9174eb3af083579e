"""In-between frames against what a drawn scene really shows in between."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from pydantic import TypeAdapter, ValidationError

from pipelines.contracts.engine import Resources
from pipelines.frame_interpolation import Config
from pipelines.frame_interpolation.optical_flow import OpticalFlowConfig

WIDTH, HEIGHT = 480, 320


@pytest.fixture(scope="module")
def engine():
    return OpticalFlowConfig().load(Resources())


def texture(name, width, height):
    return cv2.resize(getattr(skimage.data, name)(), (width, height), interpolation=cv2.INTER_AREA)


BACKGROUND = texture("coffee", 2 * WIDTH, 2 * HEIGHT)
WOMAN, CAT, ROCKET = texture("astronaut", 140, 140), texture("chelsea", 120, 120), texture("rocket", 100, 160)


def ground(dx=0.0, dy=0.0, scale=1.0, angle=0.0):
    matrix = cv2.getRotationMatrix2D((WIDTH, HEIGHT), angle, scale)
    matrix[:, 2] += (dx - WIDTH / 2, dy - HEIGHT / 2)
    return cv2.warpAffine(BACKGROUND, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC).astype(float)


def put(canvas, thing, x, y, angle=0.0, *, box=False):
    """Place a disc (or a box) of the texture, centered on x, y (fractions of a pixel count)."""
    height, width = thing.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), angle, 1)
    matrix[:, 2] += (x - width / 2, y - height / 2)
    mask = np.zeros((height, width), np.uint8)
    if box:
        mask[3:-3, 3:-3] = 255
    else:
        cv2.ellipse(mask, (width // 2, height // 2), (width // 2 - 3, height // 2 - 3), 0, 0, 360, 255, -1, cv2.LINE_AA)
    alpha = cv2.warpAffine(mask, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC)[..., None] / 255
    drawn = cv2.warpAffine(thing, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return canvas * (1 - alpha) + drawn * alpha


SCENES = {
    "translation": lambda t: put(ground(), WOMAN, 180 + 14 * t, 160 + 6 * t),
    "pan": lambda t: ground(12 * t, 5 * t),
    "pan and objects": lambda t: put(
        put(ground(6 * t), WOMAN, 150 - 10 * t, 150 + 8 * t), ROCKET, 350 + 16 * t, 170, box=True
    ),
    "rotation": lambda t: put(ground(), WOMAN, 240, 160, 9 * t),
    "zoom": lambda t: ground(scale=1 + 0.05 * t),
    "occlusion": lambda t: put(put(ground(), CAT, 220 + 12 * t, 160), WOMAN, 280 - 12 * t, 170),
    "camera turn": lambda t: put(ground(3 * t, angle=4 * t), ROCKET, 240 - 18 * t, 160, -4 * t, box=True),
    "fast": lambda t: put(ground(), WOMAN, 160 + 40 * t, 160),
}


def scene(name, t):
    return np.clip(np.rint(SCENES[name](t)), 0, 255).astype(np.uint8)


def psnr(one, two):
    return 10 * np.log10(255**2 / max(1e-6, ((one.astype(float) - two) ** 2).mean()))


@pytest.mark.parametrize("name", SCENES)
def test_better_than_averaging_by_far(engine, name):
    before, after = scene(name, 0), scene(name, 1)
    times = [0.25, 0.5, 0.75]
    made = engine.interpolate(before, after, times, outer=(before, after))
    gains = []
    for t, frame in zip(times, made, strict=True):
        truth = scene(name, t)
        assert (frame.shape, frame.dtype) == (truth.shape, np.uint8)
        average = np.rint(before * (1 - t) + after * t)
        gains.append(psnr(frame, truth) - psnr(average, truth))
    print(
        f"{name}: gain over averaging {min(gains):.1f} to {max(gains):.1f} dB, {psnr(made[1], scene(name, 0.5)):.1f} dB"
    )
    assert min(gains) >= 10


def test_as_sharp_as_the_truth_with_no_ghost(engine):
    """A moving object's ghost would leave edges where the truth has none, and blur its own."""
    before, after, truth = (scene("fast", t) for t in (0, 1, 0.5))
    (made,) = engine.interpolate(before, after, [0.5], outer=(before, after))

    def sharpness(frame):
        return cv2.Laplacian(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var()

    assert sharpness(made) == pytest.approx(sharpness(truth), rel=0.1)
    error = np.abs(made.astype(int) - truth).max(-1)
    assert (error > 40).mean() < 0.01


def test_a_change_of_light_fades(engine):
    dark = scene("pan", 0)
    bright = np.clip(dark * 1.4 + 20, 0, 255).astype(np.uint8)
    (made,) = engine.interpolate(dark, bright, [0.5], outer=(dark, bright))
    assert psnr(made, (dark.astype(float) + bright) / 2) > 30


def test_large_frames_get_their_flow_at_a_smaller_size(engine):
    before, after, truth = (
        cv2.resize(scene("pan and objects", t), (1440, 960), interpolation=cv2.INTER_CUBIC) for t in (0, 1, 0.5)
    )
    (made,) = engine.interpolate(before, after, [0.5], outer=(before, after))
    gain = psnr(made, truth) - psnr(np.rint((before.astype(float) + after) / 2), truth)
    print(f"1440×960: gain {gain:.1f} dB")
    assert gain >= 10


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (7, 13), (63, 65), (2, 16_384)])
def test_any_size(engine, size):
    rng = np.random.default_rng(0)
    before, after = (rng.integers(0, 256, (*size, 3), np.uint8) for _ in range(2))
    made = engine.interpolate(before, after, [0.5], outer=(before, after))
    assert made[0].shape == before.shape
    same = engine.interpolate(before, before, [0.3], outer=(before, before))
    assert np.abs(same[0].astype(int) - before).max() <= 1


def test_the_same_twice():
    frames = [
        OpticalFlowConfig()
        .load(Resources())
        .interpolate(scene("occlusion", 0), scene("occlusion", 1), [0.5], outer=(scene("occlusion", 0),) * 2)[0]
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*frames)


def test_configuration():
    config = TypeAdapter(Config).validate_python({"engine": "optical-flow"})
    assert config.card().embedded
    with pytest.raises(ValidationError):
        TypeAdapter(Config).validate_python({"engine": "optical-flow", "quality": 3})


def test_importing_loads_no_library():
    code = "import sys, pipelines.frame_interpolation.stream; assert not {'cv2', 'torch', 'av'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
