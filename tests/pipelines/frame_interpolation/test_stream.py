"""Rates, cuts, fades, flashes and ends, with the real engine on drawn scenes."""

import io
import tracemalloc
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
import skimage.data

from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import Cancelled, InvalidInput
from pipelines.frame_interpolation.base import FrameInterpolator
from pipelines.frame_interpolation.optical_flow import OpticalFlowConfig
from pipelines.frame_interpolation.scene_cut import Glance, SceneCuts
from pipelines.frame_interpolation.stream import interpolate_stream, target_rate
from pipelines.frame_interpolation.video import interpolate_video
from pipelines.media.video import VideoReader, VideoWriter

PHOTOS = ["coffee", "astronaut", "chelsea", "rocket"]


class Averager(FrameInterpolator):
    """The simplest engine there is; remembers what it was asked."""

    def __init__(self, *, midpoint_only=False):
        self.midpoint_only = midpoint_only
        self.asked = []

    def interpolate(self, before, after, timesteps, *, outer):
        self.asked.append(list(timesteps))
        return [np.rint(before * (1 - t) + after * t).astype(np.uint8) for t in timesteps]


def photo(name, width=480, height=320):
    return cv2.resize(getattr(skimage.data, name)(), (width, height), interpolation=cv2.INTER_AREA)


def pan(name, n, step=4, start=0):
    """`n` frames of a camera that moves over a photograph."""
    wide = photo(name, 960, 640)
    return [wide[100:420, start + i * step : start + i * step + 480].copy() for i in range(n)]


def run(frames, engine=None, fps_in=30, fps_out=None, **more):
    return list(
        interpolate_stream(iter(frames), engine or Averager(), fps_in=Fraction(fps_in), fps_out=fps_out, **more)
    )


def is_cut(frames):
    previous, before, after, following = (Glance(frame) for frame in frames)
    return SceneCuts.load().between(previous, before, after, following)


@pytest.mark.parametrize(
    ("n", "fps_in", "fps_out"),
    [
        (1, 30, None),
        (2, 30, None),
        (7, 30, None),
        (10, 24, 60),
        (7, 25, 60),
        (10, 25, Fraction(30_000, 1001)),
        (5, 30, 30),
        (1, 24, 60),
        (3, 7, 240),
    ],
)
def test_duration_is_kept(n, fps_in, fps_out):
    frames = pan("coffee", n)
    made = run(frames, fps_in=fps_in, fps_out=fps_out)
    assert len(made) == round(n * Fraction(fps_out or 2 * fps_in) / fps_in)
    np.testing.assert_array_equal(made[0], frames[0])
    np.testing.assert_array_equal(made[-1], frames[-1])
    if fps_out is None:
        for i, frame in enumerate(frames):
            np.testing.assert_array_equal(made[2 * i], frame)
    if fps_out == fps_in:
        np.testing.assert_array_equal(made, frames)


def test_each_frame_is_made_for_its_moment():
    engine = Averager()
    run(pan("coffee", 3), engine, fps_in=24, fps_out=60)
    assert engine.asked == [[0.4, 0.8], [pytest.approx(0.2), pytest.approx(0.6)]]


def test_midpoints_alone_make_fourfold_rates():
    engine = Averager(midpoint_only=True)
    frames = [np.full((64, 64, 3), value, np.uint8) for value in (0, 8, 16)]
    made = run(frames, engine, fps_out=120)
    assert engine.asked == [[0.5]] * 6
    assert [frame[0, 0, 0] for frame in made] == [0, 2, 4, 6, 8, 10, 12, 14, 16, 16, 16, 16]


@pytest.mark.parametrize("fps_out", [29, 0, -5, 241, 1e12, float("nan"), float("inf")])
def test_impossible_rates_are_refused_at_once(fps_out):
    with pytest.raises(InvalidInput) as caught:
        interpolate_stream(iter([]), Averager(), fps_in=Fraction(30), fps_out=fps_out)
    assert caught.value.param == "fps"


