"""Small real files that tests draw, speak and encode themselves."""

import io
from fractions import Fraction

import av
import numpy as np
from PIL import Image, ImageDraw


def png(width: int = 320, height: int = 240) -> bytes:
    """A drawn landscape as PNG."""
    image = Image.new("RGB", (width, height), (120, 180, 240))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, height * 2 // 3, width, height), fill=(60, 140, 60))
    draw.ellipse((width // 8, height // 8, width // 3, height // 2), fill=(250, 210, 60))
    draw.rectangle((width // 2, height // 3, width * 4 // 5, height * 3 // 4), fill=(180, 40, 40))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def tone(seconds: float, rate: int = 16_000, level: float = 0.2) -> bytes:
    """A sine as WAV; `level=0` is silence."""
    wave = level * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)
    return wav(wave, rate)


def wav(samples: np.ndarray, rate: int) -> bytes:
    """Mono float samples as 16-bit WAV."""
    file = io.BytesIO()
    with av.open(file, "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray((samples * 32767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def mp4(frames: int = 24, fps: int = 12, width: int = 320, height: int = 240, audio: bool = True) -> bytes:
    """A red square that crosses a textured ground, with a tone, as H.264 and AAC."""
    file = io.BytesIO()
    ground = np.random.default_rng(1).integers(90, 110, (height, width, 3), np.uint8)
    with av.open(file, "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=Fraction(fps))
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        track = container.add_stream("aac", rate=48_000, layout="mono") if audio else None
        for index in range(frames):
            image = ground.copy()
            left = 10 + int((width - 70) * index / max(frames, 1))
            image[height // 3 : height // 3 + 60, left : left + 50] = (200, 30, 30)
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode(None))
        if track is not None:
            seconds = frames / fps
            wave = 0.1 * np.sin(2 * np.pi * 330 * np.arange(int(seconds * 48_000)) / 48_000)
            frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], format="fltp", layout="mono")
            frame.sample_rate = 48_000
            for piece in [*av.AudioResampler("fltp", "mono", 48_000, frame_size=1024).resample(frame)]:
                container.mux(track.encode(piece))
            container.mux(track.encode(None))
    return file.getvalue()


def probe(data: bytes) -> dict[str, object]:
    """What a player would find in a video file: codec, size, frames, rate, length, audio."""
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return {
            "codec": stream.codec_context.name,
            "pix_fmt": stream.codec_context.pix_fmt,
            "width": stream.width,
            "height": stream.height,
            "fps": float(stream.average_rate or 0),
            "frames": frames,
            "duration_s": float((stream.duration or 0) * (stream.time_base or 0)),
            "audio": bool(container.streams.audio),
            "languages": [track.language for track in container.streams.audio],
        }


PQ, HLG, BT2020 = 16, 18, 9
"""FFmpeg's numbers of transfer functions, and of primaries and their matrix."""


def hdr_signal(nits: float, transfer: int) -> float:
    """What light on the display is as a signal of 0 to 1, by ITU-R BT.2100; HLG on a display of 1,000 cd/m²."""
    if transfer == PQ:
        root = (nits / 10_000) ** 0.1593017578125
        return float(((0.8359375 + 18.8515625 * root) / (1 + 18.6875 * root)) ** 78.84375)
    scene = (nits / 1000) ** (1 / 1.2)
    return float(np.sqrt(3 * scene) if scene <= 1 / 12 else 0.17883277 * np.log(12 * scene - 0.28466892) + 0.55991073)


def hdr_frame(nits: np.ndarray, transfer: int, primaries: int = BT2020) -> av.VideoFrame:
    """Gray light (H, W) as a frame of 10 bits in limited range."""
    levels, places = np.unique(nits, return_inverse=True)
    luma = np.round(64 + 876 * np.array([hdr_signal(level, transfer) for level in levels]))[places.reshape(nits.shape)]
    rows, columns = nits.shape
    planes = np.concatenate([luma, np.full((rows // 2, columns), 512)]).astype(np.uint16)
    frame = av.VideoFrame.from_ndarray(planes, format="yuv420p10le")
    frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range = BT2020, primaries, transfer, 1
    return frame


def disc(width: int, height: int) -> np.ndarray:
    """Light of a disc of diffuse white, 203 cd/m², on a ground of half that."""
    y, x = np.mgrid[:height, :width] + 0.5
    inside = (x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(width, height) * 0.35) ** 2
    return np.where(inside, 203, 101.5)


def phone_video(sizes: list[tuple[int, int]], fps: int = 240, transfer: int = PQ) -> bytes:
    """MPEG-TS in HDR with sound in English (AAC) and in German (AC-3): a tenth of a second of `disc` in each size."""
    parts = []
    for width, height in sizes:
        file = io.BytesIO()
        with av.open(file, "w", format="mpegts") as container:
            video = container.add_stream("libx265", rate=fps, options={"x265-params": "log-level=none:crf=10"})
            video.width, video.height, video.pix_fmt = width, height, "yuv420p10le"
            codec = video.codec_context
            codec.colorspace, codec.color_primaries, codec.color_trc, codec.color_range = BT2020, BT2020, transfer, 1
            tracks = [container.add_stream(name, rate=48_000, layout="mono") for name in ("aac", "ac3")]
            for track, language in zip(tracks, ("eng", "deu"), strict=True):
                track.metadata["language"] = language
            for index in range(fps // 10):
                frame = hdr_frame(disc(width, height), transfer)
                frame.pts = index
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
            for track in tracks:
                wave = 0.1 * np.sin(2 * np.pi * 330 * np.arange(4800) / 48_000)
                sound = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], format="fltp", layout="mono")
                sound.sample_rate = 48_000
                size = track.codec_context.frame_size
                for piece in av.AudioResampler("fltp", "mono", 48_000, frame_size=size).resample(sound):
                    container.mux(track.encode(piece))
                container.mux(track.encode(None))
        parts.append(file.getvalue())
    return joined(parts, Fraction(1, 10))


def joined(parts: list[bytes], step_s: Fraction) -> bytes:
    """MPEG-TS of the same streams one after the other on one clock, each part `step_s` later than the one before."""
    file = io.BytesIO()
    with av.open(file, "w", format="mpegts") as out:
        targets: list[av.stream.Stream] = []
        for index, data in enumerate(parts):
            with av.open(io.BytesIO(data), "r") as part:
                targets = targets or [out.add_stream_from_template(stream) for stream in part.streams]
                for target, stream in zip(targets, part.streams, strict=True):
                    target.metadata.update(stream.metadata)
                for packet in part.demux():
                    if packet.size and packet.pts is not None and packet.dts is not None:
                        packet.pts += round(index * step_s / packet.time_base)
                        packet.dts += round(index * step_s / packet.time_base)
                        packet.stream = targets[packet.stream.index]
                        out.mux(packet)
    return file.getvalue()


def shape_of_disc(frame: np.ndarray) -> tuple[int, int]:
    """Width and height of what is brighter than the ground of `disc`, in an RGB frame."""
    bright = frame[..., 1] > 213
    return int(bright.any(axis=0).sum()), int(bright.any(axis=1).sum())
