"""Video in and out, on clips that the tests encode."""

import io
import itertools
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from av.video.reformatter import Colorspace

from pipelines.contracts.errors import TooLong, TooManyPixels, UnsupportedMedia, UnusableMedia
from pipelines.media.video import CONTAINERS, VideoReader, VideoWriter, count_frames
from tests.media import disc, joined, shape_of_disc

LIMIT = 4_000_000
COLORS = [
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 255),
    (0, 0, 0),
    (128, 128, 128),
    (200, 120, 40),
    (30, 90, 160),
]
BT709, BT601, UNSPECIFIED = 1, 5, 2
LIMITED, FULL = 1, 2


def color_card(width=256, height=128):
    card = np.zeros((height, width, 3), np.uint8)
    for i, color in enumerate(COLORS):
        row, column = divmod(i, 4)
        card[row * height // 2 : (row + 1) * height // 2, column * width // 4 : (column + 1) * width // 4] = color
    return card


def color_error(frame):
    """Largest error in the middle of the card's patches."""
    height, width = frame.shape[:2]
    found = [frame[height * (1 + 2 * (i // 4)) // 4, width * (1 + 2 * (i % 4)) // 8] for i in range(8)]
    return np.abs(np.array(found, int) - COLORS).max()


def noise(seed, height=64, width=96):
    return (
        np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    )


def tone(n, rate=48_000, channels=1, *, silent_before_s=0.0, silent_after_s=math.inf):
    at = np.arange(n) / rate
    wave = (0.5 * np.sin(2 * np.pi * 440 * at) * (at >= silent_before_s) * (at < silent_after_s)).astype(np.float32)
    return np.repeat(wave[None], channels, 0)


def encode(
    frames: Iterable[np.ndarray],
    *,
    form="mp4",
    codec="libx264",
    pixels="yuv420p",
    rate: Fraction | int = 25,
    matrix=BT709,
    span=LIMITED,
    options=None,
    stamps=None,
    time_base=None,
    rotation=None,
    aspect=None,
    audio=None,
    audio_codec="aac",
    audio_rate=48_000,
    audio_start_s=0.0,
) -> io.BytesIO:
    """Encode RGB frames (and a tone) into a file; `stamps` are times in seconds for a variable rate."""
    file = io.BytesIO()
    with av.open(file, "w", format=form) as out:
        frames = list(frames)
        video = out.add_stream(codec, rate=rate, options=options or {})
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt, video.bit_rate = pixels, 4_000_000
        video.codec_context.colorspace, video.codec_context.color_range = matrix, span
        base = time_base or 1 / Fraction(rate)
        video.codec_context.time_base = base
        if aspect:
            video.codec_context.sample_aspect_ratio = aspect
        if rotation:
            video.set_display_rotation(*rotation)
        if audio is not None:
            layout = "mono" if audio.shape[0] == 1 else "stereo"
            track = out.add_stream(audio_codec, rate=audio_rate, layout=layout, options={"strict": "-2"})
            track.bit_rate = 128_000
        for i, frame in enumerate(frames):
            image = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame)).reformat(
                format=pixels,
                dst_colorspace=Colorspace.ITU709 if matrix == BT709 else Colorspace.ITU601,
                dst_color_range=span or None,
            )
            image.time_base = base
            image.pts = i if stamps is None else round(Fraction(stamps[i]) / base)
            out.mux(video.encode(image))
        out.mux(video.encode(None))
        if audio is not None:
            block = track.frame_size or 1024
            for at in range(0, audio.shape[1], block):
                piece = av.AudioFrame.from_ndarray(np.ascontiguousarray(audio[:, at : at + block]), "fltp", layout)
                piece.sample_rate = audio_rate
                piece.time_base = Fraction(1, audio_rate)
                piece.pts = at + round(audio_start_s * audio_rate)
                out.mux(track.encode(piece))
            out.mux(track.encode(None))
    file.seek(0)
    return file


def read(file, container="mov", max_pixels=LIMIT):
    with VideoReader(file, container, max_pixels=max_pixels) as reader:
        return reader, list(reader.frames())


def rewrite(source, container="mov"):
    """Through reader and writer, audio included."""
    out = io.BytesIO()
    with VideoReader(source, container, max_pixels=LIMIT) as reader:
        writer = VideoWriter(out, fps=reader.fps, width=reader.width, height=reader.height, audio_from=reader)
        with writer:
            for frame in reader.frames():
                writer.write(frame)
    out.seek(0)
    return out


def heard(file, container="mov", track=0):
    """One track of the file's audio, mono, with what precedes it as zeros; and its codec and rate."""
    file.seek(0)
    with av.open(file, format=container) as source:
        track = source.streams.audio[track]
        rate, codec = track.rate, track.codec_context.codec.canonical_name
        blocks, at = [], 0
        for frame in source.decode(track):
            start = round((frame.pts or 0) * frame.time_base * rate)
            block = frame.to_ndarray()
            if not frame.format.is_planar:
                block = block.reshape(-1, len(frame.layout.channels)).T
            block = block[0].astype(np.float64) / (1 if block.dtype.kind == "f" else np.iinfo(block.dtype).max)
            blocks.append(np.zeros(max(0, start - at)))
            blocks.append(block[max(0, at - start) :] if start < at else block)
            at = max(at, start) + len(blocks[-1])
    return np.concatenate(blocks), rate, codec


def onset_s(wave, rate):
    return np.flatnonzero(np.abs(wave) > 0.1)[0] / rate


FORMATS = {
    "mp4": ("mov", {}),
    "mp4 bt601": ("mov", {"matrix": BT601}),
    "mp4 full range": ("mov", {"pixels": "yuvj420p", "span": FULL}),
    "mp4 untagged": ("mov", {"matrix": UNSPECIFIED, "span": 0}),
    "10 bit": ("mov", {"pixels": "yuv420p10le"}),
    "4:2:2": ("mov", {"pixels": "yuv422p"}),
    "4:4:4": ("mov", {"pixels": "yuv444p"}),
    "rgb": ("mov", {"codec": "libx264rgb", "pixels": "rgb24", "matrix": UNSPECIFIED, "span": 0}),
    "prores": ("mov", {"form": "mov", "codec": "prores_ks", "pixels": "yuv422p10le"}),
    "png with alpha": ("mov", {"form": "mov", "codec": "png", "pixels": "rgba", "matrix": UNSPECIFIED, "span": 0}),
    "hevc 10 bit": (
        "matroska",
        {"form": "matroska", "codec": "libx265", "pixels": "yuv420p10le", "options": {"x265-params": "log-level=none"}},
    ),
    "vp9": ("matroska", {"form": "webm", "codec": "libvpx-vp9", "options": {"deadline": "realtime"}}),
    "vp9 with alpha": (
        "matroska",
        {"form": "webm", "codec": "libvpx-vp9", "pixels": "yuva420p", "options": {"deadline": "realtime"}},
    ),
    "vp8": ("matroska", {"form": "webm", "codec": "libvpx", "matrix": BT601, "options": {"deadline": "realtime"}}),
    "avi mpeg4": ("avi", {"form": "avi", "codec": "mpeg4", "matrix": BT601}),
    "avi mjpeg": ("avi", {"form": "avi", "codec": "mjpeg", "pixels": "yuvj420p", "matrix": BT601, "span": FULL}),
    "mpegts": ("mpegts", {"form": "mpegts"}),
    "mpegts mpeg2": ("mpegts", {"form": "mpegts", "codec": "mpeg2video", "matrix": BT601}),
    "interlaced": ("mpegts", {"form": "mpegts", "options": {"x264-params": "tff=1"}}),
    "mpeg": ("mpeg", {"form": "mpeg", "codec": "mpeg2video", "matrix": BT601}),
    "flv": ("flv", {"form": "flv"}),
    "wmv": ("asf", {"form": "asf", "codec": "wmv2", "matrix": BT601}),
    "theora-less ogg": (
        "ogg",
        {"form": "ogg", "codec": "libvpx", "matrix": BT601, "options": {"deadline": "realtime"}},
    ),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_kind_decodes_in_its_colors(name):
    container, settings = FORMATS[name]
    reader, frames = read(encode([color_card()] * 8, **settings), container)
    assert (reader.fps, reader.width, reader.height, len(frames)) == (25, 256, 128, 8)
    assert all(frame.dtype == np.uint8 and frame.flags.c_contiguous for frame in frames)
    assert max(color_error(frame) for frame in frames) <= 3


@pytest.mark.parametrize(
    ("codec", "pixels", "span"), [("ffv1", "gray", FULL), ("ffv1", "gray16le", FULL), ("libx264", "gray", LIMITED)]
)
def test_gray_is_gray_in_its_range(codec, pixels, span):
    """FFmpeg converts to gray in full range whatever it is asked for, so the clip's luma is squeezed by hand."""
    luma = np.linspace(0, 255, 128)[None, :, None].repeat(64, 0).repeat(3, 2)
    stored = luma if span == FULL else 16 + luma * 219 / 255
    clip = encode([np.rint(stored).astype(np.uint8)] * 3, form="matroska", codec=codec, pixels=pixels, span=span)
    _, frames = read(clip, "matroska")
    assert np.abs(frames[0] - luma).mean() <= 2


def test_colors_come_back_from_what_is_written_and_its_tags_say_bt709():
    out = io.BytesIO()
    with VideoWriter(out, fps=25, width=256, height=128) as writer:
        for _ in range(5):
            writer.write(color_card())
    _, frames = read(out)
    error = np.mean([color_error(frame) for frame in frames])
    print(f"color error {error:.1f}")
    assert error <= 3
    out.seek(0)
    with av.open(out) as written:
        video = written.streams.video[0].codec_context
        assert (video.name, video.pix_fmt) == ("h264", "yuv420p")
        assert (video.colorspace, video.color_primaries, video.color_trc, video.color_range) == (1, 1, 1, 1)
    data = out.getvalue()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 501), (777, 1), (35, 17), (64, 33)])
def test_odd_sizes_are_made_even_by_repeating_the_edge(width, height):
    image = np.full((height, width, 3), (40, 160, 90), np.uint8)
    out = io.BytesIO()
    with VideoWriter(out, fps=25, width=width, height=height) as writer:
        writer.write(image)
    reader, frames = read(out)
    assert (reader.width, reader.height, len(frames)) == (width + width % 2, height + height % 2, 1)
    assert np.abs(frames[0].astype(int) - (40, 160, 90)).max() <= 4


@pytest.mark.parametrize("count", [1, 7])
def test_the_frames_of_what_was_written_are_counted(count):
    out = io.BytesIO()
    with VideoWriter(out, fps=10, width=32, height=32) as writer:
        for level in range(count):
            writer.write(np.full((32, 32, 3), level, np.uint8))
    assert count_frames(out) == count


def test_odd_sizes_are_read_as_they_are():
    image = np.full((17, 35, 3), (40, 160, 90), np.uint8)
    reader, frames = read(
        encode([image], form="matroska", codec="ffv1", pixels="bgr0", matrix=UNSPECIFIED, span=0), "matroska"
    )
    assert (reader.width, reader.height) == (35, 17)
    np.testing.assert_array_equal(frames[0], image)


@pytest.mark.parametrize(
    ("rotation", "upright"),
    [
        ((90,), lambda p: np.rot90(p, 1)),
        ((180,), lambda p: np.rot90(p, 2)),
        ((-90,), lambda p: np.rot90(p, 3)),
        ((0, True), lambda p: p[:, ::-1]),
        ((0, False, True), lambda p: p[::-1]),
    ],
)
def test_frames_are_upright(rotation, upright):
    image = noise(1)
    _, lying = read(encode([image] * 3))
    reader, frames = read(encode([image] * 3, rotation=rotation))
    wanted = upright(lying[0])
    assert (reader.height, reader.width) == wanted.shape[:2]
    np.testing.assert_array_equal(frames[0], wanted)


def test_pixels_become_square():
    reader, frames = read(encode([color_card()] * 2, aspect=Fraction(3, 2)))
    assert (reader.width, reader.height) == (384, 128) == frames[0].shape[1::-1]
    reader, frames = read(encode([color_card()] * 2, aspect=Fraction(1, 2)))
    assert (reader.width, reader.height) == (256, 256)
    assert color_error(frames[0]) <= 3


def test_a_variable_rate_becomes_constant_and_keeps_times_and_audio_in_sync():
    """White flash and beep together at 3.1 s; frames at 30 a second, a pause of 1.3 s, then 10 a second."""
    stamps = [i / 30 for i in range(45)] + [2.8 + i / 10 for i in range(22)]
    frames = [np.full((64, 96, 3), 255 if 3.05 < t < 3.15 else 20, np.uint8) for t in stamps]
    audio = tone(5 * 48_000, silent_before_s=3.1)
    source = encode(
        frames, form="matroska", stamps=stamps, time_base=Fraction(1, 1000), audio=audio, options={"bf": "0"}
    )
    out = rewrite(source, "matroska")
    reader, got = read(out)
    flash_s = next(i for i, frame in enumerate(got) if frame.mean() > 128) / float(reader.fps)
    wave, rate, _ = heard(out)
    step = 1 / float(reader.fps)
    print(
        f"fps {reader.fps}, flash {flash_s:.3f} s, beep {onset_s(wave, rate):.3f} s, duration {len(got) * step:.3f} s"
    )
    assert flash_s == pytest.approx(3.1, abs=step)
    assert onset_s(wave, rate) == pytest.approx(3.1, abs=0.03)
    assert len(got) * step == pytest.approx(stamps[-1] + 0.04, abs=step)  # the last one is shown for 40 ms


def test_a_sparse_clock_does_not_multiply_frames():
    """One frame a second on a 90 kHz clock is one frame a second."""
    stamps = [0, 1, 2.0001, 3, 4.0002, 5]
    source = encode([noise(i) for i in range(6)], stamps=stamps, time_base=Fraction(1, 90_000), rate=90_000, form="mov")
    reader, frames = read(source)
    assert reader.fps <= 60
    assert len(frames) / reader.fps == pytest.approx(6, abs=1.01)


@pytest.mark.parametrize(
    ("codec", "form", "container", "rate", "channels", "kept"),
    [
        ("aac", "mp4", "mov", 44_100, 2, "aac"),
        ("aac", "mpegts", "mpegts", 48_000, 1, "aac"),
        ("aac", "flv", "flv", 44_100, 2, "aac"),
        ("libmp3lame", "mp4", "mov", 44_100, 2, "mp3"),
        ("libmp3lame", "avi", "avi", 48_000, 1, "mp3"),
        ("libopus", "matroska", "matroska", 48_000, 2, "opus"),
        ("flac", "matroska", "matroska", 44_100, 1, "flac"),
        ("ac3", "mpegts", "mpegts", 48_000, 2, "aac"),
        ("mp2", "mpegts", "mpegts", 48_000, 2, "aac"),
        ("vorbis", "matroska", "matroska", 44_100, 2, "aac"),
        ("pcm_s16le", "mov", "mov", 22_050, 1, "aac"),
        ("pcm_s16le", "avi", "avi", 8_000, 2, "aac"),
        ("wmav2", "asf", "asf", 44_100, 2, "aac"),
    ],
)
def test_audio_is_kept_in_sync(codec, form, container, rate, channels, kept):  # noqa: PLR0917
    audio = tone(2 * rate, rate, channels, silent_before_s=0.7, silent_after_s=1.6)
    images = "wmv2" if form == "asf" else "libx264"
    source = encode([noise(3)] * 50, form=form, codec=images, audio=audio, audio_codec=codec, audio_rate=rate)
    was, was_rate, _ = heard(source, container)
    with VideoReader(source, container, max_pixels=LIMIT) as reader:
        start_s = float(reader.start_s)
        assert reader.has_audio
    out = rewrite(source, container)
    with VideoReader(out, "mov", max_pixels=LIMIT) as reader:
        later_s = float(reader.start_s) - start_s
    wave, new_rate, new_codec = heard(out)
    assert new_codec == kept
    assert onset_s(wave, new_rate) == pytest.approx(onset_s(was, was_rate) + later_s, abs=0.012)
    assert len(wave) / new_rate == pytest.approx(len(was) / was_rate + later_s, abs=0.08)
    middle = wave[round(1.0 * new_rate) : round(1.4 * new_rate)]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / math.sqrt(2), rel=0.1)


