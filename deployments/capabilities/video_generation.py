"""Video generation: an image in, a short video out."""

from collections.abc import AsyncIterator
from tempfile import TemporaryFile
from typing import Any

from deployments.capabilities.base import Capability
from deployments.capabilities.progress import CallProgress
from deployments.capabilities.protocol import CallEvent, Source
from deployments.storage import video_name
from pipelines.media.image import read_image
from pipelines.media.video import VideoWriter, count_frames
from pipelines.video_generation import VideoGenerator, VideoRequest


class VideoGeneration(Capability[VideoGenerator]):
    """Animates images."""

    async def animate(self, source: Source, request: VideoRequest) -> AsyncIterator[CallEvent]:
        """Animate one upload; the result is the key of the `video`."""
        with TemporaryFile() as made:

            def work(generator: VideoGenerator, progress: CallProgress) -> None:
                with self.store.open_reader(source.key) as file:
                    image = read_image(file, max_pixels=self.settings.max_pixels).rgb8()
                clip = generator.generate(image, request, progress=progress)
                report = self.writing(progress)
                with VideoWriter(made, fps=clip.fps, width=clip.width, height=clip.height) as writer:
                    for number, frame in enumerate(clip.frames, start=1):
                        report(number / clip.count, "animating")
                        writer.write(frame)

            async def publish(_: None) -> dict[str, Any]:
                key = video_name("static/img/svd")
                made.seek(0)
                await self.store.put_file(key, made, "video/mp4")
                return {"video": key, "frames": count_frames(made)}

            async for event in self.run(work, publish):
                yield event
