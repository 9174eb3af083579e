"""Interpolate a whole video: decode, interpolate and encode frame by frame."""

from fractions import Fraction
from typing import BinaryIO

from pipelines.contracts.progress import Progress, no_progress
from pipelines.frame_interpolation.base import FrameInterpolator
from pipelines.frame_interpolation.stream import interpolate_stream, target_rate
from pipelines.media.video import VideoReader, VideoWriter


def interpolate_video(
    video: VideoReader,
    interpolator: FrameInterpolator,
    smoother: BinaryIO,
    *,
    fps: float | None = None,
    progress: Progress = no_progress,
) -> None:
    """Write the video at a higher frame rate, with the same duration and audio.

    Args:
        video: what is interpolated; read once, in order.
        interpolator: any engine.
        smoother: seekable file that receives H.264 in MP4.
        fps: requested frame rate; `None` doubles the video's own.
        progress: called for each pair of frames.

    Raises:
        InvalidInput: a frame rate that the engine cannot reach.
        UnusableMedia, TooManyPixels: from the video.
        Cancelled: raised by `progress`.
    """
    requested = None if fps is None else Fraction(fps)
    target = target_rate(video.fps, requested, interpolator)
    frames = interpolate_stream(
        video.frames(),
        interpolator,
        fps_in=video.fps,
        fps_out=requested,
        frame_count=video.frame_count,
        progress=progress,
    )
    with VideoWriter(smoother, fps=target, width=video.width, height=video.height, audio_from=video) as writer:
        for frame in frames:
            writer.write(frame)