def test_every_audio_track_is_kept_with_its_language():
    """Three tracks in three codecs and layouts, which beep at different times; the second one is the default."""
    codecs = ("aac", "ac3", "libopus")
    source = io.BytesIO()
    with av.open(source, "w", format="matroska") as out:
        video = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        tracks = [out.add_stream(codec, rate=48_000, layout="stereo") for codec in codecs]
        for i, (track, language) in enumerate(zip(tracks, ("eng", "deu", "zho"), strict=True)):
            track.metadata.update(language=language, title=f"Title {i}")
            track.disposition = Disposition.default if i == 1 else Disposition(0)
        for i in range(50):
            image = av.VideoFrame.from_ndarray(noise(i))
            image.pts = i
            out.mux(video.encode(image))
        out.mux(video.encode(None))
        for i, track in enumerate(tracks):
            wave = tone(96_000, channels=2, silent_before_s=0.4 + 0.4 * i)
            sound = av.AudioFrame.from_ndarray(wave, "fltp", "stereo")
            sound.sample_rate, sound.pts, sound.time_base = 48_000, 0, Fraction(1, 48_000)
            size, form = track.codec_context.frame_size, track.format.name
            for piece in av.AudioResampler(form, "stereo", 48_000, frame_size=size).resample(sound):
                out.mux(track.encode(piece))
            out.mux(track.encode(None))
    source.seek(0)
    out = rewrite(source, "matroska")
    with av.open(out) as made:
        found = made.streams.audio
        assert [track.language for track in found] == ["eng", "deu", "zho"]
        assert [track.codec_context.codec.canonical_name for track in found] == ["aac", "aac", "opus"]
        assert [bool(track.disposition & Disposition.default) for track in found] == [False, True, False]
    for i in range(3):
        wave, rate, _ = heard(out, track=i)
        assert onset_s(wave, rate) == pytest.approx(0.4 + 0.4 * i, abs=0.03)
        assert len(wave) / rate == pytest.approx(2, abs=0.08)


