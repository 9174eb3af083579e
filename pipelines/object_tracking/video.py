"""Track a whole video: decode, track, draw and encode frame by frame."""

from collections import Counter
from typing import BinaryIO

from pipelines.contracts.progress import Progress, no_progress
from pipelines.media.video import VideoReader, VideoWriter
from pipelines.object_tracking.annotate import Annotator
from pipelines.object_tracking.base import ObjectTracker, Tracks


def track_video(
    video: VideoReader,
    tracker: ObjectTracker,
    annotated: BinaryIO,
    tracks_text: BinaryIO,
    *,
    progress: Progress = no_progress,
) -> dict[str, int]:
    """Write the video with its tracks drawn in, and the tracks as MOTChallenge text.

    Args:
        video: what is tracked; read once, in order.
        tracker: any engine; its frames may come out late.
        annotated: seekable file that receives H.264 in MP4 with the video's own audio.
        tracks_text: file that receives the lines of `mot_lines`.
        progress: called for each frame.

    Returns:
        The number of distinct objects tracked of each class, the most frequent class first. An object counts once, for
        the class that it was last given.

    Raises:
        UnusableMedia, TooManyPixels: from the video.
        Cancelled: raised by `progress`.
    """
    labels: dict[int, str] = {}
    annotator = Annotator(video.width, video.height, float(video.fps))
    with VideoWriter(annotated, fps=video.fps, width=video.width, height=video.height, audio_from=video) as writer:
        for number, (frame, tracks) in enumerate(tracker.track(video.frames(), fps=float(video.fps)), start=1):
            progress(min(number / video.frame_count, 1.0) if video.frame_count else None, "tracking")
            writer.write(annotator.draw(frame, tracks))
            tracks_text.write(mot_lines(number, tracks).encode())
            labels.update(zip(tracks.ids.tolist(), tracks.labels, strict=True))
    return dict(sorted(Counter(labels.values()).items(), key=lambda counted: (-counted[1], counted[0])))


def mot_lines(frame_number: int, tracks: Tracks) -> str:
    """One frame's tracks as MOTChallenge text (https://arxiv.org/abs/1603.00831).

    Args:
        frame_number: from 1.
        tracks: what was tracked in that frame.

    Returns:
        A line `frame,id,left,top,width,height,score,-1,-1,-1` per track, each ended by a newline; empty if there is
        none. Pixels and scores have two decimals; pixels are counted from 0 as in `Tracks`.
    """
    return "".join(
        f"{frame_number},{identity},{left:.2f},{top:.2f},{right - left:.2f},{bottom - top:.2f},{score:.2f},-1,-1,-1\n"
        for (left, top, right, bottom), identity, score in zip(
            tracks.xyxy.tolist(), tracks.ids.tolist(), tracks.scores.tolist(), strict=True
        )
    )
