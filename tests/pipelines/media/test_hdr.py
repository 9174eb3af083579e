"""HDR video in, against light that the tests state."""

import io

import av
import numpy as np
import pytest

from tests.media import BT2020, HLG, PQ, hdr_frame, hdr_signal
from tests.pipelines.media.test_video import LIMITED, read


def hdr_video(levels, transfer, *, codec="libx265", form="mov", primaries=BT2020):
    """Patches of gray light, 32 px wide."""
    file = io.BytesIO()
    with av.open(file, "w", format=form) as out:
        video = out.add_stream(codec, rate=25, options={"x265-params": "log-level=none:crf=4", "crf": "4"})
        video.width, video.height, video.pix_fmt = 32 * len(levels), 64, "yuv420p10le"
        context = video.codec_context
        context.colorspace, context.color_primaries, context.color_trc = BT2020, primaries, transfer
        context.color_range = LIMITED
        for i in range(3):
            frame = hdr_frame(np.tile(np.repeat(levels, 32), (64, 1)), transfer, primaries)
            frame.pts = i
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    file.seek(0)
    return file


@pytest.mark.parametrize(
    ("transfer", "more"),
    [
        (PQ, {}),
        (HLG, {}),
        (HLG, {"form": "mpegts"}),
        (PQ, {"codec": "libsvtav1", "form": "matroska"}),
        (PQ, {"primaries": 12}),  # Display P3
    ],
)
def test_hdr_keeps_diffuse_white_bright_and_rolls_highlights_off(transfer, more):
    levels = [0, 20, 101.5, 203, 400, 1000]
    form = more.get("form", "mov")
    _, frames = read(hdr_video(levels, transfer, **more), form)
    black, dark, half, white, bright, peak = frames[-1][32, 16::32].astype(int)
    assert np.ptp([black, dark, half, white, bright, peak], axis=1).max() <= 3  # gray stays gray
    assert black.max() <= 2
    assert dark == pytest.approx(255 * (1.055 * (20 / 203) ** (1 / 2.4) - 0.055), abs=4)
    assert half == pytest.approx(188, abs=4)
    assert white.min() >= 235
    assert white.max() + 4 < bright.min() < peak.min() - 1
    assert peak.min() >= 252


def test_hdr_colors_are_those_of_bt709():
    """Red, green and blue of BT.709 with half the light of diffuse white, as BT.2020 has them (ITU-R BT.2087)."""
    light = 101.5 * np.array([(0.6274, 0.0691, 0.0164), (0.3293, 0.9195, 0.0880), (0.0433, 0.0114, 0.8956)])
    frame = np.zeros((64, 96, 3), np.float32)
    frame[:] = np.repeat([[hdr_signal(nits, PQ) for nits in color] for color in light], 32, 0)
    file = io.BytesIO()
    with av.open(file, "w", format="mov") as out:
        video = out.add_stream("libx265", rate=25, options={"x265-params": "log-level=none:lossless=1"})
        video.width, video.height, video.pix_fmt = 96, 64, "gbrp10le"
        video.codec_context.color_trc, video.codec_context.color_primaries = PQ, BT2020
        video.codec_context.colorspace = 0  # RGB
        image = av.VideoFrame.from_ndarray(np.round(frame * 1023).astype(np.uint16), format="gbrp10le")
        out.mux(video.encode(image))
        out.mux(video.encode(None))
    file.seek(0)
    _, frames = read(file)
    assert np.abs(frames[0][32, 16::32].astype(int) - 188 * np.eye(3)).max() <= 25
