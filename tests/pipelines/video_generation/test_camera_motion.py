"""A still image's video: begins with the image, moves smoothly, shows no border, bends nothing."""

import io
import itertools
import math
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import skimage.data

from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import Cancelled, InvalidInput, UnsupportedByEngine
from pipelines.media.video import VideoReader, VideoWriter
from pipelines.video_generation import CameraMotionConfig, VideoRequest

PHOTOS = ["astronaut", "coffee", "rocket", "chelsea", "camera", "page"]


@pytest.fixture(scope="module")
def engine():
    return CameraMotionConfig().load(Resources())


def photo(name, longest=None):
    image = getattr(skimage.data, name)()
    if image.ndim == 2:
        image = image[..., None].repeat(3, 2)
    if longest:
        scale = longest / max(image.shape)
        image = cv2.resize(
            image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        )
    return image


def psnr(one, two):
    return 10 * math.log10(255**2 / max(1e-9, ((one.astype(float) - two) ** 2).mean()))


def steps(frames):
    return [np.abs(a.astype(np.int16) - b).mean() for a, b in itertools.pairwise(frames)]


@pytest.mark.parametrize("name", PHOTOS)
def test_begins_with_the_image_and_moves_smoothly(engine, name):
    image = photo(name, 320)
    clip = engine.generate(image, VideoRequest())
    frames = list(clip.frames)
    assert (clip.count, clip.fps, len(frames)) == (100, 25, 100)
    assert clip.width % 2 == clip.height % 2 == 0
    assert all(frame.shape == (clip.height, clip.width, 3) and frame.dtype == np.uint8 for frame in frames)
    assert psnr(frames[0], cv2.resize(image, (clip.width, clip.height), interpolation=cv2.INTER_AREA)) >= 40
    moved = steps(frames)
    print(f"{name}: change per frame {min(moved):.2f} to {max(moved):.2f}, median {np.median(moved):.2f} gray levels")
    assert min(moved) > 0
    assert max(moved) < 2 * np.median(moved)
    assert max(abs(b - a) for a, b in itertools.pairwise(moved)) < 0.4 * np.median(moved)


def test_the_whole_image_moves_and_near_things_more(engine):
    """A textured disc before a textured wall: the camera nears both, the disc more."""
    rng = np.random.default_rng(0)
    wall = cv2.resize(
        rng.integers(90, 166, (40, 60, 1), np.uint8).repeat(3, 2), (480, 320), interpolation=cv2.INTER_NEAREST
    )
    disc = cv2.resize(
        rng.integers(0, 256, (40, 60, 3), np.uint8) // (1, 3, 6), (480, 320), interpolation=cv2.INTER_NEAREST
    )
    mask = cv2.circle(np.zeros((320, 480), np.uint8), (240, 190), 80, 255, -1)[..., None] > 0
    image = np.where(mask, disc, wall).astype(np.uint8)
    *_, last = engine.generate(image, VideoRequest(frames=30, motion=1)).frames
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(
        cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.cvtColor(last, cv2.COLOR_RGB2GRAY), None
    )

    def growth(y, x):
        """Enlargement around a place, from the flow's divergence."""
        patch = flow[y - 30 : y + 30, x - 30 : x + 30]
        return 1 + (np.gradient(patch[..., 0], axis=1).mean() + np.gradient(patch[..., 1], axis=0).mean()) / 2

    near, far = growth(190, 240), np.mean([growth(60, 70), growth(60, 410)])
    print(f"near things grow {near:.2f}-fold, far ones {far:.2f}-fold")
    assert near > far + 0.04
    assert far > 1.05


@pytest.mark.parametrize("seed", range(6))
def test_no_border_shows_and_nothing_folds(engine, seed):
    """Of an image that only gets brighter to the right and down, no frame ever gets darker there."""
    ramp = np.zeros((240, 360, 3), np.uint8)
    ramp[..., 0] = np.linspace(20, 235, 360)
    ramp[..., 1] = np.linspace(20, 235, 240)[:, None]
    cv2.circle(ramp, (180, 150), 70, (0, 0, 255), -1)
    ramp[..., 0] = np.linspace(20, 235, 360)
    ramp[..., 1] = np.linspace(20, 235, 240)[:, None]
    for frame in itertools.islice(
        engine.generate(ramp, VideoRequest(frames=40, motion=1, seed=seed)).frames, 0, 40, 13
    ):
        signed = frame.astype(int)
        assert np.diff(signed[..., 0], axis=1).min() >= -1
        assert np.diff(signed[..., 1], axis=0).min() >= -1
        assert signed[..., :2].min() >= 19
        assert signed[..., :2].max() <= 236


