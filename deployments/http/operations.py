"""Long work: what each call that may be a job takes, who does it, and how its result looks to a client.

A call that waits and a job go the same way: `method` of a capability with `arguments`, then `render` of what it gave.
A job keeps the arguments and what the capability gave; it is rendered anew each time that somebody reads it.
"""

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter

from deployments.capabilities.protocol import Source
from deployments.client.handles import Handle, Handles
from deployments.http.schemas.all import (
    EnhancedImage,
    GeneratedImage,
    GeneratedImages,
    GeneratedVideo,
    ImageText,
    InterpolatedVideo,
    TrackedVideo,
)
from deployments.http.services import Services
from deployments.settings import Settings
from pipelines.image_generation import ImageRequest
from pipelines.video_generation import VideoRequest

Result = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """One kind of long work.

    Attributes:
        path: the route that is asked for it.
        method: what does it.
        arguments: the types of what `method` takes.
        render: the answer made of what `method` gave at a time, in seconds since 1970; addresses are signed anew.
        deadline_s: how long it may take.
        inline: the answer carries the `images` themselves, not their addresses.
    """

    path: str
    method: Callable[[Handles], Handle]
    arguments: TypeAdapter[Any]
    render: Callable[[Services, Result, float], Awaitable[BaseModel]]
    deadline_s: Callable[[Settings], float]
    inline: bool = False


async def _described(services: Services, result: Result, _: float) -> BaseModel:
    return ImageText(
        status="success",
        classification=result["classification"],
        caption=result["caption"],
        samUrl=await services.sign(result["segmentation"]),
    )


async def _enhanced(services: Services, result: Result, _: float) -> BaseModel:
    return EnhancedImage(status="success", enhanceImageUrl=await services.sign(result["image"]))


async def _animated(_: Services, result: Result, __: float) -> BaseModel:
    return GeneratedVideo(status="success", svdVideoUrl=result["video"])


async def _tracked(_: Services, result: Result, __: float) -> BaseModel:
    return TrackedVideo(status="success", data=result["video"], tracks=result["tracks"], counts=result["counts"])


async def _interpolated(_: Services, result: Result, __: float) -> BaseModel:
    return InterpolatedVideo(status="success", data=result["video"])


async def _images(services: Services, result: Result, at_s: float) -> BaseModel:
    data = [GeneratedImage(url=await services.sign(key)) for key in result["images"]]
    return GeneratedImages(created=int(at_s), data=data)


async def _inline_images(services: Services, result: Result, at_s: float) -> BaseModel:
    data = [GeneratedImage(b64_json=base64.b64encode(await services.read(key)).decode()) for key in result["images"]]
    return GeneratedImages(created=int(at_s), data=data)


def _deadline(settings: Settings) -> float:
    return settings.deadline_s


def _video_deadline(settings: Settings) -> float:
    return settings.video_deadline_s


_SOURCE = TypeAdapter(tuple[Source])
_PROMPTS = TypeAdapter(tuple[list[ImageRequest]])

OPERATIONS: dict[str, Operation] = {
    "generate_images": Operation(
        "/v1/images/generations", lambda handles: handles.image_generation.generate, _PROMPTS, _images, _deadline
    ),
    "generate_inline_images": Operation(
        "/v1/images/generations",
        lambda handles: handles.image_generation.generate,
        _PROMPTS,
        _inline_images,
        _deadline,
        inline=True,
    ),
    "describe": Operation(
        "/image/imageToText", lambda handles: handles.image_understanding.describe, _SOURCE, _described, _deadline
    ),
    "enhance": Operation(
        "/image/enhanceImage", lambda handles: handles.super_resolution.enhance, _SOURCE, _enhanced, _deadline
    ),
    "animate": Operation(
        "/image/generateVideo",
        lambda handles: handles.video_generation.animate,
        TypeAdapter(tuple[Source, VideoRequest]),
        _animated,
        _video_deadline,
    ),
    "track": Operation(
        "/video/motInference", lambda handles: handles.object_tracking.track, _SOURCE, _tracked, _video_deadline
    ),
    "interpolate": Operation(
        "/video/mmeditingInference",
        lambda handles: handles.frame_interpolation.interpolate,
        TypeAdapter(tuple[Source, float | None]),
        _interpolated,
        _video_deadline,
    ),
}
"""Every operation by the name that a job keeps."""
