"""What the document routes give."""

from typing import Literal

from pydantic import BaseModel, Field

from deployments.principals.principal import Access


class Uploaded(BaseModel):
    """Answer of `/uploadFile/uploadLearningFile`."""

    result: bool


class LearningFile(BaseModel):
    """A document of a category: `added_at` is when this version came, in seconds since 1970."""

    id: str
    name: str
    pages: int
    passages: int
    bytes: int
    added_at: int
    not_read: list[str] = Field(description="What it holds that was not read: pictures, charts, embedded files")


class LearningFiles(BaseModel):
    """Answer of `/uploadFile/learningFiles`."""

    result: bool
    data: list[LearningFile]


class ShareBody(BaseModel):
    """Body of `PUT /v1/categories/{name}/shares/{principal}`."""

    access: Access


class Share(BaseModel):
    """What a principal may do with a category of another's."""

    object: Literal["share"]
    owner: str
    category: str
    principal: str
    access: Access


class ShareEnded(BaseModel):
    """Answer of `DELETE /v1/categories/{name}/shares/{principal}`."""

    object: Literal["share"]
    owner: str
    category: str
    principal: str
    deleted: Literal[True]
