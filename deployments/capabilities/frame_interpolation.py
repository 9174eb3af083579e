"""Frame interpolation: a video in, a smoother one out."""

from collections.abc import AsyncIterator
from tempfile import TemporaryFile
from typing import Any

from deployments.capabilities.base import Capability
from deployments.capabilities.progress import CallProgress
from deployments.capabilities.protocol import CallEvent, Source
from deployments.storage import video_name
from pipelines.frame_interpolation import FrameInterpolator
from pipelines.frame_interpolation.video import interpolate_video
from pipelines.media.video import count_frames


class FrameInterpolation(Capability[FrameInterpolator]):
    """Makes videos smoother."""

    async def interpolate(self, source: Source, fps: float | None) -> AsyncIterator[CallEvent]:
        """Interpolate one upload to `fps`, or to twice its own rate; the result is the key of the `video`."""
        with TemporaryFile() as smoother:

            def work(interpolator: FrameInterpolator, progress: CallProgress) -> None:
                with self.open_video(source) as video:
                    interpolate_video(video, interpolator, smoother, fps=fps, progress=self.writing(progress))

            async def publish(_: None) -> dict[str, Any]:
                key = video_name("static/video")
                smoother.seek(0)
                await self.store.put_file(key, smoother, "video/mp4")
                return {"video": key, "frames": count_frames(smoother)}

            async for event in self.run(work, publish):
                yield event
