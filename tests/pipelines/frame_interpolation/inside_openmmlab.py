"""MMEditing's CAIN and FLAVR: as its own API calls answer, in streams with cuts, at any size.

Runs in OpenMMLab's environment, started by `test_mmediting.py`.
"""

from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch

from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import Cancelled, InvalidInput, ModelUnavailable
from pipelines.frame_interpolation import MmeditingConfig
from pipelines.frame_interpolation.stream import interpolate_stream
from pipelines.media.video import VideoReader
from tests.checkpoints.openmmlab import make_tiny_interpolator
from tests.openmmlab import reference_smooth


@pytest.fixture(scope="module", params=["cain", "flavr"])
def name(request):
    return request.param


@pytest.fixture(scope="module")
def tiny(name, tmp_path_factory):
    """Config and checkpoint of a small model."""
    torch.set_num_threads(1)
    return make_tiny_interpolator(tmp_path_factory.mktemp(name), name)


def load(config, checkpoint):
    return MmeditingConfig(config=str(config), checkpoint=checkpoint and str(checkpoint), device="cpu").load(
        Resources()
    )


@pytest.fixture(scope="module")
def street(sample):
    """People in a street, 320×176."""
    with sample("pedestrians.mp4").open("rb") as file, VideoReader(file, "mov", max_pixels=10_000_000) as video:
        return [cv2.resize(frame, (320, 176), interpolation=cv2.INTER_AREA) for frame in video.frames()][:5]


def sliding(count, width=96, height=64, seed=0):
    """A texture that moves by three pixels a frame."""
    ground = np.random.RandomState(seed).randint(0, 256, (height // 4 + 1, (width + 3 * count) // 4 + 1, 3), np.uint8)
    ground = cv2.resize(ground, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    return [np.ascontiguousarray(ground[:height, 3 * i : 3 * i + width]) for i in range(count)]


def test_as_mmedits_own_api(name, tiny, street, tmp_path):
    expected = reference_smooth(*tiny, street, tmp_path)
    engine = load(*tiny)
    pairs = range(len(street) - 1) if name == "cain" else range(1, len(street) - 2)
    # The API gives the frames in between if it has all that the model looks at: FLAVR's begin with the second.
    middles = expected[1::2] if name == "cain" else expected[2:-2:2]
    assert len(middles) == len(pairs)
    worst = 0
    for number, middle in zip(pairs, middles, strict=True):
        before, after = street[number], street[number + 1]
        outer = (before, after) if name == "cain" else (street[number - 1], street[number + 2])
        (made,) = engine.interpolate(before, after, [0.5], outer=outer)
        assert (made.shape, made.dtype) == (before.shape, np.uint8)
        worst = max(worst, np.abs(made.astype(int) - middle).max())
        assert made.std() > 1
    print(f"{name}: {len(middles)} frames; largest difference {worst}/255")
    assert worst <= 1


def test_four_frames_are_looked_at_by_flavr_alone(name, tiny):
    one, two, three, four = sliding(4)
    engine = load(*tiny)
    (made,) = engine.interpolate(two, three, [0.5], outer=(one, four))
    (other,) = engine.interpolate(two, three, [0.5], outer=(two, three))
    assert np.array_equal(made, other) == (name == "cain")
    np.testing.assert_array_equal(made, engine.interpolate(two, three, [0.5], outer=(one, four))[0])


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (301, 1), (7, 13), (65, 63), (130, 100)])
def test_any_size(size, tiny):
    frames = np.random.RandomState(0).randint(0, 256, (2, *size, 3), np.uint8)
    (made,) = load(*tiny).interpolate(*frames, [0.5], outer=tuple(frames))
    assert (made.shape, made.dtype) == ((*size, 3), np.uint8)


def test_in_a_stream(tiny):
    """Doubled and fourfold rates; the frames that were there stay; cuts stay hard; other rates are refused."""
    engine = load(*tiny)
    frames = sliding(3) + [255 - frame for frame in sliding(3, seed=7)]
    doubled = list(interpolate_stream(frames, engine, fps_in=Fraction(12)))
    assert len(doubled) == 12
    np.testing.assert_array_equal(doubled[::2], frames)
    np.testing.assert_array_equal(doubled[5], frames[2])  # the frame before the cut stands until it
    assert not np.array_equal(doubled[1], frames[0])
    fourfold = list(interpolate_stream(frames[:3], engine, fps_in=Fraction(12), fps_out=48))
    assert len(fourfold) == 12
    np.testing.assert_array_equal(fourfold[::4], frames[:3])
    np.testing.assert_array_equal(fourfold[2], doubled[1])
    with pytest.raises(InvalidInput, match="24 or 48"):
        interpolate_stream(frames, engine, fps_in=Fraction(12), fps_out=30)


def test_cancelled_between_frames(tiny):
    def progress(fraction, stage):
        if fraction and fraction > 0.3:
            raise Cancelled("gone")

    stream = interpolate_stream(sliding(6), load(*tiny), fps_in=Fraction(12), frame_count=6, progress=progress)
    with pytest.raises(Cancelled):
        list(stream)


def test_what_cannot_be_loaded_is_reported(tiny, tmp_path):
    config, checkpoint = tiny
    with pytest.raises(ModelUnavailable, match=r"in no checkpoint.*no checkpoint"):
        load(config, None)
    with pytest.raises(ModelUnavailable, match="among mmedit's"):
        load("cain/none", checkpoint)
    (tmp_path / "enhancer.py").write_text("model = dict(type='BasicRestorer')")
    with pytest.raises(ModelUnavailable, match="video interpolation"):
        load(tmp_path / "enhancer.py", checkpoint)
    torch.save({"state_dict": {"generator.conv_last.weight": torch.ones(3)}}, tmp_path / "other.pth")
    with pytest.raises(ModelUnavailable, match=r"damaged, or of a model|in no checkpoint"):
        load(config, tmp_path / "other.pth")
