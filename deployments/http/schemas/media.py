"""What the image and video routes give."""

from typing import Literal

from pydantic import BaseModel, Field

from pipelines.video_generation import MAX_PROMPT_CHARS


class ImageText(BaseModel):
    """Answer of `/image/imageToText`.

    `text` is what is written in the image, line by line; "" if nothing is.
    """

    status: Literal["success"]
    classification: str
    caption: str
    text: str
    samUrl: str  # noqa: N815  the documented name


class EnhancedImage(BaseModel):
    """Answer of `/image/enhanceImage`."""

    status: Literal["success"]
    enhanceImageUrl: str  # noqa: N815  the documented name


class VideoForm(BaseModel):
    """What the form of `/image/generateVideo` may hold beside its image."""

    prompt: str = Field("", max_length=MAX_PROMPT_CHARS, description="What happens, for models that follow a prompt.")


class GeneratedVideo(BaseModel):
    """Answer of `/image/generateVideo`."""

    status: Literal["success"]
    svdVideoUrl: str  # noqa: N815  the documented name


class TrackedVideo(BaseModel):
    """Answer of `/video/motInference`.

    `tracks` is the same result as MOTChallenge text, `counts` the number of distinct objects of each class.
    """

    status: Literal["success"]
    data: str
    tracks: str
    counts: dict[str, int]


class InterpolatedVideo(BaseModel):
    """Answer of `/video/mmeditingInference`."""

    status: Literal["success"]
    data: str