@pytest.mark.parametrize("fps", [144, 240])
def test_fast_videos_are_doubled_and_may_keep_their_rate(fps):
    frames = [np.full((64, 64, 3), i, np.uint8) for i in range(fps // 20)]
    source, smoother = io.BytesIO(), io.BytesIO()
    with VideoWriter(source, fps=fps, width=64, height=64) as writer:
        for frame in frames:
            writer.write(frame)
    for asked, wanted in ((None, 2 * fps), (fps, fps)):
        with VideoReader(source, "mov", max_pixels=10_000) as video:
            interpolate_video(video, Averager(), smoother, fps=asked)
        with av.open(smoother) as made:
            assert made.streams.video[0].average_rate == wanted
            assert made.duration / 1e6 == pytest.approx(len(frames) / fps, abs=0.002)


def test_midpoint_engines_refuse_other_rates():
    for fps in (60, 120, 240):
        assert target_rate(Fraction(30), fps, Averager(midpoint_only=True)) == fps
    for fps in (45, 90, 100):
        with pytest.raises(InvalidInput, match="60 or 120"):
            target_rate(Fraction(30), fps, Averager(midpoint_only=True))
    assert target_rate(Fraction(30_000, 1001), 59.94, Averager()) == pytest.approx(59.94, abs=1e-3)


def test_cuts_stay_hard_and_leave_no_ghost():
    shots = [pan(name, 5, start=20 * i) for i, name in enumerate(PHOTOS)]
    frames = [frame for shot in shots for frame in shot]
    made = run(frames, OpticalFlowConfig().load(Resources()))
    assert len(made) == 2 * len(frames)
    for cut in (5, 10, 15):
        np.testing.assert_array_equal(made[2 * cut - 1], frames[cut - 1])
    moved = [i for i in range(len(frames) - 1) if (made[2 * i + 1] != frames[i]).any()]
    assert moved == [i for i in range(len(frames) - 1) if i % 5 != 4]


def test_cuts_between_any_photographs_and_parts_of_them_are_found():
    missed = []
    names = [*PHOTOS, "hubble_deep_field", "immunohistochemistry", "retina"]
    for one in names:
        for two in names:
            if one != two:
                shots = [*pan_of(one, 2), *pan_of(two, 2)]
                if not is_cut(shots):
                    missed.append((one, two))
    for name in names:  # same colors, other place
        wide = photo(name, 960, 640)
        here, there = wide[:320, :480], wide[320:, 480:]
        if not is_cut([here, here, there, there]):
            missed.append((name, name))
    print(f"missed {missed}")
    assert not missed


def pan_of(name, n):
    return pan(name, n) if name in PHOTOS else [np.roll(photo(name), 4 * i, 1) for i in range(n)]


def test_motion_fades_dissolves_and_flashes_are_no_cuts():
    coffee, woman = pan("coffee", 40, 5), pan("astronaut", 40, 5)
    fast = pan("coffee", 8, 60)
    zoom = [cv2.resize(coffee[0][i * 8 : 320 - i * 8, i * 12 : 480 - i * 12], (480, 320)) for i in range(12)]
    fade_out = [(frame * (1 - i / 11)).astype(np.uint8) for i, frame in enumerate(coffee[:12])]
    fade_in = fade_out[::-1]
    dissolve = [
        (a * (1 - i / 11) + b * (i / 11)).astype(np.uint8)
        for i, (a, b) in enumerate(zip(coffee, woman, strict=True))
        if i < 12
    ]
    noisy = [
        np.clip(f * 0.3 + np.random.default_rng(i).normal(0, 15, f.shape), 0, 255).astype(np.uint8)
        for i, f in enumerate(coffee)
    ]
    white = [*coffee[:4], np.full_like(coffee[0], 250), *coffee[5:9]]
    bright = [*coffee[:4], np.clip(coffee[4] * 1.6 + 80.0, 0, 255).astype(np.uint8), *coffee[5:9]]
    black = [*coffee[:4], np.zeros_like(coffee[0]), *coffee[5:9]]
    clips = {
        "fast": fast,
        "zoom": zoom,
        "fade out": fade_out,
        "fade in": fade_in,
        "dissolve": dissolve,
        "noise": noisy,
        "white flash": white,
        "flash": bright,
        "black frame": black,
    }
    found = {name: [i for i in range(1, len(clip) - 2) if is_cut(clip[i - 1 : i + 3])] for name, clip in clips.items()}
    assert found == {name: [] for name in clips}


def test_a_cut_to_black_is_a_cut():
    coffee = pan("coffee", 4)
    black = [np.zeros_like(coffee[0])] * 4
    assert is_cut([*coffee[:2], *black[:2]])
    assert is_cut([*black[:2], *coffee[:2]])
    assert is_cut([np.full_like(coffee[0], 255)] * 2 + black[:2])


def test_duplicates_are_repeated_without_work():
    engine = Averager()
    frame = pan("coffee", 1)[0]
    made = run([frame] * 5, engine)
    assert len(made) == 10
    assert engine.asked == []
    assert all((f == frame).all() for f in made)
    assert len({id(f) for f in made[1::2]}) == 5


def test_outer_frames_never_reach_over_a_cut():
    seen = []

    class Spy(Averager):
        def interpolate(self, before, after, timesteps, *, outer):
            seen.append(outer)
            return super().interpolate(before, after, timesteps, outer=outer)

    one, two = pan("coffee", 3), pan("astronaut", 3)
    run([*one, *two], Spy())
    wanted = [(one[0], one[2]), (one[0], one[2]), (two[0], two[2]), (two[0], two[2])]
    for got, expected in zip(seen, wanted, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_progress_and_cancellation():
    reported = []
    run(pan("coffee", 4), progress=lambda fraction, stage: reported.append((fraction, stage)), frame_count=4)
    assert reported == [(0, "interpolating"), (0.25, "interpolating"), (0.5, "interpolating"), (0.75, "interpolating")]

    def stop(fraction, stage):
        if len(made) > 3:
            raise Cancelled("gone")

    made = []
    with pytest.raises(Cancelled):
        made.extend(interpolate_stream(iter(pan("coffee", 9)), Averager(), fps_in=Fraction(30), progress=stop))
    assert len(made) == 4


def test_memory_is_that_of_a_few_frames():
    def source(n):
        for i in range(n):
            yield np.full((200, 300, 3), i % 200, np.uint8)

    def peak(n):
        tracemalloc.start()
        for _ in interpolate_stream(source(n), Averager(), fps_in=Fraction(30)):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(5)
    short, long = peak(20), peak(200)
    print(f"peak for 20 frames {short / 1e6:.1f} MB, for 200 {long / 1e6:.1f} MB")
    assert long < short * 1.1
