"""Uploaded videos: track, interpolate."""

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import JSONResponse

from deployments.http import answers, families
from deployments.http.execution import ExecutionDep, job_responses
from deployments.http.families import UPLOAD_ERRORS
from deployments.http.schemas.media import InterpolatedVideo, TrackedVideo
from deployments.http.services import needs
from deployments.http.uploads import VIDEO

FORM = VIDEO.form_schema()

router = families.VIDEOS.router(
    "Videos", responses={**families.VIDEOS.errors(*UPLOAD_ERRORS), **job_responses(families.VIDEOS)}
)


@router.post("/motInference", openapi_extra=FORM, response_model=TrackedVideo, dependencies=[needs("object_tracking")])
async def mot_inference(request: Request, execution: ExecutionDep) -> TrackedVideo | JSONResponse:
    """Track the objects of a video and draw them with their ids and trails."""
    return await execution.run_on_file(request, VIDEO, answers.TRACKED)


@router.post(
    "/mmeditingInference",
    openapi_extra=FORM,
    response_model=InterpolatedVideo,
    dependencies=[needs("frame_interpolation")],
)
async def mmediting_inference(
    request: Request,
    execution: ExecutionDep,
    fps: Annotated[float | None, Query(gt=0, le=240, allow_inf_nan=False)] = None,
) -> InterpolatedVideo | JSONResponse:
    """Make a video smoother: twice the frame rate, or `fps`."""
    return await execution.run_on_file(request, VIDEO, answers.INTERPOLATED, fps)
