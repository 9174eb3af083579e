"""Pictures and videos that are uploaded: describe, enhance, animate, track, interpolate."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from deployments.calls import Graph
from deployments.routes.schemas import (
    EnhancedImage,
    GeneratedVideo,
    ImageText,
    InterpolatedVideo,
    MediaError,
    TrackedVideo,
    upload_errors,
)
from deployments.routes.uploads import form_schema, uploaded_file
from pipelines.video_generation import VideoRequest

PICTURES = "a picture: png, jpeg, webp, gif, bmp, tiff or avif"
VIDEOS = "a video: mp4, mov, webm, mkv, avi, mpeg, flv, ogg or wmv"


def router(graph: Graph) -> APIRouter:
    """`/image/*` and `/video/*`."""
    routes = APIRouter(responses=upload_errors(MediaError))
    settings, handles = graph.settings, graph.handles

    async def picture(request: Request, response: Response, method: Any, *args: Any, deadline_s: float) -> Any:
        upload = uploaded_file(
            graph, request, field="file", family="image", max_bytes=settings.max_image_bytes, wanted=PICTURES
        )
        async with upload as (source, _):
            with await graph.call(method, source, *args, deadline_s=deadline_s) as call:
                response.headers.update(call.headers())
                return await call.result()

    async def video(request: Request, response: Response, method: Any, *args: Any) -> Any:
        upload = uploaded_file(
            graph, request, field="file", family="video", max_bytes=settings.max_video_bytes, wanted=VIDEOS
        )
        async with upload as (source, _):
            with await graph.call(method, source, *args, deadline_s=settings.video_deadline_s) as call:
                response.headers.update(call.headers())
                return await call.result()

    async def signed(key: str) -> str:
        return await graph.store.sign(key, expires_s=settings.signed_url_s)

    @routes.post("/image/imageToText", tags=["Pictures"], openapi_extra=form_schema("file"))
    async def image_to_text(request: Request, response: Response) -> ImageText:
        """Caption a picture, name its classes and draw its segments over it."""
        result = await picture(request, response, handles.image_understanding.describe, deadline_s=settings.deadline_s)
        return ImageText(
            status="success",
            classification=result["classification"],
            caption=result["caption"],
            samUrl=await signed(result["segmentation"]),
        )

    @routes.post("/image/enhanceImage", tags=["Pictures"], openapi_extra=form_schema("file"))
    async def enhance_image(request: Request, response: Response) -> EnhancedImage:
        """Enlarge a picture and make it clearer."""
        result = await picture(request, response, handles.super_resolution.enhance, deadline_s=settings.deadline_s)
        return EnhancedImage(status="success", enhanceImageUrl=await signed(result["picture"]))

    @routes.post("/image/generateVideo", tags=["Pictures"], openapi_extra=form_schema("file"))
    async def generate_video(
        request: Request,
        response: Response,
        *,
        frames: Annotated[int | None, Query(ge=2, le=600)] = None,
        fps: Annotated[float | None, Query(ge=1, le=60, allow_inf_nan=False)] = None,
        motion: Annotated[float | None, Query(ge=0, le=1, allow_inf_nan=False)] = None,
        seed: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    ) -> GeneratedVideo:
        """Make a short video out of a picture."""
        wish = VideoRequest(frames=frames, fps=fps, motion=motion, seed=seed)
        result = await picture(
            request, response, handles.video_generation.animate, wish, deadline_s=settings.video_deadline_s
        )
        return GeneratedVideo(status="success", svdVideoUrl=result["video"])

    @routes.post("/video/motInference", tags=["Videos"], openapi_extra=form_schema("file"))
    async def mot_inference(request: Request, response: Response) -> TrackedVideo:
        """Track the objects of a video and draw them with their ids and trails."""
        result = await video(request, response, handles.object_tracking.track)
        return TrackedVideo(status="success", data=result["video"], tracks=result["tracks"])

    @routes.post("/video/mmeditingInference", tags=["Videos"], openapi_extra=form_schema("file"))
    async def mmediting_inference(
        request: Request,
        response: Response,
        fps: Annotated[float | None, Query(gt=0, le=240, allow_inf_nan=False)] = None,
    ) -> InterpolatedVideo:
        """Make a video smoother: twice the frame rate, or `fps`."""
        result = await video(request, response, handles.frame_interpolation.interpolate, fps)
        return InterpolatedVideo(status="success", data=result["video"])

    return routes
