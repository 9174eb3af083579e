"""Operations: the calls that may also run as jobs, by the names under which jobs are stored."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from deployments.capabilities.protocol import Source
from deployments.client.handles import Handle, Handles
from deployments.settings import Settings
from pipelines.image_generation import EditRequest, ImageRequest
from pipelines.video_generation import VideoRequest


@dataclass(frozen=True)
class Operation:
    """One method of a capability.

    Attributes:
        name: stored with each job, so never changed.
        method: what runs it.
        arguments: the types of what `method` takes; a job stores them as JSON.
        deadline_s: how long it may take.
    """

    name: str
    method: Callable[[Handles], Handle]
    arguments: TypeAdapter[Any]
    deadline_s: Callable[[Settings], float]


def static_results(result: dict[str, Any]) -> list[str]:
    """Keys of a result's objects that are served by their path alone."""
    return [value for value in result.values() if isinstance(value, str) and value.startswith("static/")]


def measured(result: dict[str, Any]) -> dict[str, int]:
    """What a result adds to the usage of its principal."""
    images = len(result.get("images", ())) + ("image" in result) + ("segmentation" in result)
    return {"images": images, "frames": result.get("frames", 0)}


def _deadline_s(settings: Settings) -> float:
    return settings.deadline_s


def _video_deadline_s(settings: Settings) -> float:
    return settings.video_deadline_s


_IMAGE_REQUESTS = TypeAdapter(tuple[list[ImageRequest]])
_EDIT = TypeAdapter(tuple[Source, Source | None, EditRequest])
_SOURCE = TypeAdapter(tuple[Source])
_SOURCE_AND_REQUEST = TypeAdapter(tuple[Source, VideoRequest])
_SOURCE_AND_FPS = TypeAdapter(tuple[Source, float | None])

GENERATE_IMAGES = Operation(
    "generate_images", lambda handles: handles.image_generation.generate, _IMAGE_REQUESTS, _deadline_s
)
GENERATE_INLINE_IMAGES = Operation(
    "generate_inline_images", lambda handles: handles.image_generation.generate, _IMAGE_REQUESTS, _deadline_s
)
EDIT_IMAGES = Operation("edit_images", lambda handles: handles.image_generation.edit, _EDIT, _deadline_s)
EDIT_INLINE_IMAGES = Operation("edit_inline_images", lambda handles: handles.image_generation.edit, _EDIT, _deadline_s)
DESCRIBE = Operation("describe", lambda handles: handles.image_understanding.describe, _SOURCE, _deadline_s)
ENHANCE = Operation("enhance", lambda handles: handles.super_resolution.enhance, _SOURCE, _deadline_s)
ANIMATE = Operation("animate", lambda handles: handles.video_generation.animate, _SOURCE_AND_REQUEST, _video_deadline_s)
TRACK = Operation("track", lambda handles: handles.object_tracking.track, _SOURCE, _video_deadline_s)
INTERPOLATE = Operation(
    "interpolate", lambda handles: handles.frame_interpolation.interpolate, _SOURCE_AND_FPS, _video_deadline_s
)

OPERATIONS = {
    operation.name: operation
    for operation in (
        GENERATE_IMAGES,
        GENERATE_INLINE_IMAGES,
        EDIT_IMAGES,
        EDIT_INLINE_IMAGES,
        DESCRIBE,
        ENHANCE,
        ANIMATE,
        TRACK,
        INTERPOLATE,
    )
}