@pytest.mark.parametrize("count", [32, 33])
def test_a_film_has_a_few_audio_tracks(count):
    source = io.BytesIO()
    with av.open(source, "w", format="matroska") as out:
        video = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        tracks = [out.add_stream("pcm_s16le", rate=8_000, layout="mono") for _ in range(count)]
        out.mux(video.encode(av.VideoFrame.from_ndarray(noise(1))))
        out.mux(video.encode(None))
        for track in tracks:
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
            sound.sample_rate = 8_000
            out.mux(track.encode(sound))
    if count > 32:
        with pytest.raises(UnusableMedia, match="33 audio tracks; the limit is 32"):
            rewrite(source, "matroska")
    else:
        with av.open(rewrite(source, "matroska")) as made:
            assert len(made.streams.audio) == count


@pytest.mark.parametrize("start_s", [0.0, 0.5, 1.013])
def test_audio_that_starts_later_stays_later(start_s):
    source = encode([noise(3)] * 50, audio=tone(48_000), audio_start_s=start_s)
    wave, rate, _ = heard(rewrite(source))
    assert onset_s(wave, rate) == pytest.approx(start_s, abs=0.012)


def test_audio_that_starts_earlier_stays_earlier():
    """Images from 0.73 s on, audio from 0 on, a beep at 0.3 s."""
    stamps = [0.73 + i / 25 for i in range(30)]
    audio = tone(96_000, silent_before_s=0.3)
    source = encode([noise(3)] * 30, form="matroska", stamps=stamps, time_base=Fraction(1, 1000), audio=audio)
    out = rewrite(source, "matroska")
    wave, rate, _ = heard(out)
    out.seek(0)
    with VideoReader(out, "mov", max_pixels=LIMIT) as reader:
        assert float(reader.start_s) - onset_s(wave, rate) == pytest.approx(0.73 - 0.3, abs=0.012)


