"""What the document routes give."""

from pydantic import BaseModel


class Uploaded(BaseModel):
    """Answer of `/uploadFile/uploadLearningFile`."""

    result: bool


class LearningFile(BaseModel):
    """A document of a category."""

    id: str
    name: str
    pages: int
    passages: int
    bytes: int
    added_at: int


class LearningFiles(BaseModel):
    """Answer of `/uploadFile/learningFiles`."""

    result: bool
    data: list[LearningFile]
