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
        }