def test_what_stands_upright_stays_upright(engine):
    """A pole in the middle of a landscape leans no more than two degrees at the strongest motion."""
    image = np.full((320, 480, 3), (120, 160, 220), np.uint8)
    image[220:] = (70, 110, 60)
    image[60:300, 234:246] = (230, 220, 200)
    for seed in range(4):
        *_, last = engine.generate(image, VideoRequest(frames=10, motion=1, seed=seed)).frames
        pole = (last[..., 0] > 190).astype(float)
        centres = [(pole[y] * np.arange(480)).sum() / pole[y].sum() for y in (100, 150, 200, 250)]
        lean = math.degrees(math.atan(abs(centres[3] - centres[0]) / 150))
        assert lean < 2


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (2, 3), (17, 1281), (33, 35)])
def test_any_size(engine, size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    clip = engine.generate(image, VideoRequest(frames=3))
    frames = list(clip.frames)
    assert len(frames) == 3
    assert clip.width % 2 == clip.height % 2 == 0
    assert max(clip.width, clip.height) <= 1280


def test_plain_and_gray_images(engine):
    for value in (0, 128, 255):
        plain = np.full((90, 120, 3), value, np.uint8)
        for frame in engine.generate(plain, VideoRequest(frames=5)).frames:
            np.testing.assert_array_equal(frame, plain)
    gray = photo("camera", 160)
    for frame in engine.generate(gray, VideoRequest(frames=5)).frames:
        np.testing.assert_array_equal(frame[..., 0], frame[..., 2])


def test_options(engine):
    image = photo("coffee", 160)

    def frames(**options):
        clip = engine.generate(image, VideoRequest(**options))
        return clip, list(clip.frames)

    clip, made = frames(frames=7, fps=12.5)
    assert (clip.count, len(made), clip.fps) == (7, 7, 12.5)
    clip, made = frames(fps=10)
    assert (clip.count, len(made)) == (40, 40)
    _, still = frames(frames=5, motion=0)
    assert steps(still) == [0, 0, 0, 0]
    _, gentle = frames(frames=10, motion=0.2)
    _, strong = frames(frames=10, motion=1)
    assert np.mean(steps(strong)) > 1.5 * np.mean(steps(gentle))
    _, again = frames(frames=10, motion=1)
    _, other = frames(frames=10, motion=1, seed=7)
    np.testing.assert_array_equal(strong, again)
    assert (strong[-1] != other[-1]).any()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("frames", 1),
        ("frames", 0),
        ("frames", -3),
        ("frames", 601),
        ("fps", 0.5),
        ("fps", 61),
        ("fps", float("nan")),
        ("motion", -0.1),
        ("motion", 1.1),
        ("motion", float("nan")),
    ],
)
def test_impossible_options_are_refused(engine, name, value):
    with pytest.raises(InvalidInput) as caught:
        engine.generate(photo("coffee", 64), VideoRequest(**{name: value}))
    assert caught.value.param == name


def test_a_prompt_is_refused(engine):
    with pytest.raises(UnsupportedByEngine) as refused:
        engine.generate(np.zeros((40, 60, 3), np.uint8), VideoRequest(prompt="it rains"))
    assert refused.value.param == "prompt"


def test_cancelled_within_a_frame(engine):
    reported = []

    def progress(fraction, stage):
        reported.append((round(fraction, 2), stage))
        if len(reported) == 4:
            raise Cancelled("gone")

    clip = engine.generate(photo("coffee", 64), VideoRequest(frames=10), progress=progress)
    with pytest.raises(Cancelled):
        list(clip.frames)
    assert reported == [(0, "looking"), (0, "rendering"), (0.1, "rendering"), (0.2, "rendering")]


def test_the_video_of_it(engine):
    """Encoded: H.264, 4 s, the image first, no frame repeated; in reasonable time."""
    image = photo("coffee", 640)
    clip = engine.generate(image, VideoRequest())
    out = io.BytesIO()
    start = time.perf_counter()
    with VideoWriter(out, fps=clip.fps, width=clip.width, height=clip.height) as writer:
        for frame in clip.frames:
            writer.write(frame)
    seconds = time.perf_counter() - start
    out.seek(0)
    with av.open(out) as video:
        assert video.streams.video[0].codec_context.name == "h264"
        assert video.duration == pytest.approx(4_000_000, abs=40_000)
    out.seek(0)
    with VideoReader(out, "mov", max_pixels=10**6) as reader:
        frames = list(reader.frames())
    fitted = cv2.resize(image, (clip.width, clip.height), interpolation=cv2.INTER_AREA)
    print(f"640 px: {100 / seconds:.0f} frames/s rendered and encoded, first frame {psnr(frames[0], fitted):.1f} dB")
    assert psnr(frames[0], fitted) >= 34
    assert min(steps(frames)) > 0


def test_importing_loads_no_library():
    code = "import sys, pipelines.video_generation; assert not {'cv2', 'torch', 'av'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
