"""What the document routes give."""

from pydantic import BaseModel, Field


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
