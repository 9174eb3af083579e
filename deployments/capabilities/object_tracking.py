"""Object tracking: a video in; the video with its tracks, and the tracks as text, out."""

from collections.abc import AsyncIterator
from tempfile import TemporaryFile
from typing import Any

from deployments.capabilities.base import Capability
from deployments.capabilities.progress import CallProgress
from deployments.capabilities.protocol import CallEvent, Source
from deployments.storage import video_name
from pipelines.media.video import count_frames
from pipelines.object_tracking import ObjectTracker
from pipelines.object_tracking.video import track_video


class ObjectTracking(Capability[ObjectTracker]):
    """Tracks objects through videos."""

    async def track(self, source: Source) -> AsyncIterator[CallEvent]:
        """Track one upload; the result is the keys of the `video` and of its `tracks`, and `counts` by class."""
        with TemporaryFile() as annotated, TemporaryFile() as text:

            def work(tracker: ObjectTracker, progress: CallProgress) -> dict[str, int]:
                with self.open_video(source) as video:
                    return track_video(video, tracker, annotated, text, progress=self.writing(progress))

            async def publish(counts: dict[str, int]) -> dict[str, Any]:
                key = video_name("static/video")
                tracks_key = key.removesuffix(".mp4") + ".txt"
                annotated.seek(0)
                text.seek(0)
                await self.store.put_file(tracks_key, text, "text/plain")
                await self.store.put_file(key, annotated, "video/mp4")
                return {"video": key, "tracks": tracks_key, "counts": counts, "frames": count_frames(annotated)}

            async for event in self.run(work, publish):
                yield event
