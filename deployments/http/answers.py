"""Answers: how the result of an operation, and a job with it, looks to a client.

A client that waits and one that reads a job get the same body. It is made of the stored result at each reading, so that
the URLs in it are freshly signed.
"""

import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from deployments.http.schemas.errors import ErrorDetail
from deployments.http.schemas.jobs import JobRecord
from deployments.http.schemas.media import EnhancedImage, GeneratedVideo, ImageText, InterpolatedVideo, TrackedVideo
from deployments.http.schemas.openai import GeneratedImage, GeneratedImages
from deployments.http.services import Services
from deployments.jobs import operations
from deployments.jobs.operations import Operation
from deployments.jobs.table import Job

Result = dict[str, Any]
"""What a capability gives: media are keys of the object store."""

BodyT = TypeVar("BodyT", bound=BaseModel)


@dataclass(frozen=True)
class Answer(Generic[BodyT]):
    """The answer to one operation.

    Attributes:
        operation: what is answered.
        path: of the route.
        render: the body, made of a result and the time it was ready, in seconds since 1970.
        inline: the body carries the `images` themselves, not their URLs.
    """

    operation: Operation
    path: str
    render: Callable[[Services, Result, float], Awaitable[BodyT]]
    inline: bool = False


async def _images(services: Services, result: Result, ready_at_s: float) -> GeneratedImages:
    data = [GeneratedImage(url=await services.sign(key)) for key in result["images"]]
    return GeneratedImages(created=int(ready_at_s), data=data)


async def _inline_images(services: Services, result: Result, ready_at_s: float) -> GeneratedImages:
    data = [GeneratedImage(b64_json=await _base64(services, key)) for key in result["images"]]
    return GeneratedImages(created=int(ready_at_s), data=data)


async def _base64(services: Services, key: str) -> str:
    _, chunks = await services.store.stream(key)
    return base64.b64encode(b"".join([chunk async for chunk in chunks])).decode()


async def _described(services: Services, result: Result, _: float) -> ImageText:
    return ImageText(
        status="success",
        classification=result["classification"],
        caption=result["caption"],
        text=result.get("text", ""),  # jobs that ended before images were read have none
        samUrl=await services.sign(result["segmentation"]),
    )


async def _enhanced(services: Services, result: Result, _: float) -> EnhancedImage:
    return EnhancedImage(status="success", enhanceImageUrl=await services.sign(result["image"]))


async def _animated(_: Services, result: Result, __: float) -> GeneratedVideo:
    return GeneratedVideo(status="success", svdVideoUrl=result["video"])


async def _tracked(_: Services, result: Result, __: float) -> TrackedVideo:
    return TrackedVideo(status="success", data=result["video"], tracks=result["tracks"], counts=result["counts"])


async def _interpolated(_: Services, result: Result, __: float) -> InterpolatedVideo:
    return InterpolatedVideo(status="success", data=result["video"])


IMAGES = Answer(operations.GENERATE_IMAGES, "/v1/images/generations", _images)
INLINE_IMAGES = Answer(operations.GENERATE_INLINE_IMAGES, "/v1/images/generations", _inline_images, inline=True)
EDITED_IMAGES = Answer(operations.EDIT_IMAGES, "/v1/images/edits", _images)
EDITED_INLINE_IMAGES = Answer(operations.EDIT_INLINE_IMAGES, "/v1/images/edits", _inline_images, inline=True)
DESCRIBED = Answer(operations.DESCRIBE, "/image/imageToText", _described)
ENHANCED = Answer(operations.ENHANCE, "/image/enhanceImage", _enhanced)
ANIMATED = Answer(operations.ANIMATE, "/image/generateVideo", _animated)
TRACKED = Answer(operations.TRACK, "/video/motInference", _tracked)
INTERPOLATED = Answer(operations.INTERPOLATE, "/video/mmeditingInference", _interpolated)

_ALL: tuple[Answer[Any], ...] = (
    IMAGES,
    INLINE_IMAGES,
    EDITED_IMAGES,
    EDITED_INLINE_IMAGES,
    DESCRIBED,
    ENHANCED,
    ANIMATED,
    TRACKED,
    INTERPOLATED,
)
ANSWERS = {answer.operation.name: answer for answer in _ALL}
"""Every answer by its operation's name."""


async def job_record(services: Services, job: Job, *, listed: bool = False) -> JobRecord:
    """A job as its client sees it.

    Args:
        listed: as one of many: a result that carries whole files is left out.
    """
    answer = ANSWERS[job.operation]
    result = None
    if job.result is not None and job.ended_at is not None and not (listed and answer.inline):
        body = await answer.render(services, json.loads(job.result), job.ended_at)
        result = body.model_dump(exclude_none=True)
    return JobRecord(
        id=job.id,
        object="job",
        route=answer.path,
        state=job.state,
        progress=job.progress,
        stage=job.stage,
        engine=job.engine,
        model=job.model,
        attempts=job.attempts,
        created_at=job.created_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        expires_at=None if job.ended_at is None else job.ended_at + services.settings.result_ttl_s,
        result=result,
        error=ErrorDetail(code=job.error_code, message=job.error_message or "") if job.error_code else None,
    )
