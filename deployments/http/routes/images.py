"""Uploaded images: describe, enhance, animate."""

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import JSONResponse

from deployments.http import answers, families
from deployments.http.execution import ExecutionDep, job_responses
from deployments.http.families import UPLOAD_ERRORS
from deployments.http.schemas.media import EnhancedImage, GeneratedVideo, ImageText, VideoForm
from deployments.http.services import needs
from deployments.http.uploads import ANIMATED, IMAGE, form_file
from pipelines.video_generation import VideoRequest

FORM = IMAGE.form_schema()

router = families.IMAGES.router(
    "Images", responses={**families.IMAGES.errors(*UPLOAD_ERRORS), **job_responses(families.IMAGES)}
)


@router.post("/imageToText", openapi_extra=FORM, response_model=ImageText, dependencies=[needs("image_understanding")])
async def image_to_text(request: Request, execution: ExecutionDep) -> ImageText | JSONResponse:
    """Caption an image, name its classes, read its text and draw its segments over it."""
    return await execution.run_on_file(request, IMAGE, answers.DESCRIBED)


@router.post(
    "/enhanceImage", openapi_extra=FORM, response_model=EnhancedImage, dependencies=[needs("super_resolution")]
)
async def enhance_image(request: Request, execution: ExecutionDep) -> EnhancedImage | JSONResponse:
    """Enlarge an image and make it clearer."""
    return await execution.run_on_file(request, IMAGE, answers.ENHANCED)


@router.post(
    "/generateVideo",
    openapi_extra=ANIMATED.form_schema(),
    response_model=GeneratedVideo,
    dependencies=[needs("video_generation")],
)
async def generate_video(
    request: Request,
    execution: ExecutionDep,
    *,
    frames: Annotated[int | None, Query(ge=2, le=600)] = None,
    fps: Annotated[float | None, Query(ge=1, le=60, allow_inf_nan=False)] = None,
    motion: Annotated[float | None, Query(ge=0, le=1, allow_inf_nan=False)] = None,
    seed: Annotated[int, Query(ge=0, lt=2**63)] = 0,
) -> GeneratedVideo | JSONResponse:
    """Turn an image into a short video."""
    async with form_file(execution.services, request, ANIMATED) as upload:
        form = upload.options(VideoForm)
        options = VideoRequest(frames=frames, fps=fps, motion=motion, prompt=form.prompt.strip() or None, seed=seed)
        asked = f"{upload.received.sha256}?{request.url.query}?{form.model_dump_json()}"
        return await execution.run(answers.ANIMATED, upload.source, options, asked=asked, upload=upload)