def test_damaged_files_give_the_frames_there_are():
    whole = encode([noise(i) for i in range(50)], form="matroska").getvalue()
    _, frames = read(io.BytesIO(whole[: len(whole) // 2]), "matroska")
    assert 5 < len(frames) < 45

    damaged = bytearray(whole)
    damaged[len(whole) // 2 : len(whole) // 2 + 2000] = bytes(2000)
    _, frames = read(io.BytesIO(bytes(damaged)), "matroska")
    assert len(frames) > 20

    front = rewrite(encode([noise(i) for i in range(50)])).getvalue()
    cut = io.BytesIO(front[: len(front) * 2 // 3])
    reader, frames = read(cut)
    assert 5 < len(frames) <= 50
    assert reader.frame_count == 50


def test_damage_anywhere_is_an_error_of_ours_or_none():
    """Bytes changed at random and cut off: read and written again, audio and all."""
    frames, audio = [noise(i) for i in range(12)], tone(24_000)
    sources = {
        "mov": rewrite(encode(frames, audio=audio)),
        "matroska": encode(frames, form="matroska", audio=audio, audio_codec="libopus"),
        "mpegts": encode(frames, form="mpegts", codec="mpeg2video", audio=audio, audio_codec="mp2"),
        "asf": encode(frames, form="asf", codec="wmv2", audio=audio, audio_codec="wmav2"),
    }
    rng = np.random.default_rng(0)
    fine, refused = 0, 0
    for _ in range(25):
        for container, whole in sources.items():
            data = bytearray(whole.getvalue())
            for _ in range(rng.integers(1, 20)):
                data[rng.integers(len(data) if rng.random() < 0.5 else 3000)] = rng.integers(256)
            data = data[: rng.integers(len(data) // 2, 2 * len(data))]
            try:
                rewrite(io.BytesIO(bytes(data)), container)
                fine += 1
            except UnusableMedia:
                refused += 1
    print(f"of 100 damaged files {fine} were read as far as they go, {refused} refused")
    assert fine > 40


def test_a_false_stamp_does_not_multiply_frames():
    """A film of a second whose last frame claims to be a day later."""
    stamps = [i / 25 for i in range(24)] + [86_400]
    source = encode(
        [noise(i) for i in range(25)], form="matroska", stamps=stamps, time_base=Fraction(1, 1000)
    ).getvalue()
    with VideoReader(io.BytesIO(source), "matroska", max_pixels=LIMIT) as reader:
        assert reader.duration_s > 80_000
        assert sum(1 for _ in itertools.islice(reader.frames(), 100)) == 25


def test_what_holds_no_video_is_said_to():
    whole = encode([noise(i) for i in range(20)]).getvalue()
    for data in (b"", b"\0" * 5000, b"just text" * 500, whole[: len(whole) // 2], np.random.default_rng(1).bytes(9000)):
        for container in sorted(CONTAINERS):
            with pytest.raises(UnusableMedia) as caught:
                VideoReader(io.BytesIO(data), container, max_pixels=LIMIT)
            assert "/" not in caught.value.message
    with pytest.raises(UnsupportedMedia):
        VideoReader(io.BytesIO(whole), "hls", max_pixels=LIMIT)


def test_a_cover_image_is_no_video():
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        track = out.add_stream("aac", rate=48_000, layout="mono")
        cover = out.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 96, 64, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        image = av.VideoFrame.from_ndarray(noise(1)).reformat(format="yuvj420p")
        image.pts = 0
        out.mux(cover.encode(image))
        out.mux(cover.encode(None))
        piece = av.AudioFrame.from_ndarray(tone(1024), "fltp", "mono")
        piece.sample_rate = 48_000
        piece.pts = 0
        out.mux(track.encode(piece))
        out.mux(track.encode(None))
    file.seek(0)
    with av.open(file) as check:
        assert len(check.streams.video) == 1
    file.seek(0)
    with pytest.raises(UnusableMedia, match="no video"):
        VideoReader(file, "mov", max_pixels=LIMIT)


def test_too_many_pixels_are_refused_before_any_is_decoded():
    bomb = encode([np.zeros((2160, 3840, 3), np.uint8)], codec="libx264", options={"preset": "ultrafast"})
    assert len(bomb.getvalue()) < 40_000
    with pytest.raises(TooManyPixels, match="3840×2160"):
        VideoReader(bomb, "mov", max_pixels=LIMIT)
    reader, _ = read(encode([color_card()]), max_pixels=256 * 128)
    assert reader.width == 256
    with pytest.raises(TooManyPixels):
        read(encode([color_card()]), max_pixels=256 * 128 - 1)


def test_too_long_a_film_is_refused_by_what_it_states_and_while_it_is_read():
    two_seconds = encode([noise(i) for i in range(50)], form="matroska").getvalue()
    for limit in ({"max_s": 1.9}, {"max_frames": 49}):
        with pytest.raises(TooLong):
            VideoReader(io.BytesIO(two_seconds), "matroska", max_pixels=LIMIT, **limit)
    live = io.BytesIO()
    encode_live(live, [noise(i) for i in range(50)])
    for limit in ({"max_s": 1.9}, {"max_frames": 49}, {"max_s": 2, "max_frames": 50}):
        with VideoReader(live, "matroska", max_pixels=LIMIT, **limit) as reader:
            assert reader.duration_s is None
            if limit.get("max_frames") == 50:
                assert sum(1 for _ in reader.frames()) == 50
                continue
            with pytest.raises(TooLong):
                list(reader.frames())


def encode_live(file, frames):
    """As a browser records: without a duration."""
    with av.open(file, "w", format="matroska", container_options={"live": "1"}) as out:
        video = out.add_stream("libx264", rate=25)
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = "yuv420p"
        for frame in frames:
            out.mux(video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame))))
        out.mux(video.encode(None))
    file.seek(0)


@pytest.mark.parametrize(("gap_s", "is_read"), [(9.9, True), (10.1, False)])
def test_a_long_gap_is_refused_before_it_is_filled(gap_s, is_read):
    stamps = [0, 0.04, 0.08, 0.08 + gap_s, 0.12 + gap_s]
    source = encode([noise(i) for i in range(5)], form="matroska", stamps=stamps, time_base=Fraction(1, 1000))
    if is_read:
        _, frames = read(source, "matroska")
        assert len(frames) > 200
        return
    with VideoReader(source, "matroska", max_pixels=LIMIT) as reader:
        frames = reader.frames()
        assert next(frames).shape
        assert next(frames).shape
        with pytest.raises(TooLong, match="gap"):
            next(frames)


def test_too_long_a_side_is_refused():
    strip = encode(
        [np.zeros((2, 16_386, 3), np.uint8)], form="matroska", codec="ffv1", pixels="bgr0", matrix=UNSPECIFIED
    )
    with pytest.raises(TooManyPixels, match="16,384"):
        VideoReader(strip, "matroska", max_pixels=LIMIT)
    out = io.BytesIO()
    with VideoWriter(out, fps=25, width=16_384, height=2) as writer:
        writer.write(np.zeros((2, 16_384, 3), np.uint8))
    reader, _ = read(out)
    assert reader.width == 16_384


def test_a_change_of_size_on_the_way_is_scaled_to_the_first():
    """MPEG-TS holds what is appended."""
    data = b"".join(encode([color_card(w, h)] * 40, form="mpegts").getvalue() for w, h in ((256, 128), (128, 64)))
    _, frames = read(io.BytesIO(data), "mpegts")
    assert {frame.shape for frame in frames} == {(128, 256, 3)}
    assert len(frames) == 80
    assert color_error(frames[-1]) <= 3
    large = b"".join(encode([color_card(w, h)] * 10, form="mpegts").getvalue() for w, h in ((256, 128), (2560, 2048)))
    with pytest.raises(TooManyPixels, match="2560×2048"):
        read(io.BytesIO(large), "mpegts")


def disc_video(*parts):
    """MPEG-TS of 20 frames of a disc for each (width, height, aspect of the pixels), on one clock."""
    files = []
    for width, height, aspect in parts:
        seen = disc(round(width * aspect), height)
        columns = ((np.arange(width) + 0.5) * seen.shape[1] / width).astype(int)
        image = np.repeat(np.where(seen > 150, 240, 188).astype(np.uint8)[:, columns, None], 3, 2)
        files.append(encode([image] * 20, form="mpegts", aspect=aspect).getvalue())
    return io.BytesIO(joined(files, Fraction(20, 25)))


@pytest.mark.parametrize(
    "parts",
    [
        [(320, 180, 1), (180, 320, 1), (640, 360, 1)],
        [(320, 180, 1), (320, 180, Fraction(4, 3))],
        [(720, 576, Fraction(16, 15)), (720, 576, Fraction(64, 45)), (320, 240, 1)],
    ],
)
def test_a_circle_stays_a_circle_when_the_size_or_the_pixels_change(parts):
    _, frames = read(disc_video(*parts), "mpegts")
    assert len(frames) == 20 * len(parts)
    for frame in frames:
        wide, high = shape_of_disc(frame)
        assert wide / high == pytest.approx(1, abs=0.06)


def fail_after_twenty(reader, writer):
    with writer:
        for i, frame in enumerate(reader.frames()):
            writer.write(frame)
            _ = 1 / (20 - i)


def test_leaving_by_an_exception_empties_the_file_and_leaves_it_open():
    with tempfile.TemporaryFile() as file:
        source = encode([noise(3)] * 50, audio=tone(96_000))
        with VideoReader(source, "mov", max_pixels=LIMIT) as reader:
            writer = VideoWriter(file, fps=25, width=96, height=64, audio_from=reader)
            with pytest.raises(ZeroDivisionError):
                fail_after_twenty(reader, writer)
        assert not file.closed
        file.seek(0)
        assert file.read() == b""


def test_the_writer_refuses_frames_of_another_shape():
    with (
        pytest.raises(ValueError, match="frame of shape"),
        VideoWriter(io.BytesIO(), fps=25, width=96, height=64) as writer,
    ):
        writer.write(np.zeros((96, 64, 3), np.uint8))


def test_the_same_frames_give_the_same_bytes():
    def written():
        out = io.BytesIO()
        with VideoWriter(out, fps=Fraction(30_000, 1001), width=96, height=64) as writer:
            for i in range(12):
                writer.write(noise(i))
        return out.getvalue()

    assert written() == written()


MEASURED = """
import re, sys, tempfile
from pathlib import Path
from pipelines.media.video import VideoReader, VideoWriter
with open(sys.argv[1], "rb") as source, tempfile.TemporaryFile() as out:
    with VideoReader(source, "mov", max_pixels=10**6) as reader:
        with VideoWriter(out, fps=reader.fps, width=reader.width, height=reader.height, audio_from=reader) as writer:
            for frame in reader.frames():
                writer.write(frame)
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text()).group(1))
"""


def peak_mb(path: Path) -> float:
    command = [sys.executable, "-c", MEASURED, path]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    return int(done.stdout) / 1000


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_memory_does_not_grow_with_the_length(tmp_path):
    frames = [noise(i, 96, 128) for i in range(10)]
    for seconds in (12, 120):
        clip = encode(
            (frames[i % 10] for i in range(20 * seconds)), rate=20, codec="mpeg4", audio=tone(48_000 * seconds)
        )
        (tmp_path / str(seconds)).write_bytes(clip.getvalue())
    short, long = peak_mb(tmp_path / "12"), peak_mb(tmp_path / "120")
    print(f"peak for 12 s {short:.0f} MB, for 120 s {long:.0f} MB")
    assert long < short * 1.1


def test_real_video(sample, capsys):
    with sample("pedestrians.mp4").open("rb") as file, tempfile.TemporaryFile() as out:
        with VideoReader(file, "mov", max_pixels=LIMIT) as reader:
            assert (reader.fps, reader.width, reader.height, reader.frame_count) == (3, 1920, 1080, 8)
            assert not reader.has_audio
            originals = list(reader.frames())
        start = time.perf_counter()
        with VideoWriter(out, fps=reader.fps, width=reader.width, height=reader.height) as writer:
            for frame in originals:
                writer.write(frame)
        seconds = time.perf_counter() - start
        _, frames = read(out)
    loss = np.mean([(a.astype(float) - b) ** 2 for a, b in zip(originals, frames, strict=True)])
    psnr = 10 * math.log10(255**2 / loss)
    print(f"1080p: {8 / seconds:.1f} frames/s encoded, PSNR {psnr:.1f} dB")
    assert psnr > 36
