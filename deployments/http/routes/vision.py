"""Images and videos that are uploaded: describe, enhance, animate, track, interpolate."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from deployments.http.schemas.all import (
    EnhancedImage,
    GeneratedVideo,
    ImageText,
    InterpolatedVideo,
    MediaError,
    TrackedVideo,
    upload_errors,
)
from deployments.http.services import Services
from deployments.http.uploads import form_schema, uploaded_file
from deployments.http.work import Preference, Preferred, accepted, perform
from pipelines.media.kinds import Family
from pipelines.video_generation import VideoRequest

WANTED: dict[Family, str] = {
    "image": "an image: png, jpeg, webp, gif, bmp, tiff or avif",
    "video": "a video: mp4, mov, webm, mkv, avi, mpeg, flv, ogg or wmv",
}


def router(services: Services) -> APIRouter:
    """`/image/*` and `/video/*`."""
    routes = APIRouter(responses={**upload_errors(MediaError), **accepted(MediaError)})
    most_bytes: dict[Family, int] = {
        "image": services.settings.max_image_bytes,
        "video": services.settings.max_video_bytes,
    }

    async def work(
        request: Request, response: Response, preference: Preference, family: Family, operation: str, *wish: Any
    ) -> Any:
        upload = uploaded_file(
            services, request, field="file", family=family, max_bytes=most_bytes[family], wanted=WANTED[family]
        )
        async with upload as file:
            same = f"{file.received.sha256}?{request.url.query}"
            arguments = (file.source, *wish)
            return await perform(services, response, preference, operation, *arguments, request=same, upload=file)

    form = form_schema("file")

    @routes.post("/image/imageToText", tags=["Images"], openapi_extra=form, response_model=ImageText)
    async def image_to_text(request: Request, response: Response, preference: Preferred) -> Any:
        """Caption an image, name its classes and draw its segments over it."""
        return await work(request, response, preference, "image", "describe")

    @routes.post("/image/enhanceImage", tags=["Images"], openapi_extra=form, response_model=EnhancedImage)
    async def enhance_image(request: Request, response: Response, preference: Preferred) -> Any:
        """Enlarge an image and make it clearer."""
        return await work(request, response, preference, "image", "enhance")

    @routes.post("/image/generateVideo", tags=["Images"], openapi_extra=form, response_model=GeneratedVideo)
    async def generate_video(
        request: Request,
        response: Response,
        preference: Preferred,
        *,
        frames: Annotated[int | None, Query(ge=2, le=600)] = None,
        fps: Annotated[float | None, Query(ge=1, le=60, allow_inf_nan=False)] = None,
        motion: Annotated[float | None, Query(ge=0, le=1, allow_inf_nan=False)] = None,
        seed: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    ) -> Any:
        """Make a short video out of an image."""
        wish = VideoRequest(frames=frames, fps=fps, motion=motion, seed=seed)
        return await work(request, response, preference, "image", "animate", wish)

    @routes.post("/video/motInference", tags=["Videos"], openapi_extra=form, response_model=TrackedVideo)
    async def mot_inference(request: Request, response: Response, preference: Preferred) -> Any:
        """Track the objects of a video and draw them with their ids and trails."""
        return await work(request, response, preference, "video", "track")

    @routes.post("/video/mmeditingInference", tags=["Videos"], openapi_extra=form, response_model=InterpolatedVideo)
    async def mmediting_inference(
        request: Request,
        response: Response,
        preference: Preferred,
        fps: Annotated[float | None, Query(gt=0, le=240, allow_inf_nan=False)] = None,
    ) -> Any:
        """Make a video smoother: twice the frame rate, or `fps`."""
        return await work(request, response, preference, "video", "interpolate", fps)

    return routes
