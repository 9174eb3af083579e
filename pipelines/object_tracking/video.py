"""Track a whole video: decode, track, draw and encode frame by frame."""

from collections import Counter
from typing import BinaryIO

from pipelines.contracts.progress import Progress, no_progress
from pipelines.media.video import VideoReader, VideoWriter
from pipelines.object_tracking.annotate import Annotator
from pipelines.object_tracking.base import ObjectTracker
from pipelines.object_tracking.mot import mot_lines


def track_video(
    video: VideoReader,
    tracker: ObjectTracker,
    annotated: BinaryIO,
    tracks_text: BinaryIO,
    *,
    progress: Progress = no_progress,
) -> dict[str, int]:
    """Write the video with its tracks drawn into it, and the tracks as MOTChallenge text.

    Args:
        video: what is tracked; read once, in order.
        annotated: seekable file that receives H.264 in MP4 with the video's own sound.
        tracks_text: file that receives `frame,id,left,top,width,height,score,-1,-1,-1` lines.

    Returns:
        How many different objects of each class were tracked, the most frequent class first. An object counts for the
        class that it was last told as.

    Raises:
        UnusableMedia, TooManyPixels: from the video.
        Cancelled: `progress` said so.
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
